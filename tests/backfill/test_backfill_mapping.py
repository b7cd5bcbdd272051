"""What a legacy row becomes, without a database: the Pass ID rule, money, verdicts, addresses, whatever stands in the columns."""

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.backfill import (
    LegacyRow,
    admin_row,
    feedback_rows,
    generation_row,
    ledger_row,
    legacy_person,
    refs_of,
    session_row,
)
from mina_gql.domain.backfill.people import anonymous_pass_id
from mina_gql.domain.backfill.values import moment, row_id
from mina_gql.domain.passes import presented_pass_id

SECRET = b"a key of a test, as long as it has to be"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
USER = "11111111-1111-4111-8111-111111111111"
ULID = "pass_01J9ZX3T5K7M9P1Q3S5V7X9Z1B"


def row(table="customers", key="1", **columns) -> LegacyRow:
    return LegacyRow.read(table, key, orjson.dumps(columns).decode())


def pass_id(**columns) -> str:
    return legacy_person(row(**columns), SECRET).pass_id


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"shopify_customer_id": 123, "user_id": USER}, "pass:shopify:123"),
        ({"shopify_customer_id": "gid://shopify/Customer/123"}, "pass:shopify:123"),
        ({"shopifyCustomerId": "123"}, "pass:shopify:123"),
        ({"shopify_customer_id": "Anonymous", "user_id": USER.upper()}, f"pass:user:{USER}"),
        ({"shopify_customer_id": "", "user_id": "auth0|eve"}, "pass:user:auth0|eve"),
        ({"pass_id": ULID, "shopify_customer_id": "123"}, ULID),
        ({"id": "pass:anon:whatever"}, "pass:anon:whatever"),
    ],
)
def test_shopify_comes_before_user_before_anonymous(columns, expected):
    """A5, A6: the rule of seed 002, 0.1; a Pass ID that somebody holds is never taken from them."""
    assert pass_id(**columns) == expected


@pytest.mark.parametrize("nobody", [None, "", " ", "anonymous", "ANONYMOUS", "null", "undefined", "guest", 0])
def test_words_for_nobody_make_an_anonymous_pass_that_cannot_be_guessed(nobody):
    """A5: a uuid4, the same each time, another with another key."""
    columns = {"shopify_customer_id": nobody, "user_id": nobody, "pass_id": nobody}
    given_id = pass_id(**columns)
    assert UUID4.fullmatch(given_id.removeprefix("pass:anon:"))
    assert given_id == pass_id(**columns) != legacy_person(row(**columns), b"another key").pass_id
    assert given_id != legacy_person(row(key="2", **columns), SECRET).pass_id


def test_only_unlinked_passes_are_minted():
    """DESIGN 4: what a link proves is not proven by holding the id."""
    held = row(pass_id=ULID)
    assert legacy_person(held, SECRET).row(ULID, merged_into=None, shopify_id=None)["meta"]["minted"] is True
    for linked in ({"email": "a@b.c"}, {"user_id": USER}, {"deleted_at": "2024-01-01"}):
        person = legacy_person(row(pass_id=ULID, **linked), SECRET)
        assert "minted" not in person.row(ULID, merged_into=None, shopify_id=None)["meta"]
    assert "minted" not in legacy_person(held, SECRET).row(ULID, merged_into="pass:shopify:1", shopify_id=None)["meta"]


@pytest.mark.parametrize(
    ("credits", "balance", "noted"),
    [
        (5, 5, 0),
        ("7", 7, 0),
        (2.5, 3, 1),
        (-2.5, -3, 2),
        ("1,500", 0, 1),
        (None, 0, 0),
        ("lots", 0, 1),
        (1e300, 0, 1),
        (True, 0, 1),
    ],
)
def test_balances_become_whole_matcha_and_say_so(credits, balance, noted):
    """DB11: float money, words and nonsense."""
    person = legacy_person(row(credits=credits), SECRET)
    assert (person.balance, len(person.notes)) == (balance, noted)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"delta": 50, "reason": "shopify_order"}, (50, "purchase")),
        ({"delta": -50, "reason": "shopify_order"}, (-50, "clawback")),
        ({"amount": "-1", "reason": "image_generate"}, (-1, "charge")),
        ({"delta": 1, "reason": "refund: image"}, (1, "refund")),
        ({"delta": 3, "type": "welcome"}, (3, "grant")),
        ({"delta": -2, "reason": "expired"}, (-2, "expiry")),
        ({"delta": "NaN"}, (0, "adjustment")),
        ({}, (0, "adjustment")),
    ],
)
def test_changes_of_a_balance_say_why_in_our_words(columns, expected):
    """DB11: what was bought counts as bought at a merge, whatever it was called."""
    mapped = ledger_row(row("credit_transactions", **columns)).row
    assert (mapped["delta"], mapped["reason"]) == expected
    assert None not in (mapped["source"], mapped["ref_type"], mapped["ref_id"])


