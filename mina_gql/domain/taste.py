"""Taste: what the signals of a person add up to (DESIGN section 10). Everything follows from the signals alone.

Of each generation the latest like, unlike or dislike counts, and its latest download unless it is disliked. A signal moves the
tags that its picture had at that time, and fades with a half-life: counted from the newest signal that still counts and not from
now, so that a like taken back leaves the snapshot exactly as it was. What a person sets themselves stands until they clear it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import EventType

HALF_LIFE = timedelta(days=90)
STRENGTHS: Mapping[EventType, float] = {EventType.LIKE: 1.0, EventType.DISLIKE: -1.0, EventType.DOWNLOAD: 0.3}
MAX_WEIGHT = 10.0
HARD_BLOCK = -999.0
DIGITS = 3
LEARNED_TAGS = 50
"""So many learned tags are kept, the strongest; the snapshot is read with every request."""
MAX_SETTINGS = 100
MAX_BLOCKS = 20
"""So many hard blocks fit into every prompt beside what is asked for."""
SOURCE = "mma"
SIGNALS = (EventType.LIKE, EventType.DISLIKE, EventType.DOWNLOAD, EventType.PREFERENCE_SET)
SET, CLEAR, RESET, IMPORT = "set", "clear", "reset", "import"
"""What a `preference_set` does (`payload.action`); `import` carries a snapshot that was learned before there were signals."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Something a person did that may move their taste. `payload` is the event's: what rebuilding needs stands in it."""

    id: str
    type: EventType
    at: datetime
    generation_id: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> bool:
        """Whether it was done, or taken back (`value: false`)."""
        value = self.payload.get("value")
        return value is None or value is True or value == "true"

    @property
    def action(self) -> str:
        """What a `preference_set` does."""
        return str(self.payload.get("action") or SET)

    @property
    def moves(self) -> Mapping[str, float]:
        """The tags it moves, and how far while it is fresh."""
        if self.type is EventType.PREFERENCE_SET:
            return {tag: weight for tag, weight in _weights(self.payload.get("tag_weights")) if weight != HARD_BLOCK}
        return dict.fromkeys(_tags(self.payload.get("tags")), STRENGTHS[self.type])

    @property
    def settings(self) -> Mapping[str, float]:
        """The tags whose weight it sets for good."""
        if self.action == IMPORT:
            weighed = [tag for tag, weight in _weights(self.payload.get("tag_weights")) if weight == HARD_BLOCK]
            return dict.fromkeys([*weighed, *_tags(self.payload.get("hard_blocks"))], HARD_BLOCK)
        return dict(_weights({self.payload.get("tag"): self.payload.get("weight")}))


class Snapshot(NamedTuple):
    """What is kept of a taste: `mg_mma_preferences`, exactly. `updated_at` is when the newest signal that counts was given."""

    hard_blocks: list[str]
    tag_weights: dict[str, float]
    updated_at: str | None
    source: str = SOURCE


