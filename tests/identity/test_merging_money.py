"""Matcha at a merge while generations are in flight: nothing free comes through a refund."""

import pytest

from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import FailureCode
from tests.identity.edge import login, sign_in
from tests.studio import BRIEF, NOBODY

FAILED = GenerationFailed(FailureCode.PROVIDER_ERROR, "The picture could not be made.")


@pytest.mark.parametrize(("bought", "comes_back"), [(0, 0), (2, 2), (9, 3)])
async def test_orders_in_flight_at_a_merge_give_back_no_more_than_had_they_failed_before(studio, bought, comes_back):
    """Three free matcha and some bought ones; all is ordered away, then merged, then everything fails."""
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=3)
    who = login()
    home = (await sign_in(studio, who)).owner.id
    guest = (await studio.passes.ensure(NOBODY)).owner.id
    if bought:
        await studio.deposit(guest, bought)
    ordered = [(await studio.orders.create(await studio.seen(guest), BRIEF)).generation for _ in range(min(3 + bought, 6))]
    before = await studio.balance(Caller(home, ""))
    moved = (await sign_in(studio, who, guest)).merged.matcha_moved
    for each in ordered:
        assert await studio.mina.endings.fail(each.id, FAILED, lease=None)
    gained = await studio.balance(Caller(home, "")) - before
    assert gained == bought, "what was bought comes along, what was free does not"
    assert gained - moved == comes_back
    await studio.check_books()
