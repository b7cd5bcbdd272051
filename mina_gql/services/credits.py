"""Matcha: the one transaction that moves it, quotes, the ledger (DESIGN section 5).

`settle` and `post` work inside a caller's transaction and hold the customer's lock until it ends.
"""

from typing import NamedTuple
from uuid import uuid4

from mina_gql.domain import credits
from mina_gql.domain.credits import BillableAction, Entry
from mina_gql.domain.errors import AccountDisabled, InsufficientMatcha
from mina_gql.mega import customers
from mina_gql.mega.customers import LockedPass, PassRow
from mina_gql.mega.database import Database, Transaction
from mina_gql.mega.generations import ledger
from mina_gql.mega.generations.ledger import LedgerEntryRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services.config import ConfigService


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


class CreditService:
    """Prices, quotes and the ledger of a Pass."""

    def __init__(self, database: Database, config: ConfigService) -> None:
        self._database = database
        self._config = config

    async def quote(self, owner: PassRow, action: BillableAction) -> Quote:
        """What `action` would cost the owner now."""
        return Quote(action, (await self._config.runtime()).price(action), owner.balance)

    async def transactions(self, pass_id: str, page: PageRequest) -> Page[LedgerEntryRow]:
        """A page of a Pass's ledger, newest first."""
        return await ledger.OF_PASS.read(self._database, page, pass_id=pass_id)

    async def count_transactions(self, pass_id: str) -> int:
        """How many ledger rows a Pass has."""
        return await ledger.OF_PASS.count(self._database, pass_id=pass_id)

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
    """Write a ledger row and the balance beside it; gives the Pass with its new balance."""
    balance = locked.balance + entry.delta
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
