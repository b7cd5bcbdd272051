"""Signals: what a person says of a picture or of their taste. Event and snapshot are written in one transaction (FEATURES M5)."""

from typing import Any, NamedTuple

from mina_gql.domain.errors import InvalidInput, NotFound
from mina_gql.domain.generations import words
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import EventType, GenerationKind, GenerationStatus, plain_text
from mina_gql.domain.tags import tag_name, tags_of
from mina_gql.domain.taste import CLEAR, HARD_BLOCK, MAX_BLOCKS, MAX_SETTINGS, RESET, SET, setting
from mina_gql.mega import customers
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, Transaction, decode
from mina_gql.mega.generations import events, feedback
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.mega.generations.events import EventRow
from mina_gql.mega.generations.feedback import NewFeedback
from mina_gql.services.generations import GenerationService
from mina_gql.services.passes import PassService, required
from mina_gql.services.sessions import SessionService
from mina_gql.services.taste import heard, relearn

CONTEXT_CHARS = 200
_GONE = "This Pass is gone. Call ensurePass for a new one."


class Told(NamedTuple):
    """A signal that stands: its event (None where there was nothing to take back), what it is about, and the Pass after it."""

    event: EventRow | None
    generation: GenerationRow
    owner: PassRow


class SignalService:
    """Takes likes, dislikes, downloads, words and settings. Saying what stands already adds no event, and gives the standing one.

    All raise Unauthenticated, AccountDisabled, NotFound for what is not the caller's own, and InvalidInput.
    """

    def __init__(self, database: Database, passes: PassService, sessions: SessionService, generations: GenerationService) -> None:
        self._database = database
        self._passes = passes
        self._sessions = sessions
        self._generations = generations

    async def like(self, caller: Caller, given: str, *, value: bool = True, context: str | None = None) -> Told:
        """Like a generation, or take a like back; a like takes the place of a dislike."""
        return await self._say(caller, EventType.LIKE, given, value=value, context=context)

    async def dislike(self, caller: Caller, given: str, *, value: bool = True, context: str | None = None) -> Told:
        """Dislike a generation, or take a dislike back; a dislike takes the place of a like."""
        return await self._say(caller, EventType.DISLIKE, given, value=value, context=context)

    async def record_download(self, caller: Caller, given: str, *, context: str | None = None) -> Told:
        """Note a download; each is an event, and the latest of a generation counts for taste."""
        pass_id = required(caller)
        made = await self._made(pass_id, given, ["generationId"])
        visit = await self._visit(caller, pass_id)
        async with self._database.begin() as session:
            await _lock(session, pass_id)
            payload = {**_said(context), "tags": _tags(made)}
            event_id = await events.insert(
                session, pass_id, EventType.DOWNLOAD, generation_id=made.generation_id, session_id=visit, payload=payload
            )
            await relearn(session, pass_id)
        return await self._told(event_id, made)

    async def send_feedback(self, caller: Caller, given: str, text: str, *, context: str | None = None) -> Told:
        """Keep a person's words about a picture or a clip: an event and a `feedback` row. It makes nothing and costs nothing."""
        pass_id = required(caller)
        said = words(text, ["text"], empty="Write a few words first.")
        made = await self._made(pass_id, given, ["generationId"])
        visit = await self._visit(caller, pass_id)
        async with self._database.begin() as session:
            await _lock(session, pass_id)
            payload = {**_said(context), "text": said}
            event_id = await events.insert(
                session, pass_id, EventType.FEEDBACK, generation_id=made.generation_id, session_id=visit, payload=payload
            )
            kind = "motion" if made.kind == GenerationKind.VIDEO else "image"
            words_kept = NewFeedback(
                event_id, pass_id, made.generation_id, visit, said, kind, made.output_url, payload.get("context")
            )
            await feedback.insert(session, words_kept)
        return await self._told(event_id, made)

    async def set_preference(self, caller: Caller, tag: str, weight: float | None, hard_block: bool | None) -> PassRow:
        """Set the weight of a tag for good, or block it; `hard_block` false alone lifts a block. Twice changes nothing."""
        pass_id = required(caller)
        name, wanted = tag_name(tag, ["input", "tag"]), setting(weight, hard_block)
        visit = await self._visit(caller, pass_id)
        async with self._database.begin() as session:
            await _lock(session, pass_id)
            taste = await heard(session, pass_id)
            now = taste.setting_of(name)
            if wanted is None:
                if now == HARD_BLOCK:
                    await _prefer(session, pass_id, visit, {"action": CLEAR, "tag": name})
            elif now != wanted:
                if now is None and taste.settings >= MAX_SETTINGS:
                    raise InvalidInput(f"At most {MAX_SETTINGS} tags can be set. Clear one first.", ["input", "tag"])
                if wanted == HARD_BLOCK and len(taste.snapshot().hard_blocks) >= MAX_BLOCKS:
                    raise InvalidInput(f"At most {MAX_BLOCKS} tags can be blocked. Lift one first.", ["input", "tag"])
                block = {"hard_block": True} if wanted == HARD_BLOCK else {}
                await _prefer(session, pass_id, visit, {"action": SET, "tag": name, "weight": wanted, **block})
        return await self._owner(pass_id)

    async def clear_preference(self, caller: Caller, tag: str) -> PassRow:
        """Forget what was set for a tag; what was learned of it counts again."""
        pass_id = required(caller)
        visit = await self._visit(caller, pass_id)
        async with self._database.begin() as session:
            await _lock(session, pass_id)
            taste = await heard(session, pass_id)
            name = tag if taste.setting_of(tag) is not None else tag_name(tag, ["tag"])
            if taste.setting_of(name) is not None:
                await _prefer(session, pass_id, visit, {"action": CLEAR, "tag": name})
        return await self._owner(pass_id)

    async def reset_preferences(self, caller: Caller) -> PassRow:
        """Forget everything learned and set so far. Likes keep their mark in the archive, and teach nothing any more."""
        pass_id = required(caller)
        visit = await self._visit(caller, pass_id)
        async with self._database.begin() as session:
            await _lock(session, pass_id)
            if not (await heard(session, pass_id)).empty:
                await _prefer(session, pass_id, visit, {"action": RESET})
        return await self._owner(pass_id)

    async def _say(self, caller: Caller, kind: EventType, given: str, *, value: bool, context: str | None) -> Told:
        pass_id = required(caller)
        made = await self._made(pass_id, given, ["input", "generationId"])
        visit = await self._visit(caller, pass_id)
        payload = {**_said(context), "value": value, **({"tags": _tags(made)} if value else {})}
        async with self._database.begin() as session:
            await _lock(session, pass_id)
            taste = await heard(session, pass_id)
            if taste.stands(kind, made.generation_id, value=value):
                said = taste.said_of(made.generation_id)
                event_id = None if said is None else said.id
            else:
                event_id = await events.insert(
                    session, pass_id, kind, generation_id=made.generation_id, session_id=visit, payload=payload
                )
                await relearn(session, pass_id)
        return await self._told(event_id, made)

    async def _made(self, pass_id: str, given: str, field: list[str]) -> GenerationRow:
        found = await self._generations.own(pass_id, given)
        if found is None:
            raise NotFound("There is no such picture in your archive.", field)
        if found.status == GenerationStatus.ERROR:
            raise InvalidInput("This one was not made, so there is nothing to judge. Try it again first.", field)
        if found.status != GenerationStatus.DONE:
            raise InvalidInput("This one is still being made. Wait until it is done.", field)
        return found

    async def _visit(self, caller: Caller, pass_id: str) -> str | None:
        return None if caller.session_id is None else (await self._sessions.own(pass_id, caller.session_id)).session_id

    async def _told(self, event_id: str | None, about: GenerationRow) -> Told:
        found = await self._database.fetch_one(events.BY_IDS, ids=[event_id]) if event_id else None
        return Told(None if found is None else EventRow(*found), about, await self._owner(about.pass_id))

    async def _owner(self, pass_id: str) -> PassRow:
        owner = await self._passes.find(pass_id)
        if owner is None:
            raise NotFound(_GONE)
        return owner


async def _lock(session: Transaction, pass_id: str) -> None:
    """Let nobody else say anything for this Pass until the transaction ends."""
    if await customers.lock(session, pass_id) is None:
        raise NotFound(_GONE)


async def _prefer(session: Transaction, pass_id: str, visit: str | None, payload: dict[str, Any]) -> None:
    await events.insert(session, pass_id, EventType.PREFERENCE_SET, session_id=visit, payload=payload)
    await relearn(session, pass_id)


def _said(context: str | None) -> dict[str, Any]:
    """Where in the studio it was said, as the client calls the place."""
    place = plain_text(context or "")[:CONTEXT_CHARS].strip()
    return {"context": place} if place else {}


def _tags(made: GenerationRow) -> list[str]:
    return tags_of(decode(made.vars) or {}, made.prompt)
