"""The story of seed 003 through REST alone, as its frontend tells it; and a studio that is used by REST and by GraphQL at once."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from PIL import Image

from tests.journeys.server import Server, mina, running
from tests.journeys.test_journey_story import SECRET, SHOP, bought, fetched
from tests.journeys.visitor import COFFEE, SMALL, Visitor

EMAIL = "ada@example.com"
TWEAK = """mutation ($id: ID!) { tweak(input: {generationId: $id, feedback: "Warmer, please."}) {
  generation { id } userErrors { code message } } }"""
LIKED = "query ($id: ID!) { generation(id: $id) { liked parent { id } } }"


class Page:
    """The frontend of the seed: `fetch` with the headers it knows."""

    def __init__(self, server: Server, token: str | None = None) -> None:
        self.server = server
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The JSON of an answer with the status that is expected."""
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.request(method, f"{self.server.origin}{path}", json=body) as answer,
        ):
            said = await answer.text()
            assert answer.status == status, said
            return json.loads(said)

    async def uploaded(self, data: bytes = COFFEE) -> str:
        """The public URL of a picture, sent in the two steps of seed 003, 5.A."""
        asked = {"contentType": "image/jpeg", "fileName": "cup.jpg", "folder": "user_uploads", "bytes": len(data)}
        signed = await self.ask("POST", "/api/r2/upload-signed", asked)
        async with (
            aiohttp.ClientSession() as http,
            http.put(signed["uploadUrl"], data=data, headers={"Content-Type": "image/jpeg"}) as answer,
        ):
            assert answer.status == 204
        url: str = signed["publicUrl"]
        return url

    async def followed(self, stream: str) -> list[tuple[str, Any]]:
        """Names and data of all events of a stream, to its end."""
        async with aiohttp.ClientSession(headers=self.headers) as http, http.get(f"{self.server.origin}{stream}") as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            frames = [frame.splitlines() for frame in (await answer.text()).split("\n\n") if frame.startswith("id:")]
        return [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for _, event, data in frames]


async def token(server: Server, *options: str) -> str:
    """A sign-in token of the server's own."""
    signed = await mina(server.home, "token", "--port", str(server.port), *options)
    return signed.out.strip().splitlines()[0]


@pytest.fixture
async def shop(home: Path) -> AsyncIterator[Server]:
    """A server nobody has used yet, with a shop: an admin has named the packs and gives nothing away."""
    async with running(home, MINA_SHOPIFY_SHOP=SHOP, MINA_SHOPIFY_WEBHOOK_SECRETS=SECRET) as server:
        admin = Page(server, await token(server, "--email", "chef@example.com", "--admin"))
        knobs = {"shopify.sku_map": {"MINA-50": {"matcha": 50, "variantId": "4242"}}, "credits.free_grant": 0}
        await admin.ask("POST", "/admin/config/runtime", {"values": knobs})
        yield server


