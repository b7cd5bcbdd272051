"""Events: what a person did."""

from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import EventType
from mina_gql.api.graphql.nodes import Node, node_type
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.domain.pipeline import generation_mg_id
from mina_gql.mega.generations.events import EventRow

if TYPE_CHECKING:
    from mina_gql.api.graphql.generations import Generation
    from mina_gql.api.graphql.passes import Pass


@strawberry.type
class MmaEvent(Node):
    """Something a person did."""

    type: EventType
    payload: JSON
    created_at: DateTime

    @strawberry.field
    async def generation(
        root: Parent[EventRow], info: Info
    ) -> Annotated["Generation", strawberry.lazy("mina_gql.api.graphql.generations")] | None:
        """What it was done to."""
        if root.generation_id is None:
            return None
        return await info.context.loaders.generations.load(generation_mg_id(root.generation_id))  # type: ignore[return-value]

    @strawberry.field(name="pass")
    async def owner(
        root: Parent[EventRow], info: Info
    ) -> Annotated["Pass", strawberry.lazy("mina_gql.api.graphql.passes")] | None:
        """Who did it."""
        return await info.context.loaders.passes.load(root.pass_id)  # type: ignore[return-value]


node_type(EventRow, "MmaEvent")
