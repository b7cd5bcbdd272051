"""Moderation: what the vendor flags is neither made nor shown, and says so plainly (issue “real vendors”)."""

import pytest

from mina_gql.domain.errors import Conflict
from mina_gql.domain.ports import Picture
from mina_gql.services.generations.suggesting import SuggestionOrder
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`


def words_of(*flags: str):
    return lambda shown: list(flags) if isinstance(shown, str) else []


def pictures_of(*flags: str):
    return lambda shown: list(flags) if isinstance(shown, Picture) else []


async def test_words_that_are_flagged_reach_no_model_and_cost_nothing(workshop: Workshop) -> None:
    workshop.models.conscience.flags = words_of("violence")
    caller = await workshop.person(5)
    story = await workshop.made(caller, brief="Something cruel")
    assert (story.status, story.generation["mg_error"]) == ("error", "MODERATED")
    assert story.generation["mg_meta"]["failure"]["retryable"] is False
    assert (workshop.models.pen.asked, workshop.models.brush.paid) == ([], [])
    assert await workshop.balance(caller) == 5
    assert story.of_type("gpt_reader")[0]["mg_payload"]["error"] == "flagged: violence"


@pytest.mark.parametrize("kind", ["still", "video"])
async def test_a_result_that_is_flagged_is_never_stored(workshop: Workshop, kind: str) -> None:
    """A clip is judged by its first frame."""
    caller = await workshop.person(5)
    workshop.models.conscience.flags = pictures_of("sexual")
    if kind == "still":
        generation = await workshop.create(caller)
    else:
        generation = await workshop.animate(caller, input_still_url=await workshop.upload(caller))
    story = await workshop.run(generation)
    assert (story.status, story.generation["mg_error"]) == ("error", "MODERATED")
    assert "not make here" in story.generation["mg_meta"]["failure"]["message"]
    assert story.generation["mg_mma_vars"]["outputs"] == {}
    stored = [path for path in (workshop.mina.settings.home / "files" / "objects" / "generations").rglob("*") if path.is_file()]
    assert stored == []
    assert await workshop.balance(caller) == 5


@pytest.mark.parametrize("kind", ["tweak", "video"])
async def test_feedback_and_wishes_for_movement_are_words_too(workshop: Workshop, kind: str) -> None:
    caller = await workshop.person(10)
    parent = (await workshop.made(caller)).generation["mg_id"]
    workshop.models.conscience.flags = words_of("hate")
    if kind == "tweak":
        ordered = await workshop.tweak(caller, parent, "Hateful words")
    else:
        ordered = await workshop.animate(caller, generation_id=parent, motion_prompt="Hateful words")
    assert (await workshop.run(ordered)).generation["mg_error"] == "MODERATED"


async def test_a_suggestion_for_flagged_words_is_refused(workshop: Workshop) -> None:
    caller = await workshop.person(0)
    workshop.models.conscience.flags = words_of("hate")
    url = await workshop.upload(caller)
    with pytest.raises(Conflict):
        await workshop.suggestions.motion(caller, SuggestionOrder(input_still_url=url, motion_brief="Hateful words"))
    assert workshop.models.pen.asked == []
