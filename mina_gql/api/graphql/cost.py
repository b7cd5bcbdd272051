"""What an operation costs: the objects it asks for, as far as they are known before its variables are."""

from collections.abc import Mapping
from dataclasses import dataclass

SATURATED = 10_000
"""Counts stop here: above every limit, and small enough to bound the work of adding."""


@dataclass(frozen=True, slots=True)
class Times:
    """How often the items of a list count: `number`, or what the variable says where it says something."""

    number: int
    variable: str | None = None

    def value(self, variables: Mapping[str, object], page_max: int) -> int:
        """The number with these variables; a value that coercion will refuse counts as a full page."""
        given = variables.get(self.variable) if self.variable is not None else None
        match given:
            case None:
                return self.number
            case list():
                return len(given)
            case int():
                return min(max(given, 1), page_max)
        return page_max


@dataclass(frozen=True, slots=True)
class Cost:
    """Objects asked for: a fixed number, and parts that a page size in a variable multiplies.

    `least` is the cost when every such page has one item. It bounds the number of parts, and so the work of `value`.
    """

    fixed: int = 0
    parts: tuple[tuple[Times, "Cost"], ...] = ()
    least: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return _cost(self.fixed + other.fixed, self.parts + other.parts, self.least + other.least)

    def times(self, size: Times) -> "Cost":
        """This, for each item of a list: numbers are multiplied now, variables when the request tells them."""
        if size.variable is not None:
            return _cost(0, ((size, self),), self.least)
        parts = ((size, Cost(0, self.parts, self.least - self.fixed)),) if self.parts else ()
        return _cost(self.fixed * size.number, parts, self.least * size.number)

    def value(self, variables: Mapping[str, object], page_max: int) -> int:
        """The number of objects with these variables."""
        total = self.fixed
        for size, part in self.parts:
            total += size.value(variables, page_max) * part.value(variables, page_max)
        return min(total, SATURATED)


FREE = Cost()


@dataclass(frozen=True, slots=True)
class Price:
    """The cost of one operation, and the defaults of its variables."""

    cost: Cost
    defaults: Mapping[str, object]

    def objects(self, variables: Mapping[str, object], page_max: int) -> int:
        """How many objects the operation asks for with these variables."""
        cost = self.cost
        return cost.value({**self.defaults, **variables}, page_max) if cost.parts else cost.fixed


def _cost(fixed: int, parts: tuple[tuple[Times, Cost], ...], least: int) -> Cost:
    """A cost, with its parts dropped once it is beyond every limit: they would grow with each further spread."""
    return Cost(SATURATED, (), SATURATED) if least >= SATURATED else Cost(fixed, parts, least)
