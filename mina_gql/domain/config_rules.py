"""What configuration may say: the range of each runtime knob, the shape of each versioned key (DESIGN section 10)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import extend

from mina_gql.domain.config import PLACEHOLDER, VENDORS, Role, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.errors import InvalidInput

REGISTRY = "mma.provider.registry"
TEXT_CHARS = 20_000
MAX_FALLBACKS = 3
NEEDED = frozenset(key for key in SEED if not key.endswith(".defaults"))
"""Keys without which nothing is made: one version of each is always enabled."""

_WHOLE = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
_Validator = extend(Draft202012Validator, type_checker=_WHOLE)  # type: ignore[no-untyped-call]  # jsonschema has types in part

# ---------------------------------------------------------------- runtime knobs


class Knob(NamedTuple):
    """What a knob takes, as JSON Schema and in words."""

    schema: Mapping[str, Any]
    takes: str


def _whole(least: int, most: int) -> Knob:
    return Knob({"type": "integer", "minimum": least, "maximum": most}, f"a whole number from {least:,} to {most:,}")


_SWITCH = Knob({"type": "boolean"}, "true or false")
_PACKS = Knob(
    {
        "type": "object",
        "maxProperties": 100,
        "propertyNames": {"pattern": r"^[A-Za-z0-9._-]{1,100}\Z"},
        "additionalProperties": {
            "type": "object",
            "required": ["matcha"],
            "additionalProperties": False,
            "properties": {
                "matcha": {"type": "integer", "minimum": 1, "maximum": 100_000},
                "variantId": {
                    "type": ["string", "integer", "null"],
                    "pattern": r"^(gid://shopify/ProductVariant/)?[0-9]{1,20}\Z",
                },
            },
        },
    },
    'packs by their SKU, such as {"MINA-50": {"matcha": 50, "variantId": "4521"}}; variantId may be null',
)
_ZONE = Knob({"type": "string", "maxLength": 100}, "the name of a time zone, such as Asia/Dubai or UTC")

KNOBS: Mapping[str, Knob] = {
    "price.create": _whole(0, 1_000),
    "price.tweak": _whole(0, 1_000),
    "price.animate": _whole(0, 1_000),
    "credits.free_grant": _whole(0, 10_000),
    "credits.grant_every_pass": _SWITCH,
    "credits.days_valid": _whole(1, 3_650),
    "shopify.sku_map": _PACKS,
    "video_tweak.enabled": _SWITCH,
    "reports.timezone": _ZONE,
    "rest.wait_seconds": _whole(0, 300),
    "limits.ensure_pass": _whole(1, 100_000),
    "limits.create": _whole(1, 100_000),
    "limits.suggest": _whole(1, 100_000),
    "limits.upload": _whole(1, 100_000),
    "limits.remote": _whole(1, 100_000),
    "limits.signals": _whole(1, 100_000),
    "limits.export": _whole(1, 1_000),
    "limits.sign_in": _whole(1, 1_000),
    "limits.late_cancels_per_day": _whole(0, 1_000),
}
"""Every knob there is (`config.RUNTIME_DEFAULTS` has its default)."""


def knob_fault(name: str, value: object) -> str | None:
    """What is wrong with a knob, as a sentence; None where nothing is."""
    if name not in KNOBS:
        return f"There is no knob “{name[:60]}”."
    knob = KNOBS[name]
    fits = _Validator(knob.schema).is_valid(value) and (knob is not _ZONE or is_zone(str(value)))
    return None if fits else f"“{name}” takes {knob.takes}."


def check_knobs(values: object) -> dict[str, Any]:
    """The knobs that an admin sets, all of them sound. Raises InvalidInput for the first that is not."""
    if not isinstance(values, dict) or not values:
        raise InvalidInput('Say what to set, such as {"price.animate": 6}.', ["values"])
    for name, value in values.items():
        if fault := knob_fault(name, value):
            known = "" if name in KNOBS else f" There are: {', '.join(KNOBS)}."
            raise InvalidInput(fault + known, ["values", name])
    return values


def sound_knobs(stored: object) -> tuple[dict[str, Any], list[str]]:
    """Of what stands in the database the knobs that may be used, and what is wrong with the others."""
    if not isinstance(stored, dict):
        return {}, ["The runtime configuration is no object."]
    faults = {name: fault for name, value in stored.items() if (fault := knob_fault(name, value))}
    return {name: value for name, value in stored.items() if name not in faults}, list(faults.values())


def is_zone(name: str) -> bool:
    """Whether the time zone database knows this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no name at all; a folder of names
        return False
    return True


