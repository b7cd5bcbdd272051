"""The gate before vendors: slots that all workers share, a breaker, a fallback (DESIGN section 6, section 14)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mina_gql.domain.errors import GenerationFailed
from mina_gql.mega.vendors import VendorSlots
from mina_gql.services.pipeline.gate import FAILURES, VendorGate
from tests.services import pipeline_workshop
from tests.services.pipeline_models import Gate, ScriptedStill
from tests.services.pipeline_places import caught, hold_waiting
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`

REGISTRY = "mma.provider.registry"


async def publish(workshop: Workshop, **still: Any) -> None:
    """A registry in force whose still role is changed."""
    value = await workshop.looking.fetchval("select mg_value from mega_admin where mg_id = $1", f"app_config:{REGISTRY}.v1")
    value["roles"]["still"] |= still
    await workshop.looking.execute(
        """insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_meta)
        values ($1, 'app_config', $2, $3, '{"version": 2, "enabled": true}')""",
        f"app_config:{REGISTRY}.v2",
        REGISTRY,
        value,
    )
    workshop.config._read_at = float("-inf")
    assert (await workshop.config.role("still")).concurrency == value["roles"]["still"]["concurrency"]


async def fail(*_: object) -> None:
    raise GenerationFailed("PROVIDER_ERROR", "The vendor is away.", detail="500")


async def test_slots_are_shared_by_all_workers_and_come_back_with_a_dead_one(workshop: Workshop) -> None:
    dsn = workshop.mina.dsn
    one, other = VendorSlots(dsn), VendorSlots(dsn)
    try:
        assert [await one.take("v", 2), await other.take("v", 2), await one.take("v", 2), await other.take("v", 2)] == [
            0,
            1,
            None,
            None,
        ]
        assert await one.take("another", 2) == 0
        await other.give_back("v", 1)
        assert await one.take("v", 2) == 1
        await workshop.cut("mina slots")  # as if its process had died
        assert sorted([await other.take("v", 2), await other.take("v", 2)]) == [0, 1]
    finally:
        await one.close()
        await other.close()


async def test_a_taker_that_gives_up_leaves_no_slot_behind(workshop: Workshop) -> None:
    slots = VendorSlots(workshop.mina.dsn)
    try:
        for wait in range(30):
            taking = asyncio.create_task(slots.take("v", 1))
            for _ in range(wait % 10):
                await asyncio.sleep(0)
            taking.cancel()
            await asyncio.wait([taking])
            if not taking.cancelled() and taking.result() is not None:
                await slots.give_back("v", 0)
            assert await slots.take("v", 1) == 0
            await slots.give_back("v", 0)
    finally:
        await slots.close()


async def test_no_more_calls_than_the_registry_allows_over_two_workers(workshop: Workshop, seeded: str, tmp_path: Path) -> None:
    """Six stills on two workers, two at a time."""
    await publish(workshop, concurrency=2)
    models, gate = workshop.models, Gate()
    models.brush.while_waiting = gate
    async with pipeline_workshop.opened(workshop.mina.dsn, tmp_path, models) as second:
        caller = await workshop.person(10)
        generations = [await workshop.create(caller) for _ in range(6)]
        runs = [
            asyncio.create_task((workshop if n % 2 else second).mina.runner.run(generation))
            for n, generation in enumerate(generations)
        ]
        await gate.reached.wait()

        async def all_planned() -> bool:
            started = await workshop.looking.fetchval(
                "select count(*) from mega_generations where mg_step_type = 'seedream_generate' and mg_status = 'running'"
            )
            return started == 6 and gate.inside == 2

        await pipeline_workshop.until(all_planned)
        assert len(models.brush.paid) == 2
        gate.go.set()
        await asyncio.gather(*runs)
    assert len(models.brush.paid) == 6
    assert {story.status for story in (await workshop.all_ended()).values()} == {"done"}


async def test_a_vendor_that_keeps_failing_is_left_alone_for_its_fallback(workshop: Workshop) -> None:
    understudy = {"provider": "understudy", "vendor": "replicate", "model": "some/other", "settings_schema": {"type": "object"}}
    await publish(workshop, fallback=understudy, concurrency=8)
    stand_in = workshop.models.by_provider["understudy"] = ScriptedStill("some/other")
    stand_in.name = "understudy"
    workshop.models.brush.before_id = fail
    workshop.models.brush.name = "seedream"
    caller = await workshop.person(20)
    for _ in range(FAILURES):
        assert (await workshop.made(caller)).status == "error"
    assert stand_in.paid == []
    story = await workshop.made(caller)
    assert (story.status, story.generation["mg_provider"], story.generation["mg_model"]) == ("done", "understudy", "some/other")
    assert [step["mg_step_type"] for step in story.of_type("understudy_generate")] == ["understudy_generate"]
    assert len(workshop.models.brush.paid) == FAILURES, "the first is left alone"


async def test_a_run_that_was_begun_with_a_provider_goes_on_with_it(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was paid for is waited for, even while the vendor is left alone otherwise."""
    understudy = {"provider": "understudy", "vendor": "replicate", "model": "some/other"}
    await publish(workshop, fallback=understudy, concurrency=8)
    workshop.models.by_provider["understudy"] = ScriptedStill("some/other")
    generation = await workshop.create()
    async with caught(workshop, generation, hold_waiting) as old:
        old.cancel()
        await asyncio.wait([old])

    async def always_open(*_: object) -> bool:
        return True

    monkeypatch.setattr(VendorGate, "is_open", always_open)
    story = await workshop.run(generation)
    assert (story.status, len(workshop.models.brush.paid)) == ("done", 1)
    assert workshop.models.brush.polled == ["prediction-1", "prediction-1"]


async def test_without_a_fallback_the_breaker_waits_and_one_call_tries(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = workshop.mina.runner._tools.gate
    monkeypatch.setattr(gate, "_open_seconds", 2.0)
    workshop.models.brush.name = "seedream"
    workshop.models.brush.before_id = fail
    caller = await workshop.person(20)
    for _ in range(FAILURES):
        await workshop.made(caller)
    assert await gate.is_open("seedream")
    trial = Gate()
    workshop.models.brush.before_id = trial
    generations = [await workshop.create(caller) for _ in range(3)]
    runs = [asyncio.create_task(workshop.mina.runner.run(generation)) for generation in generations]
    await trial.reached.wait()
    assert not await gate.is_open("seedream")
    await asyncio.sleep(0.6)
    assert trial.inside == 1, "one call at a time tries"
    trial.go.set()
    await asyncio.gather(*runs)
    assert {(await workshop.story(generation)).status for generation in generations} == {"done"}


async def test_what_is_no_fault_of_the_vendor_opens_no_breaker(workshop: Workshop) -> None:
    workshop.models.brush.name = "seedream"
    workshop.models.brush.output = lambda _: b"no picture"
    caller = await workshop.person(20)
    for _ in range(FAILURES + 1):
        assert (await workshop.made(caller)).generation["mg_error"] == "BAD_MODEL_OUTPUT"
    assert not await workshop.mina.runner._tools.gate.is_open("seedream")
