"""Alembic at work: runs the migrations that a database lacks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from alembic import command, op
from alembic.config import Config
from sqlalchemy import AdaptedConnection, Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from mina_gql.mega.migrations import directory


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[tuple[Callable[[], Awaitable[None]], asyncpg.Connection]]:
    """A function that upgrades to the newest version, and the connection it uses (for its notices)."""

    async def connect(*_: object, **__: object) -> asyncpg.Connection:
        return await asyncpg.connect(dsn)  # asyncpg reads the DSN itself, so it may say all that libpq's may

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        if raw is None:
            raise TypeError("migrations run over asyncpg only")

        async def upgrade() -> None:
            await connection.run_sync(_upgrade)

        yield upgrade, raw


def run_sql_beside(module: str) -> None:
    """Run the SQL file beside a migration's module, within Alembic's transaction."""
    bind = op.get_bind()
    bind.exec_driver_sql("select")  # opens the transaction, which the raw connection below does not do by itself
    sql = Path(module).with_suffix(".sql").read_text(encoding="utf-8")
    # Many statements at once: only the raw connection's simple protocol takes them.
    adapted = bind.connection.dbapi_connection
    if not isinstance(adapted, AdaptedConnection):
        raise TypeError("migrations run over asyncpg only")
    adapted.run_async(lambda connection: connection.execute(sql))


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
