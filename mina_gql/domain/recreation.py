"""Recreate: from what a generation was made of to an input that makes it again, and what has changed since (seed 003, 9.4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from mina_gql.domain.config import Role
from mina_gql.domain.pipeline import (
    BRIEF_CHARS,
    INSPIRATIONS,
    MOVEMENT_STYLES,
    NO_STYLE,
    RATIOS,
    STYLES,
    GenerationKind,
    plain_text,
)

VALUE_CHARS = 60
Json = dict[str, Any]

GONE = "The {} is gone: choose another one."
NO_PARENT = "What this was tweaked from was deleted, so it cannot be tweaked again."
NO_CLIP_TWEAKS = "Clips are not made anew from words at the moment."
NO_STILL = "The still is gone: choose another one to set in motion."
OTHER_MAKER = {
    GenerationKind.STILL: "Stills are made in another way now: this one may come out differently.",
    GenerationKind.VIDEO: "Clips are made in another way now: this one may come out differently.",
}
OTHER_RULES = "Pictures are looked at and briefs are read by newer rules now: the words behind this one may come out differently."
PROMPT_FOR_BRIEF = "This was made before briefs were kept: the words it was made from stand in for the brief."
NOTHING_KNOWN = "What this was made from is not known any more."


@dataclass(frozen=True, slots=True)
class Parent:
    """What a generation was made from, where it can still be used: global id, and the public URL of its output."""

    id: str
    output_url: str


@dataclass(frozen=True, slots=True)
class Made:
    """What is recorded of a generation.

    `contexts` are the versions its steps ran with, by key; `parent` is None where there is none or it is gone.
    """

    kind: GenerationKind
    vars: Mapping[str, Any]
    prompt: str | None = None
    model: str | None = None
    parent: Parent | None = None
    contexts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Now:
    """What holds now, for a generation of its kind.

    `models` are those that might make it, `contexts` the active versions by key, `pictures` the URLs that still lead to one.
    """

    role: Role
    defaults: Mapping[str, Any]
    models: frozenset[str]
    contexts: Mapping[str, int]
    pictures: frozenset[str]
    video_tweak: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """The input of the one mutation that makes it again, in the API's words; none where nothing would. `changes`: sentences."""

    kind: GenerationKind
    create: Json | None
    tweak: Json | None
    animate: Json | None
    changes: tuple[str, ...]


def draft(made: Made, now: Now) -> Draft:
    """What makes it again. Whatever is drafted is accepted as it is: what no longer fits is left out, and said."""
    drafting = _Drafting(made, now)
    create = tweak = animate = None
    if made.vars.get("feedback", {}).get("text"):
        tweak = drafting.tweak()
    elif made.kind is GenerationKind.VIDEO:
        animate = drafting.animate()
    else:
        create = drafting.create()
    if made.model is not None and made.model not in now.models:
        drafting.changes.append(OTHER_MAKER[made.kind])
    if any(now.contexts.get(key, version) > version for key, version in made.contexts.items()):
        drafting.changes.append(OTHER_RULES)
    return Draft(made.kind, create, tweak, animate, tuple(drafting.changes))


def pictures_of(vars_: Mapping[str, Any]) -> frozenset[str]:
    """The URLs of every picture that went into a generation."""
    assets = vars_.get("assets", {})
    single = [url for name, url in assets.items() if name != "inspiration_image_urls"]
    return frozenset(url for url in (*single, *assets.get("inspiration_image_urls", [])) if url)


