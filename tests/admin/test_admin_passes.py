"""What admins do to Passes: switching off, merging; each with its audit (FEATURES A17, P3, P7; DESIGN section 4)."""

import asyncio
from uuid import uuid4

import orjson
import pytest

from mina_gql.domain.errors import AccountDisabled
from tests.admin.office import SET, Office
from tests.identity.edge import Who, login, row_of, sign_in
from tests.studio import BRIEF

DISABLE = """mutation($id: ID!, $disabled: Boolean!, $reason: String!) {
  setPassDisabled(passId: $id, disabled: $disabled, reason: $reason) { pass { id disabled } userErrors { code message field } } }"""
MERGE = """mutation($source: ID!, $into: ID!, $reason: String!) {
  mergePasses(fromPassId: $source, intoPassId: $into, reason: $reason) {
    pass { id credits { balance } } userErrors { code message field } } }"""
FIND = "query($id: ID!) { admin { pass(id: $id) { id state disabled } } }"


async def disable(office: Office, pass_id, *, disabled=True, reason="fraud"):
    return await office.ask(DISABLE, id=pass_id, disabled=disabled, reason=reason)


async def merge(office: Office, source, into, reason="one person, two Passes"):
    return await office.ask(MERGE, source=source, into=into, reason=reason)


async def claimed(office: Office, email: str, matcha: int = 0):
    """A Pass with a login; its id and its token."""
    sub = str(uuid4())
    owner = (await sign_in(office.studio, login(sub, email))).owner
    if matcha:
        await office.studio.deposit(owner.id, matcha)
    return owner.id, Who(token=office.edge.token(sub=sub, email=email))


def code(answer):
    (error,) = answer["userErrors"]
    return error["code"], error["field"]


# ---------------------------------------------------------------- switching off


async def test_a_pass_that_is_switched_off_may_look_and_do_nothing_until_it_is_switched_on(office: Office):
    """A17"""
    caller = await office.studio.person(matcha=5)
    assert (await disable(office, caller.pass_id))["pass"] == {"id": caller.pass_id, "disabled": True}
    seen = await office.studio.seen(caller.pass_id)
    with pytest.raises(AccountDisabled):
        await office.studio.orders.create(seen, BRIEF)
    assert (await office.edge.ask(Who(caller.pass_id), "{ me { disabled } }"))["data"]["me"]["disabled"] is True
    await disable(office, caller.pass_id, disabled=False, reason="a mistake")
    await office.studio.orders.create(await office.studio.seen(caller.pass_id), BRIEF)
    assert await office.audits() == [
        ("pass.disable", {"reason": "fraud", "before": {"disabled": False}, "after": {"disabled": True}}),
        ("pass.enable", {"reason": "a mistake", "before": {"disabled": True}, "after": {"disabled": False}}),
    ]


async def test_the_audit_says_who_did_it_to_whom(office: Office):
    """P7"""
    caller = await office.studio.person()
    await disable(office, caller.pass_id)
    row = await office.audited()
    assert (row["mg_action"], row["mg_method"], row["mg_actor_pass_id"]) == ("pass.disable", "setPassDisabled", caller.pass_id)
    found = (await office.ask("{ admin { audits { nodes { action actor status ip userAgent pass { id } } } } }"))["audits"]
    assert found["nodes"] == [
        {
            "action": "pass.disable", "actor": "boss@mina.example", "status": 200, "ip": "127.0.0.1",
            "userAgent": "Tests/1.0 (of identity)", "pass": {"id": caller.pass_id},
        }
    ]  # fmt: skip


@pytest.mark.parametrize("reason", ["", "  ", "\x00", "x" * 501])
async def test_no_reason_no_act(office: Office, reason):
    caller, other = await office.studio.person(), await office.studio.person()
    assert code(await disable(office, caller.pass_id, reason=reason)) == ("INVALID_INPUT", ["reason"])
    assert code(await merge(office, caller.pass_id, other.pass_id, reason)) == ("INVALID_INPUT", ["reason"])
    assert await office.audits() == []


@pytest.mark.parametrize("id_", ["pass:anon:nobody", "", "\x00", "generation:1"])
async def test_who_does_not_exist_is_not_found(office: Office, id_):
    caller = await office.studio.person()
    assert code(await disable(office, id_)) == ("NOT_FOUND", ["passId"])
    assert code(await merge(office, id_, caller.pass_id)) == ("NOT_FOUND", ["fromPassId"])
    assert code(await merge(office, caller.pass_id, id_)) == ("NOT_FOUND", ["intoPassId"])
    assert (await office.ask(FIND, id=id_))["pass"] is None
    assert await office.audits() == []


