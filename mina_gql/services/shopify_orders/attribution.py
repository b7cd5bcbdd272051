"""Whose an order is. Only matcha ever reaches a Pass found here: no identity is written, nothing is shown to the buyer."""

from mina_gql.domain.shopify import Order, fingerprint
from mina_gql.mega import buyers
from mina_gql.mega.customers import LockedPass
from mina_gql.mega.database import Transaction
from mina_gql.services.credits import settle

TRIES = 5
"""How often a Pass may be merged away between finding and locking it."""


async def lock_buyer(session: Transaction, order: Order, known: str | None) -> LockedPass:
    """The Pass an order's matcha goes to, locked and settled. `known` is whoever got its first lines.

    Else our deposit reference > the Shopify customer > exactly one verified e-mail > a new UNCLAIMED Pass (DESIGN section 5).
    """
    for _ in range(TRIES):
        found = await buyers.canonical(session, known) if known else None
        found = found or await _find(session, order) or await _unclaimed(session, order)
        locked = await settle(session, found) if found else None
        if locked is not None:
            return locked
    raise LookupError("no Pass stays put for this order")


async def lock_heir(session: Transaction, pass_id: str) -> LockedPass | None:
    """The Pass that holds by now what `pass_id` was given, locked and settled; None when it was erased."""
    for _ in range(TRIES):
        heir = await buyers.canonical(session, pass_id)
        if heir is None:
            return None
        locked = await settle(session, heir)
        if locked is not None:
            return locked
    raise LookupError("no Pass stays put for this refund")


async def _find(session: Transaction, order: Order) -> str | None:
    found = None
    if order.deposit_ref is not None:
        found = await buyers.by_deposit_ref(session, fingerprint(order.deposit_ref))
    if found is None and order.customer_id is not None:
        found = await buyers.by_shopify_id(session, order.customer_id, order.email)
    if found is None and order.email is not None:
        found = await buyers.by_verified_email(session, order.email)
    return found


async def _unclaimed(session: Transaction, order: Order) -> str | None:
    """The Pass named after the customer, or after the order where there is none or where that name is an erased row's."""
    names = [f"pass:shopify:order-{order.id}"]
    if order.customer_id is not None:
        names.insert(0, f"pass:shopify:{order.customer_id}")
    for name in names:
        for _ in range(2):  # a row that another transaction made meanwhile is found the second time
            found = await buyers.canonical(session, name)
            if found is not None:
                return found
            if await buyers.insert_unclaimed(session, name, order.customer_id, order.email):
                return name
    return None
