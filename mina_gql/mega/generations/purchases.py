"""What Shopify's orders left in the ledger, and refunds that came before their payment (in `mega_admin`)."""

from typing import NamedTuple

import orjson
from sqlalchemy import Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession


class OrderEntry(NamedTuple):
    """A ledger row of an order. `source_id` is the order's or the refund's id, `quantity` None for a clawback.

    `matcha` is what the line gave, or what was asked back of it: taken or, where the balance was too small, missing.
    """

    pass_id: str
    kind: str
    source_id: str
    line_id: str
    matcha: int
    quantity: int | None


class RememberedRefund(NamedTuple):
    """A refund that came before its payment: packs by line, None for all that is left."""

    refund_id: str
    packs: dict[str, int] | None


# The condition on mg_ref_type is the index's own.
_BOOKED_ELSEWHERE = text("""
    select 1 from mega_generations
    where mg_ref_type in ('shopify_order', 'shopify_refund') and mg_ref_id = :order_id and mg_record_type = 'credit_transaction'
      and mg_delta > 0 and mg_id !~ '^credit_transaction:shopify(_refund)?:[^:]+:[^:]+$'
    limit 1
""")
_OF_ORDER = text("""
    select mg_pass_id, mg_ref_type, split_part(mg_id, ':', 3), split_part(mg_id, ':', 4),
      abs(mg_delta) + coalesce((mg_meta ->> 'shortfall')::int, 0), (mg_meta ->> 'quantity')::int
    from mega_generations
    where mg_ref_type in ('shopify_order', 'shopify_refund') and mg_ref_id = :order_id and mg_record_type = 'credit_transaction'
      and mg_id ~ '^credit_transaction:shopify(_refund)?:[^:]+:[^:]+$'
    order by mg_ref_type, mg_created_at, mg_id
""")
_REMEMBER = text("""
    insert into mega_admin (mg_id, mg_record_type, mg_action, mg_key, mg_detail, mg_source_system)
    values ('admin_audit:shopify_refund:' || :refund_id, 'admin_audit', 'shopify.refund_pending', :order_id, cast(:detail as jsonb), 'api')
    on conflict do nothing
""")
_REMEMBERED = text("""
    select mg_detail ->> 'refund' as refund, mg_detail -> 'packs' as packs from mega_admin
    where mg_action = 'shopify.refund_pending' and mg_key = :order_id order by mg_created_at, mg_id
""").columns(refund=Text(), packs=JSONB())
_ONE_AT_A_TIME = text("select pg_advisory_xact_lock(hashtextextended('mina:shopify:' || :order_id, 0))")


async def lock_order(session: AsyncSession, order_id: str) -> None:
    """Deliveries about one order take turns; held until the transaction ends."""
    await session.execute(_ONE_AT_A_TIME, {"order_id": order_id})


async def of_order(session: AsyncSession, order_id: str) -> list[OrderEntry]:
    """Every ledger row of an order, whichever Pass it stands with: what it gave, then what was asked back."""
    return [OrderEntry(*row) for row in await session.execute(_OF_ORDER, {"order_id": order_id})]


async def booked_elsewhere(session: AsyncSession, order_id: str) -> bool:
    """Whether an order was credited before these tables were ours: by a row of another shape."""
    return (await session.execute(_BOOKED_ELSEWHERE, {"order_id": order_id})).first() is not None


async def remember_refund(session: AsyncSession, order_id: str, refund: RememberedRefund) -> None:
    """Keep a refund for when its payment comes; once."""
    detail = orjson.dumps({"refund": refund.refund_id, "packs": refund.packs}).decode()
    await session.execute(_REMEMBER, {"refund_id": refund.refund_id, "order_id": order_id, "detail": detail})


async def remembered_refunds(session: AsyncSession, order_id: str) -> list[RememberedRefund]:
    """The refunds of an order that came before its payment."""
    return [RememberedRefund(*row) for row in await session.execute(_REMEMBERED, {"order_id": order_id})]
