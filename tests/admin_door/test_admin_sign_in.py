"""P8 and P10: the admins' door. Who comes in, what the cookie opens and what it does not, and what a stranger sees: nothing."""

import asyncio
import html
import json
import re
from urllib.parse import unquote

import aiohttp
import pytest
from yarl import URL

from mina_gql.adapters.rates import MemoryRates
from mina_gql.api.admin_cookie import AdminCookie
from mina_gql.domain.passes import Login
from mina_gql.mega.database import DatabaseAway
from mina_gql.services.admin_sessions import NOT_AN_ADMIN, SignedIn
from tests.admin_door.door import ANN, PAGE, STUDIO_PAGES, Door, door_of, stranger_s_secret
from tests.identity.edge import edge_on

LOOK = "{ admin { parity { mismatches { balance } } } }"
SEEN = {"data": {"admin": {"parity": {"mismatches": []}}}}
INTROSPECT = "{ __schema { queryType { name } } }"
CHANGES = "subscription { creditsChanged { id } }"


# ---------------------------------------------------------------- who comes in


async def test_an_admin_s_token_opens_graphiql_and_the_admin_s_operations(door: Door):
    status, _ = await door.knock(door.token())
    assert status == 303
    async with door.http.get("/graphql", headers=PAGE) as page:
        text = await page.text()
        assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
    config = json.loads(re.search(r'id="config">(.*?)</script>', text)[1])
    assert (config["admin"], config["endpoint"]) == (ANN, "/graphql")
    assert "WhatHappened" in config["tour"][0]["query"]
    assert await door.ask(LOOK) == SEEN


async def test_a_token_may_be_pasted_as_it_was_copied(door: Door):
    token = door.token()
    half = len(token) // 2
    status, _ = await door.knock(f' "Bearer {token[:half]}\r\n{token[half:]}" ')
    assert status == 303


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ({"admin": False}, 403, NOT_AN_ADMIN),
        ({"is_anonymous": True}, 403, NOT_AN_ADMIN),
        ({"seconds": -60}, 401, "Your sign-in has expired. Sign in again."),
        ({"seconds": -5}, 401, "Your sign-in has expired. Sign in again."),  # within the leeway of other requests
        ({"iss": "https://evil.example/auth/v1"}, 401, "This sign-in does not hold. Sign in again."),
    ],
    ids=["no admin", "anonymous", "expired", "expiring", "forged"],
)
async def test_who_is_refused_is_told_plainly_and_written_down(door: Door, claims, status, words):
    answered, page = await door.knock(door.token(**claims))
    assert answered == status
    assert f'role="alert">{html.escape(words)}</p>' in page
    (row,) = await door.audited("admin.sign_in_refused")
    assert (row["mg_status"], row["mg_route"], row["mg_method"], row["mg_ip"]) == (status, "/admin/sign-in", "POST", "127.0.0.1")
    known = ANN if claims in ({"admin": False}, {"seconds": -5}) else None  # what does not hold says nothing of anybody
    assert row["mg_email"] == known
    assert door.cookie == ""
    assert await door.sessions() == []


async def test_nonsense_is_told_as_such_and_nothing_of_it_is_shown(door: Door):
    assert "Paste your access token first." in (await door.knock("  "))[1]
    status, page = await door.knock("<script>alert(1)</script>")
    assert status == 401
    assert "alert(1)" not in page
    assert (await door.knock("x" * 40_000))[0] == 400


async def test_an_address_may_try_ten_times_a_minute(door: Door):
    door.edge.studio.admin_sessions._rates = MemoryRates()
    assert [(await door.knock("a.b.c"))[0] for _ in range(11)] == [401] * 10 + [429]
    assert len(await door.audited("admin.sign_in_refused")) == 10
    assert (await door.knock(door.token()))[0] == 429


@pytest.mark.parametrize("origin", [STUDIO_PAGES, "https://evil.example", "null"])
async def test_no_page_elsewhere_signs_anybody_in_or_out(door: Door, origin: str):
    assert (await door.knock(door.token(), Origin=origin))[0] == 403
    assert await door.sessions() == []
    await door.sign_in()
    async with door.http.post("/admin/sign-out", headers={"Origin": origin}) as answer:
        assert answer.status == 403
    async with door.http.post("/admin/sign-out") as answer:
        assert answer.status == 403
    assert await door.ask(LOOK) == SEEN


