"""Who one is, visits, matcha, pictures, feedback, history: shapes of the seeds to the letter, and what is refused (seeds 003, 000)."""

import json
import re
from typing import Any

import pytest

from tests.adapters.remote_world import HOST, answer, internet
from tests.rest.rest_house import Guest, House
from tests.studio import picture_bytes

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


# ---------------------------------------------------------------- identity


async def test_me_mints_a_pass_and_resumes_it(house: House) -> None:
    """FEATURES A2, A4, C2, N6; seed 003, 1.1."""
    first = await Guest(house).get("/me")
    assert first.status == 200
    assert list(first.json) == ["passId", "email", "credits", "expiresAt", "lastActive"]
    pass_id = first.json["passId"]
    assert re.fullmatch(f"pass:anon:{UUID}", pass_id)
    assert first.headers["X-Mina-Pass-Id"] == pass_id
    assert first.headers["Cache-Control"] == "no-store"
    assert (first.json["email"], first.json["credits"], first.json["expiresAt"]) == (None, 0, None)
    assert MOMENT.fullmatch(first.json["lastActive"])
    again = await Guest(house, pass_id).get("/me")
    assert again.json["passId"] == pass_id
    assert await house.studio.sql.fetchval("select count(*) from mega_customers") == 1
    assert (await Guest(house).get("/me")).json["passId"] != pass_id


async def test_me_never_adopts_what_a_client_made_up(house: House) -> None:
    """FEATURES A9, A10, A18."""
    for made_up in ("pass:anon:00000000-0000-4000-8000-000000000000", "pass:shopify:123", "anonymous", "null"):
        assert (await Guest(house, made_up).get("/me")).json["passId"] != made_up


async def test_a_login_is_linked_to_the_pass_that_came_with_it(house: House) -> None:
    """FEATURES A7; seed 000: a login makes no new Pass."""
    guest = await house.guest(3)
    guest.token = house.token()
    me = (await guest.get("/me")).json
    assert (me["passId"], me["email"], me["credits"]) == (guest.pass_id, "ada@example.com", 3)
    assert MOMENT.fullmatch(me["expiresAt"])
    guest.token = None
    assert (await guest.get("/credits/balance")).error == (401, "UNAUTHENTICATED")


async def test_a_bad_token_is_no_anonymous_visit(house: House) -> None:
    """FEATURES A14."""
    guest = await house.guest()
    guest.token = "nonsense"
    for path in ("/me", "/credits/balance", "/history"):
        assert (await guest.get(path)).error == (401, "UNAUTHENTICATED")
    guest.token = "null"
    assert (await guest.get("/credits/balance")).status == 200


PERSONAL = [
    ("POST", "/sessions/start"),
    ("GET", "/credits/balance"),
    ("GET", "/history"),
    ("POST", "/api/r2/upload-signed"),
    ("POST", "/api/r2/store-remote-signed"),
    ("POST", "/store-remote-generation"),
    ("POST", "/editorial/generate"),
    ("POST", "/feedback/like"),
    ("POST", "/motion/suggest"),
    ("POST", "/motion/generate"),
    ("POST", "/auth/shopify-sync"),
    ("GET", "/generations/x"),
    ("GET", "/generations/x/stream"),
]


@pytest.mark.parametrize(("method", "path"), PERSONAL)
async def test_what_is_somebody_s_needs_a_proven_pass(house: House, method: str, path: str) -> None:
    """FEATURES A1, A18: an id in the body is no identity, and nobody shares one."""
    owner = await house.guest(5)
    body = {"customerId": owner.pass_id, "passId": owner.pass_id} if method == "POST" else None
    said = await Guest(house).send(method, path, json=body)
    assert said.error == (401, "UNAUTHENTICATED")
    assert "GET /me" in said.json["error"]["message"]


async def test_ids_of_customers_in_a_body_are_ignored(house: House) -> None:
    """FEATURES A1: what is made is the caller's, whoever the body names."""
    owner, other = await house.guest(5), await house.guest(5)
    made = await owner.still(customerId=other.pass_id, passId=other.pass_id)
    assert made["creditsAfter"] == 4
    assert (await other.get("/history")).json["items"] == []


