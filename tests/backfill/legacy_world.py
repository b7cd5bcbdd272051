"""Legacy databases, backfills of them, and what stands in MEGA afterwards."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from mina_gql.services.backfill import BackfillReport, BackfillService
from tests.journeys.server import MINA, environment, external
from tests.studio import SECRET

AWKWARD = Path(__file__).with_name("legacy.sql").read_text()
MANY = Path(__file__).with_name("many.sql").read_text()
ANN, ULID = "pass:shopify:7001", "pass_01J9ZX3T5K7M9P1Q3S5V7X9Z1B"
BEARER = "pass:anon:22222222-2222-4222-8222-222222222222"
UNBALANCED = """
    select c.mg_pass_id from mega_customers c left join mega_generations g
      on g.mg_pass_id = c.mg_pass_id and g.mg_record_type = 'credit_transaction'
    group by c.mg_pass_id, c.mg_credits having c.mg_credits <> coalesce(sum(g.mg_delta), 0) or c.mg_credits < 0
"""
LEGACY_ROWS = """
    select mg_record_type, count(*) from (
      select mg_record_type from mega_generations where mg_source_system = 'legacy'
      union all select mg_record_type from mega_admin where mg_source_system = 'legacy'
      union all select 'customer' from mega_customers where mg_meta #>> '{legacy,table}' = 'customers') r group by 1
"""


@asynccontextmanager
async def legacy_database(postgres: Any, script: str = AWKWARD) -> AsyncIterator[str]:
    """A database with legacy tables; its DSN."""
    dsn = await postgres.create_database()
    await execute(dsn, script)
    yield dsn
    await postgres.drop_database(dsn)


async def execute(dsn: str, script: str) -> None:
    """Run SQL in a database."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def backfill(dsn: str, legacy: str, *, dry_run: bool = False) -> BackfillReport:
    """Run a backfill in this process, and tell nobody."""
    return await BackfillService(dsn, SECRET.encode()).run(legacy, dry_run=dry_run, tell=lambda *_: None)


async def picture(sql: asyncpg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the three tables."""
    tables = ("mega_customers", "mega_generations", "mega_admin")
    return {table: [tuple(row) for row in await sql.fetch(f"select * from {table} order by 1")] for table in tables}


class Backfilling:
    """A real `mina backfill`. `said` is what it said so far, `peak` the most memory it had, in bytes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""
        self.peak = 0

    async def until(self, words: str) -> None:
        """Wait until it says something, or has ended."""
        assert self._process.stdout is not None
        while words not in self.said and (line := await self._process.stdout.readline()):
            self.said += line.decode()
            self._measure()

    async def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        await self.until("\0")
        return await self._process.wait()

    def kill(self) -> None:
        """kill -9."""
        self._process.send_signal(signal.SIGKILL)

    def _measure(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self.peak = max(self.peak, psutil.Process(self._process.pid).memory_info().rss)


@asynccontextmanager
async def backfilling(home: Path, dsn: str, legacy: str, *arguments: str) -> AsyncIterator[Backfilling]:
    """`mina backfill --from …` as an operator starts it, for as long as the block runs."""
    settings = external(dsn, MINA_SECRET_KEY=SECRET)
    process = await asyncio.create_subprocess_exec(
        MINA, "backfill", "--from", legacy, *arguments, cwd=home, env=environment(home / "mina", **settings),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Backfilling(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def long_tests() -> bool:
    """Whether there is time for a million rows."""
    return os.environ.get("MINA_LONG_TESTS") == "1"
