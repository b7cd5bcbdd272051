"""What admins do to matcha, whether the books add up, and what a knob changes: at the edge, with real tokens."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import orjson
import pytest

from mina_gql.domain.errors import GenerationFailed
from tests.identity.edge import Edge, Who, caller_of, edge_on
from tests.journeys.server import external, mina
from tests.studio import BRIEF

ADJUST = """mutation($input: AdjustCreditsInput!) { adjustCredits(input: $input) {
  transaction { id delta reason source refType refId } pass { id credits { balance expiresAt } } userErrors { code field } } }"""
MISMATCHES = "{ admin { parity { mismatches { balance ledgerSum pass { id state } } } } }"
AUDITS = "select * from mega_admin where mg_record_type = 'admin_audit' order by mg_created_at, mg_id"
SHOP = "mina.example"


@pytest.fixture
async def edge(postgres, seeded, tmp_path):
    """An edge with a shop."""
    dsn = await postgres.create_database(seeded)
    async with edge_on(tmp_path, dsn, shopify_shop=SHOP) as edge:
        yield edge
    await postgres.drop_database(dsn)


@pytest.fixture
async def admin(edge: Edge) -> Who:
    return Who(token=edge.token(email="boss@mina.example", admin=True))


async def adjust(edge, who, pass_id, delta, key=None, reason="a gift"):
    given = {"passId": pass_id, "delta": delta, "reason": reason, "idempotencyKey": key or str(uuid4())}
    return await edge.ask(who, ADJUST, input=given)


async def payload(edge, who, pass_id, delta, key=None, reason="a gift"):
    answer = await adjust(edge, who, pass_id, delta, key, reason)
    assert "errors" not in answer, answer
    return answer["data"]["adjustCredits"]


async def audits(edge):
    return [(row, orjson.loads(row["mg_detail"])) for row in await edge.studio.sql.fetch(AUDITS)]


async def expires(edge, caller):
    return await edge.studio.sql.fetchval("select mg_expires_at from mega_customers where mg_pass_id = $1", caller.pass_id)


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("field", ["adjustCredits", "admin"])
@pytest.mark.parametrize("kind", ["nobody", "guest", "user", "unverified", "forged"])
async def test_whoever_is_no_admin_is_refused_and_the_attempt_is_on_record(edge, kind, field):
    """P1, P7: actor, route, address and browser of each refused attempt."""
    studio = edge.studio
    victim, guest, sub = await studio.person(matcha=5), await studio.person(), str(uuid4())
    who = {
        "nobody": Who(),
        "guest": Who(guest.pass_id),
        "user": Who(token=edge.token(sub, "user@mina.example")),
        "unverified": Who(token=edge.token(sub)),
        "forged": Who(token=edge.token(sub, "boss@mina.example", admin=True) + "x"),
    }[kind]
    answer = await (adjust(edge, who, victim.pass_id, 100) if field == "adjustCredits" else edge.ask(who, MISMATCHES))
    code = answer["errors"][0]["extensions"]["code"]
    assert code == ("UNAUTHENTICATED" if kind == "forged" else "FORBIDDEN")
    assert not (answer.get("data") or {}).get(field)
    assert await studio.balance(victim) == 5
    noted = await audits(edge)
    if kind == "forged":
        assert noted == []  # who that was is not known
        return
    assert len(noted) == 1
    row = noted[0][0]
    assert (row["mg_action"], row["mg_method"], row["mg_route"], row["mg_status"]) == (f"refused.{field}", field, "/graphql", 403)
    assert (row["mg_ip"], row["mg_user_agent"]) == ("127.0.0.1", "Tests/1.0 (of identity)")
    assert row["mg_actor_pass_id"] == (guest.pass_id if kind == "guest" else None)
    assert (row["mg_user_id"] and str(row["mg_user_id"])) == (sub if kind in {"user", "unverified"} else None)
    assert row["mg_email"] == ("user@mina.example" if kind == "user" else None)
    assert victim.pass_id not in str(row)


# ---------------------------------------------------------------- adjusting


async def test_an_adjustment_is_one_row_and_its_audit_says_who_why_and_what_it_changed(edge, admin):
    """C13."""
    caller = await edge.studio.person(matcha=5)
    made = await payload(edge, admin, caller.pass_id, 7, "march-1", "sorry for the wait")
    assert made["userErrors"] == []
    assert made["transaction"] == {
        "id": "credit_transaction:adjust:march-1", "delta": 7, "reason": "adjustment", "source": "admin",
        "refType": "adjustment", "refId": "march-1",
    }  # fmt: skip
    assert (made["pass"]["id"], made["pass"]["credits"]["balance"]) == (caller.pass_id, 12)
    ((row, detail),) = await audits(edge)
    assert (row["mg_action"], row["mg_actor_pass_id"], row["mg_email"]) == ("credits.adjust", caller.pass_id, "boss@mina.example")
    assert (detail["before"], detail["after"], detail["shortfall"]) == ({"balance": 5}, {"balance": 12}, 0)
    assert (detail["asked"]["delta"], detail["asked"]["reason"]) == (7, "sorry for the wait")
    assert caller.pass_id not in str(detail)
    await edge.studio.check_books()


async def test_the_same_key_changes_nothing_again_and_with_other_input_it_is_refused(edge, admin):
    one, two = await edge.studio.person(matcha=5), await edge.studio.person(matcha=5)
    first = await payload(edge, admin, one.pass_id, 3, "key")
    again = await asyncio.gather(*(payload(edge, admin, one.pass_id, 3, "key") for _ in range(5)))
    assert {each["transaction"]["id"] for each in again} == {first["transaction"]["id"]}
    for pass_id, delta, reason in ((one.pass_id, 4, "a gift"), (two.pass_id, 3, "a gift"), (one.pass_id, 3, "another reason")):
        refused = await payload(edge, admin, pass_id, delta, "key", reason)
        assert refused["transaction"] is None
        assert refused["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED", "field": ["input", "idempotencyKey"]}]
    assert (await edge.studio.balance(one), await edge.studio.balance(two)) == (8, 5)
    assert len(await audits(edge)) == 1


async def test_never_more_is_taken_than_there_is_and_the_shortfall_is_on_record(edge, admin):
    caller = await edge.studio.person(matcha=5)
    taken = await payload(edge, admin, caller.pass_id, -8, "back")
    assert (taken["transaction"]["delta"], taken["pass"]["credits"]["balance"]) == (-5, 0)
    assert (await payload(edge, admin, caller.pass_id, -8, "back"))["transaction"]["delta"] == -5
    assert [detail["shortfall"] for _, detail in await audits(edge)] == [3]
    await edge.studio.check_books()


async def test_expired_matcha_is_written_off_before_an_adjustment(edge, admin):
    caller = await edge.studio.person(matcha=5)
    await edge.studio.expire(caller)
    await payload(edge, admin, caller.pass_id, 2)
    assert await edge.studio.entries(caller) == [("adjustment", 5), ("expiry", -5), ("adjustment", 2)]
    assert (await edge.studio.passes.find(caller.pass_id)).balance == 2


@pytest.mark.parametrize(
    ("days", "delta", "kept"), [(None, 4, False), (-1, 4, False), (3, 4, True), (90, 4, True), (3, -1, True)]
)
async def test_a_gift_lives_thirty_days_where_no_future_expiry_is_set_and_moves_none_that_is(edge, admin, days, delta, kept):
    """DESIGN section 5."""
    caller = await edge.studio.person(matcha=0)
    before = None if days is None else datetime.now(UTC) + timedelta(days=days)
    await edge.studio.sql.execute("update mega_customers set mg_expires_at = $2 where mg_pass_id = $1", caller.pass_id, before)
    asked_at = await edge.studio.sql.fetchval("select clock_timestamp()")
    await payload(edge, admin, caller.pass_id, delta)
    after = await expires(edge, caller)
    if kept:
        assert after == before
    else:
        assert (
            asked_at + timedelta(days=30)
            <= after
            <= await edge.studio.sql.fetchval("select clock_timestamp()") + timedelta(days=30)
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"delta": 0}, "delta"),
        ({"delta": 100_001}, "delta"),
        ({"delta": -100_001}, "delta"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"key": " "}, "idempotencyKey"),
        ({"key": "a b"}, "idempotencyKey"),
        ({"key": "march\n"}, "idempotencyKey"),
        ({"key": "x" * 101}, "idempotencyKey"),
    ],
)
async def test_an_adjustment_that_makes_no_sense_is_refused_with_the_field(edge, admin, change, field):
    caller = await edge.studio.person(matcha=5)
    refused = await payload(edge, admin, caller.pass_id, **{"delta": 1, **change})
    assert refused["userErrors"] == [{"code": "INVALID_INPUT", "field": ["input", field]}]
    assert await edge.studio.balance(caller) == 5
    assert await audits(edge) == []


async def test_without_its_audit_row_an_adjustment_has_not_happened(edge, admin):
    """The two are one transaction; and when the audit works again, the same key does it."""
    caller = await edge.studio.person(matcha=5)
    await edge.studio.sql.execute(
        """create function public.broken() returns trigger language plpgsql as $$ begin raise exception 'broken on purpose'; end $$;
        create trigger broken before insert on mega_admin for each row when (new.mg_action = 'credits.adjust') execute function public.broken()"""
    )
    answer = await adjust(edge, admin, caller.pass_id, 7, "march-1")
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "broken" not in str(answer)
    assert await edge.studio.entries(caller) == [("adjustment", 5)]
    assert await edge.studio.balance(caller) == 5
    await edge.studio.sql.execute("drop trigger broken on mega_admin")
    assert (await payload(edge, admin, caller.pass_id, 7, "march-1"))["pass"]["credits"]["balance"] == 12


async def test_a_refused_attempt_that_cannot_be_put_on_record_is_still_refused(edge):
    caller = await edge.studio.person(matcha=5)
    await edge.studio.sql.execute(
        """create function public.broken() returns trigger language plpgsql as $$ begin raise exception 'broken on purpose'; end $$;
        create trigger broken before insert on mega_admin for each row execute function public.broken()"""
    )
    answer = await adjust(edge, Who(caller.pass_id), caller.pass_id, 7)
    assert answer["errors"]
    assert await edge.studio.balance(caller) == 5


# ---------------------------------------------------------------- parity


async def test_parity_is_empty_while_the_books_are_right_and_names_every_pass_where_they_are_not(edge, admin):
    """C16: also of a Pass that was merged away."""
    studio = edge.studio
    people = [await studio.person(matcha=matcha) for matcha in (5, 6, 0)]
    gone = await studio.person(matcha=2)
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", gone.pass_id)
    assert (await edge.ask(admin, MISMATCHES))["data"]["admin"]["parity"]["mismatches"] == []
    plant = "update mega_customers set mg_credits = mg_credits + $2 where mg_pass_id = $1"
    for caller, more in ((people[0], 1), (people[2], 4), (gone, -1)):
        await studio.sql.execute(plant, caller.pass_id, more)
    found = (await edge.ask(admin, MISMATCHES))["data"]["admin"]["parity"]["mismatches"]
    assert {each["pass"]["id"]: (each["balance"], each["ledgerSum"]) for each in found} == {
        people[0].pass_id: (6, 5), people[2].pass_id: (4, 0), gone.pass_id: (1, 2)
    }  # fmt: skip


async def test_mina_parity_exits_with_1_where_one_balance_is_wrong(edge, tmp_path):
    caller = await edge.studio.person(matcha=5)
    dsn = edge.studio.mina.dsn
    well = await mina(tmp_path / "home", "parity", **external(dsn))
    assert well.code == 0, well.err
    await edge.studio.sql.execute("update mega_customers set mg_credits = 9 where mg_pass_id = $1", caller.pass_id)
    wrong = await mina(tmp_path / "home", "parity", **external(dsn))
    assert wrong.code == 1
    assert "balance 9, ledger 5" in wrong.out
    assert caller.pass_id not in wrong.out + wrong.err


async def test_a_balance_below_zero_is_refused_by_the_database_itself(edge):
    caller = await edge.studio.person()
    with pytest.raises(asyncpg.CheckViolationError):
        await edge.studio.sql.execute("update mega_customers set mg_credits = -1 where mg_pass_id = $1", caller.pass_id)


# ---------------------------------------------------------------- knobs


async def test_a_price_holds_from_the_next_order_on_and_stays_with_an_order_that_was_accepted(edge):
    """C3: quote, pricing and charge follow the knob; what was charged is what comes back."""
    studio = edge.studio
    caller = await studio.person(matcha=20)
    await studio.knobs(price_create=3)
    order = (await studio.orders.create(caller, BRIEF)).generation
    await studio.knobs(price_create=7, price_tweak=2, price_animate=9)
    read = "{ pricing { create tweak animate } create: quote(action: CREATE) { cost balance affordable shortBy } animate: quote(action: ANIMATE) { cost } }"
    assert (await edge.ask(Who(caller.pass_id), read))["data"] == {
        "pricing": {"create": 7, "tweak": 2, "animate": 9},
        "create": {"cost": 7, "balance": 17, "affordable": True, "shortBy": 0},
        "animate": {"cost": 9},
    }
    assert order.cost == 3
    await studio.mina.endings.fail(order.id, GenerationFailed("INTERNAL", "Sorry."), lease=None)
    await studio.orders.create(caller, replace(BRIEF, brief="Another."))
    assert await studio.entries(caller) == [("adjustment", 20), ("charge", -3), ("refund", 3), ("charge", -7)]


async def test_a_quote_of_too_little_or_expired_matcha_says_what_is_missing(edge):
    caller = await edge.studio.person(matcha=2)
    read = "{ quote(action: ANIMATE) { cost balance affordable shortBy } }"
    assert (await edge.ask(Who(caller.pass_id), read))["data"]["quote"] == {
        "cost": 5, "balance": 2, "affordable": False, "shortBy": 3
    }  # fmt: skip
    await edge.studio.expire(caller)
    assert (await edge.ask(Who(caller.pass_id), read))["data"]["quote"]["shortBy"] == 5


# ---------------------------------------------------------------- “I need matcha”

CREATE = """mutation { create(input: {brief: "A cup."}) { generation { id } userErrors {
  code ... on InsufficientMatcha { required balance checkoutUrl } } } }"""


@pytest.mark.parametrize("variant", ["42", None])
async def test_whoever_is_short_of_matcha_is_shown_the_way_to_the_shop(edge, variant):
    """C9, D13: a link with the shop and the pack, without the Pass; none where nothing can be bought by a link."""
    await edge.studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 50, "variantId": variant}})
    caller = await edge.studio.person()
    (error,) = (await edge.ask(Who(caller.pass_id), CREATE))["data"]["create"]["userErrors"]
    assert (error["code"], error["required"], error["balance"]) == ("INSUFFICIENT_MATCHA", 1, 0)
    if variant is None:
        assert error["checkoutUrl"] is None
        return
    assert error["checkoutUrl"].startswith(f"https://{SHOP}/cart/42:")
    assert caller.pass_id.rpartition(":")[2] not in error["checkoutUrl"]
    assert await edge.studio.entries(caller) == []
    assert (await edge.studio.counts()).get("generation") is None


async def test_matcha_bought_by_that_link_reaches_whoever_was_shown_it(edge):
    """D7: also when they have signed in, and their guest's Pass was merged away, meanwhile."""
    studio = edge.studio
    await studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 50, "variantId": "42"}})
    guest, token = await studio.person(), edge.token(email="late@mina.example")
    home = (await edge.arrive(Who(token=token)))["id"]
    (error,) = (await edge.ask(Who(guest.pass_id), CREATE))["data"]["create"]["userErrors"]
    reference = error["checkoutUrl"].rpartition("=")[2]
    assert (await edge.arrive(Who(guest.pass_id, token)))["id"] == home
    paid = {
        "id": 5001,
        "created_at": datetime.now(UTC).isoformat(),
        "financial_status": "paid",
        "note_attributes": [{"name": "mina_ref", "value": reference}],
        "line_items": [{"id": 50011, "sku": "MINA-50", "quantity": 3}],
    }
    assert tuple(await studio.mina.orders.receive("orders/paid", paid)) == (150, 0)
    assert (await caller_of(studio, None, guest.pass_id)).pass_id is None
    assert (await edge.arrive(Who(token=token)))["credits"]["balance"] == 150
    await studio.check_books()
