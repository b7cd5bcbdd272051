"""LiteLLM's proxy on 127.0.0.1: a server that speaks OpenAI's API and is not ours.

It lives in a virtual environment of its own at the checkout's root, made once from `litellm.lock`, which `make lock` resolves anew.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

LOCK = Path(__file__).with_name("litellm.lock")
HOME = Path(__file__).parents[2] / ".venv-litellm"
KEY = "sk-litellm-T3sT0nLyM4sT3rK3y"
START_SECONDS = 150

CAPTION = json.dumps({"caption": "A green glass bottle.", "line": "What a fine bottle!"})
PROMPT = json.dumps({"clean_prompt": "A green bottle on stone.", "userMessage_final": "Ready."})


@asynccontextmanager
async def litellm_proxy(folder: Path, upstream: str, upstream_key: str) -> AsyncIterator[str]:
    """A running proxy; gives what goes into OPENAI_BASE_URL. Its files are kept in `folder`.

    Its models: `caption` and `prompt` answer by themselves, `busy` with 429, `broken` with 500; `passed-on` and
    `omni-moderation-latest` ask an OpenAI at `upstream`.
    """
    mocks = {"caption": CAPTION, "prompt": PROMPT, "busy": "litellm.RateLimitError", "broken": "litellm.InternalServerError"}
    there = {"api_base": upstream, "api_key": upstream_key}
    served = {name: {"model": "openai/gpt-4.1-mini", "api_key": "none", "mock_response": said} for name, said in mocks.items()}
    served["passed-on"] = {"model": "openai/gpt-4.1-mini", **there}
    served["omni-moderation-latest"] = {"model": "openai/omni-moderation-latest", **there}
    config = {
        "model_list": [{"model_name": name, "litellm_params": params} for name, params in served.items()],
        "general_settings": {"master_key": KEY},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(await _installed()),
        "--config",
        "config.yaml",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--telemetry",
        "False",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "*", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    log = folder / "log"
    with log.open("wb") as out:
        proxy = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        if not await _answers(proxy, f"http://127.0.0.1:{port}/health/liveliness"):
            pytest.fail(f"LiteLLM does not start:\n{log.read_text(errors='replace')[-4000:]}", pytrace=False)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if proxy.returncode is None:
            proxy.kill()  # it keeps nothing
        await proxy.wait()


async def _installed() -> Path:
    """The proxy's program, installed first where it is not, or not as the lock says. Fails the test where it cannot be."""
    program, mark = HOME / "bin" / "litellm", HOME / ".installed"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not (mark.exists() and mark.read_text() == wanted):
        await asyncio.to_thread(_locked_install, mark, wanted)
    return program


def _locked_install(mark: Path, wanted: str) -> None:
    """One test run at a time."""
    HOME.mkdir(exist_ok=True)
    with (HOME.parent / ".venv-litellm.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text() == wanted:
            return
        _install()
        mark.write_text(wanted)


def _install() -> None:
    uv, python = str(Path(sys.executable).with_name("uv")), str(HOME / "bin" / "python")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(HOME)],
        [uv, "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", "--python", python, str(LOCK)],
    ):
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            pytest.fail(f"LiteLLM cannot be installed: {' '.join(command[1:4])} says\n{done.stdout}", pytrace=False)


async def _answers(proxy: asyncio.subprocess.Process, url: str) -> bool:
    """Wait until it serves; it has ended, or takes too long, where it does not."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        for _ in range(START_SECONDS * 5):
            if proxy.returncode is not None:
                return False
            try:
                if (await client.get(url)).status_code == 200:
                    return True
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.2)  # it tells in no other way that it is up
    return False
