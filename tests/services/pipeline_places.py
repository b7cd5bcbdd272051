"""Where a run can be caught in the middle of something, and left there as if its process had died."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from tests.services.pipeline_models import Gate, ScriptedModels, at_once
from tests.services.pipeline_promises import Row
from tests.services.pipeline_workshop import Workshop

Hook = Callable[..., Any]


def hold_scan(models: ScriptedModels, hook: Hook) -> None:
    models.eye.before = hook


def hold_words(models: ScriptedModels, hook: Hook) -> None:
    models.pen.before = hook


def hold_before_id(models: ScriptedModels, hook: Hook) -> None:
    models.brush.before_id = hook


def hold_waiting(models: ScriptedModels, hook: Hook) -> None:
    models.brush.while_waiting = hook


PLACES = [hold_scan, hold_words, hold_before_id, hold_waiting]
"""Where a run can be caught in the middle of something outside."""


@asynccontextmanager
async def caught(
    workshop: Workshop, generation: str, place: Callable[[ScriptedModels, Hook], None]
) -> AsyncIterator[asyncio.Task[None]]:
    """A run that stands still in the middle of something; it goes on when the block ends."""
    gate = Gate()
    place(workshop.models, gate)
    run = asyncio.create_task(workshop.mina.runner.run(generation))
    try:
        await asyncio.wait_for(gate.reached.wait(), 20)
        place(workshop.models, at_once)
        yield run
    finally:
        gate.go.set()
        await asyncio.wait([run])


async def ordered(workshop: Workshop) -> str:
    """An order with a product picture."""
    caller = await workshop.person(10)
    return await workshop.create(caller, product_image_url=await workshop.upload(caller))


async def everything(workshop: Workshop) -> list[Row]:
    """Every row of the ledger as it is."""
    return [dict(row) for row in await workshop.looking.fetch("select * from mega_generations order by mg_id")]


async def started_ago(workshop: Workshop, generation: str, ago: timedelta) -> None:
    """As if the first run had started so long ago."""
    started = await workshop.looking.fetchval("select (clock_timestamp() - $1::interval)::text", ago)
    await workshop.meta(generation, first_started_at=started)
