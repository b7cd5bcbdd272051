"""Matcha: the one transaction that moves it, quotes, the ledger (DESIGN section 5).

`settle` and `post` work inside a caller's transaction and hold the customer's lock until it ends.
"""

import re
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import uuid4

from mina_gql.domain import credits
from mina_gql.domain.credits import BillableAction, Entry
from mina_gql.domain.errors import AccountDisabled, IdempotencyKeyReused, InsufficientMatcha, InvalidInput, NotFound
from mina_gql.domain.passes import PassState, row_name
from mina_gql.domain.pipeline import plain_text
from mina_gql.domain.ports import ProgressBus
from mina_gql.mega import admin, customers, parity
from mina_gql.mega.admin import Actor
from mina_gql.mega.customers import LockedPass, PassRow
from mina_gql.mega.database import Database, Transaction
from mina_gql.mega.generations import ledger
from mina_gql.mega.generations.ledger import LedgerEntryRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services.config import ConfigService

REREAD_SECONDS = 5.0
MAX_ADJUSTMENT = 100_000
MAX_BALANCE = 1_000_000_000
REASON_CHARS = 500
_KEY = re.compile(r"^[A-Za-z0-9._-]{1,100}$")


class Quote(NamedTuple):
    """What an action costs a Pass now, in matcha."""

    action: BillableAction
    cost: int
    balance: int

    @property
    def affordable(self) -> bool:
        """Whether the balance covers the cost."""
        return self.balance >= self.cost

    @property
    def short_by(self) -> int:
        """How much matcha is missing."""
        return max(0, self.cost - self.balance)


class Adjusted(NamedTuple):
    """An adjustment that stands: its ledger row and its Pass."""

    ledger_id: str
    pass_id: str