async def test_a_disabled_account_may_only_look(house: House) -> None:
    """FEATURES A17."""
    guest = await house.guest(5)
    await house.studio.sql.execute("update mega_customers set mg_disabled = true")
    assert (await guest.get("/credits/balance")).json["credits"] == 5
    assert (await guest.post("/editorial/generate", {"brief": "A cup."})).error == (403, "ACCOUNT_DISABLED")
    assert (await guest.post("/sessions/start")).error == (403, "ACCOUNT_DISABLED")


async def test_shopify_sync_links_and_tells_no_identity(house: House) -> None:
    """FEATURES A19; seed 000: an attribute, no identity."""
    guest = await house.guest()
    assert (await guest.post("/auth/shopify-sync", {"shopifyCustomerId": "77"})).error == (403, "VERIFICATION_REQUIRED")
    guest.token = house.token()
    await guest.get("/me")
    said = await guest.post("/auth/shopify-sync", {"shopifyCustomerId": "gid://shopify/Customer/77", "email": "x@example.com"})
    assert (said.status, said.json) == (200, {"ok": True})
    row = await house.studio.sql.fetchrow("select * from mega_customers where mg_pass_id = $1", guest.pass_id)
    assert (row["mg_shopify_customer_id"], row["mg_email"]) == ("77", "ada@example.com")
    other = Guest(house, token=house.token("bob@example.com"))
    await other.get("/me")
    assert (await other.post("/auth/shopify-sync", {"shopifyCustomerId": 77})).error == (409, "CONFLICT")


# ---------------------------------------------------------------- sessions and matcha


async def test_a_session_is_started_as_the_seed_says(house: House) -> None:
    """FEATURES B1, B4; seed 003, 2.1."""
    guest = await house.guest()
    body = {"platform": "web", "clientVersion": "3.0.0", "meta": {"timezone": "Asia/Dubai"}}
    said = await guest.post("/sessions/start", body)
    assert list(said.json) == ["sessionId"]
    assert re.fullmatch(f"sess_{UUID}", said.json["sessionId"])
    row = await house.studio.sql.fetchrow("select * from mega_generations where mg_record_type = 'session'")
    assert row["mg_id"] == f"session:{said.json['sessionId']}"
    assert (row["mg_pass_id"], row["mg_platform"], row["mg_client_version"]) == (guest.pass_id, "web", "3.0.0")
    assert (await guest.post("/sessions/start", {"sessionId": said.json["sessionId"]})).json == said.json


async def test_the_balance_is_told_as_the_seed_says(house: House) -> None:
    """FEATURES C2; seed 003, 3.1."""
    guest = await house.guest(12)
    said = (await guest.get("/credits/balance")).json
    assert list(said) == ["credits", "expiresAt"]
    assert said["credits"] == 12
    assert MOMENT.fullmatch(said["expiresAt"])
    assert (await (await house.guest()).get("/credits/balance")).json == {"credits": 0, "expiresAt": None}


# ---------------------------------------------------------------- pictures