class _Drafting:
    """One draft in the making; `changes` collects what has changed since."""

    def __init__(self, made: Made, now: Now) -> None:
        self._made = made
        self._now = now
        self._inputs: Mapping[str, Any] = made.vars.get("inputs", {})
        self._assets: Mapping[str, Any] = made.vars.get("assets", {})
        self.changes: list[str] = []

    def create(self) -> Json | None:
        """A `CreateInput`; None where nothing is known of what was asked for."""
        brief = self._brief()
        if not brief:
            self.changes.append(NOTHING_KNOWN)
            return None
        inspirations = [self._picture(url, "inspiration picture") for url in self._assets.get("inspiration_image_urls", [])]
        assets = {
            "productImageUrl": self._picture(self._assets.get("product_image_url"), "product picture"),
            "logoImageUrl": self._picture(self._assets.get("logo_image_url"), "logo"),
            "inspirationImageUrls": [url for url in inspirations if url][:INSPIRATIONS],
        }
        return {
            "brief": brief,
            "style": self._choice("style", STYLES),
            "ratio": self._choice("ratio", RATIOS),
            "assets": assets,
            "settings": self._settings(),
            "visionIntelligence": bool(self._made.vars.get("history", {}).get("vision_intelligence", True)),
        }

    def tweak(self) -> Json | None:
        """A `TweakInput`; None where what was tweaked is gone."""
        if self._made.parent is None:
            self.changes.append(NO_PARENT)
            return None
        if self._made.kind is GenerationKind.VIDEO and not self._now.video_tweak:
            self.changes.append(NO_CLIP_TWEAKS)
            return None
        return {"generationId": self._made.parent.id, "feedback": self._made.vars["feedback"]["text"]}

    def animate(self) -> Json | None:
        """An `AnimateInput`, from the generation that was animated or, where that is gone, its still; None without either."""
        still, parent = self._assets.get("input_still_url"), self._made.parent
        from_parent = parent is not None and parent.output_url == still
        if not from_parent and still not in self._now.pictures:
            self.changes.append(NO_STILL)
            return None
        return {
            "generationId": parent.id if parent is not None and from_parent else None,
            "inputStillUrl": None if from_parent else still,
            "endStillUrl": self._picture(self._assets.get("end_still_url"), "end still"),
            "motionPrompt": self._inputs.get("brief") or None,
            "movementStyle": self._choice("movement_style", MOVEMENT_STYLES),
            "typeForMe": bool(self._inputs.get("type_for_me")),
            "ratio": self._choice("ratio", RATIOS),
            "settings": self._settings(),
        }

    def _brief(self) -> str:
        brief, prompt = (plain_text(words or "")[:BRIEF_CHARS] for words in (self._inputs.get("brief"), self._made.prompt))
        if not brief and prompt:
            self.changes.append(PROMPT_FOR_BRIEF)
        return brief or prompt

    def _choice(self, name: str, offered: tuple[str, ...]) -> str | None:
        """What was chosen among what the studio offers, where it still does."""
        chosen: str | None = self._inputs.get(name)
        if chosen in {None, "", NO_STYLE} or chosen in offered:
            return None if chosen in {"", NO_STYLE} else chosen
        self.changes.append(f"The {name.replace('_', ' ')} {_shown(chosen)} is not offered any more.")
        return None

    def _picture(self, url: str | None, what: str) -> str | None:
        if not url or url in self._now.pictures:
            return url or None
        self.changes.append(GONE.format(what))
        return None

    def _settings(self) -> Json | None:
        """The settings as they were resolved, so that defaults and preferences of now do not change them."""
        role, defaults = self._now.role, self._now.defaults
        resolved = {name: value for each in self._made.vars.get("settings", {}).values() for name, value in each.items()}
        schema = Draft202012Validator(role.settings_schema)
        kept = {name: value for name, value in resolved.items() if schema.is_valid({name: value})}
        for name, value in resolved.items():
            if name not in kept and defaults.get(name) != value:
                self.changes.append(f"“{name}” cannot be {_shown(value)} any more.")
        for name, value in defaults.items():
            if name in kept and kept[name] != value:
                self.changes.append(f"“{name}” is {_shown(value)} by default; this draft keeps {_shown(kept[name])}.")
            elif name not in resolved:
                self.changes.append(f"“{name}” is {_shown(value)} by default now; this was made without it.")
        return {role.provider: kept} if kept else None


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= VALUE_CHARS else f"{text[: VALUE_CHARS - 1]}…"