async def test_the_linear_story_by_rest_alone(shop: Server) -> None:
    """Seed 003, its fifteen steps; FEATURES S3 routes."""
    # 1. Health.
    page = Page(shop)
    assert await page.ask("GET", "/health") == {"ok": True}

    # 2. and 3. Look around, sign in, and stay who one is.
    anonymous = await page.ask("GET", "/me")
    page.headers["X-Mina-Pass-Id"] = anonymous["passId"]
    page.headers["Authorization"] = f"Bearer {await token(shop, '--email', EMAIL, '--provider', 'google')}"
    me = await page.ask("GET", "/me")
    assert (me["passId"], me["email"], me["credits"]) == (anonymous["passId"], EMAIL, 0)

    # 4. A visit.
    visit = (
        await page.ask(
            "POST", "/sessions/start", {"platform": "web", "clientVersion": "3.0.0", "meta": {"timezone": "Asia/Dubai"}}
        )
    )["sessionId"]

    # 5. No matcha: the button says so, and leads to the shop.
    assert (await page.ask("GET", "/credits/balance"))["credits"] == 0
    refused = await page.ask("POST", "/editorial/generate", {"brief": "A cup."}, 402)
    assert (refused["ok"], refused["error"]["code"]) == (False, "INSUFFICIENT_MATCHA")
    checkout = refused["error"]["checkoutUrl"]
    assert SHOP in checkout
    assert me["passId"] not in checkout

    # 6. and 7. MINA-50 x 4.
    assert (await bought(shop, checkout, 1001))["credited"] == 200
    assert (await page.ask("GET", "/credits/balance"))["credits"] == 200

    # 8. Pictures.
    product, logo, inspiration = [await page.uploaded() for _ in range(3)]

    # 9. A still.
    order = {
        "sessionId": visit,
        "brief": "Luxury perfume bottle on marble, soft shadows, premium editorial look.",
        "style": "minimal",
        "ratio": "1:1",
        "assets": {"productImageUrl": product, "logoUrl": logo, "inspirationUrls": [inspiration]},
        "settings": {"seedream": {"quality": "high", "guidance": 7, "size": "1K"}},
        "ui": {"visionIntelligence": True, "styleNoneAllowed": True},
    }
    still = await page.ask("POST", "/editorial/generate", order)
    assert (still["status"], still["creditsAfter"]) == ("done", 199)
    assert still["userMessage"]
    with Image.open(BytesIO(await fetched(still["outputUrl"]))) as picture:
        assert picture.size == (1024, 1024)

    # 10. Liked and downloaded.
    about = {"generationId": still["generationId"], "context": "studio_right_panel"}
    assert await page.ask("POST", "/feedback/like", {**about, "value": True}) == {"ok": True}
    assert await page.ask("POST", "/feedback/like", {**about, "event": "download"}) == {"ok": True}

    # 11. Tweaked, by the same route.
    feedback = {"text": "I hate the light you added. Make lighting softer and more natural.", "mode": "still"}
    tweak = {**order, "parentGenerationId": still["generationId"], "feedback": feedback}
    tweaked = await page.ask("POST", "/editorial/generate", tweak)
    assert (tweaked["status"], tweaked["creditsAfter"]) == ("done", 198)
    assert tweaked["outputUrl"] != still["outputUrl"]

    # 12. Type for me.
    asked = {
        "inputStillUrl": tweaked["outputUrl"],
        "movementStyle": "cinematic_smooth",
        "userMotionBrief": "Slow push-in and subtle parallax.",
        "maxPromptComplexity": "simple_english",
    }
    suggested = (await page.ask("POST", "/motion/suggest", asked))["motionPrompt"]
    assert 10 < len(suggested) <= 500

    # 13. Animated.
    motion = {
        "sessionId": visit,
        "inputStillUrl": tweaked["outputUrl"],
        "movementStyle": "cinematic_smooth",
        "motionPrompt": suggested,
        "ratio": "1:1",
        "settings": {"kling": {"durationSec": 5, "fps": 24}},
    }
    clip = await page.ask("POST", "/motion/generate", motion)
    assert (clip["status"], clip["creditsAfter"]) == ("done", 193)
    with av.open(BytesIO(await fetched(clip["outputUrl"]))) as container:
        assert abs(container.duration / 1_000_000 - 5) < 0.2

    # 14. Feedback on a clip is sent, and makes nothing.
    words = {
        "generationId": clip["generationId"],
        "event": "feedback",
        "text": "Nice motion but too fast.",
        "context": "animation_right_panel",
    }
    assert await page.ask("POST", "/feedback/like", words) == {"ok": True}
    assert (await page.ask("GET", "/credits/balance"))["credits"] == 193

    # 15. The archive, page by page.
    first = await page.ask("GET", "/history?limit=2")
    second = await page.ask("GET", f"/history?limit=2&cursor={first['nextCursor']}")
    made = [clip, tweaked, still]
    listed = first["items"] + second["items"]
    assert [item["generationId"] for item in listed] == [each["generationId"] for each in made]
    assert [item["outputUrl"] for item in listed] == [each["outputUrl"] for each in made]
    assert [item["type"] for item in listed] == ["motion", "image", "image"]
    assert second["nextCursor"] is None

    # Nobody reads in a log who it was, not even where an admin's address names the Pass.
    admin = Page(shop, await token(shop, "--email", "chef@example.com", "--admin"))
    assert len((await admin.ask("GET", f"/history/pass/{me['passId']}"))["items"]) == 3
    assert "pass:anon" not in shop.log


async def test_what_rest_orders_graphql_follows_and_the_other_way_round(home: Path) -> None:
    """One studio, two ways in: the same Pass, the same ids, the same records."""
    async with running(home) as server:
        admin = Page(server, await token(server, "--email", "chef@example.com", "--admin"))
        await admin.ask("POST", "/admin/config/runtime", {"values": {"rest.wait_seconds": 0}})
        page = Page(server)
        page.headers["X-Mina-Pass-Id"] = (await page.ask("GET", "/me"))["passId"]
        visitor = Visitor(server, page.headers["X-Mina-Pass-Id"])

        ordered = await page.ask("POST", "/editorial/generate", {"brief": "A cup on a stone table", "settings": SMALL}, 202)
        assert (ordered["status"], ordered["creditsAfter"]) == ("queued", 9)
        events = await visitor.followed(ordered["generationId"])
        assert events[-1]["__typename"] == "GenerationCompleted"
        told = await page.followed(ordered["streamUrl"])
        assert [data["text"] for name, data in told if name == "message"] == [
            event["message"]["text"] for event in events if event["__typename"] == "UserMessageAdded"
        ]
        assert told[-1][1]["outputUrl"] == events[-1]["generation"]["outputUrl"]

        tweaked = (await visitor.ask(TWEAK, id=ordered["generationId"]))["tweak"]
        assert tweaked["userErrors"] == []
        child = tweaked["generation"]["id"].removeprefix("generation:")
        name, end = (await page.followed(f"/generations/{child}/stream"))[-1]
        assert (name, end["generationId"], end["creditsAfter"]) == ("done", child, 8)

        assert await page.ask("POST", "/feedback/like", {"generationId": child, "value": True}) == {"ok": True}
        assert (await visitor.ask(LIKED, id=child))["generation"] == {
            "liked": True,
            "parent": {"id": f"generation:{ordered['generationId']}"},
        }
        assert [item["generationId"] for item in (await page.ask("GET", "/history"))["items"]] == [child, ordered["generationId"]]
        assert await visitor.balance() == (await page.ask("GET", "/credits/balance"))["credits"] == 8
