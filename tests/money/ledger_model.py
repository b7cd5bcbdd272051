"""The ledger in plain Python: what was asked for, and which rows that must have left, one after the other."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One ledger row. `meta` is the row's own, `asked` what an adjustment's audit says."""

    id: str
    pass_id: str
    delta: int
    reason: str
    meta: dict[str, Any]


@dataclass
class Asked:
    """What the actors wanted, and how far they know that it happened. Amounts are in matcha."""

    charges: dict[str, int] = field(default_factory=dict)  # by generation (bare id), accepted for sure
    maybe_charged: dict[str, int] = field(default_factory=dict)  # the Pass was merged away before the answer came
    refused: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    adjustments: dict[str, int] = field(default_factory=dict)
    maybe_adjusted: dict[str, int] = field(default_factory=dict)
    orders: dict[str, tuple[int, int]] = field(default_factory=dict)  # packs, and what each gives
    refunds: dict[str, tuple[str, int]] = field(default_factory=dict)  # by refund: order, packs


@dataclass
class Purse:
    """One Pass as its ledger rows make it."""

    balance: int = 0
    bought: int = 0
    moved: int = 0
    refunded_elsewhere: int = 0
    moved_out: bool = False


class Ledger:
    """Reads rows in their order and says what is wrong with the first one that cannot be."""

    def __init__(self, asked: Asked, refundable: dict[str, int]) -> None:
        self._asked = asked
        self._refundable = refundable  # by generation (bare id): what a merge left of the refunds that were still to come
        self._charged_to: dict[str, str] = {}
        self._purses: defaultdict[str, Purse] = defaultdict(Purse)
        self.seen: set[str] = set()
        self.given: defaultdict[str, int] = defaultdict(int)  # by order
        self.asked_back: defaultdict[str, int] = defaultdict(int)

    def read(self, row: Row) -> None:
        """Take the next row, as one of the rules of DESIGN section 5 says."""
        purse = self._purses[row.pass_id]
        assert row.id not in self.seen, f"{row.id} twice"
        self.seen.add(row.id)
        key = row.id.removeprefix("credit_transaction:")
        kind, _, rest = key.partition(":")
        assert not purse.moved_out or kind == "expiry", f"{row.id}: an alias got matcha"
        expected = getattr(self, f"_{kind}")(purse, rest, row)
        assert row.delta == expected, f"{row.id}: {row.delta} and not {expected}, of a balance of {purse.balance}"
        purse.balance += row.delta
        assert purse.balance >= 0, row.id
        bought = row.reason in {"purchase", "merge_in", "clawback"} or (row.reason == "adjustment" and row.delta > 0)
        purse.bought += row.delta if bought else 0

    def balance(self, pass_id: str) -> int:
        """What a Pass must have."""
        return self._purses[pass_id].balance

    def complete(self) -> None:
        """Whether everything that was done for sure stands, and nothing that was refused."""
        asked = self._asked
        must = {f"charge:{generation}" for generation in asked.charges}
        must |= {f"refund:{generation}" for generation in asked.failed if self._refundable.get(generation) != 0}
        must |= {f"adjust:{key}" for key in asked.adjustments}
        missing = {f"credit_transaction:{key}" for key in must} - self.seen
        assert not missing, sorted(missing)[:5]
        wrong = {f"credit_transaction:charge:{generation}" for generation in asked.refused} & self.seen
        assert not wrong, sorted(wrong)[:5]
        for pass_id, purse in self._purses.items():
            assert purse.moved + purse.refunded_elsewhere <= max(0, purse.bought), f"free matcha of {pass_id} came through"

    def settled(self, order: str, packs: int, each: int, refunded: int) -> None:
        """Whether an order whose every delivery has come gave all, and was asked back for no more than that."""
        assert self.given[order] == packs * each, order
        assert self.asked_back[order] == min(packs, refunded) * each, order

    def _charge(self, purse: Purse, generation: str, row: Row) -> int:
        self._charged_to[generation] = row.pass_id
        cost = self._asked.charges.get(generation) or self._asked.maybe_charged[generation]
        assert purse.balance >= cost, f"{generation} was charged to a balance of {purse.balance}"
        return -cost

    def _refund(self, _: Purse, generation: str, row: Row) -> int:
        assert generation in self._asked.failed
        assert f"credit_transaction:charge:{generation}" in self.seen, f"{row.id} without its charge"
        cost = self._asked.charges.get(generation) or self._asked.maybe_charged[generation]
        back = self._refundable.get(generation, cost)
        assert 0 < back <= cost
        if self._charged_to[generation] != row.pass_id:
            self._purses[self._charged_to[generation]].refunded_elsewhere += back
        return back

    def _adjust(self, purse: Purse, key: str, _: Row) -> int:
        asked = self._asked.adjustments.get(key)
        return max(self._asked.maybe_adjusted[key] if asked is None else asked, -purse.balance)

    def _shopify(self, _: Purse, rest: str, row: Row) -> int:
        order = rest.partition(":")[0]
        packs, each = self._asked.orders[order]
        self.given[order] += row.delta
        return packs * each

    def _shopify_refund(self, purse: Purse, rest: str, row: Row) -> int:
        order, packs = self._asked.refunds[rest.partition(":")[0]]
        wanted = -row.delta + row.meta["shortfall"]
        bought, each = self._asked.orders[order]
        assert 0 < wanted <= packs * each
        self.asked_back[order] += wanted
        assert self.asked_back[order] <= bought * each, f"{row.id}: more back than was given"
        return -min(wanted, purse.balance)

    def _grant(self, purse: Purse, _: str, row: Row) -> int:
        assert purse == Purse(), f"{row.id}: granted to a Pass that was not new"
        return 3

    def _expiry(self, purse: Purse, _: str, row: Row) -> int:
        assert purse.balance > 0, f"{row.id}: nothing to write off"
        return -purse.balance

    def _merge_out(self, purse: Purse, _: str, __: Row) -> int:
        purse.moved_out = True
        purse.moved = max(0, min(purse.balance, purse.bought))
        return -purse.moved

    def _merge_in(self, _: Purse, pair: str, row: Row) -> int:
        assert f"credit_transaction:merge_out:{pair}" in self.seen, row.id
        assert re.fullmatch(r"[0-9a-f]{32}:[0-9a-f]{32}", pair), row.id
        return row.delta
