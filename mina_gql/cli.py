"""The `mina` command. Every command prints what it did and what to do next."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn
from uuid import uuid4

import typer
import uvicorn

from mina_gql import bootstrap, worker
from mina_gql.adapters.embedded_postgres import dsn_of_running
from mina_gql.adapters.supabase_jwt import sign_development_token
from mina_gql.api.graphql import schema as graphql_schema
from mina_gql.asgi import Application
from mina_gql.bootstrap import Mina
from mina_gql.doctor import examine
from mina_gql.domain.errors import InvalidInput, ProviderNotConfigured
from mina_gql.domain.passes import log_name
from mina_gql.domain.reports import MAX_DAYS, MAX_SAMPLE
from mina_gql.domain.shopify import ShopAway
from mina_gql.logs import configure
from mina_gql.mega import migrations
from mina_gql.mega.backfill import BackfillStopped, LegacyAway
from mina_gql.progress_bar import told_progress
from mina_gql.services.admin import Sampled
from mina_gql.services.backfill import BackfillReport, NothingToBackfill
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
def token(
    sub: Annotated[str | None, typer.Option(help="The user's id, a UUID; a fresh one if none is given.")] = None,
    email: Annotated[str | None, typer.Option(help="The user's e-mail; counts as verified.")] = None,
    provider: Annotated[str, typer.Option(help="How they signed in: google, apple or email.")] = "email",
    admin: Annotated[bool, typer.Option("--admin", help="Make it an admin's.")] = False,
    port: Annotated[int | None, typer.Option(help="The server's port, where `mina serve` was given one.")] = None,
) -> None:
    """Print a development sign-in token; only where the embedded default made the secret."""
    settings = _settings(port=port)
    if not settings.embedded or settings.supabase_url or settings.supabase_jwt_secret:
        _fail("MINA_DATABASE_URL or MINA_SUPABASE_…: tokens come from Supabase here; `mina token` is for the embedded default.")
    try:
        signed = sign_development_token(
            bootstrap.development_secret(settings),
            settings.issuer,
            sub=sub or str(uuid4()),
            email=email,
            provider=provider,
            admin=admin,
        )
    except ValueError as error:
        _fail(f"--sub or --provider: {error}")
    print(signed)
    print("Next: send it as `Authorization: Bearer …` with ensurePass; it holds for 12 hours.", file=sys.stderr)


@app.command()
def parity(
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How many days to count.")] = 7,
    sample: Annotated[int, typer.Option(min=0, max=MAX_SAMPLE, help="How many generations to draw by lot and look into.")] = 100,
) -> None:
    """Check that every balance is the sum of its ledger, and a sample of generations; exit status 1 where something is wrong."""
    settings = _settings()

    async def check() -> tuple[list[str], int, Sampled]:
        async with bootstrap.database_of(settings, own=False) as dsn, bootstrap.assembled(settings, dsn) as mina:
            counted = await mina.services.admin.by_day(days)
            mismatches = await mina.services.credits.mismatches()
            drawn = await mina.services.admin.sample(sample)
        for each in mismatches:
            name = log_name(each.pass_id, bootstrap.secret_key(settings))
            print(f"{name}: balance {each.balance}, ledger {each.ledger_sum}")
        return [f"  {row.day}  {row.record_type:<20} {row.rows:>10,}" for row in counted], len(mismatches), drawn

    with _explained():
        counted, wrong, drawn = asyncio.run(check())
    print(*drawn.faults, *counted, sep="\n")
    if wrong:
        print(f"{wrong} Passes do not add up. Next: look at their creditTransactions as an admin, and mend with adjustCredits.")
    if drawn.faults:
        print(f"Of {drawn.number} generations drawn by lot some are wrong. Next: look at them with admin.generation(id).")
    if wrong or drawn.faults:
        raise typer.Exit(1)
    print(f"Every balance is the sum of its ledger, and {drawn.number} generations drawn by lot are as they should be.")


@app.command("shopify-reconcile")
def shopify_reconcile(days: Annotated[int, typer.Option(help="How many days back to look.")] = 7) -> None:
    """Read the shop's paid orders of the last days and credit what was missed."""
    settings = _settings()

    async def run() -> None:
        async with bootstrap.database_of(settings, own=False) as dsn, bootstrap.assembled(settings, dsn) as mina:
            report = await mina.orders.reconcile(days)
        print(
            f"Read {report.orders} orders, {report.mended} of them were short: "
            f"credited {report.credited} matcha, took back {report.clawed_back}."
        )
        if report.unreadable:
            print(f"{report.unreadable} orders could not be read; the log says which.")
        print("Next: `mina parity`.")

    with _explained():
        try:
            asyncio.run(run())
        except (InvalidInput, ProviderNotConfigured) as error:
            _fail(error.message)
        except ShopAway as error:
            _fail(f"The shop does not answer: {error}")


@app.command()
def backfill(
    source: Annotated[str, typer.Option("--from", help="DSN of the database with the legacy tables; nothing is written there.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Bring the legacy tables into MEGA. Killed or run again, it goes on; what is there already stays as it is."""
    settings = _settings()

    async def run() -> BackfillReport:
        running = settings.embedded and dsn_of_running(settings.home) is not None
        async with bootstrap.database_of(settings, own=not running) as dsn:
            service = await bootstrap.backfill(settings, dsn)
            with told_progress() as tell:
                return await service.run(source, dry_run=dry_run, tell=tell)

    with _explained():
        try:
            report = asyncio.run(run())
        except LegacyAway as error:
            _fail(f"--from: {error}")
        except (NothingToBackfill, BackfillStopped) as error:
            _fail(str(error))
    for line in report.lines():
        print(line)
    if dry_run:
        print(f"Dry run: nothing was written, {report.changed:,} legacy rows would be. Next: the same without --dry-run.")
    else:
        print(
            f"{report.changed:,} legacy rows written. Next: `mina parity`, then the same again: it should find nothing to write."
        )


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
        settings = load(**overrides)
    except BadSetting as error:
        _fail(str(error))
    configure(settings)
    return settings


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
