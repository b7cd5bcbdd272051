"""Orders by REST: the bodies and the answers of seed 003 to the letter, and what is refused (seed 003, 6 to 8; FEATURES F, K, L)."""

import json
from typing import Any

import pytest

from mina_gql.api.rest.table import RefusedForMatcha
from tests.rest.rest_house import House

MADE = ["generationId", "status", "userMessage", "outputUrl", "creditsAfter"]


async def test_a_still_is_answered_as_the_seed_says(house: House) -> None:
    """FEATURES F1, F10; seed 003, 6.1, its whole body."""
    guest = await house.guest(12)
    visit = (await guest.post("/sessions/start")).json["sessionId"]
    body = {
        "sessionId": visit,
        "brief": "Luxury perfume bottle on marble, soft shadows, premium editorial look.",
        "style": "minimal",
        "ratio": "1:1",
        "assets": {
            "productImageUrl": await guest.uploaded(),
            "logoUrl": await guest.uploaded(),
            "inspirationUrls": [await guest.uploaded(), await guest.uploaded()],
        },
        "settings": {"seedream": {"quality": "high", "guidance": 7}},
        "ui": {"visionIntelligence": False, "styleNoneAllowed": True},
    }
    made = await guest.still(**body)
    assert list(made) == MADE
    assert (made["status"], made["creditsAfter"]) == ("done", 11)
    assert made["userMessage"] == "A calm picture of your cup."
    async with house.http.get(made["outputUrl"]) as picture:
        assert (picture.status, picture.content_type) == (200, "image/jpeg")
    row = await house.studio.sql.fetchrow("select * from mega_generations where mg_id = $1", f"generation:{made['generationId']}")
    vars_ = json.loads(row["mg_mma_vars"])
    assert row["mg_session_id"] == visit
    assert vars_["settings"]["seedream"] | {"quality": "high", "guidance": 7} == vars_["settings"]["seedream"]
    assert vars_["history"]["vision_intelligence"] is False
    assert vars_["inputs"]["style"] == "minimal"
    assert all(vars_["assets"][name] for name in ("product_image_url", "logo_image_url"))
    assert (await guest.get(f"/generations/{made['generationId']}")).json == made


async def test_feedback_on_a_parent_makes_a_tweak(house: House) -> None:
    """FEATURES K1, K2, K6; seed 003, 7.3: what else stands in the body is inherited."""
    guest = await house.guest(3)
    made = await guest.still(style="minimal")
    feedback = {"text": "I hate the light you added.", "mode": "still"}
    tweaked = await guest.still(parentGenerationId=made["generationId"], feedback=feedback, style="luxury", brief="Other words.")
    assert tweaked["generationId"] != made["generationId"]
    assert tweaked["creditsAfter"] == 1
    row = await house.studio.sql.fetchrow(
        "select * from mega_generations where mg_id = $1", f"generation:{tweaked['generationId']}"
    )
    vars_ = json.loads(row["mg_mma_vars"])
    assert row["mg_parent_id"] == f"generation:{made['generationId']}"
    assert (vars_["inputs"]["style"], vars_["feedback"]["text"]) == ("minimal", "I hate the light you added.")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "INVALID_INPUT"),
        ({"brief": "x" * 4001}, 400, "INVALID_INPUT"),
        ({"brief": 7}, 400, "INVALID_INPUT"),
        ({"brief": "A cup.", "style": "brutal"}, 400, "INVALID_INPUT"),
        ({"brief": "A cup.", "ratio": "5:4"}, 400, "INVALID_INPUT"),
        ({"brief": "A cup.", "settings": {"seedream": {"magic": 1}}}, 400, "INVALID_INPUT"),
        ({"brief": "A cup.", "settings": {"kling": {}}}, 400, "INVALID_INPUT"),
        ({"brief": "A cup.", "assets": {"inspirationUrls": ["https://x/y"] * 5}}, 400, "INVALID_INPUT"),
        ({"brief": "A cup.", "assets": {"productImageUrl": "https://example.com/x.png"}}, 400, "ASSET_NOT_OURS"),
        ({"brief": "A cup.", "sessionId": "sess_00000000-0000-4000-8000-000000000000"}, 404, "NOT_FOUND"),
        ({"brief": "A cup.", "feedback": {"text": "Softer."}}, 400, "INVALID_INPUT"),
        ({"parentGenerationId": "nothing", "feedback": {"text": "Softer."}}, 404, "NOT_FOUND"),
        ({"parentGenerationId": "nothing", "feedback": {"text": " "}}, 400, "INVALID_INPUT"),
    ],
)
async def test_an_order_that_cannot_be_costs_nothing(house: House, body: Any, status: int, code: str) -> None:
    """FEATURES F3, E6, E7, K7."""
    guest = await house.guest(3)
    assert (await guest.post("/editorial/generate", body)).error == (status, code)
    assert (await guest.get("/credits/balance")).json["credits"] == 3
    assert "generation" not in await house.studio.counts()


