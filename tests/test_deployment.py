"""Promises of the files a deployment is made of: they name what exists, hold no secrets, and start things in their order."""

import asyncio
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import aioboto3
import pytest
import typer
import yaml
from aiohttp import web
from botocore.validate import validate_parameters

from mina_gql.adapters.storage_r2.checkup import removes_staged
from mina_gql.cli import app
from mina_gql.domain.assets import OUTPUTS, STAGING, UPLOADS
from mina_gql.settings import Settings

ROOT = Path(__file__).parents[1]
VARIABLE = re.compile(r"\b(?:MINA|OPENAI|REPLICATE)_[A-Z0-9_]*[A-Z0-9]\b")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|DATABASE_URL")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "mina"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def settings_names() -> set[str]:
    """The variables that `settings.py` reads."""
    return {str(field.validation_alias or f"MINA_{name.upper()}") for name, field in Settings.model_fields.items()}


def interpolated(value: str, **given: str) -> str:
    """A value of the compose file as Compose fills it in: `${NAME:-default}` and `${NAME:?complaint}`."""

    def fill(found: re.Match[str]) -> str:
        name, default = found[1], found[3] if found[2] == "-" else None
        value = given.get(name, default)
        assert value is not None, f"{name} is needed"
        return value

    return re.sub(r"\$\{([A-Z0-9_]+):([-?])([^}]*)\}", fill, value)


# ---------------------------------------------------------------- names


def test_the_example_of_env_names_every_setting_and_no_other():
    assert set(VARIABLE.findall((ROOT / ".env.example").read_text())) == settings_names()


@pytest.mark.parametrize(
    "path",
    ["README.md", "Dockerfile", "docker-compose.yml", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))],
)
def test_no_page_names_a_setting_that_is_none(path: str):
    assert set(VARIABLE.findall((ROOT / path).read_text())) - settings_names() == set()


def test_the_page_on_deploying_has_every_secret():
    page = set(VARIABLE.findall((ROOT / "docs" / "deploy.md").read_text()))
    assert {name for name in settings_names() if SECRET_NAME.search(name)} - page == set()


# ---------------------------------------------------------------- docker-compose.yml


def test_no_secret_stands_in_the_compose_file():
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET_NAME.search(variable):
                plain = re.sub(r"\$\{[^}]+\}", "", value)
                assert plain in {"", "postgresql://mina:@postgres:5432/mina"}, (name, variable)
                assert re.search(r":\?", value) or re.fullmatch(r"\$\{[A-Z0-9_]+:-\}", value), (name, variable)


def test_what_compose_sets_makes_settings_of_a_whole_deployment(monkeypatch: pytest.MonkeyPatch):
    """R2 and a database of its own; without keys offline models, and keys that are not given are not there."""
    given = dict.fromkeys(("POSTGRES_PASSWORD", "STORE_SECRET", "SECRET_KEY"), "0123456789abcdef" * 3)
    for name in settings_names():
        monkeypatch.delenv(name, raising=False)
    for name, value in SERVICES["api"]["environment"].items():
        monkeypatch.setenv(name, interpolated(value, **given))
    settings = Settings(_env_file=None)
    assert (settings.embedded, settings.stores_in_r2, settings.offline_vendors) == (False, True, True)
    assert (settings.openai_api_key, settings.replicate_api_token, settings.replicate_webhook_secret) == (None, None, None)
    store = SERVICES["store"]["networks"]["default"]["aliases"]
    assert settings.r2_endpoint_url == f"http://{store[0]}:9000"
    assert settings.r2_public_url == f"{settings.r2_endpoint_url}/{settings.r2_bucket}"


def test_everything_that_compose_starts_is_a_command_of_mina():
    known = typer.main.get_command(app)
    assert set(OURS) == {"migrate", "api", "worker"}
    for service in OURS.values():
        name, *arguments = service["command"]
        command = known.commands[name]  # type: ignore[attr-defined]  # a typer app of many commands is a group
        command.make_context(name, arguments)  # raises for an option that there is not


