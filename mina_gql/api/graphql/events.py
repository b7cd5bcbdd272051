"""Events: what a person did."""

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import EventType
from mina_gql.api.graphql.lazy import LazyGeneration, LazyPass
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.permissions import pass_of
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.domain.pipeline import generation_mg_id
from mina_gql.mega.generations.events import EventRow


@strawberry.type
class MmaEvent(Node):
    """Something a person did."""

    type: EventType
    payload: JSON
    created_at: DateTime

    @strawberry.field
    async def generation(root: Parent[EventRow], info: Info) -> LazyGeneration | None:
        """What it was done to."""
        if root.generation_id is None:
            return None
        return shown(await info.context.loaders.generations.load(generation_mg_id(root.generation_id)))

    @strawberry.field(name="pass")
    async def owner(root: Parent[EventRow], info: Info) -> LazyPass | None:
        """Who did it."""
        return shown(await pass_of(info, root.pass_id))


node_type(EventRow, "MmaEvent")
