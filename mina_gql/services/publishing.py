"""Publishing: what admins do to versioned keys and to the runtime knobs, each act with its audit row (DESIGN section 10)."""

from typing import Any

from mina_gql.domain.config import RUNTIME_DEFAULTS
from mina_gql.domain.config_rules import NEEDED, REGISTRY, check_config, check_knobs
from mina_gql.domain.errors import Conflict, InvalidInput, NotFound
from mina_gql.domain.ports import ProgressBus
from mina_gql.mega import admin, configs
from mina_gql.mega.admin import Actor
from mina_gql.mega.configs import ConfigRow, Version
from mina_gql.mega.database import Database, Transaction
from mina_gql.services.config import TOPIC, ConfigService, RuntimeReport

PREFIX = "app_config:"


class PublishingService:
    """Changes configuration, and lets every process know."""

    def __init__(self, database: Database, config: ConfigService, bus: ProgressBus) -> None:
        self._database = database
        self._config = config
        self._bus = bus

    # ------------------------------------------------------------ versioned keys

    async def versions(self, key: str | None = None) -> list[ConfigRow]:
        """Every version of a key, or of all keys: newest first."""
        found = await (
            self._database.fetch(configs.VERSIONS) if key is None else self._database.fetch(configs.OF_KEY, key=_bare(key))
        )
        return [ConfigRow(*record) for record in found]

    async def by_id(self, ids: list[str]) -> dict[str, ConfigRow]:
        """Versions by their global ids."""
        rows = [ConfigRow(*record) for record in await self._database.fetch(configs.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}

    async def publish(self, actor: Actor, key: str, value: Any) -> ConfigRow:
        """Write the next version of a key; it is active from now on. Raises InvalidInput that says what to change."""
        async with self._database.begin() as session:
            await configs.one_change_at_a_time(session)
            check_config(key, value, await _registry(session))
            before = _active(await configs.versions(session, key))
            id_ = await configs.publish(session, key, value, actor.email or actor.user_id)
            after = _active(await configs.versions(session, key))
            await admin.audit(session, "config.publish", None, _detail(id_, before, after), actor=actor)
        return await self._changed(id_)

    async def set_enabled(self, actor: Actor, given: str, *, enabled: bool) -> ConfigRow:
        """Enable or disable a version: a roll-back is disabling the newest one. Only `mg_meta.enabled` changes.

        Raises NotFound, Conflict for the last enabled version of a key that is needed, and InvalidInput where the version that
        would become active does not meet today's rules.
        """
        id_ = PREFIX + _bare(given)
        found = (await self.by_id([id_])).get(id_)
        if found is None:
            raise NotFound("There is no such version.", ["id"])
        key = found.key
        async with self._database.begin() as session:
            await configs.one_change_at_a_time(session)
            before = _active(await configs.versions(session, key))
            await configs.enable(session, id_, enabled=enabled)
            after = _active(await configs.versions(session, key))
            if after is None and key in NEEDED:
                raise Conflict(
                    "This is the last enabled version, and nothing works without one. Enable or publish another first.", ["id"]
                )
            if after is not None and after != before:
                _check_again(after, await _registry(session))
            action = "config.enable" if enabled else "config.disable"
            await admin.audit(session, action, None, _detail(id_, before, after), actor=actor)
        return await self._changed(id_)

    async def _changed(self, id_: str) -> ConfigRow:
        await self._announce()
        return (await self.by_id([id_]))[id_]

    # ------------------------------------------------------------ runtime knobs

    async def set_knobs(self, actor: Actor, values: object) -> RuntimeReport:
        """Set knobs, all of them or, where one does not fit, none. Raises InvalidInput."""
        checked = check_knobs(values)
        async with self._database.begin() as session:
            await configs.one_change_at_a_time(session)
            before = await _overrides(session)
            await configs.set_knobs(session, checked)
            await _audit_knobs(session, "runtime.set", sorted(checked), before, actor)
        return await self._announce()

    async def unset_knobs(self, actor: Actor, names: list[str]) -> RuntimeReport:
        """Let knobs fall back to their defaults. Raises InvalidInput for a name that is no knob and stands nowhere."""
        async with self._database.begin() as session:
            await configs.one_change_at_a_time(session)
            before = await _overrides(session)
            unknown = [name for name in names if name not in RUNTIME_DEFAULTS and name not in before]
            if unknown or not names:
                known = ", ".join(RUNTIME_DEFAULTS)
                raise InvalidInput(f"There is no knob “{unknown[0][:60]}”." if unknown else f"Say which: {known}.", ["keys"])
            await configs.unset_knobs(session, names)
            await _audit_knobs(session, "runtime.unset", sorted(set(names)), before, actor)
        return await self._announce()

    async def reload(self, actor: Actor) -> RuntimeReport:
        """Let every process read its configuration anew, also what somebody changed by hand."""
        async with self._database.begin() as session:
            await admin.audit(session, "runtime.reload", None, {}, actor=actor)
        return await self._announce()

    async def _announce(self) -> RuntimeReport:
        """Every process reads anew: this one now, the others as soon as they hear of it, or after a few seconds."""
        self._config.forget()
        report = await self._config.report()
        await self._bus.announce_topic(TOPIC)
        return report


async def _registry(session: Transaction) -> Any:
    active = _active(await configs.versions(session, REGISTRY))
    return {} if active is None else active.value


def _active(versions: list[Version]) -> Version | None:
    return next((version for version in versions if version.active), None)


def _check_again(version: Version, registry: Any) -> None:
    try:
        check_config(version.key, version.value, registry)
    except InvalidInput as refused:
        raise InvalidInput(
            f"Version {version.version} would be in force, and it cannot be: {refused.message}", ["id"]
        ) from refused


def _detail(id_: str, before: Version | None, after: Version | None) -> dict[str, Any]:
    return {"id": id_, "before": {"active": before and before.id}, "after": {"active": after and after.id}}


async def _overrides(session: Transaction) -> dict[str, Any]:
    """What stands of knobs, sound or not."""
    standing: dict[str, Any] = {}
    for flat in await configs.standing_knobs(session):
        standing |= flat if isinstance(flat, dict) else {}
    return standing


async def _audit_knobs(session: Transaction, action: str, names: list[str], before: dict[str, Any], actor: Actor) -> None:
    after = await _overrides(session)
    detail = {
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
    }
    await admin.audit(session, action, None, detail, actor=actor)


def _bare(given: str) -> str:
    return given.removeprefix(PREFIX)
