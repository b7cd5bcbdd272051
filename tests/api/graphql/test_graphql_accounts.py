"""A person's own data at the edge: profile, export, deletion (FEATURES N6, N7, C14)."""

import pytest

from tests.api.graphql.graphql_world import code
from tests.studio import NOBODY, counted

UPDATE = """mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) {
    pass { displayName firstName lastName locale timezone marketingOptIn productUpdatesOptIn
        topup { defaultPacks autoEnabled autoMonthlyLimitPacks } }
    userErrors { code message field } } }"""
EXPORT = "mutation { exportMyData { data userErrors { code } } }"
DELETE = 'mutation ($word: String!) { deleteMyAccount(confirm: $word) { deleted userErrors { code message field } } }'  # fmt: skip
ME = "{ me { id email displayName credits { balance expiresAt } } }"
EVERYTHING = {
    "displayName": "Ann",
    "firstName": "Ann",
    "lastName": "Lee",
    "locale": "EN-ae",
    "timezone": "asia/dubai",
    "marketingOptIn": True,
    "productUpdatesOptIn": True,
    "autoTopupEnabled": True,
    "autoTopupMonthlyLimitPacks": 12,
    "topupDefaultPacks": 5,
}


async def update(api, caller, **said):
    return (await api.data(caller, UPDATE, input=said))["updateProfile"]


async def test_a_profile_is_written_and_shown(api):
    caller = await api.studio.person()
    answer = await update(api, caller, **EVERYTHING)
    assert answer["userErrors"] == []
    assert answer["pass"] == {
        "displayName": "Ann",
        "firstName": "Ann",
        "lastName": "Lee",
        "locale": "en-AE",
        "timezone": "Asia/Dubai",
        "marketingOptIn": True,
        "productUpdatesOptIn": True,
        "topup": {"defaultPacks": 5, "autoEnabled": True, "autoMonthlyLimitPacks": 12},
    }


async def test_what_is_left_out_stays_and_null_clears(api):
    """Absent and null differ, in a variable and in the document."""
    caller = await api.studio.person()
    before = (await update(api, caller, **EVERYTHING))["pass"]
    assert (await update(api, caller))["pass"] == before
    cleared = (await update(api, caller, lastName=None, timezone=None, autoTopupMonthlyLimitPacks=None))["pass"]
    topup = {**before["topup"], "autoMonthlyLimitPacks": None}
    assert cleared == {**before, "lastName": None, "timezone": None, "topup": topup}
    inline = 'mutation { updateProfile(input: { locale: null, firstName: "Jo" }) { pass { locale firstName displayName } } }'
    assert (await api.data(caller, inline))["updateProfile"]["pass"] == {"locale": None, "firstName": "Jo", "displayName": "Ann"}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"locale": "british english"}, "locale"),
        ({"timezone": "Dubai"}, "timezone"),
        ({"displayName": "x" * 101}, "displayName"),
        ({"marketingOptIn": None}, "marketingOptIn"),
        ({"autoTopupEnabled": None}, "autoTopupEnabled"),
        ({"topupDefaultPacks": None}, "topupDefaultPacks"),
        ({"topupDefaultPacks": 0}, "topupDefaultPacks"),
        ({"autoTopupMonthlyLimitPacks": 1_001}, "autoTopupMonthlyLimitPacks"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field_and_nothing_is_written(world, said, field):
    answer = await update(world, world.owner, firstName="Nobody", **said)
    (error,) = answer["userErrors"]
    assert (answer["pass"], error["code"], error["field"]) == (None, "INVALID_INPUT", ["input", field])
    assert (await world.data(world.owner, "{ me { firstName } }"))["me"]["firstName"] is None


@pytest.mark.parametrize("name", ["email", "mgEmail", "disabled", "verified", "credits", "userId", "shopifyCustomerId", "id"])
async def test_what_is_not_a_person_s_to_say_is_no_part_of_the_input(world, name):
    answer = await world.ask(world.owner, UPDATE, input={name: "x"})
    assert code(answer) == "BAD_USER_INPUT"


async def test_e_mail_balance_and_expiry_are_one_read(api):
    """FEATURES N6."""
    caller = await api.studio.person(matcha=3)
    with counted(api.studio.mina.database) as reads:
        me = (await api.data(caller, ME))["me"]
    assert (me["email"], me["credits"]["balance"]) == (None, 3)
    assert me["credits"]["expiresAt"].endswith("Z")
    assert len(reads) == 1


async def test_everything_of_one_s_own_comes_as_json(world):
    data = (await world.data(world.owner, EXPORT))["exportMyData"]["data"]
    assert [session["title"] for session in data["sessions"]] == ["Visit"]
    assert {made["status"] for made in data["generations"]} == {"done", "error"}
    assert sum(entry["delta"] for entry in data["credits"]["transactions"]) == data["credits"]["balance"]
    assert data["sessions"][0]["meta"] == {"deep": [1, {"a": "ü"}]}
    assert data["truncated"] == []
    nothing = (await world.data(world.stranger, EXPORT))["exportMyData"]["data"]
    assert (nothing["generations"], nothing["sessions"]) == ([], [])


async def test_an_export_is_had_twice_a_minute(api):
    api.studio.mina.services.rates._on = True
    caller, other = await api.studio.person(), await api.studio.person()
    for _ in range(2):
        await api.data(caller, EXPORT)
    assert code(await api.ask(caller, EXPORT)) == "THROTTLED"
    await api.data(other, EXPORT)


async def test_an_account_is_deleted_with_the_word_and_proves_nothing_any_more(api):
    caller = await api.studio.person(matcha=3)
    refused = (await api.data(caller, DELETE, word="yes"))["deleteMyAccount"]
    assert refused["deleted"] is False
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [("INVALID_INPUT", ["confirm"])]
    assert (await api.data(caller, DELETE, word="DELETE"))["deleteMyAccount"] == {"deleted": True, "userErrors": []}
    assert (await api.data(caller, ME))["me"] is None
    assert (await api.data(caller, "query ($id: ID!) { node(id: $id) { id } }", id=caller.pass_id))["node"] is None
    assert code(await api.ask(caller, DELETE, word="DELETE")) == "UNAUTHENTICATED"
    fresh = (await api.data(caller, "mutation { ensurePass { pass { id } } }"))["ensurePass"]["pass"]["id"]
    assert fresh != caller.pass_id
    await api.studio.check_books()


@pytest.mark.parametrize(
    ("document", "variables"),
    [(UPDATE, {"input": {}}), (EXPORT, {}), (DELETE, {"word": "DELETE"})],
    ids=["profile", "export", "delete"],
)
async def test_who_proves_no_pass_has_no_data(world, document, variables):
    assert code(await world.ask(NOBODY, document, **variables)) == "UNAUTHENTICATED"


async def test_who_is_switched_off_may_have_their_data_and_change_nothing(world):
    for document, variables, name in ((UPDATE, {"input": {}}, "updateProfile"), (DELETE, {"word": "DELETE"}, "deleteMyAccount")):
        answer = (await world.data(world.disabled, document, **variables))[name]
        assert [error["code"] for error in answer["userErrors"]] == ["ACCOUNT_DISABLED"]
    assert (await world.data(world.disabled, EXPORT))["exportMyData"]["data"]["credits"]["balance"] == 5
