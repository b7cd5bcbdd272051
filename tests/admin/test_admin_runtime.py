"""The runtime knobs: typed, set and unset by admins, and never broken by what somebody wrote by hand (FEATURES P6)."""

import asyncio

import orjson
import pytest
import structlog

from mina_gql.domain.config import RUNTIME_DEFAULTS
from mina_gql.domain.config_rules import KNOBS, knob_fault
from tests.admin.office import RELOAD, SET, UNSET, Office

LOOK = "{ admin { runtimeConfig { values defaults overrides ignored updatedAt loadedAt } } }"
STANDING = (
    "select mg_runtime_flat from mega_admin where mg_record_type = 'runtime_config' and mg_deleted_at is null order by mg_id"
)


async def look(office: Office):
    return (await office.ask(LOOK))["runtimeConfig"]


async def by_hand(office: Office, flat: object, name: str = "legacy") -> None:
    """A row as somebody may have written it."""
    await office.studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_runtime_flat) values ($1, 'runtime_config', $2)",
        f"runtime_config:{name}",
        orjson.dumps(flat).decode(),
    )
    office.studio.config.forget()


def test_every_knob_has_a_default_that_it_takes():
    assert KNOBS.keys() == RUNTIME_DEFAULTS.keys()
    assert [knob_fault(name, value) for name, value in RUNTIME_DEFAULTS.items()] == [None] * len(KNOBS)


async def test_without_overrides_the_defaults_are_in_force(office: Office):
    found = await look(office)
    assert found["values"] == found["defaults"] == dict(RUNTIME_DEFAULTS)
    assert (found["overrides"], found["ignored"], found["updatedAt"]) == ({}, [], None)
    assert found["loadedAt"].endswith("Z")


async def test_what_is_set_is_in_force_at_once_and_what_is_unset_falls_back(office: Office):
    """P6"""
    changed = await office.ask(SET, values={"price.animate": 6, "video_tweak.enabled": True})
    assert changed["userErrors"] == []
    assert changed["config"]["overrides"] == {"price.animate": 6, "video_tweak.enabled": True}
    assert changed["config"]["values"] == {**RUNTIME_DEFAULTS, "price.animate": 6, "video_tweak.enabled": True}
    assert changed["config"]["updatedAt"] is not None
    await office.ask(SET, values={"price.animate": 7})
    assert (await office.edge.ask(office.boss, "{ pricing { animate } }"))["data"]["pricing"]["animate"] == 7
    changed = await office.ask(UNSET, keys=["price.animate"])
    assert changed["config"]["overrides"] == {"video_tweak.enabled": True}
    assert changed["config"]["values"]["price.animate"] == 5


async def test_each_change_is_audited_with_before_and_after(office: Office):
    """P7: of the knobs that were named, and of no other."""
    await office.ask(SET, values={"price.create": 2, "price.tweak": 3})
    await office.ask(SET, values={"price.create": 4})
    await office.ask(UNSET, keys=["price.create"])
    await office.ask(RELOAD)
    assert await office.audits() == [
        ("runtime.set", {"before": {}, "after": {"price.create": 2, "price.tweak": 3}}),
        ("runtime.set", {"before": {"price.create": 2}, "after": {"price.create": 4}}),
        ("runtime.unset", {"before": {"price.create": 4}, "after": {}}),
        ("runtime.reload", {}),
    ]


