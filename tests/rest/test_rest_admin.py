"""The admins' routes: what they show, what they do and write down, and whom they refuse (FEATURES P1 to P7, C13, N5; seed 003, 11)."""

import pytest

from tests.rest.rest_house import Guest, House

ROUTES = [
    ("GET", "/admin/summary"),
    ("GET", "/admin/customers"),
    ("GET", "/admin/mega/parity"),
    ("POST", "/admin/credits/adjust"),
    ("GET", "/admin/config/runtime"),
    ("POST", "/admin/config/runtime"),
    ("POST", "/admin/config/runtime/unset"),
    ("POST", "/admin/config/runtime/reload"),
    ("GET", "/history/pass/pass:anon:x"),
]


async def audited(house: House) -> list[tuple[str, str, str, int]]:
    """Action, route, method and status of each audit row, oldest first."""
    rows = await house.studio.sql.fetch(
        "select mg_action, mg_route, mg_method, mg_status from mega_admin where mg_record_type = 'admin_audit' order by mg_created_at"
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_but_admins_is_let_in(house: House, method: str, path: str) -> None:
    """FEATURES P1, P7: each refused attempt is on record, before a byte of the body is looked at."""
    guest = await house.guest(1)
    for stranger in (Guest(house), guest, Guest(house, token=house.token())):
        assert (await stranger.send(method, path, data=b"{")).error == (403, "FORBIDDEN")
    kept = await audited(house)
    assert len(kept) == 3
    assert {row[2:] for row in kept} == {(method, 403)}
    assert "pass:" not in str(kept)


async def test_the_summary_counts(house: House) -> None:
    """FEATURES P2."""
    guest = await house.guest(5)
    await guest.still()
    told = (await house.admin().get("/admin/summary")).json
    assert told == {
        "passes": 1,
        "activePasses24h": 1,
        "generations": 1,
        "generations24h": 1,
        "failures24h": 0,
        "matchaOutstanding": 4,
        "matchaSold30d": 0,
        "queued": 0,
    }


async def test_customers_are_paged_and_found(house: House) -> None:
    """FEATURES P3."""
    guests = [await house.guest(number) for number in (1, 2, 3)]
    guests[0].token = house.token("ada@example.com")
    await guests[0].get("/me")
    admin = house.admin()
    first = (await admin.get("/admin/customers?limit=2")).json
    second = (await admin.get(f"/admin/customers?limit=2&cursor={first['nextCursor']}")).json
    assert second["nextCursor"] is None
    listed = first["items"] + second["items"]
    assert [each["passId"] for each in listed] == [guest.pass_id for guest in reversed(guests)]
    assert [each["credits"] for each in listed] == [3, 2, 1]
    found = (await admin.get("/admin/customers?search=ada@")).json["items"]
    assert [(each["passId"], each["email"], each["disabled"]) for each in found] == [
        (guests[0].pass_id, "ada@example.com", False)
    ]


async def test_parity_finds_a_planted_mismatch(house: House) -> None:
    """FEATURES P5, C16."""
    guest = await house.guest(5)
    await guest.still()
    clean = (await house.admin().get("/admin/mega/parity")).json
    assert (clean["mismatches"], clean["sampled"], clean["sampleFaults"]) == ([], 1, [])
    assert {"recordType": "generation", "count": 1}.items() <= next(
        day for day in clean["days"] if day["recordType"] == "generation"
    ).items()
    await house.studio.sql.execute("update mega_customers set mg_credits = mg_credits + 3")
    told = (await house.admin().get("/admin/mega/parity?days=1&sample=0")).json
    assert told["mismatches"] == [{"passId": guest.pass_id, "balance": 7, "ledgerSum": 4}]
    await house.studio.sql.execute("update mega_customers set mg_credits = mg_credits - 3")
    assert (await house.admin().get("/admin/mega/parity?days=0")).error == (400, "INVALID_INPUT")


async def test_an_adjustment_is_made_once_and_written_down(house: House) -> None:
    """FEATURES C13: with its audit row; never below 0."""
    guest, admin = await house.guest(5), house.admin()
    body = {"passId": guest.pass_id, "delta": 7, "reason": "A gift.", "idempotencyKey": "gift-1"}
    for _ in range(2):
        assert (await admin.post("/admin/credits/adjust", body)).json == {"passId": guest.pass_id, "delta": 7, "credits": 12}
    other = {**body, "delta": 8}
    assert (await admin.post("/admin/credits/adjust", other)).error == (409, "IDEMPOTENCY_KEY_REUSED")
    taken = {"passId": guest.pass_id, "delta": -100, "reason": "A mistake."}
    assert (await admin.post("/admin/credits/adjust", taken)).error == (400, "INVALID_INPUT")
    said = await admin.post("/admin/credits/adjust", taken, Idempotency_Key="mistake-1")
    assert said.json == {"passId": guest.pass_id, "delta": -12, "credits": 0}
    nobody = await admin.post("/admin/credits/adjust", {**body, "passId": "pass:anon:x", "idempotencyKey": "k"})
    assert nobody.error == (404, "NOT_FOUND")
    assert await audited(house) == [("credits.adjust", "/admin/credits/adjust", "POST", 200)] * 2


async def test_a_knob_is_set_used_and_unset(house: House) -> None:
    """FEATURES P6: in force at once, refused where it does not fit, each change written down."""
    guest, admin = await house.guest(9), house.admin()
    before = (await admin.get("/admin/config/runtime")).json
    assert list(before) == ["values", "defaults", "overrides", "ignored", "updatedAt", "loadedAt"]
    assert (before["values"]["price.create"], before["overrides"], before["updatedAt"]) == (1, {}, None)
    after = (await admin.post("/admin/config/runtime", {"values": {"price.create": 3}})).json
    assert (after["values"]["price.create"], after["overrides"]) == (3, {"price.create": 3})
    assert (await guest.still())["creditsAfter"] == 6
    for wrong in ({"price.create": "3"}, {"price.magic": 1}, {"price.tweak": 2, "price.create": -1}, {}):
        assert (await admin.post("/admin/config/runtime", {"values": wrong})).error == (400, "INVALID_INPUT")
    assert (await admin.get("/admin/config/runtime")).json["overrides"] == {"price.create": 3}
    assert (await admin.post("/admin/config/runtime/unset", {"keys": ["price.create"]})).json["overrides"] == {}
    assert (await guest.still())["creditsAfter"] == 5
    assert (await admin.send("POST", "/admin/config/runtime/reload")).json["values"] == before["values"]
    assert [(row[0], row[1]) for row in await audited(house)] == [
        ("runtime.set", "/admin/config/runtime"),
        ("runtime.unset", "/admin/config/runtime/unset"),
        ("runtime.reload", "/admin/config/runtime/reload"),
    ]
