"""The Node interface: everything that can be fetched again by its global id."""

from typing import Any, TypeVar

import strawberry
from graphql import GraphQLAbstractType, GraphQLResolveInfo

Shown = TypeVar("Shown")

_TYPES: dict[type, str] = {}


def node_type(row: type, name: str) -> None:
    """Say which GraphQL type a read-model is shown as."""
    _TYPES[row] = name


def shown(row: Any) -> Shown:  # type: ignore[type-var]  # the place it stands in says the type
    """A read-model as the GraphQL type that is promised here: that type's fields read the row itself, a DateTime its text."""
    return row  # type: ignore[no-any-return]  # see above


@strawberry.interface(
    description=(
        "Everything that can be fetched again by its global id. The id is the record's own primary key "
        "(`mg_id`, or `mg_pass_id` for a Pass), so it is stable for ever; clients treat it as opaque."
    )
)
class Node:
    """Has a global id."""

    id: strawberry.ID

    @classmethod
    def resolve_type(cls, value: Any, info: GraphQLResolveInfo[Any], kind: GraphQLAbstractType) -> str | None:  # noqa: ARG003
        """The GraphQL type of a read-model."""
        return _TYPES.get(type(value))