BAD = {
    "price.create": [-1, 1_001, "2", 1.5, 1.0, True, None],
    "credits.grant_every_pass": [1, "true", None],
    "credits.days_valid": [0, -3],
    "limits.create": [0, 10**12],
    "reports.timezone": ["Mars/Olympus", "", "../../etc/passwd", "Asia", 4, None],
    "shopify.sku_map": [
        [],
        {"MINA 50": {"matcha": 50}},
        {"MINA-50": 50},
        {"MINA-50": {"matcha": 0}},
        {"MINA-50": {"matcha": "50"}},
        {"MINA-50": {}},
        {"MINA-50": {"matcha": 50, "variantId": "abc"}},
        {"MINA-50": {"matcha": 50, "price": 3}},
    ],
    "no.such_knob": [1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
async def test_a_bad_value_is_refused_and_everything_old_stays(office: Office, name, value):
    """Also what came with it in the same call."""
    await office.ask(SET, values={"price.tweak": 2})
    refused = await office.ask(SET, values={"price.tweak": 9, name: value})
    (error,) = refused["userErrors"]
    assert (refused["config"], error["code"], error["field"]) == (None, "INVALID_INPUT", ["values", name])
    assert (await look(office))["overrides"] == {"price.tweak": 2}
    assert len(await office.audits()) == 1


@pytest.mark.parametrize("values", [{}, [], "price.create", 3, None])
async def test_what_is_no_object_of_knobs_is_refused(office: Office, values):
    answer = await office.edge.ask(office.boss, SET, values=values)
    refused = answer.get("errors") or answer["data"]["setRuntimeConfig"]["userErrors"]
    assert refused
    assert await office.audits() == []


@pytest.mark.parametrize("keys", [[], ["no.such_knob"], ["price.create", "\x00"]])
async def test_what_is_no_knob_cannot_be_unset(office: Office, keys):
    (error,) = (await office.ask(UNSET, keys=keys))["userErrors"]
    assert (error["code"], error["field"]) == ("INVALID_INPUT", ["keys"])


GOOD = {
    "price.create": [0, 1_000],
    "reports.timezone": ["UTC", "Europe/Paris"],
    "shopify.sku_map": [
        {},
        {"MINA-10": {"matcha": 10}, "BIG": {"matcha": 100_000, "variantId": "gid://shopify/ProductVariant/4"}},
    ],
    "limits.late_cancels_per_day": [0],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
async def test_a_good_value_is_taken(office: Office, name, value):
    changed = await office.ask(SET, values={name: value})
    assert changed["userErrors"] == []
    assert changed["config"]["values"][name] == value


async def test_what_stands_and_cannot_be_is_ignored_knob_by_knob_with_a_warning(office: Office):
    """Written by hand: the sound ones beside it hold, and nothing crashes."""
    with structlog.testing.capture_logs() as logs:
        await by_hand(office, {"price.create": "free", "price.tweak": 4, "shopify.sku_map": {"X": 1}, "old_knob": 1})
        found = await look(office)
        await look(office)
    assert found["overrides"] == {"price.tweak": 4}
    assert found["values"] == {**RUNTIME_DEFAULTS, "price.tweak": 4}
    assert sorted(fault.split("”")[0].split("“")[1] for fault in found["ignored"]) == [
        "old_knob",
        "price.create",
        "shopify.sku_map",
    ]
    warned = [line for line in logs if line["log_level"] == "warning"]
    assert [line["reason"] for line in warned] == found["ignored"]  # once, and not at every look


@pytest.mark.parametrize("flat", [[], [1, 2], "text", 7, None])
async def test_a_row_that_is_no_object_is_ignored(office: Office, flat):
    await by_hand(office, flat)
    assert (await look(office))["values"] == dict(RUNTIME_DEFAULTS)
    assert (await office.ask(SET, values={"price.create": 2}))["config"]["values"]["price.create"] == 2


async def test_ours_wins_over_rows_from_before_and_unsetting_takes_it_out_of_all(office: Office):
    await by_hand(office, {"price.create": 8, "price.tweak": 8}, "zz-legacy")
    assert (await look(office))["values"]["price.create"] == 8
    assert (await office.ask(SET, values={"price.create": 2}))["config"]["values"]["price.create"] == 2
    changed = await office.ask(UNSET, keys=["price.create"])
    assert changed["config"]["overrides"] == {"price.tweak": 8}
    assert [orjson.loads(row[0]) for row in await office.studio.sql.fetch(STANDING)] == [{}, {"price.tweak": 8}]


async def test_junk_that_stands_can_be_unset(office: Office):
    await by_hand(office, {"old_knob": 1})
    assert (await office.ask(UNSET, keys=["old_knob"]))["config"]["ignored"] == []


async def test_reload_takes_up_what_was_written_by_hand(office: Office):
    await look(office)
    await office.studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_runtime_flat) values ('runtime_config:hand', 'runtime_config', '{\"price.tweak\": 3}')"
    )
    assert (await look(office))["values"]["price.tweak"] == 1
    assert (await office.ask(RELOAD))["config"]["values"]["price.tweak"] == 3


async def test_two_admins_who_set_different_knobs_at_once_both_have_their_way(office: Office):
    names = [name for name in KNOBS if name.startswith("limits.")]
    await asyncio.gather(*(office.ask(SET, values={name: 7}) for name in names))
    assert (await look(office))["overrides"] == dict.fromkeys(names, 7)
    afters = [detail["after"] for _, detail in await office.audits()]
    assert {name for after in afters for name in after} == set(names)


async def test_the_deployment_s_own_defaults_are_shown_as_defaults(office: Office):
    office.studio.config._defaults["credits.free_grant"] = 10
    office.studio.config.forget()
    found = await look(office)
    assert (found["defaults"]["credits.free_grant"], found["overrides"]) == (10, {})
