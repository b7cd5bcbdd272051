"""Merging: everything of one Pass goes to another, in the transaction of the login that caused it (DESIGN section 4)."""

from typing import NamedTuple
from uuid import uuid4

from mina_gql.domain import credits
from mina_gql.domain.passes import owner_tag, row_name
from mina_gql.mega import identities
from mina_gql.mega.database import Transaction
from mina_gql.mega.generations import runs
from mina_gql.services.credits import post, settle
from mina_gql.services.taste import relearn


class MergeReport(NamedTuple):
    """What a merge moved."""

    rows_moved: int
    matcha_moved: int


async def merge(session: Transaction, source: str, into: str, secret: bytes) -> MergeReport:
    """Merge `source` into `into`; the caller has locked both, in id order.

    Each side's due expiry comes first. Purchased matcha moves by a pair of rows, free matcha does not stack: it is written off.
    """
    giver, taker = await settle(session, source), await settle(session, into)
    if giver is None or taker is None:
        raise LookupError("a Pass to be merged is gone")
    bought = max(0, await identities.bought_balance(session, source))
    moved = min(giver.balance, bought)
    await _cap_refunds(session, source, giver.balance, bought)
    names = row_name(source, secret), row_name(into, secret)
    if moved:
        giver = await post(session, giver, credits.merge_out(*names, moved))
        await post(session, taker, credits.merge_in(*names, moved))
    if giver.balance:
        await post(session, giver, credits.expiry(str(uuid4()), giver.balance))
    rows = await identities.absorb(session, source, into, owner_tag(source, secret))
    await relearn(session, into)
    return MergeReport(rows, moved)


async def _cap_refunds(session: Transaction, source: str, balance: int, bought: int) -> None:
    """What is in flight may give back no more than had it failed before the merge: free matcha must not come through it."""
    in_flight = await runs.lock_in_flight(session, source)
    left = min(balance + sum(cost for _, cost in in_flight), bought) - min(balance, bought)
    for generation, cost in in_flight:
        refundable = min(cost, left)
        left -= refundable
        await runs.cap_refund(session, generation, refundable)
