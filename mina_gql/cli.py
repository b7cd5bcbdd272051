"""The `mina` command. Every command prints what it did and what to do next."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
import uvicorn

from mina_gql import bootstrap, worker
from mina_gql.api.graphql import schema as graphql_schema
from mina_gql.asgi import Application
from mina_gql.bootstrap import Mina
from mina_gql.doctor import examine
from mina_gql.mega import migrations
from mina_gql.settings import BadSetting, Settings, load

GRACE_SECONDS = 25
FRAME_BYTES = 256 * 1024

app = typer.Typer(help="Mina: the API of a product-photo studio.", no_args_is_help=True, add_completion=False)


class Server(uvicorn.Server):
    """uvicorn's server, which ends our streams and sockets before it waits for them."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._application.drain()
        await super().shutdown(sockets)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Serve the API only; run `mina work` beside it.")] = False,
    unsafe_public: Annotated[
        bool, typer.Option("--unsafe-public", help="Let the embedded default listen on a public address.")
    ] = False,
) -> None:
    """Serve the API; in the embedded default with its own PostgreSQL, migrated."""
    settings = _settings(host=host, port=port)
    if settings.embedded and not settings.loopback and not unsafe_public:
        _fail(
            f"MINA_HOST: {settings.host} is no loopback address, and the embedded default is open to everyone who reaches it. "
            "Use 127.0.0.1, set MINA_DATABASE_URL for a real deployment, or say --unsafe-public."
        )
    _check_port(settings)
    if settings.embedded:
        print(f"Mina is starting. Its data is in {settings.home.resolve()} …", flush=True)
    application = Application(settings, worker=not no_worker, ready=lambda mina: _welcome(mina, with_worker=not no_worker))
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config, application)
    with _explained():
        server.run()
    if not server.started:
        raise typer.Exit(1)


@app.command()
def work() -> None:
    """Run a worker alone. Several may run at once."""
    settings = _settings()
    with _explained():
        asyncio.run(
            worker.work(settings, lambda _: print("Working. Stop with Ctrl-C; unfinished work is handed back.", flush=True))
        )


@app.command()
def migrate(sql: Annotated[bool, typer.Option("--sql", help="Print the idempotent SQL instead of running it.")] = False) -> None:
    """Bring the database up to date."""
    if sql:
        print(migrations.script(), end="")
        return
    settings = _settings()

    async def run() -> None:
        async with bootstrap.database_of(settings, own=True) as dsn:
            report, seeded = await bootstrap.migrate(settings, dsn)
        for notice in report.notices:
            print(f"  {notice}")
        if report.from_revision == report.to_revision:
            print(f"The database is up to date (version {report.to_revision}).")
        else:
            print(f"The database went from version {report.from_revision or 'none'} to {report.to_revision}.")
        if seeded:
            print(f"Configuration seeded: {', '.join(seeded)}.")
        print("Next: `mina serve`.")

    with _explained():
        asyncio.run(run())


@app.command()
def schema() -> None:
    """Print the GraphQL schema (equals schema.graphql)."""
    print(graphql_schema.build())


@app.command()
def doctor() -> None:
    """Say what works and what is missing: settings, database, storage, models."""
    settings = _settings()
    findings = asyncio.run(examine(settings))
    for finding in findings:
        print(finding)
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)
    print("All is well. Next: `mina serve`.")


def _welcome(mina: Mina, *, with_worker: bool) -> None:
    settings = mina.settings
    lines = [f"Mina is ready at {settings.base_url}/graphql"]
    if settings.embedded:
        lines += [
            "  Open that address in a browser: GraphiQL greets you with a tour; start with the first tab.",
            f"  Database and files are in {settings.home.resolve()}; models are offline ones, so pictures are previews.",
            "  `mina doctor` tells what is set up. Stop with Ctrl-C; everything is kept.",
        ]
    if not with_worker:
        lines.append("  No worker runs in this process: start one with `mina work`.")
    print("\n".join(lines), flush=True)


def _settings(**overrides: object) -> Settings:
    try:
        return load(**overrides)
    except BadSetting as error:
        _fail(str(error))


@contextmanager
def _explained() -> Iterator[None]:
    """What stops a start, as a sentence."""
    try:
        yield
    except bootstrap.CANNOT_START as error:
        _fail(str(error))


def _check_port(settings: Settings) -> None:
    """Fail early, and not after having said “ready”, where somebody else listens already."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            _fail(
                f"MINA_PORT: cannot listen on {settings.host}:{settings.port} ({error.strerror}). Is Mina running there already? "
                "Stop what uses the port, or take another one with --port."
            )


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(2)
