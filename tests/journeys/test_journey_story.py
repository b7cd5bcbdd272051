"""The whole story of seed 003 (“one linear story”, its fifteen steps) through GraphQL alone, against a server just started."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import av
import pytest
from PIL import Image

from mina_gql.adapters.embedded_postgres import dsn_of_running
from tests.journeys.server import Server, mina, running
from tests.journeys.visitor import Answer, Visitor

VARIANTS = "insert into mega_admin (mg_id, mg_record_type, mg_runtime_flat) values ('runtime_config:1', 'runtime_config', $1)"
SHOP, SECRET = "studio.myshopify.com", "shhh-of-the-shop"
EMAIL = "ada@example.com"

ENSURE = "mutation { ensurePass { pass { id state email lastActive credits { balance expiresAt } } userErrors { message } } }"
START = 'mutation { startSession(input: {platform: "web", clientVersion: "3.0.0", meta: {timezone: "Asia/Dubai"}}) { session { id } } }'
QUOTE = "query ($action: BillableAction!) { quote(action: $action) { cost balance affordable shortBy estimatedSeconds } }"
CHECKOUT = 'mutation { createCheckout(sku: "MINA-50", quantity: 4) { url userErrors { code message } } }'
ORDERED = "generation { id status cost } pass { credits { balance } } userErrors { code message }"
CREATE = f"mutation ($input: CreateInput!) {{ create(input: $input) {{ {ORDERED} }} }}"
TWEAK = f"mutation ($input: TweakInput!) {{ tweak(input: $input) {{ {ORDERED} }} }}"
ANIMATE = f"mutation ($input: AnimateInput!) {{ animate(input: $input) {{ {ORDERED} }} }}"
SUGGEST = "mutation ($input: SuggestMotionInput!) { suggestMotion(input: $input) { motionPrompt userErrors { code } } }"
LIKE = 'mutation ($id: ID!) { like(input: {generationId: $id, context: "studio_right_panel"}) { event { type } generation { liked } userErrors { code } } }'
DOWNLOAD = 'mutation ($id: ID!) { recordDownload(generationId: $id, context: "studio_right_panel") { event { type } userErrors { code } } }'
FEEDBACK = """mutation ($id: ID!, $text: String!) { sendFeedback(generationId: $id, text: $text, context: "animation_right_panel") {
  event { type } pass { credits { balance } } userErrors { code } } }"""
ARCHIVE = """{ me { email credits { balance expiresAt } preferences { tagWeights { tag weight because(first: 1) { type } } }
  liked: generations(filter: {liked: true}) { nodes { id } }
  clips: generations(filter: {kind: VIDEO, search: "camera"}) { nodes { id posterUrl } }
  generations { totalCount nodes { id kind status outputUrl parent { id } children { nodes { id } }
    recreate { kind create tweak animate changes } steps { stepType status } } }
  events { nodes { type } } creditTransactions { nodes { delta reason } } } }"""


@pytest.fixture
async def studio(home: Path) -> AsyncIterator[Server]:
    """A server nobody has used yet, with a shop whose packs have variants."""
    async with running(home, MINA_SHOPIFY_SHOP=SHOP, MINA_SHOPIFY_WEBHOOK_SECRETS=SECRET) as server:
        connection = await asyncpg.connect(dsn_of_running(home))
        await connection.execute(VARIANTS, json.dumps({"shopify.sku_map": {"MINA-50": {"matcha": 50, "variantId": "4242"}}}))
        await connection.close()
        # What was read at the start holds for some seconds.
        async with asyncio.timeout(20):
            while (await Visitor(server).ask("{ pricing { packs { sku } } }"))["pricing"]["packs"] != [{"sku": "MINA-50"}]:  # noqa: ASYNC110 -- nothing tells
                await asyncio.sleep(0.2)
        yield server


class Person(Visitor):
    """A visitor who is signed in."""

    token = ""

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "Authorization": f"Bearer {self.token}"}


async def bought(studio: Server, checkout_url: str, order_id: int) -> Answer:
    """The shop tells of a paid order: MINA-50 x 4, with the reference of the checkout's address."""
    reference = checkout_url.partition("attributes%5Bmina_ref%5D=")[2] or checkout_url.partition("attributes[mina_ref]=")[2]
    assert reference, checkout_url
    order = {
        "id": order_id,
        "financial_status": "paid",
        "test": False,
        "processed_at": "2026-11-21T10:00:00Z",
        "created_at": "2026-11-21T10:00:00Z",
        "note_attributes": [{"name": "mina_ref", "value": reference.partition("&")[0]}],
        "line_items": [{"id": 1, "sku": "MINA-50", "quantity": 4}],
    }
    body = json.dumps(order).encode()
    headers = {
        "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode(),
        "X-Shopify-Topic": "orders/paid",
        "X-Shopify-Shop-Domain": SHOP,
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{studio.origin}/api/credits/shopify-order", data=body, headers=headers) as answer,
    ):
        assert answer.status == 200
        told: Answer = await answer.json()
        return told