def test_the_database_is_migrated_before_anything_serves_or_works():
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["bucket"]["depends_on"] == {"store": {"condition": "service_healthy"}}
    for name in ("api", "worker"):
        waits = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
        assert waits == {
            "postgres": "service_healthy",
            "migrate": "service_completed_successfully",
            "bucket": "service_completed_successfully",
        }
    for name in ("postgres", "store", "redis"):
        assert SERVICES[name]["healthcheck"]["test"]


def test_ours_run_with_no_more_than_they_need():
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    for service in OURS.values():
        assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


# ---------------------------------------------------------------- Dockerfile


def test_the_image_gets_what_it_copies_and_nothing_else():
    """`.env`, data and tests stay outside: all is ignored but what is copied."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.strip("!/") for rule in rules if rule.startswith("!")}
    copied = {name for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line) for name in line.split()[1:-1]}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_every_dependency_of_the_image_is_locked_with_its_hashes():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = dict(
        re.findall(r"^([a-z0-9-]+)==.*?((?:\\\n +--hash=\S+ ?)+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    assert {re.split(r"\[", name)[0] for name in needed} <= locked.keys()
    assert "--constraint requirements.lock" in DOCKERFILE


def test_the_image_runs_as_nobody_in_particular():
    user = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
    assert user == ["10001:10001"]
    assert DOCKERFILE.rindex("\nUSER") < DOCKERFILE.rindex("\nENTRYPOINT")


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False), (None, False)])
async def test_the_health_check_fails_where_the_server_does(free_port: int, status: int | None, healthy: bool):
    found = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", DOCKERFILE)
    assert found is not None
    _, *arguments = json.loads(found[1])

    async def health(request: web.Request) -> web.Response:
        return web.Response(status=status if request.path == "/health" else 404)

    server = web.Server(health)
    runner = web.ServerRunner(server)
    await runner.setup()
    if status is not None:
        await web.TCPSite(runner, "127.0.0.1", free_port).start()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env={**os.environ, "MINA_PORT": str(free_port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert (await process.wait() == 0) is healthy
    finally:
        await runner.cleanup()


# ---------------------------------------------------------------- deploy/bucket


@pytest.mark.parametrize(
    ("file", "operation", "parameter"),
    [
        ("lifecycle.json", "PutBucketLifecycleConfiguration", "LifecycleConfiguration"),
        ("cors.json", "PutBucketCors", "CORSConfiguration"),
    ],
)
async def test_the_bucket_s_rules_are_what_s3_takes(file: str, operation: str, parameter: str):
    rules = json.loads((ROOT / "deploy" / "bucket" / file).read_text())
    async with aioboto3.Session(aws_access_key_id="a", aws_secret_access_key="b").client("s3", region_name="auto") as client:
        shape = client.meta.service_model.operation_model(operation).input_shape
        validate_parameters({"Bucket": "mina", parameter: rules}, shape)


def test_old_uploads_are_removed_and_browsers_may_send():
    (expiry,) = json.loads((ROOT / "deploy" / "bucket" / "lifecycle.json").read_text())["Rules"]
    assert removes_staged(expiry)
    (cors,) = json.loads((ROOT / "deploy" / "bucket" / "cors.json").read_text())["CORSRules"]
    assert "PUT" in cors["AllowedMethods"]
    assert cors["AllowedHeaders"] == ["content-type"]
    assert "*" not in cors["AllowedOrigins"]


def test_everybody_reads_what_is_confirmed_and_nothing_else():
    """E10: neither what waits to be confirmed nor a list of what there is."""
    (rule,) = json.loads((ROOT / "deploy" / "bucket" / "public-read.json").read_text())["Statement"]
    assert rule["Action"] == ["s3:GetObject"]
    assert rule["Resource"] == [f"arn:aws:s3:::mina/{UPLOADS}/*", f"arn:aws:s3:::mina/{OUTPUTS}/*"]
    assert not any(STAGING in place for place in rule["Resource"])
