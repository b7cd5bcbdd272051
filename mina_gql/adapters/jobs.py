"""Jobs on PGQueuer, in schema `ops`: enqueue within a transaction, work on one dedicated connection (DESIGN section 6)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Self

import asyncpg
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.tm import TaskManager
from pgqueuer.domain.settings import DBSettings
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.ports.driver import Driver, NotifyCallback
from pgqueuer.qm import QueueManager

from mina_gql.domain.ports import SqlConnection

log = structlog.get_logger(__name__)

ENTRYPOINT = "generation"
HEARTBEAT_TIMEOUT = timedelta(seconds=16)
"""A job whose worker has been silent for so long may be taken by another: longer than a lease, which is dead then."""
POLL = timedelta(seconds=5)
BATCH = 4
RECONNECT_SECONDS = 1.0
RECONCILE_SECONDS = 10.0
COMPANY_SECONDS = 0.5
RETRY_AFTER = timedelta(seconds=5)
LOG_DAYS = 7

Run = Callable[[str], Coroutine[Any, Any, None]]
Chore = Callable[[], Awaitable[object]]


class GenerationQueue:
    """`domain.ports.JobQueue`: one job a generation, its payload is the generation's mg_id and nothing else."""

    async def enqueue(self, connection: SqlConnection, generation: str, *, priority: int = 0) -> None:
        """Enqueue on the transaction's own connection."""
        await _queries(_TransactionDriver(connection)).enqueue(
            ENTRYPOINT, generation.encode(), priority=priority, dedupe_key=generation, on_conflict="skip"
        )


class Worker:
    """Takes jobs and runs them, at most `concurrency` at a time, until stopped.

    `reconcile` is done at the start and every ten seconds, `company` (for those who wait) twice a second.
    `dsn` must not go through a transaction-mode pooler.
    """

    def __init__(self, dsn: str, run: Run, reconcile: Chore, company: Chore, *, concurrency: int = 2 * BATCH) -> None:
        self._dsn = dsn
        self._run = run
        self._reconcile = reconcile
        self._company = company
        self._concurrency = concurrency
        self._stopping = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._lost: asyncio.Future[None]
        self._manager: QueueManager | None = None
        self.connected = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work for as long as the block runs; at its end, unfinished work is handed back."""
        tasks = [
            asyncio.create_task(self._work()),
            asyncio.create_task(self._always(self._reconcile, RECONCILE_SECONDS)),
            asyncio.create_task(self._always(self._company, COMPANY_SECONDS)),
        ]
        try:
            yield
        finally:
            await self.stop()
            await asyncio.gather(*tasks)
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _always(self, chore: Chore, seconds: float) -> None:
        """A chore, now and again, until stopped."""
        while not self._stopping.is_set():
            try:
                await chore()
            except Exception as error:  # noqa: BLE001 -- the next round tries again
                log.warning("a chore failed, trying again", error=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _work(self) -> None:
        """Take jobs until `stop`; reconnects when the database goes away."""
        while not self._stopping.is_set():
            try:
                await self._session()
            except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 -- whatever it was, jobs must be taken again
                log.warning("worker stopped short, reconnecting", error=error)
            self.connected = False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RECONNECT_SECONDS)

    async def stop(self) -> None:
        """Take no more jobs, and hand back what is unfinished so that another worker goes on with it."""
        self._stopping.set()
        if self._manager is not None:
            self._manager.shutdown.set()
        for task in self._running:
            task.cancel()

    async def _session(self) -> None:
        connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "mina worker"})
        try:
            queries = _queries(AsyncpgDriver(connection))
            await connection.execute(_DELETE_OLD_LOGS, timedelta(days=LOG_DAYS))
            manager = QueueManager(queries, channel=_SETTINGS.channel)
            manager.entrypoint(ENTRYPOINT)(self._job)
            self._manager = manager
            self._lost = asyncio.get_running_loop().create_future()
            connection.add_termination_listener(self._on_lost)
            if self._stopping.is_set():
                return
            self.connected = True
            await manager.run(
                dequeue_timeout=POLL,
                batch_size=BATCH,
                max_concurrent_tasks=self._concurrency,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                shutdown_on_listener_failure=True,
            )
        finally:
            self._manager = None
            await connection.close(timeout=2)

    async def _job(self, job: Job) -> None:
        """One job. A cancelled or broken run is asked for again: PGQueuer would delete the job otherwise.

        When the connection is lost the run goes on without its job, for PGQueuer takes no new ones before its last has returned.
        """
        if self._stopping.is_set():
            raise RetryRequested(reason="the worker is stopping")
        generation = (job.payload or b"").decode()
        run = asyncio.create_task(self._run(generation), name=generation)
        self._running.add(run)
        run.add_done_callback(self._finished)
        await asyncio.wait({run, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            raise RetryRequested(reason="the connection was lost")
        if run.cancelled():
            raise RetryRequested(reason="the worker is stopping")
        if error := run.exception():
            raise RetryRequested(RETRY_AFTER, reason=repr(error)) from error

    def _on_lost(self, _: object) -> None:
        if self._manager is not None:
            self._manager.shutdown.set()
        if not self._lost.done():
            self._lost.set_result(None)

    def _finished(self, run: asyncio.Task[None]) -> None:
        self._running.discard(run)
        if not run.cancelled() and (error := run.exception()):
            log.error("run broke, trying again", generation=run.get_name(), exc_info=error)


class _TransactionDriver(Driver):
    """PGQueuer's driver over a transaction that is not ours: it can enqueue and nothing else."""

    def __init__(self, connection: SqlConnection) -> None:
        self._connection = connection
        self._shutdown = asyncio.Event()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._connection.fetch(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        raise NotImplementedError

    async def notify(self, channel: str, payload: str) -> None:
        raise NotImplementedError

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        raise NotImplementedError

    @property
    def shutdown(self) -> asyncio.Event:
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close: the transaction is its owner's."""


_SETTINGS = DBSettings(db_schema="ops")
_DELETE_OLD_LOGS = f"delete from {_SETTINGS.qualified.queue_table_log} where created < now() - $1::interval"  # noqa: S608
_BUILDERS = {
    "qbe": QueryBuilderEnvironment(_SETTINGS),
    "qbq": QueryQueueBuilder(_SETTINGS),
    "qbs": QuerySchedulerBuilder(_SETTINGS),
}


def _queries(driver: Driver) -> Queries:
    return Queries(driver, **_BUILDERS)  # type: ignore[arg-type]  # a dict of three builders, by their parameters' names
