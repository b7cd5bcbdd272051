"""Configuration: the runtime knobs with their defaults, the contexts of language models, settings of a provider."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator

from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import InvalidInput

RUNTIME_DEFAULTS: Mapping[str, Any] = {
    "price.create": 1,
    "price.tweak": 1,
    "price.animate": 5,
    "credits.free_grant": 0,
    "credits.grant_every_pass": False,
    "credits.days_valid": 30,
    "shopify.sku_map": {
        "MINA-50": {"matcha": 50, "variantId": None},
        "MINA-100": {"matcha": 100, "variantId": None},
    },
    "video_tweak.enabled": False,
    "reports.timezone": "Asia/Dubai",
    "rest.wait_seconds": 55,
    "limits.ensure_pass": 10,
    "limits.create": 20,
    "limits.suggest": 20,
    "limits.upload": 60,
    "limits.remote": 20,
    "limits.signals": 120,
    "limits.export": 2,
    "limits.sign_in": 10,
    "limits.late_cancels_per_day": 5,
}
"""Every knob and its default (DESIGN section 10). `limits.*` are a minute each, but for `late_cancels_per_day`."""

PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """The knobs in force: defaults with overrides on top."""

    values: Mapping[str, Any] = field(default_factory=lambda: dict(RUNTIME_DEFAULTS))

    def price(self, action: BillableAction) -> int:
        """What an action costs, in matcha."""
        return int(self.values[f"price.{action}"])

    @property
    def free_grant(self) -> int:
        """Matcha that is given for free; to whom: `grants_every_pass`."""
        return int(self.values["credits.free_grant"])

    @property
    def grants_every_pass(self) -> bool:
        """Whether every new Pass is given the free matcha, or every verified user once."""
        return bool(self.values["credits.grant_every_pass"])

    @property
    def days_valid(self) -> int:
        """How many days matcha lives."""
        return int(self.values["credits.days_valid"])

    @property
    def packs(self) -> list[tuple[str, int]]:
        """The packs on sale: SKU and matcha, smallest first."""
        packs = [(sku, int(pack["matcha"])) for sku, pack in self.values["shopify.sku_map"].items()]
        return sorted(packs, key=lambda pack: pack[1])

    def per_minute(self, name: str) -> int:
        """How often a minute something may be asked for: `ensure_pass`, `create`, `upload`, `remote`."""
        return int(self.values[f"limits.{name}"])

    @property
    def late_cancels_per_day(self) -> int:
        """How many generations a Pass may cancel in a day after their paid call went out."""
        return int(self.values["limits.late_cancels_per_day"])

    @property
    def timezone(self) -> ZoneInfo:
        """The zone whose days reports are grouped by."""
        return ZoneInfo(self.values["reports.timezone"])

    @property
    def rest_wait_seconds(self) -> int:
        """How long an order by REST waits for its end before it answers where to follow it; 0: not at all."""
        return int(self.values["rest.wait_seconds"])

    @property
    def video_tweak(self) -> bool:
        """Whether clips may be tweaked; they take feedback only, otherwise."""
        return bool(self.values["video_tweak.enabled"])


@dataclass(frozen=True, slots=True)
class Context:
    """One version of what a language model is told (`mma.ctx.*`)."""

    id: str
    key: str
    version: int
    system: str
    user_template: str

    def render(self, parts: Mapping[str, str]) -> str:
        """The user text: every `{{name}}` replaced by its part, once.

        Parts are data: never rendered themselves, and without a `<` they cannot close the `<data>` they stand in.
        """
        return PLACEHOLDER.sub(lambda found: parts.get(found[1], "").replace("<", "‹"), self.user_template)

    def use(self) -> dict[str, Any]:
        """What a step keeps of the context it ran with (seed 003, 13.3)."""
        return {"ctx_key": self.key, "ctx_version": self.version, "ctx_id": self.id}


@dataclass(frozen=True, slots=True)
class Role:
    """What the registry says of a role.

    `provider` names the step (`<provider>_generate`) and the settings, `vendor` is the service that runs `model`, `inputs` maps
    our words to the model's (`{"pictures": "image_input"}`), the schema says what a person may ask for. `concurrency` calls
    run at a time over all workers. `fallback` takes over while the vendor keeps failing.
    """

    name: str
    provider: str
    vendor: str
    model: str
    settings_schema: Mapping[str, Any]
    stored_only: frozenset[str]
    max_pictures: int
    concurrency: int
    inputs: Mapping[str, Any]
    fallback: "Role | None"

    @property
    def line(self) -> "list[Role]":
        """The role, its fallback, the fallback's fallback: in the order they are asked."""
        return [self, *(self.fallback.line if self.fallback else [])]


