"""REST as HTTP: bodies, methods, media types, errors, origins, rates (DESIGN sections 11 and 14; FEATURES T5, T6)."""

import aiohttp
import pytest

from tests.rest.rest_house import STUDIO_PAGE, Guest, House


async def test_errors_are_json_and_named_by_their_request(house: House) -> None:
    """FEATURES T5; DESIGN section 14."""
    said = await Guest(house).get("/credits/balance", X_Request_Id="mine-1")
    assert said.headers["Content-Type"] == "application/json"
    assert said.headers["X-Request-Id"] == "mine-1"
    assert said.json == {"ok": False, "error": {"code": "UNAUTHENTICATED", "message": said.json["error"]["message"]}}
    assert (await Guest(house).get("/me")).headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[1]", 400),
        (b'"text"', 400),
        (b'{"meta": {"a": "\\u0000"}}', 400),
        (b'{"meta": ' + b'{"a":' * 300 + b"1" + b"}" * 301, 400),
        (b'{"meta": {"a": "\\ud800"}}', 400),
        (b'{"title": "\xff"}', 400),
        (b'{"title": "' + b"x" * 256 * 1024 + b'"}', 413),
        (b'{"meta": {"a": "\\\\u0000", "b": 123456789012345678901234567890}}', 200),
    ],
)
async def test_a_body_is_a_json_object_of_bounded_size(house: House, body: bytes, status: int) -> None:
    guest = await house.guest()
    said = await guest.send("POST", "/sessions/start", data=body, headers={"Content-Type": "application/json"})
    assert said.status == status, said.text
    if status != 200:
        assert said.error[1] == {400: "INVALID_INPUT", 413: "LIMIT_EXCEEDED"}[status]


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""])
async def test_only_json_is_taken(house: House, media: str) -> None:
    """No form of another site can post here, whatever its Origin."""
    said = await (await house.guest()).send("POST", "/sessions/start", data=b"{}", headers={"Content-Type": media})
    assert said.error == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(("path", "allowed"), [("/me", "GET, HEAD"), ("/editorial/generate", "POST"), ("/history", "GET, HEAD")])
async def test_another_method_is_told_which_there_are(house: House, path: str, allowed: str) -> None:
    said = await (await house.guest()).send("DELETE", path)
    assert said.error == (405, "METHOD_NOT_ALLOWED")
    assert said.headers["Allow"] == allowed


async def test_an_address_with_nothing_behind_it_is_told_like_every_error(house: House) -> None:
    """FEATURES T5: a frontend reads every answer as JSON."""
    guest = await house.guest()
    for path in ("/nowhere", "/history/customer/1", "/generations/a/b/c"):
        assert (await guest.get(path)).error == (404, "NOT_FOUND")
    said = await guest.post("/openapi.json")
    assert said.error == (405, "METHOD_NOT_ALLOWED")
    assert set(said.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert said.headers["X-Request-Id"]


async def test_head_answers_without_a_body(house: House) -> None:
    guest = await house.guest(4)
    got, head = await guest.get("/credits/balance"), await guest.send("HEAD", "/credits/balance")
    assert (head.status, head.text) == (200, "")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


async def test_pages_are_let_in_by_the_allow_list(house: House) -> None:
    """FEATURES T6."""
    guest = await house.guest()
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "idempotency-key,x-mina-pass-id,x-session-id",
    }
    preflight = await guest.send("OPTIONS", "/editorial/generate", headers={"Origin": STUDIO_PAGE, **asked})
    allowed = {name.strip().lower() for name in preflight.headers["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type", "idempotency-key", "last-event-id", "x-mina-pass-id", "x-session-id"} <= allowed
    said = await guest.get("/me", Origin=STUDIO_PAGE)
    assert said.headers["Access-Control-Allow-Origin"] == STUDIO_PAGE
    assert "X-Mina-Pass-Id" in said.headers["Access-Control-Expose-Headers"]
    assert (await guest.get("/me", Origin="https://evil.example")).error == (403, "FORBIDDEN")
    assert (await guest.get("/me", Host="evil.example")).error == (421, "MISDIRECTED_REQUEST")


async def test_who_asks_too_often_is_told_when_to_come_again(house: House) -> None:
    """The same rates as GraphQL's, by the same names."""
    house.studio.mina.services.rates._on = True
    await house.studio.knobs(limits_signals=1)
    guest = await house.guest(2)
    about = {"generationId": (await guest.still())["generationId"]}
    assert (await guest.post("/feedback/like", about)).status == 200
    said = await guest.post("/feedback/like", about)
    assert said.error == (429, "THROTTLED")
    assert 1 <= int(said.headers["Retry-After"]) <= 60


async def test_a_database_that_is_away_is_a_503(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from mina_gql.mega.database import DatabaseAway

    async def away(*_: object, **__: object) -> None:
        raise DatabaseAway("ConnectionRefusedError")

    guest = await house.guest()
    monkeypatch.setattr(house.studio.mina.services.archive, "page", away)
    assert (await guest.get("/history")).error == (503, "UNAVAILABLE")


async def test_the_description_is_served(house: House) -> None:
    """What is described is what there is: one table makes both."""
    said = await Guest(house).get("/openapi.json")
    described = said.json
    assert described["openapi"].startswith("3.1")
    assert {"/me", "/editorial/generate", "/generations/{generationId}/stream"} <= set(described["paths"])
    async with aiohttp.ClientSession() as http, http.head(f"{house.origin}/openapi.json") as answer:
        assert answer.status == 200