class CreditService:
    """Prices, quotes and the ledger of a Pass."""

    def __init__(self, database: Database, config: ConfigService, bus: ProgressBus, secret: bytes) -> None:
        self._database = database
        self._config = config
        self._bus = bus
        self._secret = secret

    async def changed(self, pass_id: str) -> None:
        """Wake everybody who follows this balance; call it after the transaction that changed it."""
        await self._bus.announce_topic(self._topic(pass_id))

    async def follow(self, pass_id: str) -> AsyncIterator[PassRow]:
        """The Pass now, and whenever its balance or expiry is another: also at the moment its matcha expires.

        It re-reads every few seconds in any case, so a lost wake-up costs seconds. Ends when the Pass is gone, and when its state
        is another: what proved it before somebody signed in proves it no more (DESIGN section 4).
        """
        told: tuple[int, str | None] | None = None
        state: PassState | None = None
        async with self._bus.watch(self._topic(pass_id)) as wakeups:
            while True:
                record = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=pass_id)
                if record is None:
                    return
                row = PassRow(*record)
                if row.state is not (state := state or row.state):
                    return
                if told != (row.balance, row.expires_at):
                    told = (row.balance, row.expires_at)
                    yield row
                await wakeups.wait(min(REREAD_SECONDS, row.seconds_to_expiry or REREAD_SECONDS))

    def _topic(self, pass_id: str) -> str:
        return f"credits:{row_name(pass_id, self._secret)}"

    async def quote(self, owner: PassRow, action: BillableAction) -> Quote:
        """What `action` would cost the owner now."""
        return Quote(action, (await self._config.runtime()).price(action), owner.balance)

    async def transactions(self, pass_id: str, page: PageRequest) -> Page[LedgerEntryRow]:
        """A page of a Pass's ledger, newest first."""
        return await ledger.OF_PASS.read(self._database, page, pass_id=pass_id)

    async def count_transactions(self, pass_id: str) -> int:
        """How many ledger rows a Pass has."""
        return await ledger.OF_PASS.count(self._database, pass_id=pass_id)

    async def adjust(self, actor: Actor, pass_id: str, delta: int, reason: str, key: str) -> Adjusted:
        """An admin gives or takes matcha, with the audit row in the same transaction; the same key again changes nothing.

        Never takes more than there is: the shortfall is recorded. Raises InvalidInput, NotFound and IdempotencyKeyReused.
        """
        reason = plain_text(reason)
        _check_adjustment(delta, reason, key)
        if not await self._database.fetch(customers.PASS_BY_ID, pass_id=pass_id):  # a read takes any text for an id
            raise NotFound("There is no such Pass.", ["input", "passId"])
        runtime = await self._config.runtime()
        async with self._database.begin() as session:
            await admin.one_adjustment_at_a_time(session, key)
            locked = await settle(session, pass_id)
            if locked is None:
                raise NotFound("There is no such Pass.", ["input", "passId"])
            asked = {"pass": row_name(pass_id, self._secret), "delta": delta, "reason": reason}
            entry = credits.adjustment(key, max(delta, -locked.balance))
            if await ledger.exists(session, entry.ledger_id):
                if await admin.adjustment_asked(session, entry.ledger_id) != asked:
                    raise IdempotencyKeyReused(
                        "This idempotency key was used for another adjustment.", ["input", "idempotencyKey"]
                    )
            else:
                after = await post(session, locked, entry)
                if entry.delta > 0:
                    await customers.start_expiry(session, pass_id, runtime.days_valid)
                detail = {
                    "asked": asked,
                    "ledger_id": entry.ledger_id,
                    "before": {"balance": locked.balance},
                    "after": {"balance": after.balance},
                    "shortfall": entry.delta - delta,
                }
                await admin.audit(session, "credits.adjust", pass_id, detail, actor=actor)
        await self.changed(pass_id)
        return Adjusted(entry.ledger_id, pass_id)

    async def sweep(self) -> int:
        """Write off what has expired and nobody touched; gives how many Passes that were."""
        async with self._database.begin() as session:
            due = await customers.expired(session)
        for pass_id in due:
            async with self._database.begin() as session:
                await settle(session, pass_id)
            await self.changed(pass_id)
        return len(due)

    async def mismatches(self) -> list[parity.Mismatch]:
        """Every Pass whose ledger and balance differ; none, if all is well."""
        return [parity.Mismatch(*record) for record in await self._database.fetch(parity.MISMATCHES)]

    async def transactions_by_id(self, ids: list[str]) -> dict[str, LedgerEntryRow]:
        """Ledger rows by their global ids."""
        rows = [LedgerEntryRow(*record) for record in await self._database.fetch(ledger.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}


async def settle(session: Transaction, pass_id: str) -> LockedPass | None:
    """Lock a Pass and write off what has expired; None when there is no such Pass."""
    locked = await customers.lock(session, pass_id)
    if locked is not None and locked.due and locked.balance > 0:
        return await post(session, locked, credits.expiry(str(uuid4()), locked.balance))
    return locked


async def post(session: Transaction, locked: LockedPass, entry: Entry) -> LockedPass:
    """Write a ledger row and the balance beside it; gives the Pass with its new balance. InvalidInput above MAX_BALANCE."""
    balance = locked.balance + entry.delta
    if balance > MAX_BALANCE:
        raise InvalidInput(f"A Pass holds at most {MAX_BALANCE:,} matcha.")
    await ledger.insert(session, locked.id, entry)
    await customers.set_balance(session, locked.id, balance)
    return locked._replace(balance=balance)


async def charge(session: Transaction, locked: LockedPass, generation_id: str, cost: int) -> LockedPass:
    """Take what an accepted generation costs. Raises AccountDisabled and InsufficientMatcha; nothing is written then."""
    if locked.disabled:
        raise AccountDisabled("This account is switched off. Write to us if you think that is a mistake.")
    if locked.balance < cost:
        raise InsufficientMatcha(cost, locked.balance)
    return await post(session, locked, credits.charge(generation_id, cost)) if cost else locked


async def refund(session: Transaction, locked: LockedPass, generation_id: str, cost: int) -> LockedPass:
    """Give back what a failed generation cost; matcha that has expired meanwhile expires with it."""
    refunded = await post(session, locked, credits.refund(generation_id, cost)) if cost else locked
    if refunded.due and refunded.balance > 0:
        return await post(session, refunded, credits.expiry(str(uuid4()), refunded.balance))
    return refunded


def _check_adjustment(delta: int, reason: str, key: str) -> None:
    if not 0 < abs(delta) <= MAX_ADJUSTMENT:
        raise InvalidInput(f"An adjustment is 1 to {MAX_ADJUSTMENT:,} matcha, up or down.", ["input", "delta"])
    if not 0 < len(reason.strip()) <= REASON_CHARS:
        raise InvalidInput(f"Say why, in at most {REASON_CHARS} characters.", ["input", "reason"])
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            "An idempotency key has 1 to 100 letters, digits, dots, dashes or underscores.", ["input", "idempotencyKey"]
        )