ADJUST = """mutation($input: AdjustCreditsInput!) { adjustCredits(input: $input) {
  transaction { delta } pass { id } userErrors { code message field } } }"""


async def test_an_adjustment_takes_any_text_for_an_id_and_keeps_no_control_characters(office: Office):
    caller = await office.studio.person()
    asked = {"delta": 1, "reason": "a gift\x00", "idempotencyKey": "k"}
    assert code(await office.ask(ADJUST, input={"passId": "\x00", **asked})) == ("NOT_FOUND", ["input", "passId"])
    assert (await office.ask(ADJUST, input={"passId": caller.pass_id, **asked}))["transaction"] == {"delta": 1}
    assert [detail["asked"]["reason"] for _, detail in await office.audits()] == ["a gift"]


# ---------------------------------------------------------------- merging


async def test_merging_moves_what_was_made_and_bought_and_leaves_an_alias(office: Office):
    source, into = await office.studio.person(matcha=7), await office.studio.person(matcha=3)
    made = (await office.studio.orders.create(source, BRIEF)).generation
    await office.studio.mina.runner.run(made.id)
    merged = await merge(office, source.pass_id, into.pass_id)
    assert merged == {"pass": {"id": into.pass_id, "credits": {"balance": 9}}, "userErrors": []}
    assert await office.studio.generations.own(into.pass_id, made.id) is not None
    alias = await row_of(office.studio, source.pass_id)
    assert (alias["mg_credits"], orjson.loads(alias["mg_meta"])["merged_into"]) == (0, into.pass_id)
    assert (await office.ask(FIND, id=source.pass_id))["pass"]["id"] == into.pass_id
    await office.studio.check_books()
    ((action, detail),) = await office.audits()
    assert action == "pass.merge"
    assert detail["before"] == {"from_balance": 6, "into_balance": 3}
    assert detail["after"] == {"from_balance": 0, "into_balance": 9}
    assert (detail["matcha_moved"], detail["reason"]) == (6, "one person, two Passes")
    assert source.pass_id not in str(detail)  # it may still be in somebody's browser


async def test_a_pass_and_itself_are_not_merged_and_no_alias_is(office: Office):
    one, two, three = [await office.studio.person(matcha=4) for _ in range(3)]
    assert code(await merge(office, one.pass_id, one.pass_id)) == ("INVALID_INPUT", ["intoPassId"])
    await merge(office, one.pass_id, two.pass_id)
    assert code(await merge(office, one.pass_id, two.pass_id)) == ("NOT_FOUND", ["fromPassId"])
    assert code(await merge(office, three.pass_id, one.pass_id)) == ("NOT_FOUND", ["intoPassId"])
    assert code(await disable(office, one.pass_id)) == ("NOT_FOUND", ["passId"])
    assert len(await office.audits()) == 1
    await office.studio.check_books()


async def test_one_login_s_pass_into_another_s_and_the_first_login_starts_anew(office: Office):
    """Decided: everything belongs to the login of the Pass that stays; the other login gets a new, empty Pass, not the first's.

    Free matcha does not move, and is not given to the same login again.
    """
    await office.ask(SET, values={"credits.free_grant": 4})
    source, ann = await claimed(office, "ann@mina.example", matcha=5)
    into, anns_other = await claimed(office, "ann@work.example", matcha=1)
    assert (await merge(office, source, into))["pass"] == {"id": into, "credits": {"balance": 5 + 1 + 4}}
    assert (await office.edge.arrive(anns_other))["id"] == into
    fresh = await office.edge.arrive(ann)
    assert fresh["id"] not in (source, into)
    assert fresh["credits"]["balance"] == 0
    assert (await office.edge.arrive(anns_other))["credits"]["balance"] == 10
    await office.studio.check_books()


async def test_a_login_s_pass_goes_into_no_pass_without_one(office: Office):
    source, _ = await claimed(office, "ann@mina.example", matcha=5)
    into = (await office.studio.person()).pass_id
    assert code(await merge(office, source, into)) == ("INVALID_INPUT", ["fromPassId"])
    assert (await merge(office, into, source))["pass"]["id"] == source  # the other way round it is what a login does


