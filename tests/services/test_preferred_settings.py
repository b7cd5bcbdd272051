"""Preferred settings: between a provider's defaults and an order's own (FEATURES J2; DESIGN section 10)."""

from typing import Any

import pytest

from mina_gql.domain.errors import InvalidInput
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`


async def settings_of(workshop: Workshop, generation: str) -> dict[str, Any]:
    row = await workshop.looking.fetchrow("select mg_mma_vars from mega_generations where mg_id = $1", generation)
    return dict(row["mg_mma_vars"]["settings"])


async def test_what_is_preferred_stands_between_the_defaults_and_the_order(workshop: Workshop) -> None:
    caller = await workshop.person(20)
    preferred = {"seedream": {"size": "4K", "quality": "high"}, "kling": {"durationSec": 10}}
    owner = await workshop.profiles.update(caller, {"settings": preferred})
    assert owner.id == caller.pass_id
    liked = (await workshop.made(caller)).generation["mg_id"]
    assert await settings_of(workshop, liked) == {"seedream": {"size": "4K", "enhance_prompt": True, "quality": "high"}}
    await workshop.signals.like(caller, liked)  # a signal writes taste, and leaves these alone
    asked = await workshop.create(caller, settings={"seedream": {"size": "1K"}})
    assert (await settings_of(workshop, asked))["seedream"] == {"size": "1K", "enhance_prompt": True, "quality": "high"}
    clip = await workshop.animate(caller, generation_id=liked)
    assert await settings_of(workshop, clip) == {"kling": {"mode": "standard", "durationSec": 10}}
    await workshop.profiles.update(caller, {"settings": None})
    again = await workshop.create(caller)
    assert (await settings_of(workshop, again))["seedream"] == {"size": "2K", "enhance_prompt": True}


@pytest.mark.parametrize(
    "settings", [{"seedream": {"size": "9K"}}, {"seedream": {"speed": 1}}, {"elsewhere": {}}, {"seedream": 1}, [], "x", 1]
)
async def test_what_no_order_would_take_is_not_preferred_either(workshop: Workshop, settings: Any) -> None:
    caller = await workshop.person(1)
    with pytest.raises(InvalidInput) as refused:
        await workshop.profiles.update(caller, {"settings": settings, "display_name": "Ada"})
    assert refused.value.field[:2] == ["input", "settings"]
    found = await workshop.passes.find(caller.pass_id)
    assert (found.display_name, found.settings) == (None, None)


async def test_what_the_model_does_not_take_any_more_is_left_out(workshop: Workshop) -> None:
    caller = await workshop.person(1)
    await workshop.looking.execute(
        "update mega_customers set mg_meta = mg_meta || $2 where mg_pass_id = $1",
        caller.pass_id,
        {"settings": {"seedream": {"size": "8K", "guidance": 7, "gone": True}}},
    )
    made = await workshop.create(caller)
    assert (await settings_of(workshop, made))["seedream"] == {"size": "2K", "enhance_prompt": True, "guidance": 7}
