"""The table of routes: what each takes and gives, and who may use it. Answers and `/openapi.json` are made from it alone."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.datastructures import Headers

from mina_gql.api.rest.waiting import Waiting
from mina_gql.api.services import Services
from mina_gql.domain.errors import Forbidden, Unauthenticated
from mina_gql.domain.passes import Caller
from mina_gql.mega.admin import Actor
from mina_gql.mega.customers import PassRow

IDEMPOTENCY_KEY = "Idempotency-Key"
LAST_EVENT_ID = "Last-Event-ID"
SESSION_ID = "X-Session-Id"


class Asks(BaseModel):
    """What a route takes: camelCase, strict; what it does not know (ids of customers among it) is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class Tells(BaseModel):
    """What a route gives: camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, frozen=True
    )


class Nothing(Asks):
    """A route that takes nothing."""


class Done(Tells):
    """It was done."""

    ok: Literal[True] = True


class Fault(Tells):
    """Why not: a stable code, and a sentence that may be shown."""

    code: str
    message: str


class Refused(Tells):
    """Every error there is."""

    ok: Literal[False] = False
    error: Fault


class TooLittleMatcha(Fault):
    """What the action takes, what there is, and where to get more; null where nothing can be bought by a link."""

    required: int
    balance: int
    checkout_url: str | None


class RefusedForMatcha(Tells):
    """The one error that says more."""

    ok: Literal[False] = False
    error: TooLittleMatcha


Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds, as `print_datetime` makes it."""

A = TypeVar("A", bound=Asks)


class Access(Enum):
    """Who may use a route."""

    ANYBODY = "anybody"
    PASS = "a proven Pass"  # noqa: S105 -- the studio's word, not a password
    ADMIN = "admins"


@dataclass(frozen=True, slots=True)
class Call(Generic[A]):
    """One request: who asks, what for, and the services. `actor` is there on the admins' routes alone."""

    services: Services
    caller: Caller
    owner: PassRow | None
    asked: A
    headers: Headers
    waiting: Waiting
    actor: Actor | None = None

    @property
    def own(self) -> PassRow:
        """The caller's Pass, for looking. Raises Unauthenticated."""
        return proven(self.owner)

    @property
    def admin(self) -> Actor:
        """The admin who asks, on a route that is theirs alone. Raises Forbidden."""
        if self.actor is None:
            raise Forbidden("This is for admins.")
        return self.actor

    async def count(self, name: str) -> None:
        """Count it against the Pass's rate. Raises Throttled."""
        runtime = await self.services.config.runtime()
        await self.services.rates.hit(name, self.own.id, runtime.per_minute(name))


def proven(owner: PassRow | None) -> PassRow:
    """The Pass that a request proves. Raises Unauthenticated where it proves none."""
    if owner is None:
        raise Unauthenticated("No Pass was proven. Call GET /me and send its passId as X-Mina-Pass-Id.")
    return owner


class Reply(NamedTuple):
    """An answer with its status and headers."""

    body: Tells | None
    status: int = 200
    headers: Mapping[str, str] = {}


class Event(NamedTuple):
    """One server-sent event."""

    id: int
    name: str
    data: Tells


class Stream(NamedTuple):
    """An answer that goes on: server-sent events until `events` ends, or the token at `expires_at` (seconds since 1970)."""

    events: AsyncGenerator[Event, None]
    expires_at: float | None


Answer = Tells | Reply | Stream


@dataclass(frozen=True, slots=True)
class Operation(Generic[A]):
    """One route. Fields of `asks` that `path` names are read from there, the rest from the query (GET) or the body (POST).

    `gives` are the shapes of its answers by status; `refuses` are the errors beyond those that every route may answer.
    """

    method: Literal["GET", "POST"]
    path: str
    summary: str
    asks: type[A]
    handler: Callable[[Call[A]], Awaitable[Answer]]
    gives: Mapping[int, type[Tells] | None]
    access: Access = Access.PASS
    refuses: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    streams: bool = False
    tag: str = field(default="studio")

    @property
    def in_path(self) -> frozenset[str]:
        """The names of what stands in the path."""
        return frozenset(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @property
    def has_body(self) -> bool:
        """Whether a JSON body is read."""
        return self.method == "POST" and self.asks is not Nothing
