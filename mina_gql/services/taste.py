"""Taste: what a person likes, read from what they did (DESIGN section 10)."""

from typing import Any, NamedTuple

from mina_gql.mega import customers
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, decode
from mina_gql.mega.generations import events, steps

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


class TasteService:
    """Reads the taste of a Pass."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, pass_id: str, *, vision_intelligence: bool) -> History:
        """The last 5 liked or downloaded generations with prompts; without vision intelligence the last 20, pictures only."""
        window = window_of(vision_intelligence=vision_intelligence)
        found = await self._database.fetch(events.LIKED, pass_id=pass_id, window=window)
        record = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=pass_id)
        snapshot: dict[str, Any] = {} if record is None else decode(PassRow(*record).preferences)
        return History(
            window=window,
            pictures=[row["mg_output_url"] for row in found if row["mg_output_url"]],
            prompts=[row["mg_prompt"] for row in found if row["mg_prompt"]] if vision_intelligence else [],
            hard_blocks=list(snapshot.get("hard_blocks", [])),
            tag_weights=dict(snapshot.get("tag_weights", {})),
        )

    async def known_caption(self, pass_id: str, step_type: str, sha256: str, ctx_id: str) -> str | None:
        """What an earlier look at the same bytes, with the same context, said; None when there was none."""
        found = await self._database.fetch_one(
            steps.KNOWN_CAPTION, pass_id=pass_id, step_type=step_type, sha256=sha256, ctx_id=ctx_id
        )
        return None if found is None else found[0]


def window_of(*, vision_intelligence: bool) -> int:
    """How many liked or downloaded generations are looked back on."""
    return WITH_VISION if vision_intelligence else WITHOUT_VISION