def test_an_order_keeps_its_number_and_no_id_of_ours():
    """DESIGN 5: a webhook of today knows it by mg_ref_id, and never by an id that we would have written."""
    mapped = ledger_row(
        row("credit_transactions", "shopify:1:2", delta=5, ref_type="order", ref_id="gid://shopify/Order/5551234567")
    ).row
    assert (mapped["ref_type"], mapped["ref_id"]) == ("shopify_order", "5551234567")
    assert re.fullmatch(r"credit_transaction:legacy-[0-9a-f]{64}", mapped["id"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"type": "image", "status": "succeeded", "output_url": "https://x.y/a.png"}, ("still", "done", "https://x.y/a.png")),
        ({"type": "Motion", "output_url": "https://x.y/a.mp4?token=1#t"}, ("video", "done", "https://x.y/a.mp4")),
        ({"output_url": "https://x.y/a.MP4"}, ("video", "done", "https://x.y/a.MP4")),
        ({"type": "text"}, ("still", "done", None)),
        ({"status": "processing"}, ("still", "error", None)),
        ({"status": "processing", "image_url": "https://x.y/a"}, ("still", "done", "https://x.y/a")),
        ({"status": "failed", "output_url": "https://x.y/a"}, ("still", "error", "https://x.y/a")),
        ({"output_url": "javascript:alert(1)"}, ("still", "done", None)),
        ({"output_url": "http://[broken"}, ("still", "done", None)),
    ],
)
def test_generations_have_ended_and_their_addresses_are_public(columns, expected):
    """DB11, seed 002 0.3: never a signed address, nothing under way."""
    mapped = generation_row(row("generations", **columns)).row
    assert (mapped["mma_mode"], mapped["mma_status"], mapped["output_url"]) == expected
    assert mapped["status"] == {"done": "succeeded", "error": "failed"}[mapped["mma_status"]]


@pytest.mark.parametrize(
    ("columns", "event", "value"),
    [
        ({"liked": True}, "like", True),
        ({"liked": "false"}, "like", False),
        ({}, "like", True),
        ({"comment": "Nice"}, "feedback", None),
        ({"comment": "Nice", "type": "like"}, "like", True),
        ({"reaction": "thumbs_down"}, "dislike", True),
        ({"rating": 5}, "like", True),
        ({"rating": 2}, "feedback", None),
        ({"action": "download"}, "download", None),
    ],
)
def test_feedback_is_heard_for_what_it_said(columns, event, value):
    """M7: the row as it was, and the event that taste reads."""
    kept, heard = feedback_rows(row("feedback", **columns), "generation:g", "Soft light on travertine")
    assert (heard["meta"]["event_type"], heard["meta"]["payload"].get("value")) == (event, value)
    assert ("tags" in heard["meta"]["payload"]) is (event != "feedback" and value is not False)
    assert (kept["generation_id"], heard["generation_id"]) == ("g", "g")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-03-01 10:00:00.123456", "2024-03-01T10:00:00.123456+00:00"),
        ("2024-03-01T10:00:00+04:00", "2024-03-01T06:00:00+00:00"),
        (1709287200, "2024-03-01T10:00:00+00:00"),
        ("1709287200000", "2024-03-01T10:00:00+00:00"),
        ("infinity", None),
        ("yesterday", None),
        (10**30, None),
        (True, None),
        (None, None),
    ],
)
def test_moments_are_read_in_every_spelling(value, expected):
    """DB15: UTC; a time without a zone is UTC."""
    assert moment(value) == expected


def test_ids_are_namespaced_and_name_no_pass():
    """DB7, DESIGN 4: a Pass ID stands in no other row's id."""
    assert row_id("session", "s-1") == "session:s-1"
    for key in ("pass:shopify:1", f"x{ULID}", "a" * 201, "line\nbreak"):
        assert re.fullmatch(r"session:legacy-[0-9a-f]{64}", row_id("session", key))


def test_a_raw_admin_token_is_hashed_in_the_original_too():
    """P8."""
    mapped = admin_row(row("admin_sessions", "raw token", session_hash="raw token", email="a@b.c"), "admin_session").row
    assert b"raw token" not in orjson.dumps(mapped)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
COLUMNS = [
    "id",
    "shopify_customer_id",
    "user_id",
    "pass_id",
    "customer_id",
    "email",
    "credits",
    "expires_at",
    "delta",
    "amount",
    "reason",
    "ref_id",
    "ref_type",
    "type",
    "status",
    "output_url",
    "image_url",
    "meta",
    "created_at",
    "deleted_at",
    "session_id",
    "generation_id",
    "comment",
    "liked",
    "rating",
    "prompt",
    "latency_ms",
    "value",
    "key",
    "flat",
    "detail",
    "extra",
]


@given(st.dictionaries(st.sampled_from(COLUMNS), json_values, max_size=12), st.text(max_size=250))
def test_no_row_breaks_the_mapping(columns, key):
    """DB11: whatever a column holds, a row comes out that the tables can take: no NUL, ids in their namespace, one original."""
    import json

    text = json.dumps(columns)
    legacy = LegacyRow.read("generations", key, text)
    person = legacy_person(legacy, SECRET)
    assert presented_pass_id(person.pass_id) == person.pass_id
    rows = [
        session_row(legacy).row, generation_row(legacy).row, ledger_row(legacy).row, *feedback_rows(legacy, refs_of(legacy).generation, None),
        *(admin_row(legacy, kind).row for kind in ("admin_session", "admin_audit", "profile", "runtime_config", "app_config")),
        person.row(person.pass_id, merged_into=None, shopify_id=person.shopify_id),
    ]  # fmt: skip
    for each in rows:
        assert b"\\u0000" not in orjson.dumps({name: value for name, value in each.items() if name != "payload"})
        assert each.get("id", "").startswith(each.get("record_type", ""))
    assert -(10**7) <= rows[2]["delta"] <= 10**7


def test_anonymous_ids_are_the_same_each_time():
    """DB11: a run that goes on gives nobody a second Pass."""
    assert anonymous_pass_id("row:1", SECRET) == anonymous_pass_id("row:1", SECRET)
