"""A studio for the pipeline's tests: scripted models, stories instead of rows, and hands to break things with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import pytest

from mina_gql.domain.generations import MotionOrder, StillOrder, TweakOrder
from mina_gql.domain.passes import Caller, owner_tag
from tests import studio
from tests.services import pipeline_promises as promises
from tests.services.pipeline_models import ScriptedModels, jpeg
from tests.services.pipeline_promises import Story

DEADLINE_SECONDS = 60.0


@dataclass
class Workshop(studio.Studio):
    """A Mina with scripted models. `looking` is a connection that sees JSON decoded and is none of Mina's."""

    models: ScriptedModels
    looking: asyncpg.Connection

    async def upload(self, caller: Caller, seed: str | None = None) -> str:
        """The URL of a confirmed upload; the same seed gives the same bytes under another key."""
        tag = owner_tag(str(caller.pass_id), studio.SECRET.encode())
        key = f"user_uploads/{tag}/{token_hex(16)}.jpg"
        await self.mina.store.write(key, jpeg(seed or key), "image/jpeg")
        return self.mina.store.public_url(key)

    async def create(self, caller: Caller | None = None, brief: str = "A cup on stone", **order: Any) -> str:
        """Somebody (new, with ten matcha, unless told otherwise) orders a still; its mg_id."""
        caller = caller or await self.person(10)
        return (await self.orders.create(caller, StillOrder(brief, **order))).generation.id

    async def tweak(self, caller: Caller, generation: str, feedback: str = "Softer light, please.", **order: Any) -> str:
        """Somebody orders a tweak; its mg_id."""
        return (await self.orders.tweak(caller, TweakOrder(generation, feedback, **order))).generation.id

    async def animate(self, caller: Caller, **order: Any) -> str:
        """Somebody orders a clip; its mg_id."""
        return (await self.orders.animate(caller, MotionOrder(**order))).generation.id

    async def run(self, generation: str) -> Story:
        """One run works on a generation; what came of it."""
        await self.mina.runner.run(generation)
        return await self.story(generation)

    async def made(self, caller: Caller | None = None, **order: Any) -> Story:
        """A still is ordered, and one run works on it."""
        return await self.run(await self.create(caller, **order))

    async def story(self, generation: str) -> Story:
        """A generation and its steps; every promise on every row is checked first."""
        return (await promises.kept(self.looking))[generation]

    async def meta(self, generation: str, **values: object) -> None:
        """Set values in `mg_meta` of a running generation."""
        await self.looking.execute("update mega_generations set mg_meta = mg_meta || $2 where mg_id = $1", generation, values)

    async def expire_lease(self, generation: str) -> None:
        """As if the run that holds the generation had been silent for too long."""
        await self.meta(generation, lease_until="2000-01-01T00:00:00+00:00")

    async def jobs(self) -> list[str]:
        """The generations that have a job, oldest first."""
        return [
            bytes(row["payload"]).decode() for row in await self.looking.fetch("select payload from ops.pgqueuer order by id")
        ]

    async def drop_jobs(self) -> None:
        """As if the job engine had lost everything."""
        await self.looking.execute("delete from ops.pgqueuer")

    async def cut(self, application: str = "mina%") -> int:
        """End connections of Mina's in the middle of whatever they do; how many there were."""
        query = """select count(pg_terminate_backend(pid)) from pg_stat_activity
          where application_name like $1 and datname = current_database()"""
        return int(await self.sql.fetchval(query, application))

    async def all_ended(self) -> dict[str, Story]:
        """Wait until no generation is unfinished; every story, checked."""

        async def ended() -> bool:
            return await self.looking.fetchval(promises.UNFINISHED) == 0

        await until(ended)
        return await promises.kept(self.looking)


@asynccontextmanager
async def opened(dsn: str, home: Path, models: ScriptedModels | None = None) -> AsyncIterator[Workshop]:
    """A workshop on a seeded database. Several on one database and one home are like several processes."""
    models = models or ScriptedModels()
    looking = await promises.connect(dsn)
    try:
        async with studio.opened(home, dsn, models=models) as open_studio:
            yield Workshop(open_studio.mina, open_studio.sql, models, looking)
    finally:
        await looking.close()


@pytest.fixture(name="workshop")
async def workshop_fixture(postgres, seeded: str, tmp_path: Path) -> AsyncIterator[Workshop]:
    """A workshop of this test's own."""
    dsn = await postgres.create_database(seeded)
    async with opened(dsn, tmp_path) as workshop:
        yield workshop
    await postgres.drop_database(dsn)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for what only the database knows; fails when it does not come in time."""
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 -- no event comes from there
            await asyncio.sleep(0.05)
