"""How large, deep and dear a document may be, found in one walk that visits every selection once.

Stock limiters expand a fragment again at every spread, so 800 bytes keep them busy for minutes. Here a fragment is
measured once and its measure is added wherever it is spread; counts saturate, so they never become big numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from mina_gql.api.graphql.cost import FREE, SATURATED, Cost, Price, Times
from mina_gql.domain.errors import LimitExceeded

PAGE_ARGUMENTS = ("first", "last")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for (DESIGN section 11): bytes of body, otherwise counts.

    `fields` counts after fragments are expanded; it keeps validation (quadratic in equal fields) below 100 ms.
    """

    body_bytes: int = 256 * 1024
    tokens: int = 2_000
    fields: int = 500
    depth: int = 12
    aliases: int = 30
    directives: int = 10
    cost: int = 1_000
    page_default: int = 20
    page_max: int = 100
    subscriptions: int = 20


@dataclass(slots=True)
class Measure:
    """What one selection set adds up to, with all fragments in it.

    `items` is the part of the cost that stands in lists directly here: a connection multiplies it by its page.
    """

    fields: int = 0
    aliases: int = 0
    depth: int = 0
    cost: Cost = FREE
    items: Cost = FREE

    def add(self, other: "Measure") -> None:
        """Take in what stands beside the rest: counts add up, the deepest counts."""
        self.fields = min(self.fields + other.fields, SATURATED)
        self.aliases = min(self.aliases + other.aliases, SATURATED)
        self.depth = max(self.depth, other.depth)
        self.cost += other.cost
        self.items += other.items


