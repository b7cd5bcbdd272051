"""What an attack on the studio found: blocks that are lost or lock people out, keys that do not replay, silence after a crash."""

import asyncio
from typing import Any

import pytest

from mina_gql.adapters.ai import kling
from mina_gql.adapters.ai.offline.writer import OfflineWriter
from mina_gql.domain.errors import InvalidInput, VideoTweakDisabled
from mina_gql.domain.generations import RetryOrder, StillOrder, TweakOrder
from mina_gql.domain.ports import WriteRequest
from mina_gql.domain.taste import MAX_BLOCKS
from mina_gql.services.pipeline.queue import QueueCompany
from mina_gql.services.pipeline.steps.words import PROMPT_CHARS
from mina_gql.services.sessions import NewSession
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`

# ---------------------------------------------------------------- hard blocks


async def test_a_clips_prompt_is_no_longer_than_what_is_sent_of_it(workshop: Workshop) -> None:
    """A hard block is a constraint in every later prompt, motion too (DESIGN section 10): what stands at the end is not cut off."""
    caller = await workshop.person(10)
    await workshop.run(await workshop.animate(caller, input_still_url=await workshop.upload(caller)))
    assert workshop.models.pen.asked[-1].schema["properties"]["clean_prompt"]["maxLength"] <= kling.PROMPT_CHARS


async def test_nobody_can_block_so_much_that_nothing_is_made_any_more() -> None:
    """As many hard blocks as `setPreference` lets in, as long as they may be, fit into a prompt."""
    blocks = [f"{number:03d} {'w' * 56}" for number in range(MAX_BLOCKS)]  # 60 characters: the longest tag
    written = await OfflineWriter().write(WriteRequest("gpt_reader", "", "", {"brief": "A cup", "hard_blocks": blocks}, {}))
    assert len(written.value["clean_prompt"]) <= PROMPT_CHARS


# ---------------------------------------------------------------- idempotency


async def test_a_key_replays_after_the_page_was_loaded_anew(workshop: Workshop) -> None:
    """The visit comes with a header and is no part of the input: a reload begins another (DESIGN section 5)."""
    caller = await workshop.person(10)
    first, second = [(await workshop.sessions.start(caller, NewSession())).session_id for _ in range(2)]
    made = await workshop.orders.create(caller, StillOrder("A cup", session_id=first, idempotency_key="k"))
    again = await workshop.orders.create(caller, StillOrder("A cup", session_id=second, idempotency_key="k"))
    assert (again.replayed, again.generation.id) == (True, made.generation.id)


async def test_a_key_replays_with_the_bare_id_as_with_the_global_one(workshop: Workshop) -> None:
    """Inputs take either id, so both are the same input (DESIGN section 11)."""
    caller = await workshop.person(10)
    parent = (await workshop.made(caller)).generation["mg_id"]
    await workshop.orders.tweak(caller, TweakOrder(parent, "Softer", idempotency_key="k"))
    again = await workshop.orders.tweak(caller, TweakOrder(parent.removeprefix("generation:"), "Softer", idempotency_key="k"))
    assert again.replayed


async def test_the_field_of_a_retrys_key_is_where_it_stands_in_the_call() -> None:
    """`retry(generationId, idempotencyKey)` has no `input`."""
    with pytest.raises(InvalidInput) as refused:
        RetryOrder("generation:1", idempotency_key="").checked()
    assert refused.value.field == ["idempotencyKey"]


# ---------------------------------------------------------------- clips made anew


async def test_a_clips_tweak_is_not_tried_again_once_the_knob_is_off(workshop: Workshop) -> None:
    """The knob `video_tweak.enabled` decides what is ordered now."""
    caller = await workshop.person(20)
    await workshop.knobs(**{"video_tweak.enabled": True})
    clip = await workshop.run(await workshop.animate(caller, input_still_url=await workshop.upload(caller)))
    failed = await workshop.tweak(caller, clip.generation["mg_id"], "Slower")
    await workshop.generations.cancel(caller, failed)
    await workshop.knobs(**{"video_tweak.enabled": False})
    with pytest.raises(VideoTweakDisabled):
        await workshop.orders.retry(caller, RetryOrder(failed))


# ---------------------------------------------------------------- waiting


async def test_who_lost_their_worker_is_kept_company_until_another_comes(workshop: Workshop) -> None:
    """At least one line in every five seconds: a killed worker's lease lasts 15 seconds, and the next look is 10 after it."""
    generation = await workshop.create()
    await workshop.meta(generation, lease="dead", lease_until="2999-01-01T00:00:00+00:00")
    await workshop.looking.execute(
        """update mega_generations set mg_mma_status = 'generating', mg_mma_vars = jsonb_set(mg_mma_vars, '{userMessages,scan_lines}',
          '[{"seq": 2, "text": "Lights on.", "stage": "generating", "at": "2026-01-01T00:00:00.000Z"}]') where mg_id = $1""",
        generation,
    )
    assert await QueueCompany(workshop.mina.database, workshop.mina.bus).talk() == 1


# ---------------------------------------------------------------- reading


async def test_configuration_that_grew_old_is_read_again_once(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 50 drafts asks for the configuration 50 times at once."""
    reads = 0
    fetch = workshop.mina.database.fetch

    async def counting(*arguments: Any, **parameters: Any) -> Any:
        nonlocal reads
        reads += 1
        return await fetch(*arguments, **parameters)

    monkeypatch.setattr(workshop.mina.database, "fetch", counting)
    workshop.config.forget()
    await asyncio.gather(*(workshop.config.runtime() for _ in range(20)))
    assert reads <= 2
