"""Sessions: visits to the studio (seed 003, 2.1 and 9.1)."""

from dataclasses import dataclass
from typing import Any

import orjson

from mina_gql.domain.errors import InvalidInput, NotFound
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import plain_text, session_id
from mina_gql.mega import customers
from mina_gql.mega.database import Database
from mina_gql.mega.generations import sessions
from mina_gql.mega.generations.sessions import SessionRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services.passes import required
from mina_gql.services.user_agent import client_facts

TEXT_CHARS = 200
META_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a client says when a visit starts; `id` may be a uuid of its own, bare or as `sess_<uuid>`."""

    id: str | None = None
    platform: str | None = None
    client_version: str | None = None
    title: str | None = None
    meta: Any = None


class SessionService:
    """Starts, ends and finds visits of a Pass."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, caller: Caller, new: NewSession) -> SessionRow:
        """Start a visit, or find the one this id started.

        Raises InvalidInput, and NotFound for somebody else's id or a Pass that is gone.
        """
        pass_id = required(caller)
        ours = session_id(new.id)
        if ours is None:
            raise InvalidInput("A session id is a UUID, bare or as sess_<uuid>.", ["input", "id"])
        meta = new.meta if new.meta is not None else {}
        if not isinstance(meta, dict) or len(orjson.dumps(meta)) > META_BYTES:
            raise InvalidInput("A session's meta is a JSON object of at most 8 KiB.", ["input", "meta"])
        facts = client_facts(caller.user_agent)
        async with self._database.begin() as session:
            if await customers.lock(session, pass_id) is None:
                raise NotFound("This Pass is gone. Call ensurePass for a new one.")
            await sessions.insert_if_new(
                session,
                f"session:{ours}",
                {
                    "pass_id": pass_id,
                    "session_id": ours,
                    "platform": _short(new.platform),
                    "title": _short(new.title),
                    "client_version": _short(new.client_version),
                    "os": facts.os,
                    "browser": facts.browser,
                    "device": facts.device,
                    "meta": {"client": meta},
                    "source_system": "api",
                },
            )
        return await self.own(pass_id, ours)

    async def end(self, caller: Caller, given: str) -> SessionRow:
        """End a visit; ending it again changes nothing. Raises NotFound."""
        found = await self.own(required(caller), given)
        async with self._database.begin() as session:
            await sessions.end(session, found.id, found.pass_id)
        return await self.own(found.pass_id, given)

    async def own(self, pass_id: str, given: str) -> SessionRow:
        """A visit of this Pass by its global, prefixed or bare id. Raises NotFound for every other."""
        ours = session_id(given)
        found = (await self.by_id([f"session:{ours}"])).get(f"session:{ours}") if ours else None
        if found is None or found.pass_id != pass_id:
            raise NotFound("There is no such session. Start one with startSession.", ["sessionId"])
        return found

    async def by_id(self, ids: list[str]) -> dict[str, SessionRow]:
        """Visits by their global ids."""
        rows = [SessionRow(*record) for record in await self._database.fetch(sessions.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}

    async def of_pass(self, pass_id: str, page: PageRequest) -> Page[SessionRow]:
        """A page of a Pass's visits, newest first."""
        return await sessions.OF_PASS.read(self._database, page, pass_id=pass_id)

    async def count_of_pass(self, pass_id: str) -> int:
        """How many visits a Pass has made."""
        return await sessions.OF_PASS.count(self._database, pass_id=pass_id)


def _short(text: str | None) -> str | None:
    return None if text is None else plain_text(text)[:TEXT_CHARS] or None