def price(schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> dict[str | None, Price]:
    """The price of each operation by its name, once the document is within all limits that need no variables.

    Runs before validation, which can be attacked itself, so it takes any document that parses: unknown fields count
    as leaves, and a fragment within itself is left for validation to refuse. Raises LimitExceeded.
    """
    return Walk(schema, document, limits).run()


def check_cost(asked: Price, variables: Mapping[str, object], limits: Limits) -> None:
    """Whether an operation is affordable with these variables. Raises LimitExceeded."""
    objects = asked.objects(variables, limits.page_max)
    if objects > limits.cost:
        raise LimitExceeded(
            f"This asks for {_count(objects)} objects at once and {limits.cost} are allowed:"
            " take smaller pages (`first`, `last`) or fewer lists within lists."
        )


class Walk:
    """One walk over one document. `visits` counts the selections looked at, which is all its work."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
        self.schema = schema
        self.limits = limits
        self.visits = 0
        self.directives = 0
        self.operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        self.fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        self.measures: dict[str, Measure] = {}

    def run(self) -> dict[str | None, Price]:
        """See `price`."""
        for name in _inside_out(self.fragments):
            fragment = self.fragments[name]
            self._count_directives(fragment)
            condition = self.schema.get_type(fragment.type_condition.name.value)
            self.measures[name] = self._selections(fragment.selection_set, condition)

        prices: dict[str | None, Price] = {}
        document = Measure()
        for operation in self.operations:
            self._count_directives(operation, *(operation.variable_definitions or ()))
            found = self._selections(operation.selection_set, self.schema.get_root_type(operation.operation))
            document.add(found)
            prices[operation.name.value if operation.name else None] = Price(found.cost + found.items, _defaults(operation))
        self._check(document, list(prices.values()))
        return prices

    def _check(self, found: Measure, prices: list[Price]) -> None:
        limits = self.limits
        if found.fields > limits.fields:
            self._too_many_fields()
        if found.depth > limits.depth:
            _refuse(f"This nests {found.depth} levels deep and {limits.depth} are allowed: ask for the inner objects apart.")
        if found.aliases > limits.aliases:
            _refuse(f"This has {_count(found.aliases)} aliases and {limits.aliases} are allowed: split the request.")
        if self.directives > limits.directives:
            _refuse(f"This has {self.directives} directives and {limits.directives} are allowed: leave some out.")
        for each in prices:
            check_cost(Price(Cost(each.cost.least), {}), {}, limits)

    def _selections(self, selection_set: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Measure:
        total = Measure()
        for selection in selection_set.selections if selection_set else ():
            self.visits += 1
            if self.visits > self.limits.fields:
                self._too_many_fields()
            self._count_directives(selection)
            match selection:
                case FieldNode():
                    total.add(self._field(selection, parent))
                case FragmentSpreadNode():
                    total.add(self.measures.get(selection.name.value, Measure()))
                case InlineFragmentNode(type_condition=condition):
                    inner = self.schema.get_type(condition.name.value) if condition else parent
                    total.add(self._selections(selection.selection_set, inner))
        return total

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Measure:
        name = node.name.value
        definition = self.schema.get_field(parent, name) if is_composite_type(parent) else None
        kind = get_named_type(definition.type) if definition else None
        inner = self._selections(node.selection_set, kind)
        total = Measure(min(inner.fields + 1, SATURATED), min(inner.aliases + (node.alias is not None), SATURATED))
        if name.startswith("__") or (parent is not None and parent.name.startswith("__")):
            return total  # the schema is small and known, and GraphiQL's own query nests 13 levels
        total.depth = inner.depth + 1
        if definition is not None and kind is not None and is_composite_type(kind):
            self._charge(total, inner, node, definition)
        return total

    def _charge(self, total: Measure, inner: Measure, node: FieldNode, definition: GraphQLField) -> None:
        """An object is 1 and what is in it; a page is its size times the item; a connection pages the lists in it.

        Lists without a page (a generation's steps) count once: how long they get is not in the request's hands.
        """
        one = Cost(1, (), 1)
        size = self._page(node, definition)
        if is_list_type(get_nullable_type(definition.type)):
            item = one + inner.cost + inner.items
            if size is None:
                total.items = item
            else:
                total.cost = item.times(size)
        else:
            total.cost = one + inner.cost + (inner.items if size is None else inner.items.times(size))

    def _page(self, node: FieldNode, definition: GraphQLField) -> Times | None:
        """The page that a field's arguments ask for; None for a field without pages. `ids` make a page of their own."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        if "ids" in definition.args:
            return self._size(given.get("ids"), 1)
        known = [name for name in PAGE_ARGUMENTS if name in definition.args]
        if not known:
            return None
        named = next((name for name in known if name in given), known[0])
        default = definition.args[named].default_value
        return self._size(given.get(named), default if isinstance(default, int) else self.limits.page_default)

    def _size(self, value: ValueNode | None, default: int) -> Times:
        match value:
            case VariableNode():
                return Times(default, value.name.value)
            case ListValueNode():
                return Times(len(value.values))
            case IntValueNode():
                return Times(_clamp(value, self.limits))
        return Times(default)

    def _count_directives(self, *nodes: object) -> None:
        self.directives += sum(len(getattr(node, "directives", None) or ()) for node in nodes)

    def _too_many_fields(self) -> NoReturn:
        _refuse(f"This asks for more than {self.limits.fields} fields, fragments expanded: split the request.")


def _clamp(value: IntValueNode, limits: Limits) -> int:
    """A page size as written. Ten digits and more are not worth reading (and Python refuses 4,300)."""
    return min(max(int(value.value), 1), limits.page_max) if len(value.value) < 10 else limits.page_max


def _defaults(operation: OperationDefinitionNode) -> dict[str, object]:
    """Defaults of the variables that may be page sizes."""
    return {
        variable.variable.name.value: int(variable.default_value.value[:9])
        for variable in operation.variable_definitions or ()
        if isinstance(variable.default_value, IntValueNode)
    }


def _inside_out(fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    """Fragment names, each after those it spreads; in a circle, wherever it is entered."""
    spreads = {name: set(_spreads(fragment.selection_set)) & fragments.keys() for name, fragment in fragments.items()}
    seen: set[str] = set()
    for root, spread_in_root in spreads.items():
        path = [] if root in seen else [(root, iter(spread_in_root))]
        seen.add(root)
        while path:
            name, rest = path[-1]
            inner = next((spread for spread in rest if spread not in seen), None)
            if inner is None:
                path.pop()
                yield name
            else:
                seen.add(inner)
                path.append((inner, iter(spreads[inner])))


def _spreads(selection_set: SelectionSetNode) -> Iterator[str]:
    """Names of the fragments spread anywhere in a selection set."""
    waiting = [selection_set]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                yield selection.name.value
            elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                waiting.append(selection.selection_set)


def _count(number: int) -> str:
    return str(number) if number < SATURATED else f"{SATURATED} or more"


def _refuse(message: str) -> NoReturn:
    raise LimitExceeded(message)