async def test_too_little_matcha_leads_to_the_shop(house: House) -> None:
    """FEATURES C9: 402 with what it takes, what there is, and where to get more."""
    guest = await house.guest()
    said = await guest.post("/editorial/generate", {"brief": "A cup."})
    assert said.error == (402, "INSUFFICIENT_MATCHA")
    assert RefusedForMatcha.model_validate(said.json).error.required == 1
    assert said.json["error"] | {"required": 1, "balance": 0, "checkoutUrl": None} == said.json["error"]
    assert "matcha" in said.json["error"]["message"]
    assert house.models.brush.paid == []


async def test_an_idempotency_key_is_charged_once(house: House) -> None:
    """The header is the key: the same again gives the first result, another input is refused."""
    guest = await house.guest(5)
    order = {"brief": "A cup on stone."}
    first, again = [await guest.post("/editorial/generate", order, Idempotency_Key="k1") for _ in range(2)]
    assert first.json == again.json
    assert first.json["creditsAfter"] == 4
    other = await guest.post("/editorial/generate", {"brief": "A bowl."}, Idempotency_Key="k1")
    assert other.error == (409, "IDEMPOTENCY_KEY_REUSED")
    assert (await guest.post("/editorial/generate", order, Idempotency_Key="k" * 201)).error == (400, "INVALID_INPUT")


async def test_the_session_header_stands_in_for_the_body_s(house: House) -> None:
    """FEATURES B2: the body wins."""
    guest = await house.guest(5)
    one, two = [(await guest.post("/sessions/start")).json["sessionId"] for _ in range(2)]
    guest.more["X-Session-Id"] = one
    for order, visit in (({}, one), ({"sessionId": two}, two)):
        made = await guest.still(**order)
        kept = await house.studio.sql.fetchval(
            "select mg_session_id from mega_generations where mg_id = $1", f"generation:{made['generationId']}"
        )
        assert kept == visit


async def test_movement_is_suggested_for_nothing(house: House) -> None:
    """FEATURES L1; seed 003, 8.2."""
    guest = await house.guest(1)
    made = await guest.still()
    body = {
        "inputStillUrl": made["outputUrl"],
        "movementStyle": "cinematic_smooth",
        "userMotionBrief": "Slow push-in and subtle parallax.",
        "maxPromptComplexity": "simple_english",
    }
    said = await guest.post("/motion/suggest", body)
    assert said.json == {"motionPrompt": "A cup on stone, soft light."}
    assert "Slow push-in and subtle parallax." in str(house.models.pen.asked[-1].parts)
    assert (await guest.post("/motion/suggest", {})).error == (400, "IMAGE_REQUIRED")
    assert (await guest.get("/credits/balance")).json["credits"] == 0


async def test_a_clip_is_answered_as_the_seed_says(house: House) -> None:
    """FEATURES L2, L3, L7; seed 003, 8.3."""
    guest = await house.guest(20)
    still = await guest.still()
    body = {
        "inputStillUrl": still["outputUrl"],
        "movementStyle": "cinematic_smooth",
        "motionPrompt": "Slow cinematic camera push-in.",
        "ratio": "1:1",
        "settings": {"kling": {"durationSec": 5, "fps": 24}},
    }
    said = await guest.post("/motion/generate", body)
    assert list(said.json) == MADE
    assert (said.json["status"], said.json["creditsAfter"]) == ("done", 14)
    assert said.json["outputUrl"].endswith(".mp4")
    row = await house.studio.sql.fetchrow(
        "select * from mega_generations where mg_id = $1", f"generation:{said.json['generationId']}"
    )
    vars_ = json.loads(row["mg_mma_vars"])
    assert row["mg_parent_id"] == f"generation:{still['generationId']}"
    assert (vars_["settings"]["kling"]["durationSec"], vars_["settings"]["kling"]["fps"]) == (5, 24)
    assert (await guest.post("/motion/generate", {})).error == (400, "IMAGE_REQUIRED")
    tweak = {"parentGenerationId": said.json["generationId"], "feedback": {"text": "Slower.", "mode": "motion"}}
    for route in ("/motion/generate", "/editorial/generate"):
        assert (await guest.post(route, tweak)).error == (403, "VIDEO_TWEAK_DISABLED")
