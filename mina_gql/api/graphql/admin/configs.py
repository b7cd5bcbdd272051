"""Configuration: versions of keys, and the runtime knobs."""

from collections.abc import Awaitable, Callable

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.permissions import admin_only
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.mega.configs import ConfigRow
from mina_gql.services.config import RuntimeReport


@strawberry.type
class RuntimeConfig:
    """The runtime knobs: `values` are in force, which are the `defaults` with the `overrides` on top."""

    values: JSON
    defaults: JSON
    overrides: JSON
    ignored: list[str] = strawberry.field(description="What stands in the database and is not used, and why.")
    updated_at: DateTime | None
    loaded_at: DateTime = strawberry.field(description="When this process read them.")


@strawberry.type
class ConfigVersion(Node):
    """One version of a configuration key. Versions are never edited; only `enabled` changes."""

    key: str
    version: int
    enabled: bool
    active: bool = strawberry.field(description="In force: the highest enabled version of its key.")
    value: JSON
    created_at: DateTime
    created_by: str | None


node_type(ConfigRow, "ConfigVersion")


@strawberry.type
class RuntimeConfigPayload:
    """The knobs after the change, or why there was none."""

    config: RuntimeConfig | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class ConfigPayload:
    """The version after the change, or why there was none."""

    config: ConfigVersion | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class ConfigMutations:
    """What admins do to configuration. It is in force in every process within seconds."""

    @strawberry.mutation
    async def set_runtime_config(self, info: Info, values: JSON) -> RuntimeConfigPayload | None:
        """Set knobs, such as `{"price.animate": 6}`: all of them or, where one does not fit, none."""
        actor, publishing = await admin_only(info), info.context.services.publishing
        return await _runtime(lambda: publishing.set_knobs(actor, values))

    @strawberry.mutation
    async def unset_runtime_config(self, info: Info, keys: list[str]) -> RuntimeConfigPayload | None:
        """Let knobs fall back to their defaults."""
        actor, publishing = await admin_only(info), info.context.services.publishing
        return await _runtime(lambda: publishing.unset_knobs(actor, keys))

    @strawberry.mutation
    async def reload_runtime_config(self, info: Info) -> RuntimeConfigPayload | None:
        """Let every process read its configuration anew, also what somebody changed by hand."""
        actor, publishing = await admin_only(info), info.context.services.publishing
        return await _runtime(lambda: publishing.reload(actor))

    @strawberry.mutation(description="Publish a new version of a config key. Versions are never edited.")
    async def publish_config(self, info: Info, key: str, value: JSON) -> ConfigPayload | None:
        actor, publishing = await admin_only(info), info.context.services.publishing
        return await _version(lambda: publishing.publish(actor, key, value))

    @strawberry.mutation
    async def set_config_enabled(self, info: Info, id: strawberry.ID, enabled: bool) -> ConfigPayload | None:
        """Enable or disable a version: a roll-back is disabling the newest one, or publishing a copy of an old one."""
        actor, publishing = await admin_only(info), info.context.services.publishing
        return await _version(lambda: publishing.set_enabled(actor, id, enabled=enabled))


async def _runtime(change: Callable[[], Awaitable[RuntimeReport]]) -> RuntimeConfigPayload:
    async def work() -> RuntimeConfigPayload:
        return RuntimeConfigPayload(config=shown(await change()))

    return await answered(RuntimeConfigPayload, work)


async def _version(change: Callable[[], Awaitable[ConfigRow]]) -> ConfigPayload:
    async def work() -> ConfigPayload:
        return ConfigPayload(config=shown(await change()))

    return await answered(ConfigPayload, work)