async def test_two_merges_in_a_ring_at_once_leave_one_pass_and_sound_books(office: Office):
    one, _ = await claimed(office, "one@mina.example", matcha=5)
    two, _ = await claimed(office, "two@mina.example", matcha=3)
    answers = await asyncio.gather(merge(office, one, two), merge(office, two, one))
    (stays,) = [answer["pass"] for answer in answers if answer["pass"]]
    assert stays["credits"]["balance"] == 8
    assert len(await office.audits()) == 1
    await office.studio.check_books()


async def test_a_login_during_its_pass_s_merge_ends_with_a_pass_of_its_own(office: Office):
    """Whichever comes first: nobody signs in to an alias, and nothing is lost."""
    for n in range(5):
        source, who = await claimed(office, f"a{n}@mina.example", matcha=2)
        into, _ = await claimed(office, f"b{n}@mina.example")
        _, arrived = await asyncio.gather(merge(office, source, into), office.edge.arrive(who))
        assert arrived["id"] != into
        assert (await office.edge.arrive(who))["id"] not in (source, into)
        assert (await office.studio.passes.find(into)).balance == 2
    await office.studio.check_books()


async def test_who_follows_the_balance_hears_of_the_merge(office: Office):
    source, into = await office.studio.person(matcha=7), await office.studio.person(matcha=3)
    stream = office.studio.credits.follow(into.pass_id)
    assert (await anext(stream)).balance == 3
    await merge(office, source.pass_id, into.pass_id)
    assert (await anext(stream)).balance == 10
    await stream.aclose()


# ---------------------------------------------------------------- finding

SEARCH = "query($s: String, $first: Int, $after: String) { admin { passes(first: $first, after: $after, search: $s) { nodes { id } totalCount pageInfo { endCursor hasNextPage } } } }"


@pytest.fixture
async def people(office: Office):
    """Three with names, and two without."""
    ids = [(await office.studio.person()).pass_id for _ in range(5)]
    facts = [
        ("Ann.Lee@mina.example", "Ann", "Lee", "Annie 100%", "7001"),
        ("anton@mina.example", "Anton", None, None, "7002"),
        ("zoë@mina.example", "Zoë", "Annand", "Z_oë", None),
    ]
    for pass_id, (email, first, last, shown, shopify) in zip(ids, facts, strict=False):
        await office.studio.sql.execute(
            "update mega_customers set mg_email = $2, mg_first_name = $3, mg_last_name = $4, mg_display_name = $5, mg_shopify_customer_id = $6 where mg_pass_id = $1",
            pass_id, email, first, last, shown, shopify,
        )  # fmt: skip
    return ids


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ann.lee@mina.example", [0]), ("ANN.LEE@", [0]), ("ann", [0, 2]), ("Ann Lee", [0]), ("an", [0, 1, 2]), ("lee", [0]),
        ("annie 100%", [0]), ("%", []), ("_", []), ("z_", [2]), ("7001", [0]), ("700", [0, 1]), ("Anton", [1]), ("annand", [2]),
        ("mina.example", []), ("nobody", []), ("pass:anon:", [0, 1, 2, 3, 4]), ("  ann lee ", [0]), ("", [0, 1, 2, 3, 4]),
        (None, [0, 1, 2, 3, 4]), ("\x00", []), ("zoë", [2]),
    ],
)  # fmt: skip
async def test_people_are_found_by_how_their_mail_name_or_number_begins(office: Office, people, search, found):
    """P3: newest first."""
    passes = (await office.ask(SEARCH, s=search))["passes"]
    assert [node["id"] for node in passes["nodes"]] == [people[n] for n in reversed(found)]
    assert passes["totalCount"] == len(found)


async def test_a_pass_is_found_by_its_id_and_by_how_it_begins(office: Office, people):
    for sought in (people[3], people[3][:20]):
        assert [node["id"] for node in (await office.ask(SEARCH, s=sought))["passes"]["nodes"]] == [people[3]]


async def test_people_come_page_by_page_and_those_who_are_gone_do_not(office: Office, people):
    await office.studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", people[2])
    ids, after = [], None
    for _ in range(2):
        page = (await office.ask(SEARCH, first=2, after=after))["passes"]
        ids, after = ids + [node["id"] for node in page["nodes"]], page["pageInfo"]["endCursor"]
    assert ids == [people[4], people[3], people[1], people[0]]
    assert not page["pageInfo"]["hasNextPage"]


async def test_a_search_without_end_is_refused(office: Office):
    answer = await office.edge.ask(office.boss, SEARCH, s="x" * 201)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
