"""Configuration in force: the active versions and the runtime knobs, re-read every few seconds, and at once after a change."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from mina_gql.domain.config import RUNTIME_DEFAULTS, Context, Role, RuntimeConfig, role_of
from mina_gql.domain.config_rules import sound_knobs
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.ports import ProgressBus
from mina_gql.mega import configs
from mina_gql.mega.configs import ConfigRow, RuntimeRow
from mina_gql.mega.database import Database, Timestamp, decode

log = structlog.get_logger(__name__)

REREAD_SECONDS = 5.0
TOPIC = "config"
"""What is announced after a change of configuration."""


class RuntimeReport(NamedTuple):
    """The knobs in force here: `defaults` with `overrides` on top. `ignored` says what stands and is not used, and why."""

    values: dict[str, Any]
    defaults: dict[str, Any]
    overrides: dict[str, Any]
    ignored: list[str]
    updated_at: Timestamp | None
    loaded_at: Timestamp


class ConfigService:
    """Reads configuration; `defaults` are the deployment's own on top of the built-in ones."""

    def __init__(self, database: Database, defaults: Mapping[str, Any]) -> None:
        self._database = database
        self._defaults = {**RUNTIME_DEFAULTS, **defaults}
        self._configs: dict[str, ConfigRow] = {}
        self._values: dict[str, Any] = {}
        self._runtime = RuntimeConfig(self._defaults)
        self._overrides: dict[str, Any] = {}
        self._ignored: list[str] = []
        self._updated_at: Timestamp | None = None
        self._loaded_at = Timestamp("")
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._changes = 0
        self._changes_read = 0

    async def seed(self) -> list[str]:
        """Write version 1 of every key where none stands; gives the ids written."""
        async with self._database.begin() as session:
            return [f"app_config:{key}.v1" for key, value in SEED.items() if await configs.seed(session, key, dict(value))]

    async def follow(self, bus: ProgressBus) -> None:
        """Forget what was read whenever a change is announced, whichever process made it. Runs until it is cancelled."""
        async with bus.watch(TOPIC) as wakeups:
            while True:
                await wakeups.wait(60 * REREAD_SECONDS)
                self.forget()

    def forget(self) -> None:
        """Read anew at the next use; what is being read now may be older than the change."""
        self._changes += 1

    async def runtime(self) -> RuntimeConfig:
        """The knobs in force."""
        await self._refresh()
        return self._runtime

    async def report(self) -> RuntimeReport:
        """The knobs in force, where they come from, and what was ignored."""
        await self._refresh()
        values = dict(self._runtime.values)
        return RuntimeReport(values, self._defaults, self._overrides, self._ignored, self._updated_at, self._loaded_at)

    async def context(self, name: str) -> Context:
        """The active version of a language model's context, by its short name: `gpt_reader`."""
        await self._refresh()
        row, value = self._active(f"mma.ctx.{name}")
        return Context(row.id, row.key, row.version, value["system"], value["user_template"])

    async def role(self, name: str) -> Role:
        """What the registry says of a role: still, video, vision, writer."""
        await self._refresh()
        return role_of(self._active("mma.provider.registry")[1], name)

    async def provider_defaults(self, provider: str) -> dict[str, Any]:
        """The default settings of a provider; empty where none are configured."""
        await self._refresh()
        key = f"mma.provider.{provider}.defaults"
        return dict(self._active(key)[1]) if key in self._configs else {}

    def _active(self, key: str) -> tuple[ConfigRow, dict[str, Any]]:
        if key not in self._configs:
            raise LookupError(f"no enabled version of {key}: run `mina migrate`")
        if key not in self._values:
            self._values[key] = decode(self._configs[key].value)
        return self._configs[key], self._values[key]

    def _fresh(self) -> bool:
        return time.monotonic() - self._read_at < REREAD_SECONDS and self._changes == self._changes_read

    async def _refresh(self) -> None:
        """Read what is in force, where it was read too long ago; those who ask meanwhile wait for the one who reads."""
        if self._fresh():
            return
        async with self._reading:
            if not self._fresh():
                await self._read()

    async def _read(self) -> None:
        now, changes = time.monotonic(), self._changes
        rows = [ConfigRow(*record) for record in await self._database.fetch(configs.ACTIVE)]
        (standing,) = [RuntimeRow(*record) for record in await self._database.fetch(configs.RUNTIME)]
        self._configs, self._values = {row.key: row for row in rows}, {}
        self._use(standing)
        self._read_at, self._changes_read = now, changes

    def _use(self, standing: RuntimeRow) -> None:
        """Put the sound knobs in force. One that is not sound is left out by itself: its default, or an older row's, holds."""
        overrides: dict[str, Any] = {}
        ignored: list[str] = []
        for flat in decode(standing.flats):
            sound, faults = sound_knobs(flat)
            overrides |= sound
            ignored += faults
        if ignored != self._ignored:
            for fault in ignored:
                log.warning("a knob is ignored", reason=fault)
        self._overrides, self._ignored = overrides, ignored
        self._runtime = RuntimeConfig({**self._defaults, **overrides})
        self._updated_at, self._loaded_at = standing.updated_at, standing.looked_at
