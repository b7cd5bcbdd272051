"""An OpenAI on 127.0.0.1: it answers in the published format, refuses what the description does not allow, and fails as told."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from aiohttp import web

from tests.vendors.openai_description import REQUESTS, faults

KEY = "sk-proj-T3sT0nLyK3yOfTh3F4k3V3nd0r"
MODELS = ("gpt-4.1-mini", "omni-moderation-latest")
CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic"),
)


class Asked(NamedTuple):
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """One answer. `fate`: sent whole; `hang`: never; `drop`: the connection breaks instead; `cut`: it breaks in the body."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fate: Literal["whole", "hang", "drop", "cut"] = "whole"

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def completion(content: object, *, finish: str = "stop", refusal: str | None = None, **more: Any) -> Reply:
    """A chat completion that says `content`, as JSON unless it is text."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    message = {"role": "assistant", "content": text, "refusal": refusal, "annotations": []}
    details = {"cached_tokens": 0, "audio_tokens": 0}
    usage = {"prompt_tokens": 321, "completion_tokens": 45, "total_tokens": 366, "prompt_tokens_details": details}
    body = {
        "id": "chatcmpl-C1",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": "gpt-4.1-mini-2025-04-14",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_1a2b3c4d5e",
    }
    return Reply(body | more)


def moderation(*flagged: str) -> Reply:
    """A verdict: these categories."""
    result = {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in CATEGORIES},
        "category_scores": {name: 0.97 if name in flagged else 0.001 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
    return Reply({"id": "modr-1", "model": "omni-moderation-2024-09-26", "results": [result]})


def models(*ids: str) -> Reply:
    """A list of models."""
    listed = [{"id": each, "object": "model", "created": 1_744_316_542, "owned_by": "system"} for each in ids]
    return Reply({"object": "list", "data": listed})


def error(
    status: int, code: str | None = None, *, kind: str = "invalid_request_error", message: str = "No.", **headers: str
) -> Reply:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


class OpenAIServer:
    """Answers with `script` first, one reply a request, then as if all were well. `picky` refuses what the description does."""

    def __init__(self, *, picky: bool = True) -> None:
        self.picky = picky
        self.requests: list[Asked] = []
        self.script: deque[Reply] = deque()
        self.hanging = asyncio.Event()
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    def answer(self, *replies: Reply) -> None:
        """Give these replies next, one after another."""
        self.script.extend(replies)

    @property
    def asked(self) -> Asked:
        """The only request so far."""
        (only,) = self.requests
        return only

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append(Asked(request.path, {name.lower(): value for name, value in request.headers.items()}, body))
        reply = self._reply(request, body)
        if reply.fate == "hang":
            self.hanging.set()
            await self._over.wait()
        if reply.fate in {"drop", "hang"}:
            return self._break(request, web.Response())
        headers = {"content-type": "application/json", "x-request-id": "req_0123456789abcdef", **reply.headers}
        if reply.fate == "whole":
            return web.Response(body=reply.data, status=reply.status, headers=headers)
        response = web.StreamResponse(status=reply.status, headers={**headers, "content-length": str(len(reply.data))})
        await response.prepare(request)
        await response.write(reply.data[: len(reply.data) // 2])
        return self._break(request, response)

    def _break(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return response

    def _reply(self, request: web.Request, body: Any) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            said = request.headers.get("authorization", "")
            return error(401, "invalid_api_key", message=f"Incorrect API key provided: {said}.")
        wrong = faults(request.path, body) if self.picky and request.path in REQUESTS else []
        if wrong:
            return error(400, "invalid_value", message="; ".join(wrong))
        if self.script:
            return self.script.popleft()
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                name = body["response_format"]["json_schema"]["name"]
                return completion(
                    {"caption": "A red leather bag.", "line": "What a lovely red!"}
                    if name == "caption"
                    else {"clean_prompt": "A red bag on stone.", "userMessage_final": "Here is your still."}
                )
            case "POST", "/v1/moderations":
                return moderation()
            case "GET", "/v1/models":
                return models(*MODELS)
        return error(404, None, message=f"Invalid URL ({request.method} {request.path})")
