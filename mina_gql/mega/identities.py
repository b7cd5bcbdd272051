"""Who a customer row belongs to: finding, locking, claiming and merging rows of `mega_customers` (DESIGN section 4)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text

from mina_gql.domain.passes import Login, PassState, state_of
from mina_gql.mega.models import Customer


class Identity(NamedTuple):
    """What a locked row says of whose it is."""

    id: str
    user_id: UUID | None
    email: str | None
    shopify_customer_id: str | None
    minted: bool
    expires_at: datetime | None
    disabled: bool

    @property
    def state(self) -> PassState:
        """What proves it."""
        linked = self.email is not None or self.shopify_customer_id is not None
        return state_of(claimed=self.user_id is not None, minted=self.minted, linked=linked)


_live = Customer.deleted_at.is_(None)

# Everything but the ledger follows the person; the first owner stays on record. The door is open for this transaction only.
_OPEN_DOOR = text("select set_config('mina.maintenance', 'merge', true)")
_SHUT_DOOR = text("select set_config('mina.maintenance', '', true)")
# The runs that hold a generation write its steps too: its row first, as they do, or each would wait for the other.
_LOCK_GENERATIONS = text("""
    select 1 from mega_generations where mg_pass_id = :source and mg_record_type = 'generation' order by mg_id for no key update
""")
_REPOINT = text("""
    update mega_generations set mg_pass_id = :into,
      mg_meta = jsonb_build_object('orig_pass_id', mg_pass_id) || mg_meta
    where mg_pass_id = :source and mg_record_type <> 'credit_transaction'
""")
_REPOINT_ADMIN = text("update mega_admin set mg_actor_pass_id = :into where mg_actor_pass_id = :source")
_MAKE_ALIAS = text("""
    update mega_customers set mg_deleted_at = clock_timestamp(),
      mg_meta = mg_meta || jsonb_build_object('merged_into', cast(:into as text))
    where mg_pass_id = :source
""")
# Both sides were settled: matcha that is left is alive, and a date in the past (of a side without any) must not end it.
_INHERIT = text("""
    update mega_customers t set
      mg_expires_at = case when t.mg_credits = 0 or greatest(t.mg_expires_at, s.mg_expires_at) > clock_timestamp()
        then greatest(t.mg_expires_at, s.mg_expires_at) end,
      mg_mma_preferences = case t.mg_mma_preferences when '{}' then s.mg_mma_preferences else t.mg_mma_preferences end,
      mg_mma_preferences_updated_at =
        case t.mg_mma_preferences when '{}' then s.mg_mma_preferences_updated_at else t.mg_mma_preferences_updated_at end,
      mg_shopify_customer_id = coalesce(t.mg_shopify_customer_id, s.mg_shopify_customer_id),
      mg_first_name = coalesce(t.mg_first_name, s.mg_first_name), mg_last_name = coalesce(t.mg_last_name, s.mg_last_name),
      mg_display_name = coalesce(t.mg_display_name, s.mg_display_name), mg_locale = coalesce(t.mg_locale, s.mg_locale),
      mg_timezone = coalesce(t.mg_timezone, s.mg_timezone), mg_last_topup_at = greatest(t.mg_last_topup_at, s.mg_last_topup_at),
      mg_topup_source = coalesce(t.mg_topup_source, s.mg_topup_source),
      mg_meta = t.mg_meta || jsonb_build_object('owner_tags', coalesce(t.mg_meta -> 'owner_tags', '[]') || cast(:tags as jsonb)
        || coalesce(s.mg_meta -> 'owner_tags', '[]'))
        || case when t.mg_shopify_customer_id is null and s.mg_meta ? 'shopify_link'
          then jsonb_build_object('shopify_link', s.mg_meta -> 'shopify_link') else '{}' end
    from mega_customers s where t.mg_pass_id = :into and s.mg_pass_id = :source
""")
# Free matcha counts as spent first: what was bought, moved in or given by an admin, less what was clawed back (DESIGN section 4).
_BOUGHT = text("""
    select coalesce(sum(mg_delta) filter (where mg_reason in ('purchase', 'merge_in', 'clawback')
      or mg_reason = 'adjustment' and mg_delta > 0), 0)::bigint
    from mega_generations where mg_pass_id = :pass_id and mg_record_type = 'credit_transaction'
""")


async def one_login_at_a_time(session: AsyncSession, user_id: str) -> None:
    """Two first logins of one user must not make two Passes; held until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"mina:login:{user_id}", 0))))


async def find_own(session: AsyncSession, user_id: str) -> str | None:
    """The id of the user's own live Pass."""
    found = await session.execute(select(Customer.pass_id).where(Customer.user_id == UUID(user_id), _live))
    return found.scalar_one_or_none()


