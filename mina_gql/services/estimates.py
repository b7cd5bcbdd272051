"""How long it will take: learned from how long such steps took lately, told to those who wait."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from mina_gql.domain.config import Role
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import ProviderNotConfigured
from mina_gql.domain.estimates import RECENT_RUNS, BegunStep, Estimate, Maker, Standing, Usual, estimate, step_keys, typical
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.domain.ports import Models
from mina_gql.mega.database import Database, decode
from mina_gql.mega.generations import durations
from mina_gql.mega.generations.durations import DurationRow, StandingRow
from mina_gql.services.config import ConfigService

RELEARN_SECONDS = 20.0
_ROLES = ("vision", "writer", "still", "video")


class EstimateService:
    """Estimates of generations and of actions. `concurrency` is how many generations one worker makes at a time."""

    def __init__(self, database: Database, config: ConfigService, models: Models, *, concurrency: int) -> None:
        self._database = database
        self._config = config
        self._models = models
        self._concurrency = concurrency
        self._usual = Usual()
        self._learned_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def by_id(self, ids: list[str]) -> dict[str, Estimate]:
        """Estimates of many generations by their global ids, in one look; those that have ended have none."""
        rows = [StandingRow(*record) for record in await self._database.fetch(durations.STANDINGS, ids=ids)]
        if not rows:
            return {}
        usual = await self._current()
        vendors = {name: (await self._config.role(name)).concurrency for name in ("still", "video")}
        return {row.id: estimate(self._standing(row, vendors), usual) for row in rows}

    async def typical(self, action: BillableAction) -> int:
        """Seconds that an action usually takes, from accept to done."""
        return typical(action, await self._current())

    def _standing(self, row: StandingRow, vendors: Mapping[str, int]) -> Standing:
        slots = max(1, row.workers or 0) * self._concurrency
        return Standing(
            kind=GenerationKind(row.mode),
            status=GenerationStatus(row.status),
            tweaks=row.tweaks,
            looks=row.looks,
            begun=[BegunStep(*step) for step in decode(row.steps)],
            stills_ahead=row.stills_ahead or 0,
            clips_ahead=row.clips_ahead or 0,
            stills_running=row.stills_running or 0,
            clips_running=row.clips_running or 0,
            still_slots=min(slots, vendors["still"]),
            clip_slots=min(slots, vendors["video"]),
        )

    async def _current(self) -> Usual:
        """What is usual, re-read every few seconds; those who ask meanwhile wait for the one who reads."""
        async with self._one_at_a_time:
            if time.monotonic() - self._learned_at >= RELEARN_SECONDS:
                makers = {name: self._makers(name, await self._config.role(name)) for name in _ROLES}
                self._usual = Usual(makers, await self._learn(makers))
                self._learned_at = time.monotonic()
        return self._usual

    async def _learn(self, makers: Mapping[str, Sequence[Maker]]) -> dict[tuple[str, str], float]:
        keys = step_keys(makers)
        types, vendors = [key[0] for key in keys], [key[1] for key in keys]
        found = await self._database.fetch(durations.MEDIANS, step_types=types, vendors=vendors, runs=RECENT_RUNS)
        rows = [DurationRow(*record) for record in found]
        return {(row.step_type, row.vendor): row.seconds for row in rows}

    def _makers(self, name: str, role: Role) -> list[Maker]:
        """Who does a role's steps, the first choice first."""
        return [Maker(each.provider, self._vendor(name, each)) for each in role.line]

    def _vendor(self, name: str, role: Role) -> str | None:
        """What steps of this role store as their provider; None where nobody is set up for it."""
        try:
            if name == "vision":
                return self._models.vision(role).name
            return self._models.writer(role).name if name == "writer" else self._models.media(role).name
        except ProviderNotConfigured:
            return None
