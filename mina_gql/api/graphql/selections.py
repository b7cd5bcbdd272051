"""Look-ahead: which fields a query asks of what a resolver returns. A hint: @include is not read, too much does no harm."""

from collections.abc import Iterator
from typing import Any

from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, InlineFragmentNode, SelectionNode

from mina_gql.api.graphql.context import Info


def asked_of_nodes(info: Info) -> frozenset[str]:
    """The fields asked of a connection's nodes, by `nodes` or `edges { node }`."""
    raw = info._raw_info  # noqa: SLF001 -- Strawberry's own look-ahead builds objects for the whole tree at each call
    inside = [field for node in raw.field_nodes for field in _fields(node, raw)]
    nodes = [field for field in inside if field.name.value == "nodes"]
    edges = [field for field in inside if field.name.value == "edges"]
    nodes += [field for edge in edges for field in _fields(edge, raw) if field.name.value == "node"]
    return frozenset(field.name.value for node in nodes for field in _fields(node, raw))


_WHOLE_MAP = frozenset({"vars", "assets", "scans", "settings", "userMessages", "finalMessage", "recreate"})
_COLUMNS = {"movementStyle": "movement_style", "contentType": "content_type", "posterUrl": "poster_url"}


def columns(asked: frozenset[str]) -> frozenset[str]:
    """The read-model's columns behind the fields asked of a generation, as far as they cost something."""
    named = {_COLUMNS.get(name, name) for name in asked}
    return frozenset(named if asked.isdisjoint(_WHOLE_MAP) else named | {"vars"})


def _fields(node: FieldNode, raw: GraphQLResolveInfo[Any]) -> Iterator[FieldNode]:
    yield from _flat(node.selection_set.selections if node.selection_set else (), raw)


def _flat(selections: tuple[SelectionNode, ...], raw: GraphQLResolveInfo[Any]) -> Iterator[FieldNode]:
    for selection in selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _flat(selection.selection_set.selections, raw)
        elif isinstance(selection, FragmentSpreadNode):
            yield from _flat(raw.fragments[selection.name.value].selection_set.selections, raw)
