"""`mega_customers`: one row a Pass. Reads give `PassRow`; writes happen inside a transaction of `Database.begin`."""

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Float, Uuid, and_, bindparam, case, cast, extract, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain.passes import PassState, state_of
from mina_gql.domain.profiles import ProfileChanges
from mina_gql.domain.taste import Snapshot
from mina_gql.mega.database import Query, Timestamp
from mina_gql.mega.models import Customer
from mina_gql.mega.phrases import json_at


class PassRow(NamedTuple):
    """A Pass as people see it. `balance` and `expires_at` are read against the database clock: expired matcha is 0."""

    id: str
    email: str | None
    display_name: str | None
    first_name: str | None
    last_name: str | None
    locale: str | None
    timezone: str | None
    marketing_opt_in: bool
    product_updates_opt_in: bool
    balance: int
    expires_at: Timestamp | None
    last_active: Timestamp | None
    disabled: bool
    user_id: str | None
    minted: bool
    linked: bool
    seen_long_ago: bool
    seconds_to_expiry: float | None
    verified_any: bool
    verified_email: bool
    verified_google: bool
    verified_apple: bool
    verification_method: str | None
    verification_at: Timestamp | None
    topup_default_packs: int
    auto_topup_enabled: bool
    auto_topup_monthly_limit_packs: int | None
    last_topup_at: Timestamp | None
    topup_source: str | None
    preferences: orjson.Fragment
    preferences_updated_at: Timestamp | None
    owner_tags: orjson.Fragment | None
    settings: orjson.Fragment | None
    created_at: Timestamp

    @property
    def state(self) -> PassState:
        """What proves this Pass: follows from the row alone (DESIGN section 4)."""
        return state_of(claimed=self.user_id is not None, minted=self.minted, linked=self.linked)


class LockedPass(NamedTuple):
    """What a write knows of a Pass after locking its row. `due` means that its matcha has expired."""

    id: str
    balance: int
    expires_at: datetime | None
    due: bool
    disabled: bool


_due: ColumnElement[bool] = and_(Customer.expires_at.is_not(None), Customer.expires_at <= func.clock_timestamp())
_minted: ColumnElement[bool] = Customer.meta.op("@>")(literal_column("'{\"minted\": true}'::jsonb"))
_linked: ColumnElement[bool] = or_(Customer.shopify_customer_id.is_not(None), Customer.email.is_not(None))

SEEN_EVERY_SECONDS = 300
SWEEP = 500
_stale_at = func.clock_timestamp() - func.make_interval(*[literal_column("0")] * 6, literal_column(str(SEEN_EVERY_SECONDS)))
_seen_long_ago: ColumnElement[bool] = or_(Customer.last_active.is_(None), Customer.last_active < _stale_at)

_left = Customer.expires_at - func.clock_timestamp()
_seconds_to_expiry = case((_due, literal_column("null")), else_=cast(extract("epoch", _left), Float()))

_ANY_PASS = select(
    Customer.pass_id,
    Customer.email,
    Customer.display_name,
    Customer.first_name,
    Customer.last_name,
    Customer.locale,
    Customer.timezone,
    Customer.marketing_opt_in,
    Customer.product_updates_opt_in,
    case((_due, literal_column("0")), else_=Customer.credits),
    Customer.expires_at,
    Customer.last_active,
    Customer.disabled,
    func.text(Customer.user_id),
    _minted,
    _linked,
    _seen_long_ago,
    _seconds_to_expiry,
    Customer.verified_any,
    Customer.verified_email,
    Customer.verified_google,
    Customer.verified_apple,
    Customer.verification_method,
    Customer.verification_at,
    Customer.topup_default_packs,
    Customer.auto_topup_enabled,
    Customer.auto_topup_monthly_limit_packs,
    Customer.last_topup_at,
    Customer.topup_source,
    Customer.mma_preferences,
    Customer.mma_preferences_updated_at,
    json_at(Customer.meta, "owner_tags"),
    json_at(Customer.meta, "settings"),
    Customer.created_at,
)
PASSES = _ANY_PASS.where(Customer.deleted_at.is_(None))
"""Every Pass there is."""

