"""The rules of matcha: prices, reasons, ledger ids (DESIGN section 5)."""

from dataclasses import dataclass
from enum import StrEnum


class BillableAction(StrEnum):
    """What costs matcha; the value is the price's key in runtime config."""

    CREATE = "create"
    TWEAK = "tweak"
    ANIMATE = "animate"


class Reason(StrEnum):
    """Why a balance changed; the value is `mg_reason`."""

    CHARGE = "charge"
    REFUND = "refund"
    PURCHASE = "purchase"
    CLAWBACK = "clawback"
    GRANT = "grant"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"
    MERGE_IN = "merge_in"
    MERGE_OUT = "merge_out"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger row to be written: `ledger_id` is its business key, so doing it twice is refused by the primary key.

    `delta` is in matcha, below 0 for what is taken.
    """

    ledger_id: str
    delta: int
    reason: Reason
    source: str
    ref_type: str
    ref_id: str
    generation_id: str | None = None


def charge(generation_id: str, cost: int) -> Entry:
    """The charge of an accepted generation (bare id)."""
    return Entry(
        f"credit_transaction:charge:{generation_id}",
        -cost,
        Reason.CHARGE,
        "mma",
        "generation",
        generation_id,
        generation_id,
    )


def refund(generation_id: str, cost: int) -> Entry:
    """What a generation that ended in ERROR gives back."""
    return Entry(
        f"credit_transaction:refund:{generation_id}",
        cost,
        Reason.REFUND,
        "mma",
        "generation",
        generation_id,
        generation_id,
    )


def grant(row_name: str, amount: int) -> Entry:
    """The free matcha of a new Pass; `row_name` is the Pass's keyed hash."""
    return Entry(f"credit_transaction:grant:{row_name}", amount, Reason.GRANT, "mina", "grant", row_name)


def expiry(write_off_id: str, balance: int) -> Entry:
    """The write-off of matcha that has expired; `write_off_id` is a fresh uuid."""
    return Entry(f"credit_transaction:expiry:{write_off_id}", -balance, Reason.EXPIRY, "mina", "expiry", write_off_id)