async def find_unclaimed(session: AsyncSession, email: str) -> list[str]:
    """Live Passes with this e-mail that belong to nobody, oldest first."""
    found = await session.execute(
        select(Customer.pass_id)
        .where(func.lower(Customer.email) == email.lower(), Customer.user_id.is_(None), _live)
        .order_by(Customer.created_at, Customer.pass_id)
    )
    return list(found.scalars())


async def lock(session: AsyncSession, pass_ids: Iterable[str]) -> dict[str, Identity]:
    """Lock live rows in id order, and read them under the lock."""
    rows = await session.execute(
        select(
            Customer.pass_id,
            Customer.user_id,
            Customer.email,
            Customer.shopify_customer_id,
            func.coalesce(Customer.meta["minted"].as_boolean(), False),
            Customer.expires_at,
            Customer.disabled,
        )
        .where(Customer.pass_id == func.any(bindparam("ids", sorted(set(pass_ids)), type_=ARRAY(Text()))), _live)
        .order_by(Customer.pass_id)
        .with_for_update(key_share=True)
    )
    return {row[0]: Identity(*row) for row in rows}


async def exists(session: AsyncSession, pass_id: str) -> bool:
    """Whether an id is taken, by whatever row."""
    return (await session.execute(select(Customer.pass_id).where(Customer.pass_id == pass_id))).first() is not None


async def insert_claimed(session: AsyncSession, pass_id: str, login: Login) -> None:
    """A new Pass of a signed-in user."""
    session.add(Customer(pass_id=pass_id, user_id=UUID(login.user_id), source_system="api", last_active=func.clock_timestamp()))
    await session.flush()


async def note_login(session: AsyncSession, pass_id: str, login: Login) -> None:
    """Write onto a locked row what the login says: whose it is, the e-mail, what was verified. Flags are never taken back."""
    now = func.clock_timestamp()
    values: dict[str, Any] = {"user_id": UUID(login.user_id), "last_active": now}
    if login.email is not None:
        # One that is not verified never takes the place, and with it the flags, of one that is.
        values["email"] = (
            login.email if login.email_verified else case((Customer.verified_any.is_(True), Customer.email), else_=login.email)
        )
    if login.method is not None:
        values |= {
            "verified_email": Customer.verified_email | login.email_verified,
            "verified_google": Customer.verified_google | login.google,
            "verified_apple": Customer.verified_apple | login.apple,
            "verification_method": login.method,
            "verification_at": func.coalesce(Customer.verification_at, now),
        }
    await session.execute(
        update(Customer).where(Customer.pass_id == pass_id).values(**values).execution_options(synchronize_session=False)
    )


async def bought_balance(session: AsyncSession, pass_id: str) -> int:
    """The matcha that may move to another Pass, before the balance caps it; may be below 0."""
    return int((await session.execute(_BOUGHT, {"pass_id": pass_id})).scalar_one())


async def absorb(session: AsyncSession, source: str, into: str, owner_tag: str) -> int:
    """Re-point the rows of `source`, hand down what the target lacks, make `source` an alias; gives how many rows moved.

    The caller has locked both and moved the matcha.
    """
    await session.execute(_LOCK_GENERATIONS, {"source": source})
    await session.execute(_OPEN_DOOR)
    moved = await session.execute(_REPOINT, {"source": source, "into": into})
    await session.execute(_SHUT_DOOR)
    await session.execute(_REPOINT_ADMIN, {"source": source, "into": into})
    await session.execute(_MAKE_ALIAS, {"source": source, "into": into})  # first: two live rows cannot have one Shopify customer
    await session.execute(
        _INHERIT.bindparams(bindparam("tags", type_=JSONB())), {"source": source, "into": into, "tags": [owner_tag]}
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result counts


async def link_shopify(session: AsyncSession, pass_id: str, user_id: str, shopify_customer_id: str) -> bool:
    """Note a Shopify customer id that a user claims for their Pass.

    False when another live Pass has it, or this one another, or when the Pass is not the user's.
    """
    link = (
        update(Customer)
        .where(
            Customer.pass_id == pass_id,
            Customer.user_id == UUID(user_id),
            func.coalesce(Customer.shopify_customer_id, shopify_customer_id) == shopify_customer_id,
        )
        .values(
            shopify_customer_id=shopify_customer_id,
            meta=case(  # a link that a purchase proved stays proven
                (
                    Customer.shopify_customer_id.is_(None),
                    Customer.meta.op("||")(func.jsonb_build_object("shopify_link", "claimed")),
                ),
                else_=Customer.meta,
            ),
        )
        .returning(Customer.pass_id)
        .execution_options(synchronize_session=False)
    )
    try:
        async with session.begin_nested():
            return (await session.execute(link)).first() is not None
    except IntegrityError:  # the unique index: somebody else has it, perhaps since a moment ago
        return False