VENDORS: Mapping[str, str] = {
    "vision": "openai",
    "writer": "openai",
    "moderation": "openai",
    "still": "replicate",
    "video": "replicate",
}
"""Who fills a role where the registry does not say."""


def role_of(registry: Mapping[str, Any], name: str) -> Role:
    """A role of the registry (`mma.provider.registry`): still, video, vision, writer or moderation."""
    return _role(name, registry["roles"][name])


def _role(name: str, entry: Mapping[str, Any]) -> Role:
    schema = entry.get("settings_schema", {"type": "object"})
    stored = {key for key, rule in schema.get("properties", {}).items() if rule.get("x-stored-only")}
    fallback = entry.get("fallback")
    return Role(
        name=name,
        provider=entry["provider"],
        vendor=entry.get("vendor", VENDORS[name]),
        model=entry["model"],
        settings_schema=schema,
        stored_only=frozenset(stored),
        max_pictures=int(entry.get("max_pictures", 1)),
        concurrency=int(entry.get("concurrency", 4)),
        inputs=entry.get("inputs", {}),
        fallback=None if fallback is None else _role(name, fallback),
    )


def resolve_settings(
    role: Role, defaults: Mapping[str, Any], preferences: Mapping[str, Any], request: Any
) -> dict[str, dict[str, Any]]:
    """Settings = defaults < preferences < request, as stored: `{provider: {…}}`. Raises InvalidInput for what is unknown.

    `request` is the client's `settings`: per provider, for example `{"seedream": {"size": "2K"}}`.
    """
    asked = request if request is not None else {}
    if not isinstance(asked, dict) or not all(isinstance(value, dict) for value in asked.values()):
        raise InvalidInput('Settings are an object per provider, for example {"seedream": {"size": "2K"}}.', ["settings"])
    for provider in asked:
        if provider != role.provider:
            raise InvalidInput(
                f"“{provider[:40]}” is no provider here; this action takes settings for “{role.provider}”.",
                ["settings"],
            )
    wanted = asked.get(role.provider, {})
    faults = sorted(Draft202012Validator(role.settings_schema).iter_errors(wanted), key=lambda fault: list(fault.path))
    if faults:
        raise InvalidInput(_explain(faults[0], role), ["settings", role.provider, *map(str, faults[0].path)])
    return {role.provider: {**defaults, **_still_valid(role, preferences.get(role.provider, {})), **wanted}}


def settings_for(role: Role, resolved: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that were resolved once, for a role that may have another provider now: what its schema knows is kept."""
    if role.provider in resolved:
        return dict(resolved[role.provider])
    return {**defaults, **_still_valid(role, {name: value for each in resolved.values() for name, value in each.items()})}


def _still_valid(role: Role, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of settings that were right once, those that the role's schema still takes."""
    check = Draft202012Validator(role.settings_schema)
    known = role.settings_schema.get("properties", {})
    return {name: value for name, value in settings.items() if name in known and check.is_valid({name: value})}


def _explain(fault: Any, role: Role) -> str:
    known = ", ".join(sorted(role.settings_schema.get("properties", {})))
    if fault.validator == "additionalProperties":
        unknown = sorted(set(fault.instance) - set(role.settings_schema.get("properties", {})))
        return f"“{str(unknown[0])[:40]}” is no setting of {role.provider}. It knows: {known}."
    name = ".".join(map(str, fault.path)) or role.provider
    if fault.validator == "enum":
        return f"“{name}” must be one of {', '.join(map(str, fault.validator_value))}."
    return f"“{name}” is not valid: {fault.message[:200]}."