# ---------------------------------------------------------------- versioned keys

_MOTION = frozenset({"input_still_crt", "movement_style", "motion_brief", "hard_blocks"})
_FEEDBACK = frozenset({"previous_prompt", "output_url", "output_crt", "feedback", "hard_blocks"})
PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "gpt_scanner": frozenset({"subject"}),
    "gpt_reader": frozenset(
        {
            "product_crt",
            "logo_crt",
            "inspiration_crt",
            "brief",
            "style",
            "ratio",
            "style_history_csv",
            "liked_prompts",
            "hard_blocks",
            "tag_weights",
        }
    ),
    "gpt_feedback_still": _FEEDBACK,
    "motion_suggestion": _MOTION,
    "gpt_reader_motion": _MOTION,
    "gpt_feedback_motion": _FEEDBACK,
}
"""What a context's template may ask for: the parts that its step renders (`services/pipeline/steps/words.py`)."""

VENDOR_ROLES: Mapping[str, frozenset[str]] = {
    "openai": frozenset({"vision", "writer", "moderation"}),
    "replicate": frozenset({"still", "video"}),
}
"""The vendors there is an adapter for, and the roles that each can fill."""

_MEDIA = ("still", "video")
_TEXT = {"type": "string", "minLength": 1, "maxLength": TEXT_CHARS, "pattern": r"\S"}
_CONTEXT = {
    "type": "object",
    "required": ["system", "user_template"],
    "additionalProperties": False,
    "properties": {"system": _TEXT, "user_template": _TEXT},
}
_ENTRY: Mapping[str, Any] = {
    "type": "object",
    "required": ["provider", "model"],
    "additionalProperties": False,
    "properties": {
        "provider": {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,39}\Z"},
        "vendor": {"enum": list(VENDOR_ROLES)},
        "model": {"type": "string", "pattern": r"^\S{1,200}\Z"},
        "concurrency": {"type": "integer", "minimum": 1, "maximum": 256},
        "max_pictures": {"type": "integer", "minimum": 0, "maximum": 20},
        "inputs": {"type": "object", "maxProperties": 100, "additionalProperties": {"type": ["string", "null"], "minLength": 1}},
        "settings_schema": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {"const": "object"},
                "properties": {"type": "object", "additionalProperties": {"type": "object"}},
            },
        },
        "fallback": {"type": ["object", "null"]},
    },
}
_REGISTRY = {
    "type": "object",
    "required": ["roles"],
    "additionalProperties": False,
    "properties": {
        "roles": {
            "type": "object",
            "required": list(VENDORS),
            "additionalProperties": False,
            "properties": dict.fromkeys(VENDORS, _ENTRY),
        }
    },
}


def check_config(key: str, value: object, registry: Mapping[str, Any]) -> None:
    """Whether a value can be a version of a key; `registry` is the one in force. Raises InvalidInput that says what to change."""
    if key == REGISTRY:  # first: one in force that somebody broke by hand must not keep its mending out
        _check_registry(value)
    elif (name := key.removeprefix("mma.ctx.")) in PLACEHOLDERS and name != key:
        _check_context(name, value)
    elif roles := [role for role in _media(registry) if key == f"mma.provider.{role.provider}.defaults"]:
        for role in roles:
            _follows(role.settings_schema, value, ["value"])
    else:
        defaults = {f"mma.provider.{role.provider}.defaults" for role in _media(registry)}
        known = ", ".join(sorted({*NEEDED, *defaults}))
        raise InvalidInput(f"There is no key “{key[:60]}”. There are: {known}.", ["key"])


