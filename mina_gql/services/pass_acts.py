"""What admins do to a Pass: switch it off and on, merge it into another; each act with its audit row."""

from mina_gql.domain.errors import Conflict, InvalidInput, NotFound
from mina_gql.domain.passes import row_name
from mina_gql.domain.pipeline import plain_text
from mina_gql.mega import admin, customers, identities
from mina_gql.mega.admin import Actor
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, Transaction
from mina_gql.services.credits import REASON_CHARS, CreditService
from mina_gql.services.merging import MergeReport, merge
from mina_gql.services.passes import PassService


class PassActService:
    """Acts on Passes. `secret` keys the names that stand for a Pass in the audit."""

    def __init__(self, database: Database, passes: PassService, ledger: CreditService, secret: bytes) -> None:
        self._database = database
        self._passes = passes
        self._ledger = ledger
        self._secret = secret

    async def set_disabled(self, actor: Actor, pass_id: str, reason: str, *, disabled: bool) -> PassRow:
        """Switch a Pass off, so that it may look and do nothing more, or on again. Raises InvalidInput and NotFound."""
        said = _words(reason)
        await self._found(pass_id, "passId")
        async with self._database.begin() as session:
            locked = await customers.lock(session, pass_id)
            if locked is None:
                raise NotFound("This Pass was merged or deleted just now.", ["passId"])
            await customers.set_disabled(session, pass_id, disabled=disabled)
            detail = {"reason": said, "before": {"disabled": locked.disabled}, "after": {"disabled": disabled}}
            await admin.audit(session, "pass.disable" if disabled else "pass.enable", pass_id, detail, actor=actor)
        return await self._found(pass_id, "passId")

    async def merge(self, actor: Actor, source: str, into: str, reason: str) -> tuple[PassRow, MergeReport]:
        """Merge one Pass into another, as a login would (DESIGN section 4); gives the Pass that stays.

        Unlike a login it may also merge a CLAIMED Pass, into another CLAIMED one only: everything belongs to the login of
        `into` then, and whoever signs in with that of `source` starts anew. Raises InvalidInput, NotFound and Conflict.
        """
        said = _words(reason)
        if source == into:
            raise InvalidInput("These are one and the same Pass. Name two.", ["intoPassId"])
        seen = [await self._found(source, "fromPassId"), await self._found(into, "intoPassId")]
        async with self._database.begin() as session:
            await _lock(session, *seen)
            before = await _balances(session, source, into)
            report = await merge(session, source, into, self._secret)
            after = await _balances(session, source, into)
            detail = {
                "reason": said,
                "from": row_name(source, self._secret),
                "into": row_name(into, self._secret),
                "before": before,
                "after": after,
                **report._asdict(),
            }
            await admin.audit(session, "pass.merge", into, detail, actor=actor)
        for each in (source, into):
            await self._ledger.changed(each)
        return await self._found(into, "intoPassId"), report

    async def _found(self, pass_id: str, field: str) -> PassRow:
        found = await self._passes.find(pass_id)
        if found is None:
            raise NotFound("There is no such Pass, or it was merged or deleted.", [field])
        return found


async def _lock(session: Transaction, source: PassRow, into: PassRow) -> None:
    """Lock both, and first the logins they belong to, as a login does: nobody may sign in to what is being merged away."""
    for user_id in sorted({row.user_id for row in (source, into) if row.user_id is not None}):
        await identities.one_login_at_a_time(session, user_id)
    rows = await identities.lock(session, [source.id, into.id])
    for seen, field in ((source, "fromPassId"), (into, "intoPassId")):
        row = rows.get(seen.id)
        if row is None or seen.user_id != (row.user_id and str(row.user_id)):
            raise Conflict("This Pass was signed in to, merged or deleted just now. Look at it again.", [field])
    if source.user_id is not None and into.user_id is None:
        raise InvalidInput(
            "A Pass with a login goes only into another one with a login, or its owner would lose it. Merge the other way round.",
            ["fromPassId"],
        )


async def _balances(session: Transaction, source: str, into: str) -> dict[str, int]:
    """What is in the columns, 0 for the one that was merged away; the caller holds their locks."""
    locked = {"from_balance": await customers.lock(session, source), "into_balance": await customers.lock(session, into)}
    return {name: row.balance if row else 0 for name, row in locked.items()}


def _words(reason: str) -> str:
    said = plain_text(reason)
    if not 0 < len(said) <= REASON_CHARS:
        raise InvalidInput(f"Say why, in at most {REASON_CHARS} characters.", ["reason"])
    return said
