"""Vendors over all workers: how many calls may run at a time, and how the last ones went.

A slot is a session-level advisory lock on a connection of its own: a worker that is killed gives its slots back by dying.
"""

import asyncio
import hashlib
from typing import NamedTuple

import asyncpg
from sqlalchemy import Integer, Text, bindparam, text

from mina_gql.mega.database import DatabaseAway, Query

_TAKE, _GIVE_BACK = "select pg_try_advisory_lock($1, $2)", "select pg_advisory_unlock($1, $2)"
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_SPACE = int.from_bytes(hashlib.sha256(b"mina:vendor-slots").digest()[:2])


class Outcome(NamedTuple):
    """How a vendor's step ended: `failed` by the vendor's fault, and how long ago."""

    failed: bool
    seconds_ago: float


# The last few steps of a provider that ended lately; what is no fault of the vendor counts as a success.
RECENT = Query(
    text("""
        select coalesce(mg_error in ('PROVIDER_ERROR', 'PROVIDER_TIMEOUT'), false),
          extract(epoch from clock_timestamp() - (mg_payload #>> '{timing,ended_at}')::timestamptz)::float
        from mega_generations
        where mg_record_type = 'mma_step' and mg_provider = :provider and mg_status in ('succeeded', 'failed')
          and coalesce(mg_payload #>> '{output,cached}', 'false') = 'false'
          and mg_created_at > clock_timestamp() - interval '10 minutes'
        order by mg_created_at desc limit :steps
    """).bindparams(bindparam("provider", type_=Text()), bindparam("steps", type_=Integer()))
)


class VendorSlots:
    """Slots of one process, shared by all processes on one database. `dsn` must not go through a transaction-mode pooler."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._held: set[tuple[str, int]] = set()

    async def take(self, vendor: str, slots: int) -> int | None:
        """A free slot below `slots`, or None when all are taken. Raises DatabaseAway."""
        taking = asyncio.ensure_future(self._take(vendor, slots))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:  # the lock may be ours already: it must not stay so
            slot = await taking
            if slot is not None:
                await self.give_back(vendor, slot)
            raise

    async def _take(self, vendor: str, slots: int) -> int | None:
        async with self._one_at_a_time:
            kept = self._connection
            try:
                return await self._first_free(vendor, slots)
            except DatabaseAway:
                if kept is None:
                    raise
                return await self._first_free(vendor, slots)  # the connection of before was lost: on a new one

    async def _first_free(self, vendor: str, slots: int) -> int | None:
        connection = await self._connected()
        for slot in range(slots):
            # One session may take the same lock again, so what this process holds is remembered here.
            if (vendor, slot) not in self._held and await self._ask(connection, _TAKE, vendor, slot):
                self._held.add((vendor, slot))
                return slot
        return None

    async def give_back(self, vendor: str, slot: int) -> None:
        """Let another call have the slot; fine when the connection is gone, for the slot went with it."""
        async with self._one_at_a_time:
            self._held.discard((vendor, slot))
            if self._connection is not None and not self._connection.is_closed():
                await self._ask(self._connection, _GIVE_BACK, vendor, slot)

    async def close(self) -> None:
        """Give every slot back."""
        if self._connection is not None:
            await self._connection.close(timeout=2)
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "mina slots"})
            except _LOST as error:
                raise DatabaseAway(type(error).__name__) from error
            self._held.clear()
        return self._connection

    async def _ask(self, connection: asyncpg.Connection, sql: str, vendor: str, slot: int) -> bool:
        try:
            return bool(await connection.fetchval(sql, _SPACE, _number(vendor, slot)))
        except _LOST as error:
            connection.terminate()
            raise DatabaseAway(type(error).__name__) from error


def _number(vendor: str, slot: int) -> int:
    """A lock's second number: any int4 that this vendor's slot alone has."""
    return int.from_bytes(hashlib.sha256(f"{vendor}\n{slot}".encode()).digest()[:4], signed=True)
