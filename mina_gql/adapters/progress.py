"""Progress over PostgreSQL's LISTEN/NOTIFY: one dedicated connection a process, on channel `mina_progress`."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "mina_progress"
RECONNECT_SECONDS = 1.0
ANNOUNCE_SECONDS = 5.0
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)  # TimeoutError is an OSError


class Wakeup:
    """One watcher's flag (`domain.ports.Wakeups`): any number of announcements make one return, so it never grows."""

    def __init__(self) -> None:
        self._flag = asyncio.Event()

    def set(self) -> None:
        """Wake the watcher."""
        self._flag.set()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 -- the port's word: it returns, it does not raise
        """Return at an announcement, or after `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._flag.wait(), timeout)
        self._flag.clear()


class PostgresProgress:
    """`domain.ports.ProgressBus` on one connection that listens and announces.

    `dsn` must not go through a transaction-mode pooler.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._watchers: defaultdict[str, set[Wakeup]] = defaultdict(set)
        self._connection: asyncpg.Connection | None = None
        self._sending = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    async def open(self) -> None:
        """Connect and listen; from now on a lost connection is made anew."""
        await self._listen()
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop listening."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._connection is not None:
            self._connection.remove_termination_listener(self._on_lost)
            await self._connection.close(timeout=2)
            self._connection = None

    async def announce(self, generation: str, seq: int) -> None:
        """Tell every process, with nothing but the generation's id and its last `seq`."""
        await self._notify({"generation": generation, "seq": seq})

    async def announce_topic(self, topic: str) -> None:
        """Tell every process that something else has changed."""
        await self._notify({"topic": topic})

    async def _notify(self, said: dict[str, str | int]) -> None:
        """An announcement may be lost (watchers re-read anyway), so a failure is logged and forgotten."""
        try:
            async with asyncio.timeout(ANNOUNCE_SECONDS), self._sending:
                if self._connection is not None:
                    await self._connection.execute("select pg_notify($1, $2)", CHANNEL, orjson.dumps(said).decode())
        except _AWAY as error:
            log.warning("announcement lost", error=error)

    @asynccontextmanager
    async def watch(self, topic: str) -> AsyncIterator[Wakeup]:
        """Be woken for one topic, from here to the end of the block."""
        wakeup = Wakeup()
        self._watchers[topic].add(wakeup)
        try:
            yield wakeup
        finally:
            self._watchers[topic].discard(wakeup)
            if not self._watchers[topic]:
                del self._watchers[topic]

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "mina progress"})
        try:
            await connection.add_listener(CHANNEL, self._on_announcement)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        connection.add_termination_listener(self._on_lost)
        if connection.is_closed():
            self._lost.set()
        for watchers in self._watchers.values():  # what was announced meanwhile was missed
            for wakeup in watchers:
                wakeup.set()

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            self._lost.clear()
            self._connection = None
            while self._connection is None:
                try:
                    await self._listen()
                except _AWAY as error:
                    log.warning("cannot listen, trying again", error=error)
                    await asyncio.sleep(RECONNECT_SECONDS)

    def _on_lost(self, _: object) -> None:
        self._lost.set()

    def _on_announcement(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            said = orjson.loads(payload)
            topic = said.get("generation") or said["topic"]
        except (orjson.JSONDecodeError, AttributeError, KeyError):
            log.warning("announcement not understood")
            return
        for wakeup in self._watchers.get(topic, ()):
            wakeup.set()