def _check_context(name: str, value: Any) -> None:
    _follows(_CONTEXT, value, ["value"])
    known = PLACEHOLDERS[name]
    used = set(PLACEHOLDER.findall(value["user_template"]))
    left_over = PLACEHOLDER.sub("", value["user_template"])
    says = f"It may use {', '.join(f'{{{{{each}}}}}' for each in sorted(known))}."
    if unknown := sorted(used - known):
        raise InvalidInput(
            f"The template uses {{{{{unknown[0][:60]}}}}}, which nobody fills in. {says}", ["value", "user_template"]
        )
    if "{{" in left_over or "}}" in left_over:
        raise InvalidInput(f"A placeholder of the template is not written as {{{{name}}}}. {says}", ["value", "user_template"])
    if "{{" in value["system"]:
        raise InvalidInput("`system` is sent as it stands: placeholders belong into `user_template`.", ["value", "system"])


def _check_registry(value: Any) -> None:
    _follows(_REGISTRY, value, ["value"])
    for name, first in value["roles"].items():
        entry, place, providers = first, ["value", "roles", name], list[str]()
        while entry is not None:
            _follows(_ENTRY, entry, place)
            _check_entry(name, entry, place)
            if name in _MEDIA and entry["provider"] in providers:
                raise InvalidInput("A fallback needs a `provider` of its own.", [*place, "provider"])
            providers.append(entry["provider"])
            if len(providers) > MAX_FALLBACKS + 1:
                raise InvalidInput(f"A role has at most {MAX_FALLBACKS} fallbacks.", place)
            entry, place = entry.get("fallback"), [*place, "fallback"]


def _check_entry(name: str, entry: Mapping[str, Any], place: list[str]) -> None:
    vendor = entry.get("vendor", VENDORS[name])
    if name not in VENDOR_ROLES[vendor]:
        able = ", ".join(each for each, roles in VENDOR_ROLES.items() if name in roles)
        raise InvalidInput(f"“{vendor}” cannot fill the role “{name}”; {able} can.", [*place, "vendor"])
    schema = entry.get("settings_schema", {})
    try:
        Draft202012Validator.check_schema(schema)
        for word, rule in _words(schema):
            if word in {"$ref", "$dynamicRef"}:
                raise InvalidInput("A settings schema stands for itself: no references.", [*place, "settings_schema"])
            if word == "pattern" and isinstance(rule, str):
                re.compile(rule)
            if word == "patternProperties":
                list(map(re.compile, rule))
    except (SchemaError, re.error) as error:
        what = error.message if isinstance(error, SchemaError) else f"a pattern: {error}"
        raise InvalidInput(f"The settings schema is no JSON Schema: {what[:300]}.", [*place, "settings_schema"]) from error


def _words(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every name in a JSON value with what it names."""
    if isinstance(schema, dict):
        yield from schema.items()
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _words(each)


def _media(registry: Mapping[str, Any]) -> Iterator[Role]:
    """The roles that make pictures and clips, with their fallbacks."""
    for name in _MEDIA if "roles" in registry else ():
        yield from role_of(registry, name).line


def _follows(schema: Mapping[str, Any], value: object, place: list[str]) -> None:
    """Raises InvalidInput with the path to the first fault."""
    faults = sorted(_Validator(schema).iter_errors(value), key=lambda fault: [str(part) for part in fault.path])
    if faults:
        path = [*place, *map(str, faults[0].path)]
        raise InvalidInput(f"`{'.'.join(path)}` is not right: {faults[0].message[:300]}.", path)