# ---------------------------------------------------------------- the cookie


async def test_the_cookie_is_for_this_host_s_own_pages_and_out_of_reach_of_scripts(door: Door):
    said = {"Origin": door.origin}
    async with door.http.post(
        "/admin/sign-in", data={"token": door.token(seconds=600)}, headers=said, allow_redirects=False
    ) as answer:
        (cookie,) = answer.headers.getall("Set-Cookie")
    facts = [part.strip().lower() for part in cookie.split(";")]
    assert {"httponly", "samesite=strict", "path=/"} < set(facts)
    assert not any(fact.startswith("domain") for fact in facts)
    (seconds,) = [int(fact.removeprefix("max-age=")) for fact in facts if fact.startswith("max-age=")]
    assert 590 <= seconds <= 600
    assert len(unquote(door.cookie)) == 43  # 256 bits


async def test_where_it_is_https_the_cookie_is_secure_and_bound_to_the_host(door: Door):
    from starlette.responses import Response

    response = Response()
    cookie = AdminCookie(door.edge.studio.admin_sessions, "https://api.studio.example")
    cookie.give(response, SignedIn("s", Login("u", None, False, False, False, None, True, 1e12)))
    given = response.headers["set-cookie"]
    assert given.startswith("__Host-mina-admin=s;")
    assert "; Secure" in given
    assert "Path=/;" in given


@pytest.mark.parametrize(
    ("headers", "mean_it"),
    [({}, False), ({"Origin": STUDIO_PAGES}, True), ({"X-Mina-Admin": "0"}, False)],
    ids=["no header", "a page that may call us", "another word"],
)
async def test_the_cookie_alone_is_nobody(door: Door, headers, mean_it):
    await door.sign_in()
    assert await door.code(LOOK, mean_it=mean_it, **headers) in {"FORBIDDEN", "UNAUTHENTICATED"}
    assert await door.code(INTROSPECT, mean_it=mean_it, **headers) in {"GRAPHQL_VALIDATION_FAILED", "UNAUTHENTICATED"}


