"""`mega_customers` as Shopify's orders see it: whose a deposit is, what a purchase notes there, who is owed a tag."""

from datetime import datetime

from sqlalchemy import DateTime, Text, bindparam, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query
from mina_gql.mega.models import Customer
from mina_gql.mega.phrases import json_at, text_at

MAX_HOPS = 32

_live = Customer.deleted_at.is_(None)
_link = func.coalesce(text_at(Customer.meta, "shopify_link"), literal_column("'proven'"))

# A merge makes the old row an alias; an alias may have been merged again.
_FOLLOW = """
    with recursive trail as (
      select mg_pass_id, mg_deleted_at, mg_meta ->> 'merged_into' as next, 0 as hops from mega_customers where {start}
      union all
      select c.mg_pass_id, c.mg_deleted_at, c.mg_meta ->> 'merged_into', hops + 1
      from trail join mega_customers c on c.mg_pass_id = trail.next
      where trail.mg_deleted_at is not null and hops < :max_hops
    )
    select mg_pass_id from trail where mg_deleted_at is null order by hops, mg_pass_id limit 1
"""
_CANONICAL = text(_FOLLOW.format(start="mg_pass_id = :pass_id"))
# The condition on the key is the index's own.
_BY_REFERENCE = text(_FOLLOW.format(start="mg_meta ? 'deposit_ref' and mg_meta ->> 'deposit_ref' = :fingerprint"))

_NOTE_PURCHASE = text("""
    update mega_customers c set
      mg_expires_at = greatest(mg_expires_at, paid.at + make_interval(days => :days)),
      mg_last_topup_at = greatest(mg_last_topup_at, paid.at),
      mg_topup_source = 'shopify'
    from (select least(coalesce(:paid_at, clock_timestamp()), clock_timestamp()) as at) paid
    where mg_pass_id = :pass_id
""").bindparams(bindparam("paid_at", type_=DateTime(timezone=True)))
_SET_TAG = text("""
    update mega_customers set mg_meta = jsonb_set(mg_meta, '{shopify_tag}',
      coalesce(mg_meta -> 'shopify_tag', '{}') || jsonb_build_object(:customer_id, :state))
    where mg_pass_id = :pass_id and not mg_meta ? 'erased'
      and coalesce(mg_meta #>> array['shopify_tag', :customer_id], '') <> 'done'
""").bindparams(bindparam("customer_id", type_=Text()), bindparam("state", type_=Text()))

TAGS_DUE = Query(
    select(Customer.pass_id, literal_column("tag.key"))
    .select_from(
        Customer,
        func.jsonb_each_text(json_at(Customer.meta, "shopify_tag")).table_valued("key", "value", name="tag"),
    )
    .where(
        # The index's own condition, word for word.
        Customer.meta.op("@?")(literal_column("""'$.shopify_tag.* ? (@ == "due")'""")),
        literal_column("tag.value") == literal_column("'due'"),
    )
    .order_by(Customer.pass_id)
    .limit(literal_column("500"))
)


async def canonical(session: AsyncSession, pass_id: str) -> str | None:
    """The live Pass that an id has become; None for an unknown or erased one."""
    found = await session.execute(_CANONICAL, {"pass_id": pass_id, "max_hops": MAX_HOPS})
    return found.scalar_one_or_none()


async def by_deposit_ref(session: AsyncSession, fingerprint: str) -> str | None:
    """The Pass that a deposit reference belongs to by now."""
    found = await session.execute(_BY_REFERENCE, {"fingerprint": fingerprint, "max_hops": MAX_HOPS})
    return found.scalar_one_or_none()


async def by_shopify_id(session: AsyncSession, customer_id: str, email: str | None) -> str | None:
    """The Pass of a Shopify customer. A link that was only claimed counts with the Pass's own verified e-mail on the order."""
    same_email = Customer.verified_email & (func.lower(Customer.email) == (email or "").lower())
    found = await session.execute(
        select(Customer.pass_id).where(
            Customer.shopify_customer_id == customer_id, _live, (_link == literal_column("'proven'")) | same_email
        )
    )
    return found.scalar_one_or_none()


async def by_verified_email(session: AsyncSession, email: str) -> str | None:
    """The Pass with this verified e-mail, where there is exactly one."""
    found = await session.execute(
        select(Customer.pass_id).where(func.lower(Customer.email) == email.lower(), Customer.verified_email, _live).limit(2)
    )
    passes = list(found.scalars())
    return passes[0] if len(passes) == 1 else None


async def insert_unclaimed(session: AsyncSession, pass_id: str, customer_id: str | None, email: str | None) -> bool:
    """A Pass for a buyer nobody knows; False when another transaction was faster.

    The customer id is left out where a live Pass has it already, by a link that was only claimed.
    """
    taken = select(Customer.pass_id).where(Customer.shopify_customer_id == customer_id, _live).exists()
    free = customer_id is None or not (await session.execute(select(taken))).scalar_one()
    made = await session.execute(
        upsert(Customer)
        .values(
            mg_pass_id=pass_id,
            mg_shopify_customer_id=customer_id if free else None,
            mg_email=email,
            mg_source_system="shopify",
        )
        .on_conflict_do_nothing()
        .returning(Customer.pass_id)
    )
    return made.first() is not None


async def note_purchase(session: AsyncSession, pass_id: str, paid_at: datetime | None, days: int) -> None:
    """Let the matcha live `days` from its payment, never shorter than before, and note the top-up; the caller holds the lock.

    A payment of the future counts as one of now.
    """
    await session.execute(_NOTE_PURCHASE, {"pass_id": pass_id, "paid_at": paid_at, "days": days})


async def owe_tag(session: AsyncSession, pass_id: str, customer_id: str) -> None:
    """Note that a Shopify customer is to be tagged, unless they are."""
    await session.execute(_SET_TAG, {"pass_id": pass_id, "customer_id": customer_id, "state": "due"})


async def settle_tag(session: AsyncSession, pass_id: str, customer_id: str, state: str) -> None:
    """Note how tagging ended: `done` or `refused`."""
    await session.execute(_SET_TAG, {"pass_id": pass_id, "customer_id": customer_id, "state": state})


async def keep_deposit_ref(session: AsyncSession, pass_id: str, fingerprint: str) -> None:
    """Let a Pass be found by its deposit reference."""
    kept = text_at(Customer.meta, "deposit_ref")
    await session.execute(
        update(Customer)
        .where(Customer.pass_id == pass_id, kept.is_distinct_from(fingerprint), ~Customer.meta.has_key("erased"))
        .values(meta=Customer.meta.op("||")(func.jsonb_build_object(literal_column("'deposit_ref'"), fingerprint)))
        .execution_options(synchronize_session=False)
    )
