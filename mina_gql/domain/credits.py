"""The rules of matcha: prices, reasons, ledger ids (DESIGN section 5)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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

    `delta` is in matcha, below 0 for what is taken. `meta` is for facts that no column has.
    """

    ledger_id: str
    delta: int
    reason: Reason
    source: str
    ref_type: str
    ref_id: str
    generation_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


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


def user_grant(user_id: str, amount: int) -> Entry:
    """The free matcha of a verified user: once, whichever Pass they come with."""
    name = f"user:{hashlib.sha256(user_id.encode()).hexdigest()}"
    return Entry(f"credit_transaction:grant:{name}", amount, Reason.GRANT, "mina", "grant", name)


def merge_out(from_name: str, into_name: str, amount: int) -> Entry:
    """What leaves a Pass that is merged away; names are the keyed hashes of both Passes."""
    pair = f"{from_name}:{into_name}"
    return Entry(f"credit_transaction:merge_out:{pair}", -amount, Reason.MERGE_OUT, "mina", "merge", pair)


def merge_in(from_name: str, into_name: str, amount: int) -> Entry:
    """What comes with a Pass that is merged in."""
    pair = f"{from_name}:{into_name}"
    return Entry(f"credit_transaction:merge_in:{pair}", amount, Reason.MERGE_IN, "mina", "merge", pair)


def adjustment(key: str, delta: int) -> Entry:
    """What an admin gave or took, under their idempotency key."""
    return Entry(f"credit_transaction:adjust:{key}", delta, Reason.ADJUSTMENT, "admin", "adjustment", key)


def purchase(order_id: str, line_id: str, matcha: int, *, sku: str, quantity: int) -> Entry:
    """What a line of a paid Shopify order gives."""
    return Entry(
        f"credit_transaction:shopify:{order_id}:{line_id}",
        matcha,
        Reason.PURCHASE,
        "shopify",
        "shopify_order",
        order_id,
        meta={"line": line_id, "sku": sku, "quantity": quantity},
    )


def clawback(refund_id: str, order_id: str, line_id: str, asked: int, balance: int) -> Entry:
    """What a refund takes back of a line: what it asks for, or the balance where that is less. What is missing is recorded."""
    taken = min(asked, balance)
    return Entry(
        f"credit_transaction:shopify_refund:{refund_id}:{line_id}",
        -taken,
        Reason.CLAWBACK,
        "shopify",
        "shopify_refund",
        order_id,
        meta={"line": line_id, "refund": refund_id, "shortfall": asked - taken},
    )


def expiry(write_off_id: str, balance: int) -> Entry:
    """The write-off of matcha that has expired; `write_off_id` is a fresh uuid."""
    return Entry(f"credit_transaction:expiry:{write_off_id}", -balance, Reason.EXPIRY, "mina", "expiry", write_off_id)
