"""Sessions by REST: `POST /sessions/start`."""

from typing import Any

from mina_gql.api.rest.table import Asks, Call, Operation, Tells
from mina_gql.services.sessions import NewSession


class StartSession(Asks):
    """What a client says of itself (seed 003, 2.1); `sessionId` may be a UUID of its own, bare or as `sess_<uuid>`."""

    session_id: str | None = None
    platform: str | None = None
    client_version: str | None = None
    title: str | None = None
    meta: dict[str, Any] | None = None


class Session(Tells):
    """The visit."""

    session_id: str


async def start(call: Call[StartSession]) -> Session:
    """Start a visit; the same id again gives the same visit."""
    asked = call.asked
    new = NewSession(asked.session_id, asked.platform, asked.client_version, asked.title, asked.meta)
    return Session(session_id=(await call.services.sessions.start(call.caller, new)).session_id)


OPERATIONS = (
    Operation("POST", "/sessions/start", "Start a visit to the studio.", StartSession, start, {200: Session}, refuses=(404,)),
)
