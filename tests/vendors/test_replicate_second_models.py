"""A newer model is configuration alone: an entry of the registry, as an admin would publish it, and not a line of code (R1, R3)."""

from pathlib import Path
from typing import Any

from mina_gql.adapters.ai.registry import ModelShelf
from mina_gql.domain.config import resolve_settings, role_of
from mina_gql.domain.config_seed import SEED
from tests.vendors.replicate_server import Replicate
from tests.vendors.replicate_studio import STORE, Ids, Till, bus, registry_role, replicate, request, sent, till

__all__ = ["bus", "replicate", "till"]

SEEDREAM_45: dict[str, Any] = {
    "provider": "seedream",
    "vendor": "replicate",
    "model": "bytedance/seedream-4.5",
    "max_pictures": 6,
    "concurrency": 8,
    "inputs": {"ratio": "aspect_ratio", "pictures": "image_input"},
    "settings_schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"size": {"enum": ["2K", "4K"]}, "quality": {"enum": ["low", "medium", "high"], "x-stored-only": True}},
    },
    "fallback": None,
}
KLING_25: dict[str, Any] = {
    "provider": "kling",
    "vendor": "replicate",
    "model": "kwaivgi/kling-v2.5-turbo-pro",
    "max_pictures": 2,
    "concurrency": 4,
    "inputs": {"start": "start_image", "end": "end_image", "durationSec": "duration"},
    "settings_schema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "durationSec": {"enum": [5, 10]},
            "negative_prompt": {"type": "string", "maxLength": 500},
            "mode": {"enum": ["standard", "pro"], "x-stored-only": True},
        },
    },
    "fallback": None,
}


async def test_seedream_45_without_a_line_of_code(replicate: Replicate, till: Till):
    """It has no `enhance_prompt` and no 1K; the defaults that are seeded for its older sister do it no harm."""
    role = registry_role("still", **SEEDREAM_45)
    stored = resolve_settings(role, SEED["mma.provider.seedream.defaults"], {}, {"seedream": {"size": "4K"}})["seedream"]
    media = await till.still(request("product", **stored), **SEEDREAM_45)
    assert stored == {"size": "4K", "enhance_prompt": True}
    assert sent(replicate) == {
        "prompt": "A bottle on wet stone",
        "aspect_ratio": "3:2",
        "image_input": [f"{STORE}/uploads/product.png"],
        "size": "4K",
    }
    assert media.request["model"] == "bytedance/seedream-4.5"


async def test_kling_25_without_a_line_of_code(replicate: Replicate, till: Till):
    """It has no mode: the rule of the last frame does not bring one in."""
    role = registry_role("video", **KLING_25)
    stored = resolve_settings(role, SEED["mma.provider.kling.defaults"], {}, {"kling": {"durationSec": 10}})["kling"]
    await till.clip(request("start", "end", **stored), **KLING_25)
    assert sent(replicate) == {
        "prompt": "A bottle on wet stone",
        "start_image": f"{STORE}/uploads/start.png",
        "end_image": f"{STORE}/uploads/end.png",
        "duration": 10,
    }


async def test_another_makers_model_with_words_of_its_own(replicate: Replicate, till: Till, tmp_path: Path):
    """R1, R3: another provider id, its own field for the prompt and for one picture, no ratio, and a step type that follows it."""
    entry = {
        "provider": "flux",
        "vendor": "replicate",
        "model": "pinned/model:" + "0" * 64,
        "inputs": {"prompt": "text", "product": "input_image", "pictures": None, "ratio": None, "guidance": "guidance_scale"},
    }
    role = role_of({"roles": {"still": entry}}, "still")
    model = ModelShelf({"replicate": till.vendor}).media(role)
    asked = request("product", guidance=2.5)
    await model.generate(asked, tmp_path / "output", prediction_id=None, accepted=Ids())
    assert model.name == "flux"
    assert sent(replicate) == {
        "text": "A bottle on wet stone",
        "input_image": f"{STORE}/uploads/product.png",
        "guidance_scale": 2.5,
    }


async def test_a_word_that_is_null_is_never_sent(replicate: Replicate, till: Till):
    await till.still(request("product", "logo"), inputs={"ratio": None, "pictures": "image_input", "logo": None})
    assert sent(replicate) == {"prompt": "A bottle on wet stone", "image_input": [f"{STORE}/uploads/product.png"]}