ANY_BY_ID = Query(_ANY_PASS.where(Customer.pass_id == func.any(bindparam("pass_ids"))))
PASS_BY_ID = Query(PASSES.where(Customer.pass_id == bindparam("pass_id")))
PASS_BY_USER = Query(PASSES.where(Customer.user_id == bindparam("user_id", type_=Uuid())))
PASSES_BY_ID = Query(PASSES.where(Customer.pass_id == func.any(bindparam("pass_ids"))))


async def lock(session: AsyncSession, pass_id: str) -> LockedPass | None:
    """Lock the row for the rest of the transaction; None when there is no such Pass (any more)."""
    row = (
        await session.execute(
            select(Customer.pass_id, Customer.credits, Customer.expires_at, _due.label("due"), Customer.disabled)
            .where(Customer.pass_id == pass_id, Customer.deleted_at.is_(None))
            .with_for_update(key_share=True)
        )
    ).one_or_none()
    return None if row is None else LockedPass(*row)


async def insert_minted(session: AsyncSession, pass_id: str) -> None:
    """A new BEARER Pass: minted here, linked to nothing."""
    session.add(Customer(pass_id=pass_id, meta={"minted": True}, source_system="api", last_active=func.clock_timestamp()))
    await session.flush()


async def set_balance(session: AsyncSession, pass_id: str, balance: int) -> None:
    """The new balance; the caller holds the row's lock and writes the ledger row beside it."""
    await _set(session, pass_id, credits=balance)


async def extend_expiry(session: AsyncSession, pass_id: str, days: int) -> None:
    """Let the matcha live at least `days` from now; never shortens."""
    until = func.clock_timestamp() + func.make_interval(0, 0, 0, days)
    await _set(session, pass_id, expires_at=func.greatest(func.coalesce(Customer.expires_at, until), until))


async def start_expiry(session: AsyncSession, pass_id: str, days: int) -> None:
    """Let the matcha live `days` from now where no future expiry is set."""
    now = func.clock_timestamp()
    until = now + func.make_interval(0, 0, 0, days)
    await _set(session, pass_id, expires_at=case((Customer.expires_at > now, Customer.expires_at), else_=until))


async def set_preferences(session: AsyncSession, pass_id: str, snapshot: Snapshot) -> None:
    """The new taste snapshot; the caller holds the row's lock and writes the event beside it."""
    await _set(session, pass_id, mma_preferences=snapshot._asdict(), mma_preferences_updated_at=func.clock_timestamp())


async def expired(session: AsyncSession) -> list[str]:
    """Passes with matcha that has expired, some at a time."""
    due = (
        select(Customer.pass_id)
        .where(Customer.credits > 0, Customer.deleted_at.is_(None), Customer.expires_at <= func.clock_timestamp())
        .limit(SWEEP)
    )
    return list((await session.execute(due)).scalars())


async def touch(session: AsyncSession, pass_id: str) -> None:
    """Note that the Pass was seen, at most once in `SEEN_EVERY_SECONDS`."""
    await session.execute(
        update(Customer)
        .where(Customer.pass_id == pass_id, _seen_long_ago, Customer.deleted_at.is_(None))
        .values(last_active=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


async def set_profile(session: AsyncSession, pass_id: str, changes: ProfileChanges) -> None:
    """Write what a person says of themselves; the caller holds the row's lock and has checked the values."""
    await _set(session, pass_id, **changes)


async def set_settings(session: AsyncSession, pass_id: str, settings: dict[str, Any]) -> None:
    """Write the settings a person prefers, by provider; the caller holds the row's lock and has checked them."""
    await _set(session, pass_id, meta=Customer.meta.op("||")(cast({"settings": settings}, JSONB)))


async def set_disabled(session: AsyncSession, pass_id: str, *, disabled: bool) -> None:
    """Switch a Pass off or on; the caller holds the row's lock."""
    await _set(session, pass_id, disabled=disabled)


async def _set(session: AsyncSession, pass_id: str, **values: Any) -> None:
    await session.execute(
        update(Customer).where(Customer.pass_id == pass_id).values(**values).execution_options(synchronize_session=False)
    )
