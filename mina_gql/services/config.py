"""Configuration in force: the active versions and the runtime knobs, re-read every few seconds."""

import time
from collections.abc import Mapping
from typing import Any

from mina_gql.domain.config import RUNTIME_DEFAULTS, Context, Role, RuntimeConfig, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.mega import admin
from mina_gql.mega.database import Database, decode

REREAD_SECONDS = 5.0


class ConfigService:
    """Reads configuration; `defaults` are the deployment's own on top of the built-in ones."""

    def __init__(self, database: Database, defaults: Mapping[str, Any]) -> None:
        self._database = database
        self._defaults = {**RUNTIME_DEFAULTS, **defaults}
        self._configs: dict[str, admin.ConfigRow] = {}
        self._values: dict[str, Any] = {}
        self._runtime = RuntimeConfig(self._defaults)
        self._read_at = float("-inf")

    async def seed(self) -> list[str]:
        """Write version 1 of every key where none stands; gives the ids written."""
        async with self._database.begin() as session:
            return [f"app_config:{key}.v1" for key, value in SEED.items() if await admin.seed_config(session, key, dict(value))]

    async def runtime(self) -> RuntimeConfig:
        """The knobs in force."""
        await self._refresh()
        return self._runtime

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

    def _active(self, key: str) -> tuple[admin.ConfigRow, dict[str, Any]]:
        if key not in self._configs:
            raise LookupError(f"no enabled version of {key}: run `mina migrate`")
        if key not in self._values:
            self._values[key] = decode(self._configs[key].value)
        return self._configs[key], self._values[key]

    async def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at < REREAD_SECONDS:
            return
        rows = [admin.ConfigRow(*record) for record in await self._database.fetch(admin.ACTIVE_CONFIGS)]
        overrides: dict[str, Any] = {}
        for record in await self._database.fetch(admin.RUNTIME_OVERRIDES):
            overrides |= {name: value for name, value in decode(record[0]).items() if name in RUNTIME_DEFAULTS}
        self._configs, self._values = {row.key: row for row in rows}, {}
        self._runtime = RuntimeConfig({**self._defaults, **overrides})
        self._read_at = now
