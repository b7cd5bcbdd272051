"""`updateProfile` at the service: what is said is written at once and whole, by whoever the Pass is (FEATURES N7, C14)."""

import asyncio

import pytest

from mina_gql.domain.errors import AccountDisabled, Conflict, InvalidInput, Unauthenticated
from mina_gql.services.profiles import timezones
from tests.identity.edge import caller_of, login, row_of, sign_in
from tests.studio import NOBODY

EVERYTHING = {
    "display_name": "Ann of Dubai",
    "first_name": "Ann",
    "last_name": "Lee",
    "locale": "en-AE",
    "timezone": "Asia/Dubai",
    "marketing_opt_in": True,
    "product_updates_opt_in": True,
    "auto_topup_enabled": True,
    "auto_topup_monthly_limit_packs": 12,
    "topup_default_packs": 5,
}


async def test_what_is_said_is_written_and_shown(studio):
    caller = await studio.person()
    shown = await studio.profiles.update(caller, EVERYTHING)
    assert {name: getattr(shown, name) for name in EVERYTHING} == EVERYTHING
    row = await row_of(studio, caller.pass_id)
    assert {name: row[f"mg_{name}"] for name in EVERYTHING} == EVERYTHING


async def test_a_new_pass_buys_three_packs_and_nothing_by_itself(studio):
    """FEATURES C14: the defaults on new rows."""
    shown = await studio.profiles.update(await studio.person(), {})
    assert (shown.topup_default_packs, shown.auto_topup_enabled, shown.auto_topup_monthly_limit_packs) == (3, False, None)
    assert (shown.last_topup_at, shown.topup_source) == (None, None)


async def test_what_is_not_said_stays_and_null_clears(studio):
    caller = await studio.person()
    await studio.profiles.update(caller, EVERYTHING)
    shown = await studio.profiles.update(caller, {"display_name": None, "auto_topup_monthly_limit_packs": None})
    left = {**EVERYTHING, "display_name": None, "auto_topup_monthly_limit_packs": None}
    assert {name: getattr(shown, name) for name in EVERYTHING} == left


async def test_one_thing_that_is_refused_keeps_all_from_being_written(studio):
    caller = await studio.person()
    before = await row_of(studio, caller.pass_id)
    with pytest.raises(InvalidInput) as refused:
        await studio.profiles.update(caller, {**EVERYTHING, "timezone": "Mars/Olympus"})
    assert refused.value.field == ["input", "timezone"]
    assert await row_of(studio, caller.pass_id) == before


async def test_nothing_but_the_profile_changes(studio):
    """E-mail, verification, balance and flags are never writable here."""
    who = login(email="ann@mina.example")
    home = (await sign_in(studio, who)).owner.id
    before = dict(await row_of(studio, home))
    await studio.profiles.update(await caller_of(studio, who), EVERYTHING)
    after = dict(await row_of(studio, home))
    changed = {name.removeprefix("mg_") for name in before if before[name] != after[name]}
    assert changed == {*EVERYTHING, "updated_at"}


def test_the_places_of_the_world_may_be_chosen_and_what_is_no_place_may_not():
    chosen = set(timezones().values())
    assert {"Asia/Dubai", "Europe/Paris", "America/New_York", "Pacific/Auckland", "UTC"} <= chosen
    assert not {"Factory", "localtime", "posixrules"} & chosen


async def test_who_proves_no_pass_or_is_switched_off_changes_nothing(studio):
    with pytest.raises(Unauthenticated):
        await studio.profiles.update(NOBODY, EVERYTHING)
    with pytest.raises(AccountDisabled):
        await studio.profiles.update(await studio.disable(await studio.person()), EVERYTHING)


async def test_a_pass_that_was_signed_in_to_or_merged_away_since_takes_no_more_from_its_old_bearer(studio):
    guest = await studio.person()
    who = login()
    await sign_in(studio, who, guest.pass_id)  # linked: the id alone proves it no more
    with pytest.raises(Conflict):
        await studio.profiles.update(guest, EVERYTHING)
    assert (await row_of(studio, guest.pass_id))["mg_display_name"] is None
    another = await studio.person()
    await sign_in(studio, who, another.pass_id)  # merged
    with pytest.raises(Conflict):
        await studio.profiles.update(another, EVERYTHING)
    assert (await studio.profiles.update(await caller_of(studio, who), EVERYTHING)).id == guest.pass_id


async def test_changes_of_several_devices_at_once_are_all_kept(studio):
    caller = await studio.person()
    await asyncio.gather(*(studio.profiles.update(caller, {name: value}) for name, value in EVERYTHING.items()))
    row = await row_of(studio, caller.pass_id)
    assert {name: row[f"mg_{name}"] for name in EVERYTHING} == EVERYTHING


async def test_the_chosen_number_of_packs_stands_in_the_link_to_the_shop(studio):
    """FEATURES C14: the default is what the button buys."""
    caller = await studio.person()
    await studio.profiles.update(caller, {"topup_default_packs": 7})
    owner = await studio.passes.find(caller.pass_id)
    assert owner.topup_default_packs == 7