async def test_without_an_origin_the_cookie_is_nobody(door: Door):
    await door.sign_in()
    async with door.http.post("/graphql", json={"query": LOOK}, headers={"X-Mina-Admin": "1"}) as answer:
        assert (await answer.json(content_type=None))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_no_page_elsewhere_may_ask_a_browser_for_the_header(door: Door):
    asked = {"Origin": STUDIO_PAGES, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-mina-admin"}
    async with door.http.options("/graphql", headers=asked) as answer:
        assert "x-mina-admin" not in answer.headers["Access-Control-Allow-Headers"].lower()
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_token_in_the_request_goes_before_the_cookie(door: Door):
    await door.sign_in()
    assert await door.code(LOOK, Authorization=f"Bearer {door.token(admin=False)}") == "FORBIDDEN"


@pytest.mark.parametrize("secret", ["", "short", stranger_s_secret(), "x" * 5_000], ids=["none", "short", "unknown", "long"])
async def test_a_made_up_cookie_is_told_to_sign_in(door: Door, secret: str):
    async with door.stranger() as browser:
        said = {"Cookie": f"mina-admin={secret}", "Origin": door.origin, "X-Mina-Admin": "1"}
        async with browser.post("/graphql", json={"query": LOOK}, headers=said) as answer:
            assert (await answer.json(content_type=None))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        async with browser.get("/graphql", headers={**PAGE, **said}, allow_redirects=False) as page:
            assert (page.status, page.headers["Location"]) == (303, "/admin/sign-in")


async def test_the_hash_in_the_row_opens_nothing(door: Door):
    await door.sign_in()
    (row,) = await door.sessions()
    async with door.stranger() as browser:
        for known in (row["mg_session_hash"], row["mg_session_hash"][:43], row["mg_id"]):
            said = {"Cookie": f"mina-admin={known}", "Origin": door.origin, "X-Mina-Admin": "1"}
            async with browser.post("/graphql", json={"query": LOOK}, headers=said) as answer:
                assert (await answer.json(content_type=None))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


# ---------------------------------------------------------------- the end


async def test_signing_out_ends_it_for_whoever_kept_the_cookie(door: Door):
    kept = await door.sign_in()
    assert await door.ask(LOOK) == SEEN
    await door.sign_out()
    assert door.cookie == ""
    said = {"Cookie": f"mina-admin={kept}", "Origin": door.origin}
    async with door.stranger() as browser:
        async with browser.post("/graphql", json={"query": LOOK}, headers={**said, "X-Mina-Admin": "1"}) as answer:
            assert (await answer.json(content_type=None))["errors"][0][
                "message"
            ] == "Your admin session has ended. Sign in again."
        async with browser.get("/graphql", headers={**said, **PAGE}, allow_redirects=False) as page:
            assert page.status == 303


async def test_signing_in_again_ends_the_session_before(door: Door):
    first = await door.sign_in()
    assert await door.sign_in() != first
    ended = ["ended_at" in json.loads(row["mg_meta"]) for row in await door.sessions()]
    assert ended == [True, False]


async def test_a_session_ends_with_its_token(door: Door):
    await door.sign_in(seconds=2)
    async with door.socket(**{"x-mina-admin": "1"}) as ws:
        assert (await ws.receive_json())["type"] == "connection_ack"
        await ws.receive(timeout=30)
        assert ws.close_code == 4403
    assert "errors" in await door.ask(LOOK)


# ---------------------------------------------------------------- sockets and streams


async def test_a_socket_of_our_page_is_the_admin_s_until_they_sign_out(door: Door):
    await door.sign_in()
    async with door.socket(**{"x-mina-admin": "1"}) as ws:
        assert (await ws.receive_json())["type"] == "connection_ack"
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": LOOK}})
        assert (await ws.receive_json())["payload"] == SEEN
        assert (await ws.receive_json())["type"] == "complete"
        await door.sign_out()
        await ws.receive(timeout=30)
        assert ws.close_code == 4403


async def test_a_socket_with_the_cookie_alone_is_nobody_s(door: Door):
    await door.sign_in()
    async with door.socket() as ws:
        assert (await ws.receive_json())["type"] == "connection_ack"
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": LOOK}})
        assert (await ws.receive_json())["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_socket_from_another_page_is_never_the_admin_s(door: Door):
    await door.sign_in()
    async with door.socket(STUDIO_PAGES, **{"x-mina-admin": "1"}) as ws:
        await ws.receive(timeout=30)
        assert ws.close_code == 4403
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with door.socket("https://evil.example", **{"x-mina-admin": "1"}):
            pass


async def test_a_stream_ends_when_its_admin_signs_out(door: Door):
    await door.sign_in()
    assert "errors" not in await door.ask("mutation { ensurePass { pass { id } } }")  # the admin's own Pass, to follow
    said = {"Origin": door.origin, "Accept": "text/event-stream", "X-Mina-Admin": "1"}
    async with door.http.post("/graphql", json={"query": CHANGES}, headers=said) as answer:
        assert await answer.content.readline() == b"event: next\n"
        await door.sign_out()
        async with asyncio.timeout(30):
            rest = await answer.content.read()
    assert b"event: complete" not in rest


# ---------------------------------------------------------------- what a stranger sees


async def test_a_stranger_sees_neither_graphiql_nor_the_schema(door: Door):
    async with door.stranger() as browser:
        async with browser.get("/graphql", headers=PAGE) as page:
            text = await page.text()
            assert (page.status, page.url.path) == (200, "/admin/sign-in")
        for file in ("mina.js", "mina.css", "vendor/graphiql.min.js", "./mina.js", "vendor/../mina.js", "//mina.js"):
            async with browser.get(URL(f"{door.origin}/graphiql/{file}", encoded=True)) as got:
                assert got.status == 404, file
    assert "Access token" in text
    assert "script" not in text
    assert "query" not in text
    refused = (await door.ask(INTROSPECT, mean_it=False))["errors"][0]
    assert refused["message"] == "The schema is shown to admins only."
    assert refused["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


HIDDEN = [
    '{ __type(name: "Query") { fields { name } } }',
    "query A { me { id } ...F } fragment F on Query { schema: __schema { types { name } } }",
    "{ me { id } ... @include(if: true) { __schema { types { name } } } }",
]


@pytest.mark.parametrize("query", HIDDEN)
async def test_no_way_round_leads_to_the_schema(door: Door, query: str):
    assert await door.code(query, mean_it=False) == "GRAPHQL_VALIDATION_FAILED"
    assert (await door.ask("{ __typename }", mean_it=False))["data"] == {"__typename": "Query"}


async def test_what_an_admin_asked_for_is_not_shown_to_the_next_one(door: Door):
    """Documents are kept by their text, and who may see the schema is asked each time."""
    await door.sign_in()
    for _ in range(2):
        assert (await door.ask(INTROSPECT))["data"]["__schema"] == {"queryType": {"name": "Query"}}
        assert await door.code(INTROSPECT, mean_it=False) == "GRAPHQL_VALIDATION_FAILED"
    assert "data" in await door.ask(INTROSPECT, mean_it=False, Authorization=f"Bearer {door.token()}")
    assert await door.code(INTROSPECT, mean_it=False, Authorization="Bearer a.b.c") == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "query",
    [
        "{ pricin { create } }",
        "{ quote(action: CREAT) { cost } }",
        "{ pricing { packs { skuu } } }",
        "{ quote(actio: CREATE) { cost } }",
    ],
)
async def test_errors_hint_at_the_schema_for_admins_only(door: Door, query: str):
    for _ in range(2):
        told = (await door.ask(query, mean_it=False))["errors"][0]
        assert told["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert "Did you mean" not in told["message"]
        if not door.cookie:
            await door.sign_in()
        assert "Did you mean" in (await door.ask(query))["errors"][0]["message"]


async def test_values_hint_at_nothing(door: Door):
    query = {"query": "query ($a: BillableAction!) { quote(action: $a) { cost } }", "variables": {"a": "CREAT"}}
    async with door.http.post("/graphql", json=query) as answer:
        (error,) = (await answer.json())["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "CREATE" not in error["message"]


async def test_a_socket_shows_a_stranger_no_schema(door: Door):
    async with door.socket() as ws:
        assert (await ws.receive_json())["type"] == "connection_ack"
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": INTROSPECT}})
        refused = await ws.receive_json()
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "GRAPHQL_VALIDATION_FAILED")


async def test_pages_run_nothing_foreign_and_are_not_kept(door: Door):
    async with door.http.get("/admin/sign-in") as page:
        headers = page.headers
        files = re.findall(r'href="(/graphiql/[^"]+)"', await page.text())
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["form-action"], policy["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert len(files) == 2
    for file in files:
        async with door.http.get(file) as got:
            assert (got.status, "immutable" in got.headers["Cache-Control"]) == (200, True)


async def test_who_came_by_a_link_and_is_signed_in_needs_no_token(door: Door):
    """SameSite=Strict: the first page that another site's link leads to comes without the cookie."""
    async with door.http.get("/admin/sign-in", headers={"Sec-Fetch-Site": "cross-site"}) as page:
        assert '<a href="/graphql">' in await page.text()
    async with door.http.get("/admin/sign-in") as page:
        assert "<a " not in await page.text()


async def test_while_the_database_is_away_the_door_says_so(door: Door, monkeypatch):
    def away():
        raise DatabaseAway("gone")

    monkeypatch.setattr(door.edge.studio.mina.database, "begin", away)
    status, page = await door.knock(door.token())
    assert (status, "does not work right now" in page) == (503, True)


async def test_the_embedded_default_stays_open_and_has_a_door_too(postgres, seeded, tmp_path):
    dsn = await postgres.create_database(seeded)
    async with edge_on(tmp_path, dsn) as edge:
        embedded = edge.studio.mina.settings.model_copy(update={"database_url": None})
        object.__setattr__(edge.studio.mina, "settings", embedded)
        async with door_of(edge) as door:
            async with door.http.get("/graphql", headers=PAGE) as page:
                assert "StartHere" in await page.text()
            assert "data" in await door.ask(INTROSPECT, mean_it=False)
            await door.sign_in()
            async with door.http.get("/graphql", headers=PAGE) as page:
                assert "WhatHappened" in await page.text()
    await postgres.drop_database(dsn)
