"""Numbers that are read when somebody asks for metrics: the queue of the whole studio, and this process's connections."""

import asyncio
import time

import asyncpg

from mina_gql.domain import observing
from mina_gql.mega import figures
from mina_gql.mega.database import CHECK_SECONDS, Database, DatabaseAway

FRESH_SECONDS = 5.0
"""So long what was read of the database is told again."""


class FigureService:
    """Keeps the gauges that nobody counts along the way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Set the gauges anew. A database that is away is one of the things to be told, and no error."""
        for each in self._database.connections():
            observing.put(observing.CONNECTIONS, each.number, pool=each.pool, state=each.state)
        if time.monotonic() - self._read_at < FRESH_SECONDS:
            return
        self._read_at = time.monotonic()
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                row = await self._database.fetch_one(figures.QUEUE)
        except (DatabaseAway, TimeoutError, asyncpg.PostgresError):
            row = None
        observing.put(observing.DATABASE_UP, row is not None)
        if row is not None:
            queue = figures.Queue(*row)
            observing.put(observing.JOBS, queue.waiting, state="waiting")
            observing.put(observing.JOBS, queue.running, state="running")
            observing.put(observing.OLDEST_JOB, queue.oldest_seconds)