async def test_an_upload_is_signed_and_can_be_used(house: House) -> None:
    """FEATURES E1; seed 003, 5.A: sent with its type, used by its public address."""
    guest = await house.guest(5)
    asked = {"contentType": "image/png", "fileName": "product.png", "folder": "user_uploads", "bytes": 75}
    signed = (await guest.post("/api/r2/upload-signed", asked)).json
    assert list(signed) == ["uploadUrl", "publicUrl", "key", "expiresInSec"]
    assert signed["expiresInSec"] == 600
    assert re.fullmatch(r"user_uploads/[0-9a-f]{32}/[0-9a-f]{32}\.png", signed["key"])
    assert signed["publicUrl"].endswith(signed["key"])
    made = await guest.still(assets={"productImageUrl": await guest.uploaded(), "inspirationUrls": [await guest.uploaded()]})
    vars_ = json.loads(
        await house.studio.sql.fetchval(
            "select mg_mma_vars from mega_generations where mg_id = $1", f"generation:{made['generationId']}"
        )
    )
    assert len(vars_["assets"]["inspiration_image_urls"]) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"contentType": "text/html", "fileName": "a", "bytes": 5}, "JPEG"),
        ({"contentType": "image/png", "fileName": "a", "bytes": 26 * 1024 * 1024}, "25 MB"),
        ({"contentType": "image/png", "fileName": "a", "bytes": 0}, "25 MB"),
        ({"contentType": "image/png"}, "`fileName` is missing."),
        ({"contentType": "image/png", "fileName": "a", "bytes": 5, "folder": "../secrets"}, "`folder` should be 'user_uploads'."),
    ],
)
async def test_an_upload_that_cannot_be_is_refused(house: House, body: Any, says: str) -> None:
    """FEATURES E8, E10."""
    said = await (await house.guest()).post("/api/r2/upload-signed", body)
    assert said.error == (400, "INVALID_INPUT")
    assert says in said.json["error"]["message"]


async def test_the_seeds_own_body_signs_an_upload_that_comes_to_us(house: House) -> None:
    """Seed 003, 5.A word for word: it names no length, so the bytes are counted as they come."""
    guest = await house.guest(1)
    asked = {"contentType": "image/png", "fileName": "product.png", "folder": "user_uploads"}
    signed = (await guest.post("/api/r2/upload-signed", asked)).json
    async with house.http.put(signed["uploadUrl"], data=picture_bytes("PNG"), headers={"Content-Type": "image/png"}) as answer:
        assert answer.status == 204
    made = await guest.still(assets={"productImageUrl": signed["publicUrl"]})
    assert made["status"] == "done"


async def test_pictures_from_elsewhere_are_kept(house: House, tmp_path_factory) -> None:
    """FEATURES E2, E3; seed 003, 5.B and 5.C."""
    guest = await house.guest()
    url = f"https://{HOST}/p.png"
    async with internet(tmp_path_factory.mktemp("internet")) as world:
        house.studio.assets._remote = world.fetcher()
        world.answers["/p.png"] = answer(picture_bytes("PNG"), content_type="image/png")
        stored = (await guest.post("/api/r2/store-remote-signed", {"sourceUrl": url, "folder": "user_uploads"})).json
        assert list(stored) == ["publicUrl", "key"]
        assert stored["key"].startswith("user_uploads/")
        older = (await guest.post("/store-remote-generation", {"url": url, "type": "image"})).json
        assert list(older) == ["publicUrl"]
        assert "/generations/" in older["publicUrl"]
    refused = await guest.post("/api/r2/store-remote-signed", {"sourceUrl": "http://127.0.0.1/p.png"})
    assert refused.error == (400, "REMOTE_FETCH_REFUSED")


# ---------------------------------------------------------------- feedback


async def test_every_kind_of_feedback_is_an_event(house: House) -> None:
    """FEATURES M1 to M4; seed 003, 7.1, 7.2 and 9: makes nothing, costs nothing."""
    guest = await house.guest(2)
    about = {"generationId": (await guest.still())["generationId"], "context": "studio_right_panel"}
    said = [
        ({"value": True}, "like"),
        ({"value": False}, "like"),
        ({"event": "dislike"}, "dislike"),
        ({"event": "download"}, "download"),
        ({"event": "feedback", "text": "Nice but too fast."}, "feedback"),
    ]
    for body, _ in said:
        answered = await guest.post("/feedback/like", {**about, **body})
        assert (answered.status, answered.json) == (200, {"ok": True})
    rows = await house.studio.sql.fetch(
        "select mg_meta ->> 'event_type' as type, mg_meta #>> '{payload,value}' as value, mg_meta #>> '{payload,context}' as place, "
        "mg_meta #>> '{payload,text}' as text from mega_generations where mg_record_type = 'mma_event' order by mg_created_at"
    )
    told = [row for row in rows if row["type"] != "create"]
    assert [row["type"] for row in told] == [kind for _, kind in said]
    assert [row["value"] for row in told[:3]] == ["true", "false", "true"]
    assert {row["place"] for row in told} == {"studio_right_panel"}
    assert told[-1]["text"] == "Nice but too fast."
    assert (await guest.get("/credits/balance")).json["credits"] == 1
    assert (await house.studio.counts())["generation"] == 1