class Taste:
    """What the signals heard so far add up to."""

    def __init__(self) -> None:
        self._said: dict[str, Signal] = {}
        self._downloaded: dict[str, Signal] = {}
        self._imported: list[Signal] = []
        self._settings: dict[str, tuple[Signal, float]] = {}
        self._forgotten: set[str] = set()  # generations whose latest word came before a reset

    def hear(self, signal: Signal) -> None:
        """Take the next signal in; they come in the order in which they were given."""
        if signal.type is EventType.PREFERENCE_SET:
            self._prefer(signal)
        elif signal.generation_id is not None and signal.type is EventType.DOWNLOAD:
            self._downloaded[signal.generation_id] = signal
        elif signal.generation_id is not None and signal.type in STRENGTHS:
            self._said[signal.generation_id] = signal
            self._forgotten.discard(signal.generation_id)

    def _prefer(self, signal: Signal) -> None:
        if signal.action == RESET:
            self._downloaded.clear()
            self._imported.clear()
            self._settings.clear()
            self._forgotten = set(self._said)
        elif signal.action == CLEAR:
            self._settings.pop(str(signal.payload.get("tag")), None)
        elif signal.action in {SET, IMPORT}:
            self._settings |= {tag: (signal, weight) for tag, weight in signal.settings.items()}
            self._imported += [signal] if signal.action == IMPORT else []

    def said_of(self, generation_id: str) -> Signal | None:
        """The latest like, unlike or dislike of a generation, forgotten or not."""
        return self._said.get(generation_id)

    def stands(self, kind: EventType, generation_id: str, *, value: bool) -> bool:
        """Whether a like or dislike is in force already, or whether there is none to take back: to say so says nothing new."""
        said = self._said.get(generation_id)
        given = said is not None and said.type is kind and said.value
        return given and generation_id not in self._forgotten if value else not given

    def setting_of(self, tag: str) -> float | None:
        """The weight that the person set for a tag themselves."""
        found = self._settings.get(tag)
        return None if found is None else found[1]

    @property
    def settings(self) -> int:
        """How many tags the person has set themselves."""
        return len(self._settings)

    @property
    def empty(self) -> bool:
        """Whether nothing counts: no signal in force and nothing set."""
        return not self._settings and next(self._counting(), None) is None

    def because(self, tag: str) -> list[Signal]:
        """The signals behind a tag's weight, newest first: the setting alone where there is one."""
        if tag in self._settings:
            return [self._settings[tag][0]]
        return sorted((signal for signal in self._counting() if tag in signal.moves), key=_order, reverse=True)

    def snapshot(self) -> Snapshot:
        """The taste as it is kept."""
        counting = list(self._counting())
        settings = {tag: weight for tag, (_, weight) in self._settings.items()}
        learned = {tag: weight for tag, weight in _learned(counting).items() if tag not in settings}
        strongest = sorted(learned, key=lambda tag: (-abs(learned[tag]), tag))[:LEARNED_TAGS]
        weights = settings | {tag: learned[tag] for tag in strongest}
        times = [signal.at for signal in counting] + [signal.at for signal, _ in self._settings.values()]
        return Snapshot(
            hard_blocks=sorted(tag for tag, weight in settings.items() if weight == HARD_BLOCK),
            tag_weights=dict(sorted(weights.items(), key=lambda item: (-item[1], item[0]))),
            updated_at=_rfc3339(max(times)) if times else None,
        )

    def _counting(self) -> Iterator[Signal]:
        """The signals that move weights."""
        in_force = {
            generation: signal for generation, signal in self._said.items() if signal.value and generation not in self._forgotten
        }
        yield from self._imported
        yield from in_force.values()
        for generation, signal in self._downloaded.items():
            if generation not in in_force or in_force[generation].type is EventType.LIKE:
                yield signal


def setting(weight: float | None, hard_block: bool | None) -> float | None:
    """The weight that a person sets for a tag: -10 to 10, or a hard block; None lifts one. Raises InvalidInput."""
    if hard_block:
        if weight is not None:
            raise InvalidInput("A hard block has no weight: give one of the two.", ["input", "weight"])
        return HARD_BLOCK
    if weight is None:
        if hard_block is None:
            raise InvalidInput("Say how much you like it: a weight from -10 to 10, or a hard block.", ["input", "weight"])
        return None
    if not -MAX_WEIGHT <= weight <= MAX_WEIGHT:
        raise InvalidInput("A weight is from -10 to 10; for never, set a hard block.", ["input", "weight"])
    return round(weight, DIGITS) + 0.0  # never -0.0


def heard(signals: Iterable[Signal]) -> Taste:
    """The taste that signals add up to, in whatever order they lie."""
    taste = Taste()
    for signal in sorted(signals, key=_order):
        taste.hear(signal)
    return taste


def rebuild(signals: Iterable[Signal]) -> Snapshot:
    """The snapshot from signals alone."""
    return heard(signals).snapshot()


def _order(signal: Signal) -> tuple[datetime, str]:
    return signal.at, signal.id


def _learned(counting: Iterable[Signal]) -> dict[str, float]:
    """Weights that signals add up to, faded, within -10 and 10; what rounds to nothing is left out."""
    counting = list(counting)
    newest = max((signal.at for signal in counting), default=None)
    moved: defaultdict[str, list[float]] = defaultdict(list)
    for signal in counting:
        fresh = 0.5 ** ((newest - signal.at) / HALF_LIFE) if newest is not None else 1.0
        for tag, strength in signal.moves.items():
            moved[tag].append(strength * fresh)
    # fsum and not sum: the same whatever the order they are added in.
    weights = {tag: round(max(-MAX_WEIGHT, min(MAX_WEIGHT, math.fsum(parts))), DIGITS) for tag, parts in moved.items()}
    return {tag: weight for tag, weight in weights.items() if weight}


def _tags(value: object) -> list[str]:
    return [tag for tag in value if isinstance(tag, str)] if isinstance(value, list) else []


def _weights(value: object) -> Iterator[tuple[str, float]]:
    """Tags with weights that can be: within -10 and 10, or a hard block."""
    for tag, weight in value.items() if isinstance(value, Mapping) else ():
        if isinstance(tag, str) and isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight):
            yield tag, HARD_BLOCK if weight <= HARD_BLOCK else max(-MAX_WEIGHT, min(MAX_WEIGHT, float(weight)))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
