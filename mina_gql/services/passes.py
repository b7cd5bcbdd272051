"""Passes: who a caller proves to be, and the one place that mints, links, claims and merges (DESIGN section 4)."""

from typing import NamedTuple

from mina_gql.domain import credits, passes
from mina_gql.domain.config import RuntimeConfig
from mina_gql.domain.credits import Entry
from mina_gql.domain.errors import AccountDisabled, Conflict, InvalidInput, Unauthenticated, VerificationRequired
from mina_gql.domain.passes import Caller, Login, PassState
from mina_gql.mega import admin, customers, identities
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, Transaction, decode
from mina_gql.mega.generations import ledger
from mina_gql.mega.identities import Identity
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import post, settle
from mina_gql.services.merging import MergeReport, merge


class Ensured(NamedTuple):
    """The caller's Pass, and what was merged into it just now."""

    owner: PassRow
    merged: MergeReport | None


class PassService:
    """Proves, mints, links and reads Passes. `secret` keys the names that stand for a Pass elsewhere."""

    def __init__(self, database: Database, config: ConfigService, secret: bytes) -> None:
        self._database = database
        self._config = config
        self._secret = secret

    async def prove(self, presented: str | None, login: Login | None) -> PassRow | None:
        """The Pass that a presented id and a login prove: the user's own, else a BEARER row by its id.

        To a stranger unknown, malformed, claimed, unclaimed and merged ids look the same: None, after one look-up.
        """
        if login is not None:
            own = await self._database.fetch_one(customers.PASS_BY_USER, user_id=login.user_id)
            if own is not None:
                return PassRow(*own)
        if presented is None:
            return None
        found = await self.find(presented)
        return found if found is not None and found.state is PassState.BEARER else None

    async def ensure(self, caller: Caller) -> Ensured:
        """The caller's Pass, made, linked, claimed or merged as need be, and marked as seen. Made-up ids are never adopted."""
        runtime = await self._config.runtime()
        if caller.login is not None:
            async with self._database.begin() as session:
                pass_id, merged = await self._sign_in(session, caller.login, caller.presented, runtime)
            return Ensured(await self._found(pass_id), merged)
        if caller.pass_id is not None:
            await self.touch(caller.pass_id)
            found = await self.find(caller.pass_id)
            if found is not None:
                return Ensured(found, None)
        return Ensured(await self._mint(runtime), None)

    async def link_shopify(self, caller: Caller, shopify_customer_id: str) -> PassRow:
        """Note the caller's Shopify customer id. It needs their own Pass and a verified e-mail, and proves nothing by itself.

        Purchases under an id that was only claimed here count for this Pass where their e-mail is the verified one too.
        Raises VerificationRequired, InvalidInput and Conflict.
        """
        pass_id = required(caller)
        login = caller.login
        if login is None or not login.email_verified:
            raise VerificationRequired("Sign in with a verified e-mail first.")
        id_ = shopify_customer_id.strip().removeprefix("gid://shopify/Customer/")
        if not (id_.isascii() and id_.isdigit() and len(id_) <= 20):
            raise InvalidInput("A Shopify customer id is a number.", ["shopifyCustomerId"])
        async with self._database.begin() as session:
            await customers.lock(session, pass_id)
            linked = await identities.link_shopify(session, pass_id, login.user_id, id_)
        if not linked:
            raise Conflict("This Shopify customer cannot be linked to this account.", ["shopifyCustomerId"])
        return await self._found(pass_id)

    def owner_tags(self, owner: PassRow) -> frozenset[str]:
        """The tags in the keys of this Pass's objects: its own, and those of every Pass that was merged into it."""
        return frozenset({passes.owner_tag(owner.id, self._secret), *(decode(owner.owner_tags) or [])})

    def log_name(self, owner: PassRow) -> str:
        """What log lines and traces say instead of its id."""
        return passes.log_name(owner.id, self._secret)

    async def find(self, pass_id: str) -> PassRow | None:
        """A Pass by its id, or None; soft-deleted ones are None."""
        record = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=pass_id)
        return None if record is None else PassRow(*record)

    async def by_id(self, pass_ids: list[str]) -> dict[str, PassRow]:
        """Passes by their ids."""
        rows = [PassRow(*record) for record in await self._database.fetch(customers.PASSES_BY_ID, pass_ids=pass_ids)]
        return {row.id: row for row in rows}

    async def by_id_even_deleted(self, pass_ids: list[str]) -> dict[str, PassRow]:
        """The same for admins: merged and erased ones too."""
        rows = [PassRow(*record) for record in await self._database.fetch(customers.ANY_BY_ID, pass_ids=pass_ids)]
        return {row.id: row for row in rows}

    async def touch(self, pass_id: str) -> None:
        """Note that the Pass was seen, at most once in five minutes; write off what has expired."""
        async with self._database.begin() as session:
            await settle(session, pass_id)
            await customers.touch(session, pass_id)

    async def _sign_in(
        self, session: Transaction, login: Login, presented: str | None, runtime: RuntimeConfig
    ) -> tuple[str, MergeReport | None]:
        """The whole of a login: find or make the user's Pass, and merge in what else is theirs. Twice changes nothing."""
        await identities.one_login_at_a_time(session, login.user_id)
        own = await identities.find_own(session, login.user_id)
        unclaimed = await identities.find_unclaimed(session, login.email) if login.email and login.email_verified else []
        rows = await identities.lock(session, filter(None, [own, presented, *unclaimed]))
        # Read again under the locks: another login may have taken one of them meanwhile.
        bearer = presented if _is(rows, presented, PassState.BEARER) else None
        claimable = [id_ for id_ in unclaimed if _is(rows, id_, PassState.UNCLAIMED)]
        target = own or bearer or next(iter(claimable), None)
        if target is None:
            target = await self._insert(session, login)
            fresh = True
        else:
            fresh = False
            await settle(session, target)
        await identities.note_login(session, target, login)
        merged: MergeReport | None = None
        # What an admin has switched off stays where it is.
        for source in [id_ for id_ in (bearer, *claimable) if id_ is not None and id_ != target and not rows[id_].disabled]:
            report = await merge(session, source, target, self._secret)
            merged = MergeReport(*map(sum, zip(merged, report, strict=True))) if merged else report
        await self._grant_to_user(session, target, login, runtime, fresh=fresh)
        if _is_another_user(rows, presented, login):
            await admin.audit(
                session, "identity.foreign_pass", target, {"presented": passes.log_name(str(presented), self._secret)}
            )
        return target, merged

    async def _insert(self, session: Transaction, login: Login) -> str:
        """`pass:user:<sub>`, or with a fresh uuid where that id is taken by an erased row."""
        pass_id = f"pass:user:{login.user_id}"
        if await identities.exists(session, pass_id):
            pass_id = passes.new_user_pass_id()
        await identities.insert_claimed(session, pass_id, login)
        return pass_id

    async def _grant_to_user(
        self, session: Transaction, pass_id: str, login: Login, runtime: RuntimeConfig, *, fresh: bool
    ) -> None:
        """Free matcha: for every new Pass where the deployment says so, else once for every verified user."""
        if runtime.grants_every_pass:
            if fresh:
                await self._grant(
                    session, pass_id, credits.grant(passes.row_name(pass_id, self._secret), runtime.free_grant), runtime
                )
        elif login.email_verified:
            await self._grant(session, pass_id, credits.user_grant(login.user_id, runtime.free_grant), runtime)

    async def _grant(self, session: Transaction, pass_id: str, entry: Entry, runtime: RuntimeConfig) -> None:
        if entry.delta <= 0 or await ledger.exists(session, entry.ledger_id):
            return
        locked = await settle(session, pass_id)
        if locked is not None:
            await post(session, locked, entry)
            await customers.extend_expiry(session, pass_id, runtime.days_valid)

    async def _mint(self, runtime: RuntimeConfig) -> PassRow:
        pass_id = passes.new_pass_id()
        async with self._database.begin() as session:
            await customers.insert_minted(session, pass_id)
            if runtime.grants_every_pass:
                name = passes.row_name(pass_id, self._secret)
                await self._grant(session, pass_id, credits.grant(name, runtime.free_grant), runtime)
        return await self._found(pass_id)

    async def _found(self, pass_id: str) -> PassRow:
        found = await self.find(pass_id)
        if found is None:
            raise Conflict("This Pass was merged or deleted just now. Call ensurePass again.")
        return found


def required(caller: Caller) -> str:
    """The caller's Pass ID, for doing something. Raises Unauthenticated when the request proves no Pass, and AccountDisabled."""
    if caller.pass_id is None:
        raise Unauthenticated("No Pass was proven. Call ensurePass and send its id as X-Mina-Pass-Id.")
    if caller.disabled:
        raise AccountDisabled("This account is switched off. Write to us if you think that is a mistake.")
    return caller.pass_id


def _is(rows: dict[str, Identity], pass_id: str | None, state: PassState) -> bool:
    return pass_id is not None and pass_id in rows and rows[pass_id].state is state


def _is_another_user(rows: dict[str, Identity], presented: str | None, login: Login) -> bool:
    return _is(rows, presented, PassState.CLAIMED) and str(rows[str(presented)].user_id) != login.user_id
