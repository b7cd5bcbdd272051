"""Passes: who a caller proves to be, and the one place that mints (DESIGN section 4)."""

from mina_gql.domain import credits, passes
from mina_gql.domain.errors import AccountDisabled, Unauthenticated
from mina_gql.domain.passes import Caller, PassState
from mina_gql.mega import customers
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import post, settle


class PassService:
    """Proves, mints and reads Passes. `secret` keys the names that stand for a Pass elsewhere."""

    def __init__(self, database: Database, config: ConfigService, secret: bytes) -> None:
        self._database = database
        self._config = config
        self._secret = secret

    async def prove(self, presented: str | None) -> PassRow | None:
        """The Pass that a presented id proves: a BEARER row, and nothing else.

        Unknown, malformed, claimed, unclaimed and merged ids all give None: to a stranger they look the same.
        A verified token will be a second argument here: the table of DESIGN section 4 is decided in this one place.
        """
        if presented is None:
            return None
        found = await self.find(presented)
        return found if found is not None and found.state is PassState.BEARER else None

    async def ensure(self, caller: Caller) -> PassRow:
        """The caller's Pass: the proven one, marked as seen, or a fresh anonymous one. Made-up ids are never adopted."""
        if caller.pass_id is not None:
            await self.touch(caller.pass_id)
            found = await self.find(caller.pass_id)
            if found is not None:
                return found
        return await self._mint()

    async def find(self, pass_id: str) -> PassRow | None:
        """A Pass by its id, or None; soft-deleted ones are None."""
        record = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=pass_id)
        return None if record is None else PassRow(*record)

    async def by_id(self, pass_ids: list[str]) -> dict[str, PassRow]:
        """Passes by their ids."""
        rows = [PassRow(*record) for record in await self._database.fetch(customers.PASSES_BY_ID, pass_ids=pass_ids)]
        return {row.id: row for row in rows}

    async def touch(self, pass_id: str) -> None:
        """Note that the Pass was seen, at most once in five minutes; write off what has expired."""
        async with self._database.begin() as session:
            await settle(session, pass_id)
            await customers.touch(session, pass_id)

    async def _mint(self) -> PassRow:
        runtime = await self._config.runtime()
        pass_id = passes.new_pass_id()
        async with self._database.begin() as session:
            await customers.insert_minted(session, pass_id)
            locked = await customers.lock(session, pass_id)
            if runtime.free_grant > 0 and locked is not None:
                await post(session, locked, credits.grant(passes.row_name(pass_id, self._secret), runtime.free_grant))
                await customers.extend_expiry(session, pass_id, runtime.days_valid)
        minted = await self.find(pass_id)
        if minted is None:
            raise LookupError("a Pass vanished right after it was made")
        return minted


def required(caller: Caller) -> str:
    """The caller's Pass ID, for doing something. Raises Unauthenticated when the request proves no Pass, and AccountDisabled."""
    if caller.pass_id is None:
        raise Unauthenticated("No Pass was proven. Call ensurePass and send its id as X-Mina-Pass-Id.")
    if caller.disabled:
        raise AccountDisabled("This account is switched off. Write to us if you think that is a mistake.")
    return caller.pass_id
