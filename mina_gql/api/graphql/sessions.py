"""Sessions: visits to the studio."""

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.connections import Connection, First, Last, connection, page_request
from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.lazy import LazyGeneration
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.api.graphql.selections import asked_of_nodes, columns
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.mega.generations.sessions import SessionRow
from mina_gql.services.sessions import NewSession


@strawberry.type
class Session(Node):
    """A visit to the studio."""

    platform: str | None
    title: str | None
    client_version: str | None
    started_at: DateTime
    ended_at: DateTime | None
    meta: JSON

    @strawberry.field
    async def generations(
        root: Parent[SessionRow],
        info: Info,
        first: First = None,
        after: str | None = None,
        last: Last = None,
        before: str | None = None,
    ) -> Connection[LazyGeneration]:
        """What was made in this visit, newest first."""
        row, generations = root, info.context.services.generations
        page = await generations.of_session(
            row.pass_id, row.session_id, page_request(first, after, last, before), columns(asked_of_nodes(info))
        )
        return connection(page, lambda: generations.count_of_session(row.pass_id, row.session_id))


node_type(SessionRow, "Session")


@strawberry.type
class SessionPayload:
    """The visit, or why not."""

    session: Session | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.input
class StartSessionInput:
    """What a client says of itself; `id` may be a UUID of its own, bare or as `sess_<uuid>`."""

    id: str | None = None
    platform: str | None = None
    client_version: str | None = None
    title: str | None = None
    meta: JSON | None = None


@strawberry.type
class SessionMutations:
    """Mutations of sessions."""

    @strawberry.mutation
    async def start_session(self, info: Info, input: StartSessionInput) -> SessionPayload | None:
        """Start a visit; the same id again gives the same visit."""
        new = NewSession(input.id, input.platform, input.client_version, input.title, input.meta)

        async def start() -> SessionPayload:
            row = await info.context.services.sessions.start(info.context.caller, new)
            return SessionPayload(session=shown(row))

        return await answered(SessionPayload, start)

    @strawberry.mutation
    async def end_session(self, info: Info, id: strawberry.ID) -> SessionPayload | None:
        """End a visit; ending it again changes nothing."""

        async def end() -> SessionPayload:
            row = await info.context.services.sessions.end(info.context.caller, id)
            return SessionPayload(session=shown(row))

        return await answered(SessionPayload, end)
