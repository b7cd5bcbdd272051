"""Accounts: all that is kept of a person, told to them in one document, and taken away when they ask (DESIGN sections 3 to 5)."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import orjson
import structlog

from mina_gql.domain import credits
from mina_gql.domain.errors import Conflict, GenerationFailed, InvalidInput, Unauthenticated
from mina_gql.domain.passes import Caller, log_name, owner_tag
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import ObjectStore, StorageError
from mina_gql.mega import accounts, identities
from mina_gql.mega.accounts import DueRemoval
from mina_gql.mega.database import Database, DatabaseAway, Transaction, decode
from mina_gql.mega.pages import Cursor, PageRequest
from mina_gql.services.credits import CreditService, post, settle
from mina_gql.services.passes import required
from mina_gql.services.pipeline.endings import Endings
from mina_gql.services.profiles import lock_own

log = structlog.get_logger(__name__)

CONFIRMATION = "DELETE"
TRIES = 10
"""How often new orders may come between ending the unfinished ones and erasing."""
REMOVAL_SECONDS = ROUND_SECONDS = 5.0
"""So long the objects of one Pass are removed at a time, and after so long no other's: what is left waits for the next round."""
LATE_SECONDS = 900.0
"""After so long nothing of an erased Pass is under way any more: a signed upload lives 600 s, a run that lost its lease 15."""

EXPORT_ROWS = 50_000
EXPORT_BYTES = 32 * 1024 * 1024
PAGE_ROWS = 500
SECTIONS = {"sessions": "session", "generations": "generation", "events": "mma_event", "feedback": "feedback"}
"""Lists of the document, and the record type of each. The ledger stands in `credits.transactions`."""


class AccountService:
    """Exports and deletes accounts. `secret` keys the owner tags of objects."""

    def __init__(self, database: Database, endings: Endings, ledger: CreditService, store: ObjectStore, secret: bytes) -> None:
        self._database = database
        self._endings = endings
        self._ledger = ledger
        self._store = store
        self._secret = secret

    # ------------------------------------------------------------ export

    async def export(self, caller: Caller) -> dict[str, Any]:
        """Everything of the caller's own Pass as one JSON document; who is switched off may have it too.

        Lists are newest first; beyond `EXPORT_ROWS` rows or `EXPORT_BYTES` they are cut, and `truncated` names them.
        Raises Unauthenticated and Conflict.
        """
        if caller.pass_id is None:
            raise Unauthenticated("No Pass was proven. Call ensurePass and send its id as X-Mina-Pass-Id.")
        async with self._database.begin() as session:
            await lock_own(session, caller, caller.pass_id)
            await settle(session, caller.pass_id)  # the balance told is then the sum of the ledger told
            merged_in = await accounts.aliases(session, caller.pass_id)
        record = await self._database.fetch_one(accounts.PROFILE, pass_id=caller.pass_id)
        if record is None:
            raise Conflict("This Pass was merged or deleted just now. Call ensurePass again.")
        document: dict[str, Any] = decode(record[0])
        reading = _Reading(self._database)
        document["credits"]["transactions"] = await reading.rows(
            "credits.transactions", "credit_transaction", [caller.pass_id, *merged_in]
        )
        for name, record_type in SECTIONS.items():
            document[name] = await reading.rows(name, record_type, [caller.pass_id])
        document["truncated"] = reading.cut
        return document

    # ------------------------------------------------------------ deletion

    async def delete(self, caller: Caller, confirm: str) -> None:
        """Take away everything personal of the caller's Pass, its aliases and their rows; what is unfinished ends.

        The ledger stays, without a person, and its sum is 0. Objects go at once, or as soon as the store can.
        Raises InvalidInput, Unauthenticated, AccountDisabled and Conflict; twice changes nothing.
        """
        if confirm != CONFIRMATION:
            raise InvalidInput(f"This cannot be undone. If you are sure, confirm with the word {CONFIRMATION}.", ["confirm"])
        pass_id = required(caller)
        for _ in range(TRIES):
            async with self._database.begin() as session:
                unfinished = await self._erase(session, caller, pass_id)
            if not unfinished:
                break
            for generation in unfinished:
                await self._endings.fail(generation, _cancelled(), lease=None)
        else:
            raise Conflict("Something of yours is being ordered this very moment. Please try again.")
        log.info("account deleted", owner=log_name(pass_id, self._secret))
        await self._ledger.changed(pass_id)
        with suppress(DatabaseAway):  # what is committed is done, and the worker comes for the rest
            await self.remove_due(only=pass_id)

    async def remove_due(self, *, only: str | None = None) -> int:
        """Remove the objects of erased Passes, or of one of them; gives how many that were. What fails stays due.

        To be called every few seconds. Raises DatabaseAway.
        """
        due = [DueRemoval(*record) for record in await self._database.fetch(accounts.REMOVALS_DUE, late_seconds=LATE_SECONDS)]
        end, removed = time.monotonic() + ROUND_SECONDS, 0
        for each in due:
            if only in {None, each.pass_id} and time.monotonic() < end:
                removed += await self._remove(each)
        return removed

    async def _erase(self, session: Transaction, caller: Caller, pass_id: str) -> list[str]:
        """Erase the Pass, unless there are unfinished generations: then give those and change nothing."""
        if caller.login is not None:
            await identities.one_login_at_a_time(session, caller.login.user_id)  # or a login writes onto what is erased
        if await accounts.seal(session, pass_id):
            return []
        await lock_own(session, caller, pass_id)
        unfinished = await accounts.unfinished(session, pass_id)
        if unfinished:
            return unfinished
        locked = await settle(session, pass_id)
        if locked is not None and locked.balance:
            await post(session, locked, credits.expiry(str(uuid4()), locked.balance))
        await accounts.erase(session, pass_id, owner_tag(pass_id, self._secret))
        return []

    async def _remove(self, due: DueRemoval) -> int:
        removed = 0
        try:
            async with asyncio.timeout(REMOVAL_SECONDS):
                for tag in decode(due.tags):
                    removed += await self._store.remove_all(tag)
        except (StorageError, TimeoutError) as error:
            log.warning("objects of a deleted account not removed yet, trying again", reason=str(error) or "it took too long")
            return removed
        async with self._database.begin() as session:
            await accounts.removed(session, due.pass_id, LATE_SECONDS)
        return removed


class _Reading:
    """Reads the lists of a document page by page, as JSON that nobody decodes, until it is as large as one may be."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = EXPORT_ROWS
        self._bytes = EXPORT_BYTES
        self.cut: list[str] = []

    async def rows(self, name: str, record_type: str, pass_ids: Iterable[str]) -> list[orjson.Fragment]:
        """Every row of a record type that these Passes have, each newest first."""
        found: list[orjson.Fragment] = []
        for pass_id in pass_ids:
            page = PageRequest(PAGE_ROWS)
            while True:
                rows, more, _ = await accounts.OF_PASS.read(self._database, page, pass_id=pass_id, record_type=record_type)
                for row in rows:
                    told = orjson.dumps(row.told)
                    self._rows -= 1
                    self._bytes -= len(told)
                    if self._rows < 0 or self._bytes < 0:
                        self.cut.append(name)
                        return found
                    found.append(orjson.Fragment(told))
                if not more:
                    break
                page = PageRequest(PAGE_ROWS, after=Cursor.of(rows[-1]))
        return found


def _cancelled() -> GenerationFailed:
    return GenerationFailed(
        FailureCode.CANCELLED,
        "This was cancelled because its account was deleted.",
        detail="the account was deleted",
        retryable=False,
    )
