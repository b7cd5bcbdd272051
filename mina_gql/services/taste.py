"""Taste: what a person likes, read from what they did, and the snapshot of it (DESIGN section 10). How they say it: `signals`."""

from collections import defaultdict
from typing import NamedTuple

from mina_gql.domain import taste
from mina_gql.domain.taste import Taste
from mina_gql.mega import customers
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, Timestamp, Transaction, decode
from mina_gql.mega.generations import events, steps
from mina_gql.mega.generations.events import EventRow

WITH_VISION = 5
WITHOUT_VISION = 20


class History(NamedTuple):
    """The window on recent likes: how far it looks, and what it found."""

    window: int
    pictures: list[str]
    prompts: list[str]
    hard_blocks: list[str]
    tag_weights: dict[str, float]

    @property
    def style_history_csv(self) -> str:
        """The taste in one line for a writer: liked tags by weight, then blocks (seed 003, 6.2)."""
        liked = sorted((weight, tag) for tag, weight in self.tag_weights.items() if weight > 0)
        return ",".join([tag for _, tag in reversed(liked)] + [f"never:{tag}" for tag in self.hard_blocks])


class TagWeight(NamedTuple):
    """How much a tag is liked: -10 to 10, or -999 for a hard block."""

    pass_id: str
    tag: str
    weight: float


class Preferences(NamedTuple):
    """The snapshot as people see it, the heaviest tag first."""

    hard_blocks: list[str]
    tag_weights: list[TagWeight]
    updated_at: Timestamp | None
    source: str | None


class TasteService:
    """Reads the taste of a Pass."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, pass_id: str, *, vision_intelligence: bool) -> History:
        """The last 5 liked or downloaded generations with prompts; without vision intelligence the last 20, pictures only."""
        window = window_of(vision_intelligence=vision_intelligence)
        found = await self._database.fetch(events.LIKED, pass_id=pass_id, window=window)
        known = await self._preferences(pass_id)
        return History(
            window=window,
            pictures=list(dict.fromkeys(row["picture_url"] for row in found if row["picture_url"])),  # clips may share a still
            prompts=[row["mg_prompt"] for row in found if row["mg_prompt"]] if vision_intelligence else [],
            hard_blocks=known.hard_blocks,
            tag_weights={each.tag: each.weight for each in known.tag_weights},
        )

    async def blocks(self, pass_id: str) -> list[str]:
        """The hard blocks of a Pass: constraints in every prompt that is written for it, motion included (FEATURES H5)."""
        return (await self._preferences(pass_id)).hard_blocks

    async def _preferences(self, pass_id: str) -> Preferences:
        record = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=pass_id)
        return Preferences([], [], None, taste.SOURCE) if record is None else preferences_of(PassRow(*record))

    async def liked(self, generation_ids: list[str]) -> dict[str, bool]:
        """Whether generations (bare ids) are liked; those nobody said anything of are not there."""
        found = await self._database.fetch(events.LIKES, generation_ids=generation_ids)
        return {row["mg_generation_id"]: row["liked"] for row in found}

    async def reasons(self, pass_ids: list[str]) -> dict[str, "Reasons"]:
        """What moved the weights of Passes."""
        told: defaultdict[str, list[EventRow]] = defaultdict(list)
        for record in await self._database.fetch(events.SIGNALS, pass_ids=pass_ids):
            told[record[1]].append(EventRow(*record))
        return {pass_id: Reasons(rows) for pass_id, rows in told.items()}

    async def known_caption(self, pass_id: str, step_type: str, sha256: str, ctx_id: str) -> str | None:
        """What an earlier look at the same bytes, with the same context, said; None when there was none."""
        found = await self._database.fetch_one(
            steps.KNOWN_CAPTION, pass_id=pass_id, step_type=step_type, sha256=sha256, ctx_id=ctx_id
        )
        return None if found is None else found[0]


class Reasons:
    """The events behind each weight of one Pass."""

    def __init__(self, rows: list[EventRow]) -> None:
        self._rows = {row.id: row for row in rows}
        self._taste = taste.heard(events.signal_of(row) for row in rows)

    def because(self, tag: str) -> list[EventRow]:
        """The events that moved the weight of a tag, newest first."""
        return [self._rows[signal.id] for signal in self._taste.because(tag)]


async def heard(session: Transaction, pass_id: str) -> Taste:
    """What the signals of a Pass add up to by now; the caller holds the customer's lock."""
    return taste.heard(await events.signals(session, pass_id))


async def relearn(session: Transaction, pass_id: str) -> None:
    """Write the snapshot that the signals of a Pass add up to; the caller holds the customer's lock.

    A Pass that never gave a signal keeps what it has: a snapshot from before there were any.
    """
    signals = await events.signals(session, pass_id)
    if signals:
        await customers.set_preferences(session, pass_id, taste.rebuild(signals))


def preferences_of(owner: PassRow) -> Preferences:
    """The taste snapshot of a Pass; one from before MMA may lack parts."""
    snapshot = decode(owner.preferences)
    known = [(tag, weight) for tag, weight in (snapshot.get("tag_weights") or {}).items() if isinstance(weight, int | float)]
    weights = sorted(known, key=lambda item: (-item[1], item[0]))
    return Preferences(
        hard_blocks=snapshot.get("hard_blocks") or [],
        tag_weights=[TagWeight(owner.id, tag, weight) for tag, weight in weights],
        updated_at=owner.preferences_updated_at,
        source=snapshot.get("source", taste.SOURCE),
    )


def window_of(*, vision_intelligence: bool) -> int:
    """How many liked or downloaded generations are looked back on."""
    return WITH_VISION if vision_intelligence else WITHOUT_VISION
