"""Orders and refunds, what they give and take back, and what the ledger says of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeGuard

MAX_QUANTITY = 1_000
MAX_PACK = 100_000

# A partly refunded order was paid; what was refunded comes with it.
_PAID = frozenset({"paid", "partially_refunded"})
_SKU = re.compile(r"MINA-([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order. `quantity` is 0 where it is no whole number from 1 to `MAX_QUANTITY`."""

    id: str
    sku: str | None
    quantity: int

    def matcha(self, sku_map: Mapping[str, Any]) -> int:
        """What the line gives."""
        return matcha_of(self.sku, sku_map) * self.quantity


@dataclass(frozen=True, slots=True)
class RefundLine:
    """How many packs of a line go back. `sku` is None where the payload does not say it."""

    line_id: str
    quantity: int
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """What goes back of an order: these lines, or with None for `lines` all that is left."""

    id: str
    order_id: str
    lines: tuple[RefundLine, ...] | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order. `paid_at` is UTC, None where the payload tells no time; `deposit_ref` is our own reference, if it is one."""

    id: str
    paid_at: datetime | None
    financial_status: str
    test: bool
    cancelled: bool
    customer_id: str | None
    email: str | None
    deposit_ref: str | None
    lines: tuple[Line, ...]
    refunds: tuple[Refund, ...]

    @property
    def paid(self) -> bool:
        """Whether its lines give matcha."""
        return self.financial_status in _PAID and not self.test and not self.cancelled

    @property
    def withdrawn(self) -> bool:
        """Whether all that is left of it goes back: it was cancelled, or refunded altogether."""
        return (self.cancelled or self.financial_status == "refunded") and not self.test

    def all_refunds(self) -> tuple[Refund, ...]:
        """What goes back, the withdrawal last."""
        return (*self.refunds, withdrawal(self.id)) if self.withdrawn else self.refunds


@dataclass(slots=True)
class Given:
    """What a line gave, in matcha for `quantity` packs, and how much of it was asked back so far."""

    matcha: int
    quantity: int
    asked_back: int = 0


@dataclass(slots=True)
class OrderBooks:
    """What the ledger says of an order: who got it, what each line gave, which refunds were applied to which line."""

    pass_id: str | None = None
    lines: dict[str, Given] = field(default_factory=dict)
    applied: set[tuple[str, str]] = field(default_factory=set)

    def ask_back(self, refund_id: str, line_id: str, quantity: int | None) -> int:
        """The matcha a refund takes of a line, noted here: in all never more than the line gave. None is all that is left."""
        given = self.lines.get(line_id)
        if given is None or (refund_id, line_id) in self.applied:
            return 0
        left = given.matcha - given.asked_back
        asked = left if quantity is None else min(left, given.matcha // given.quantity * quantity)
        given.asked_back += asked
        self.applied.add((refund_id, line_id))
        return asked


def withdrawal(order_id: str) -> Refund:
    """The cancellation of an order as a refund of all that is left."""
    return Refund(f"cancel-{order_id}", order_id, None)


def matcha_of(sku: str | None, sku_map: Mapping[str, Any]) -> int:
    """The matcha of one pack: from the map, else the number of `MINA-<n>`, else 0."""
    if sku is None:
        return 0
    pack = sku_map.get(sku)
    if pack is None:
        found = _SKU.fullmatch(sku)
        return int(found[1]) if found else 0
    matcha = pack.get("matcha") if isinstance(pack, Mapping) else None
    return matcha if is_whole(matcha) and 1 <= matcha <= MAX_PACK else 0


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a JSON value is a whole number: true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)
