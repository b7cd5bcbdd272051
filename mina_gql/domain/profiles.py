"""A person's own facts: which may be written, and what each has to look like (contract: `updateProfile`)."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypedDict, cast

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import plain_text

NAME_CHARS = 100
LOCALE_CHARS = 100
MAX_PACKS = 100
MAX_MONTHLY_PACKS = 1_000


class ProfileChanges(TypedDict, total=False):
    """What a person wants changed: what is absent stays, None clears. Names are those of the row's columns."""

    display_name: str | None
    first_name: str | None
    last_name: str | None
    locale: str | None
    timezone: str | None
    marketing_opt_in: bool | None
    product_updates_opt_in: bool | None
    auto_topup_enabled: bool | None
    auto_topup_monthly_limit_packs: int | None
    topup_default_packs: int | None
    settings: Any


def checked(changes: ProfileChanges, timezones: Mapping[str, str]) -> ProfileChanges:
    """The changes as they are written. `timezones` are the IANA names by their lower-case form. Raises InvalidInput."""
    rules: dict[str, tuple[str, Callable[[Any], Any]]] = {**_RULES, "timezone": ("timezone", partial(_timezone, timezones))}
    found: dict[str, Any] = {}
    for name, value in changes.items():
        field, rule = rules[name]
        try:
            found[name] = rule(value)
        except ValueError as fault:
            raise InvalidInput(str(fault), ["input", field]) from None
    return cast("ProfileChanges", found)


# ---------------------------------------------------------------- the rules


def _name(value: str | None) -> str | None:
    name = " ".join(plain_text(value or "").split())
    if len(name) > NAME_CHARS:
        raise ValueError(f"A name has at most {NAME_CHARS} characters; this one has {len(name):,}.")
    return name or None


def _locale(value: str | None) -> str | None:
    if value is None:
        return None
    tag = language_tag(value.strip())
    if tag is None:
        raise ValueError("A locale is a language tag such as en, en-AE or zh-Hant-TW.")
    return tag


def _timezone(timezones: Mapping[str, str], value: str | None) -> str | None:
    if value is None:
        return None
    known = timezones.get(value.strip().lower())
    if known is None:
        raise ValueError("A timezone is an IANA name such as Asia/Dubai or Europe/Paris.")
    return known


def _switch(value: bool | None) -> bool:
    if value is None:
        raise ValueError("This is true or false and cannot be cleared. Leave it out to keep it as it is.")
    return value


def _default_packs(value: int | None) -> int:
    if value is None:
        raise ValueError("This cannot be cleared. Leave it out to keep it as it is.")
    if not 1 <= value <= MAX_PACKS:
        raise ValueError(f"Packs at a time are a whole number from 1 to {MAX_PACKS}.")
    return value


def _monthly_packs(value: int | None) -> int | None:
    if value is not None and not 1 <= value <= MAX_MONTHLY_PACKS:
        raise ValueError(f"The monthly limit is 1 to {MAX_MONTHLY_PACKS:,} packs, or null for none.")
    return value


_RULES: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "display_name": ("displayName", _name),
    "first_name": ("firstName", _name),
    "last_name": ("lastName", _name),
    "locale": ("locale", _locale),
    "marketing_opt_in": ("marketingOptIn", _switch),
    "product_updates_opt_in": ("productUpdatesOptIn", _switch),
    "auto_topup_enabled": ("autoTopupEnabled", _switch),
    "auto_topup_monthly_limit_packs": ("autoTopupMonthlyLimitPacks", _monthly_packs),
    "topup_default_packs": ("topupDefaultPacks", _default_packs),
}

# ---------------------------------------------------------------- language tags

# The grammar of RFC 5646, section 2.1, in lower case.
_LANGTAG = re.compile(
    r"""
    (?:[a-z]{2,3}(?:-[a-z]{3}){0,3} | [a-z]{4} | [a-z]{5,8})    # language, with up to three extended ones
    (?:-[a-z]{4})?                                              # script
    (?:-(?:[a-z]{2}|[0-9]{3}))?                                 # region
    (?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)
    (?P<extensions>(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*)
    (?:-x(?:-[a-z0-9]{1,8})+)?                                  # private use
    """,
    re.VERBOSE,
)
_PRIVATE = re.compile(r"x(?:-[a-z0-9]{1,8})+")
# Registered before there was a grammar, and no part of it (RFC 5646: `irregular`); the regular ones fit it.
_IRREGULAR = frozenset(
    [
        "en-gb-oed",
        "i-ami",
        "i-bnn",
        "i-default",
        "i-enochian",
        "i-hak",
        "i-klingon",
        "i-lux",
        "i-mingo",
        "i-navajo",
        "i-pwn",
        "i-tao",
        "i-tay",
        "i-tsu",
        "sgn-be-fr",
        "sgn-be-nl",
        "sgn-ch-de",
    ]
)


def language_tag(text: str) -> str | None:
    """A BCP 47 language tag in its usual case (RFC 5646, section 2.1.1), or None for what is no such tag.

    It is well-formed, and no variant or extension stands in it twice; the registry of subtags is not asked.
    """
    if len(text) > LOCALE_CHARS or not text.isascii():
        return None
    tag = text.lower()
    found = _LANGTAG.fullmatch(tag)
    if found is not None:
        variants = found["variants"].split("-")[1:]
        singletons = [part for part in found["extensions"].split("-") if len(part) == 1]
        if len({*variants}) < len(variants) or len({*singletons}) < len(singletons):
            return None
    elif not _PRIVATE.fullmatch(tag) and tag not in _IRREGULAR:
        return None
    return _in_usual_case(tag)


def _in_usual_case(tag: str) -> str:
    """Lower case, but `AE` for a region and `Hant` for a script: two and four letters, not at the start nor after a singleton."""
    first, *rest = tag.split("-")
    told, after_singleton = [first], len(first) == 1
    for part in rest:
        after_singleton = after_singleton or len(part) == 1
        if after_singleton:
            told.append(part)
        else:
            told.append(part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part)
    return "-".join(told)