async def test_feedback_is_refused_for_what_is_somebody_else_s(house: House) -> None:
    """FEATURES M6: and for events nobody knows."""
    owner, other = await house.guest(2), await house.guest()
    about = {"generationId": (await owner.still())["generationId"]}
    assert (await other.post("/feedback/like", about)).error == (404, "NOT_FOUND")
    assert (await owner.post("/feedback/like", {**about, "event": "share"})).error == (400, "INVALID_INPUT")
    assert (await owner.post("/feedback/like", {**about, "event": "feedback"})).error == (400, "INVALID_INPUT")
    assert (await owner.post("/feedback/like", {**about, "value": "true"})).error == (400, "INVALID_INPUT")


# ---------------------------------------------------------------- history


async def test_history_is_paged_newest_first(house: House) -> None:
    """FEATURES N1; seed 003, 10.1: nothing twice and nothing skipped while new ones arrive."""
    guest = await house.guest(9)
    made = [(await guest.still())["generationId"] for _ in range(5)]
    clip = (
        await guest.post("/motion/generate", {"inputStillUrl": (await guest.get("/history")).json["items"][0]["outputUrl"]})
    ).status
    assert clip == 402
    seen, cursor = [], ""
    while cursor is not None:
        page = (await guest.get(f"/history?limit=2&cursor={cursor}")).json
        assert list(page) == ["items", "nextCursor"]
        seen += page["items"]
        cursor = page["nextCursor"]
        if len(seen) == 2:
            await guest.still()
    assert [item["generationId"] for item in seen] == made[::-1]
    assert all(list(item) == ["generationId", "type", "outputUrl", "createdAt"] for item in seen)
    assert {item["type"] for item in seen} == {"image"}
    assert all(MOMENT.fullmatch(item["createdAt"]) and item["outputUrl"] for item in seen)


async def test_history_names_clips_motion_and_leaves_out_what_failed(house: House) -> None:
    """Seed 003, 10.1: an item is something to look at."""
    guest = await house.guest(9)
    still = await guest.still()
    await guest.post("/motion/generate", {"inputStillUrl": still["outputUrl"]})
    house.models.conscience.flags = lambda _: ["violence"]
    assert (await guest.post("/editorial/generate", {"brief": "A cup."})).status == 422
    items = (await guest.get("/history")).json["items"]
    assert [item["type"] for item in items] == ["motion", "image"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=nonsense"])
async def test_history_refuses_pages_that_cannot_be(house: House, query: str) -> None:
    assert (await (await house.guest()).get(f"/history?{query}")).error == (400, "INVALID_INPUT")


async def test_history_by_pass_is_for_admins_and_keeps_the_pass_out_of_the_audit(house: House) -> None:
    """FEATURES N5, A20, P7; seed 003, 10.2."""
    owner, other = await house.guest(2), await house.guest()
    made = await owner.still()
    path = f"/history/pass/{owner.pass_id}"
    assert [item["generationId"] for item in (await house.admin().get(path)).json["items"]] == [made["generationId"]]
    for stranger in (other, owner, Guest(house), Guest(house, token=house.token())):
        assert (await stranger.get(path)).error == (403, "FORBIDDEN")
    rows = await house.studio.sql.fetch(
        "select * from mega_admin where mg_record_type = 'admin_audit' and mg_action like 'refused%'"
    )
    assert len(rows) == 4
    assert {(row["mg_route"], row["mg_method"], row["mg_status"]) for row in rows} == {("/history/pass/{passId}", "GET", 403)}
    assert not any(owner.pass_id in str(row["mg_action"]) + str(row["mg_detail"]) for row in rows)
    assert (await house.admin().get("/history/pass/pass:anon:nobody")).error == (404, "NOT_FOUND")