async def fetched(url: str) -> bytes:
    """What is behind a public address."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


async def accepted(person: Person, document: str, cost: int, **order: Any) -> str:
    """Order something that costs this much, and wait for it to be done."""
    before = await person.balance()
    (payload,) = (await person.ask(document, input=order)).values()
    assert payload["userErrors"] == []
    assert (payload["generation"]["status"], payload["generation"]["cost"]) == ("QUEUED", cost)
    assert payload["pass"]["credits"]["balance"] == before - cost
    events = await person.followed(payload["generation"]["id"])
    assert events[-1]["__typename"] == "GenerationCompleted"
    assert any(event["__typename"] == "UserMessageAdded" for event in events)
    return str(payload["generation"]["id"])


async def test_the_linear_story(studio: Server) -> None:
    """Seed 003, all fifteen steps, and what the person sees at each."""
    # 1. Health.
    async with aiohttp.ClientSession() as http, http.get(f"{studio.origin}/health") as answer:
        assert await answer.json() == {"ok": True}

    # 2. and 3. Sign in, and bind the login to a Pass.
    person = Person(studio)
    signed = await mina(studio.home, "token", "--port", str(studio.port), "--email", EMAIL, "--provider", "google")
    person.token = signed.out.strip().splitlines()[0]
    me = (await person.ask(ENSURE))["ensurePass"]["pass"]
    person.pass_id = me["id"]
    assert (me["state"], me["email"]) == ("CLAIMED", EMAIL)
    assert me["lastActive"] is not None

    # 4. A visit.
    visit = (await person.ask(START))["startSession"]["session"]["id"]
    assert visit.startswith("session:sess_")

    # 5. The balance decides the button. The embedded default gives ten; they are spent on nothing here.
    quote = (await person.ask(QUOTE, action="ANIMATE"))["quote"]
    assert (quote["cost"], quote["affordable"], quote["balance"]) == (5, True, 10)
    assert quote["estimatedSeconds"] > 0

    # 6. and 7. More matcha: MINA-50 x 4.
    checkout = (await person.ask(CHECKOUT))["createCheckout"]
    assert str(me["id"]) not in checkout["url"]
    assert (await bought(studio, checkout["url"], 1001))["credited"] == 200
    assert await person.balance() == 210

    # 8. Pictures.
    product, logo, inspiration = [(await person.uploaded())["publicUrl"] for _ in range(3)]

    # 9. A still.
    brief = "Luxury perfume bottle on marble, soft shadows, premium editorial look."
    assets = {"productImageUrl": product, "logoImageUrl": logo, "inspirationImageUrls": [inspiration]}
    settings = {"seedream": {"quality": "high", "guidance": 7, "size": "1K"}}
    order = {"brief": brief, "style": "minimal", "ratio": "1:1", "assets": assets, "settings": settings, "sessionId": visit}
    still = await accepted(person, CREATE, 1, **order)
    found = await person.generation(still)
    with Image.open(BytesIO(await fetched(found["outputUrl"]))) as picture:
        assert picture.size == (found["width"], found["height"]) == (1024, 1024)
    assert found["session"]["id"] == visit

    # 10. Liked and downloaded.
    assert (await person.ask(LIKE, id=still))["like"]["generation"]["liked"] is True
    assert (await person.ask(DOWNLOAD, id=still))["recordDownload"]["event"]["type"] == "DOWNLOAD"

    # 11. Tweaked.
    feedback = "I hate the light you added. Make lighting softer and more natural."
    tweaked = await accepted(person, TWEAK, 1, generationId=still, feedback=feedback, sessionId=visit)
    child = await person.generation(tweaked)
    assert child["assets"] == found["assets"]
    assert child["settings"] == found["settings"]
    assert child["outputUrl"] != found["outputUrl"]

    # 12. Type for me.
    asked = {
        "inputStillUrl": child["outputUrl"],
        "movementStyle": "cinematic_smooth",
        "motionBrief": "Slow push-in and subtle parallax.",
    }
    suggested = (await person.ask(SUGGEST, input=asked))["suggestMotion"]
    assert suggested["userErrors"] == []
    assert 10 < len(suggested["motionPrompt"]) <= 500

    # 13. Animated.
    motion = {"kling": {"durationSec": 5, "fps": 24}}
    order = {"inputStillUrl": child["outputUrl"], "movementStyle": "cinematic_smooth", "motionPrompt": suggested["motionPrompt"]}
    clip = await accepted(person, ANIMATE, 5, **order, settings=motion, sessionId=visit)
    video = await person.generation(clip)
    assert (video["kind"], video["contentType"]) == ("VIDEO", "video/mp4")
    with av.open(BytesIO(await fetched(video["outputUrl"]))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (video["width"], video["height"])
        assert abs(container.duration / 1_000_000 - 5) < 0.2

    # 14. Feedback on a clip is sent, and makes nothing.
    sent = (await person.ask(FEEDBACK, id=clip, text="Nice motion but too fast. Next time more subtle."))["sendFeedback"]
    assert (sent["event"]["type"], sent["userErrors"], sent["pass"]["credits"]["balance"]) == ("FEEDBACK", [], 203)

    # 15. The archive, and the same again.
    mine = (await person.ask(ARCHIVE))["me"]
    listed = mine["generations"]["nodes"]
    assert [each["id"] for each in listed] == [clip, tweaked, still]
    assert [each["parent"] and each["parent"]["id"] for each in listed] == [tweaked, still, None]
    assert [each["children"]["nodes"] for each in listed] == [[], [{"id": clip}], [{"id": tweaked}]]
    assert [each["id"] for each in mine["liked"]["nodes"]] == [still]
    assert [(each["id"], each["posterUrl"]) for each in mine["clips"]["nodes"]] == [(clip, child["outputUrl"])]
    assert sorted(each["type"] for each in mine["events"]["nodes"]) == [
        "CREATE",
        "CREATE",
        "DOWNLOAD",
        "FEEDBACK",
        "LIKE",
        "TWEAK",
    ]
    assert [each["reason"] for each in mine["creditTransactions"]["nodes"]] == ["charge"] * 3 + ["purchase", "grant"]
    weights = {each["tag"]: each for each in mine["preferences"]["tagWeights"]}
    assert weights
    assert all(each["weight"] > 0 and each["because"] for each in weights.values())
    drafts = {each["recreate"]["kind"]: each["recreate"] for each in listed}
    again = await accepted(person, ANIMATE, 5, **drafts["VIDEO"]["animate"])
    assert (await person.generation(again))["settings"] == video["settings"]
    again = await accepted(person, CREATE, 1, **listed[2]["recreate"]["create"])
    recreated = await person.generation(again)
    assert {name: recreated[name] for name in ("brief", "style", "ratio", "assets", "settings")} == {
        name: found[name] for name in ("brief", "style", "ratio", "assets", "settings")
    }
