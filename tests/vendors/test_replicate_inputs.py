"""What Seedream and Kling are sent: only what they know, by the registry's words (DESIGN section 9, J1, L10)."""

import base64
from io import BytesIO

import orjson
import pytest
from PIL import Image

from mina_gql.domain.config import resolve_settings
from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.ports import MediaRequest, Picture
from tests.studio import PNG, picture_bytes
from tests.vendors.replicate_server import Replicate
from tests.vendors.replicate_studio import STORE, Till, bus, opened, registry_role, replicate, request, sent, till

__all__ = ["bus", "replicate", "till"]


async def test_seedream_gets_prompt_ratio_settings_and_its_pictures_in_order(replicate: Replicate, till: Till):
    slots = ("product", "logo", "inspiration_0", "inspiration_1")
    await till.still(request(*slots, size="4K", max_images=1, enhance_prompt=False))
    assert sent(replicate) == {
        "prompt": "A bottle on wet stone",
        "aspect_ratio": "3:2",
        "image_input": [f"{STORE}/uploads/{slot}.png" for slot in slots],
        "size": "4K",
        "max_images": 1,
        "enhance_prompt": False,
    }


async def test_seedream_without_pictures_is_sent_none(replicate: Replicate, till: Till):
    await till.still(request())
    assert "image_input" not in sent(replicate)


async def test_the_still_that_is_tweaked_is_one_of_seedreams_pictures(replicate: Replicate, till: Till):
    await till.still(request("product", "start"))
    assert sent(replicate)["image_input"] == [f"{STORE}/uploads/product.png", f"{STORE}/uploads/start.png"]


async def test_no_more_pictures_are_sent_than_the_model_takes(replicate: Replicate, till: Till):
    await till.still(request("product", "logo", "inspiration_0"), max_pictures=2)
    assert len(sent(replicate)["image_input"]) == 2


async def test_kling_gets_its_frames_and_its_length(replicate: Replicate, till: Till):
    """`durationSec` is the setting's name, `duration` the model's; the ratio is the first frame's."""
    await till.clip(request("start", mode="standard", durationSec=10, negative_prompt="blur"))
    assert sent(replicate) == {
        "prompt": "A bottle on wet stone",
        "start_image": f"{STORE}/uploads/start.png",
        "mode": "standard",
        "duration": 10,
        "negative_prompt": "blur",
    }


@pytest.mark.parametrize("settings", [{"mode": "standard"}, {"mode": "pro"}, {}], ids=str)
async def test_kling_takes_a_last_frame_in_mode_pro_only_so_it_is_asked_for_that(replicate: Replicate, till: Till, settings):
    media = await till.clip(request("start", "end", **settings))
    assert sent(replicate)["end_image"] == f"{STORE}/uploads/end.png"
    assert sent(replicate)["mode"] == "pro"
    assert media.request["input"]["mode"] == "pro"


async def test_a_prompt_longer_than_kling_takes_is_cut(replicate: Replicate, till: Till):
    await till.clip(request("start", prompt="x" * 4_000))
    assert len(sent(replicate)["prompt"]) == 2_500


async def test_what_is_stored_only_is_not_sent(replicate: Replicate, till: Till):
    """L10: fps 24 is stored with the generation, and no model here knows it."""
    role = registry_role("video")
    stored = resolve_settings(role, {"mode": "standard", "durationSec": 5}, {}, {"kling": {"fps": 24}})["kling"]
    assert stored == {"mode": "standard", "durationSec": 5, "fps": 24}
    await till.clip(request("start", **stored))
    assert set(sent(replicate)) == {"prompt", "start_image", "mode", "duration"}
    await till.still(request("product", size="2K", quality="high", guidance=7.5, strength=0.4))
    assert set(replicate.bodies[-1]["input"]) == {"prompt", "aspect_ratio", "image_input", "size"}


@pytest.mark.parametrize("wish", [{"durationSec": 7}, {"fps": 240}, {"fps": "24"}, {"speed": 2}, {"mode": "ultra"}])
def test_what_the_model_cannot_do_is_refused_before_anything_is_charged(wish):
    """L10: a length and a frame rate are checked against what the registry says of the provider."""
    with pytest.raises(InvalidInput):
        resolve_settings(registry_role("video"), {}, {}, {"kling": wish})


async def test_preferences_older_than_the_model_are_left_to_its_default(replicate: Replicate, till: Till):
    """A preference is not checked again when the registry changes; what the model does not know would fail every generation."""
    await till.still(request("product", size="8K", style_strength=3, enhance_prompt=None))
    assert set(sent(replicate)) == {"prompt", "aspect_ratio", "image_input"}


async def test_pictures_are_sent_along_where_the_vendor_cannot_reach_the_store(replicate: Replicate, bus, tmp_path):
    async with opened(replicate.base, bus, inline=True) as vendor:
        till = Till(vendor, tmp_path)
        media = await till.still()
        await till.clip()
    inlined = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert replicate.bodies[0]["input"]["image_input"] == [inlined]
    assert replicate.bodies[1]["input"]["start_image"] == inlined
    assert "data:" not in orjson.dumps([media.request, media.response]).decode()


async def test_a_large_picture_is_sent_along_smaller(replicate: Replicate, bus, tmp_path):
    """A phone's photo would make a request of ten megabytes, which the vendor refuses."""
    large = Picture(picture_bytes("PNG", (4_000, 10)), "image/png", 4_000, 10)
    async with opened(replicate.base, bus, inline=True) as vendor:
        await Till(vendor, tmp_path).still(MediaRequest("generation:1", "A bottle", "3:2", {}, {"product": large}))
    (told,) = sent(replicate)["image_input"]
    with Image.open(BytesIO(base64.b64decode(told.removeprefix("data:image/jpeg;base64,")))) as image:
        assert image.width == 2_048


async def test_no_webhook_is_asked_for_where_there_is_none(replicate: Replicate, till: Till):
    await till.still()
    assert set(replicate.bodies[0]) == {"input"}
