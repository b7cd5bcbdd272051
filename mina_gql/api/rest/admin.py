"""For admins, by REST: how the studio stands, its customers, parity, adjustments, the runtime knobs (seed 003, 11)."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from mina_gql.api.graphql.connections import DEFAULT_PAGE
from mina_gql.api.graphql.scalars import print_datetime
from mina_gql.api.rest.history import After, Limit, cursor_behind, next_cursor
from mina_gql.api.rest.passes import moment
from mina_gql.api.rest.table import IDEMPOTENCY_KEY, Access, Asks, Call, Moment, Nothing, Operation, Tells
from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.reports import check_span
from mina_gql.mega.customers import PassRow
from mina_gql.mega.pages import PageRequest
from mina_gql.services.config import RuntimeReport


class Summary(Tells):
    """How the studio stands."""

    passes: int
    active_passes_24h: int = Field(alias="activePasses24h")
    generations: int
    generations_24h: int = Field(alias="generations24h")
    failures_24h: int = Field(alias="failures24h")
    matcha_outstanding: int
    matcha_sold_30d: int = Field(alias="matchaSold30d")
    queued: int


class FindCustomers(Asks):
    """Which page; `search` is the beginning of an id, an e-mail, a name or a Shopify id."""

    limit: Limit = DEFAULT_PAGE
    cursor: After = None
    search: str | None = None


class Customer(Tells):
    """A Pass."""

    pass_id: str
    email: str | None
    display_name: str | None
    credits: int
    expires_at: Moment | None
    last_active: Moment | None
    disabled: bool
    created_at: Moment


class Customers(Tells):
    """A page, newest first; `nextCursor` is null on the last one."""

    items: list[Customer]
    next_cursor: str | None


class AskParity(Asks):
    """How far back, and how many generations to look into."""

    days: int = 30
    sample: int = 100


class Day(Tells):
    """How many rows of a record type a day has, in the zone of the knob `reports.timezone`."""

    day: str
    record_type: str
    count: int


class Mismatch(Tells):
    """A Pass whose balance is not the sum of its ledger."""

    pass_id: str
    balance: int
    ledger_sum: int


class Parity(Tells):
    """Whether what the tables say in two places agrees."""

    days: list[Day]
    mismatches: list[Mismatch]
    sampled: int
    sample_faults: list[str]


class Adjust(Asks):
    """Matcha given (`delta` above 0) or taken, and why. `idempotencyKey` may also come as the header."""

    pass_id: str
    delta: int
    reason: str
    idempotency_key: str | None = None


class Adjusted(Tells):
    """The adjustment that stands: never more is taken than there is."""

    pass_id: str
    delta: int
    credits: int


class SetKnobs(Asks):
    """Knobs to set, such as `{"price.animate": 6}`: all of them or, where one does not fit, none."""

    values: dict[str, Any]


class UnsetKnobs(Asks):
    """Knobs that fall back to their defaults."""

    keys: list[str]


class Knobs(Tells):
    """The knobs: `values` are in force, which are the `defaults` with the `overrides` on top."""

    values: Mapping[str, Any]
    defaults: Mapping[str, Any]
    overrides: Mapping[str, Any]
    ignored: list[str]
    updated_at: Moment | None
    loaded_at: Moment


async def summary(call: Call[Nothing]) -> Summary:
    """Sums over everything."""
    return Summary.model_validate((await call.services.admin.summary())._asdict())


async def customers(call: Call[FindCustomers]) -> Customers:
    """A page of everybody."""
    asked = call.asked
    page = await call.services.admin.passes(PageRequest(asked.limit, after=cursor_behind(asked.cursor)), asked.search)
    return Customers(items=[_customer(row) for row in page.rows], next_cursor=next_cursor(page))


async def parity(call: Call[AskParity]) -> Parity:
    """The report that `mina parity` prints."""
    asked, services = call.asked, call.services
    check_span(asked.days, asked.sample)
    sampled = await services.admin.sample(asked.sample)
    return Parity(
        days=[Day(day=row.day, record_type=row.record_type, count=row.rows) for row in await services.admin.by_day(asked.days)],
        mismatches=[Mismatch.model_validate(row._asdict()) for row in await services.credits.mismatches()],
        sampled=sampled.number,
        sample_faults=sampled.faults,
    )


async def adjust(call: Call[Adjust]) -> Adjusted:
    """Give or take matcha, once for each key."""
    asked, ledger = call.asked, call.services.credits
    key = asked.idempotency_key or call.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        raise InvalidInput("An adjustment needs an `idempotencyKey`, so that it is made once however often it is sent.")
    made = await ledger.adjust(call.admin, asked.pass_id, asked.delta, asked.reason, key)
    entry = (await ledger.transactions_by_id([made.ledger_id]))[made.ledger_id]
    owner = await call.services.passes.find(made.pass_id)
    return Adjusted(pass_id=made.pass_id, delta=entry.delta, credits=owner.balance if owner else 0)


async def knobs(call: Call[Nothing]) -> Knobs:
    """The knobs in force here."""
    return _knobs(await call.services.config.report())


async def set_knobs(call: Call[SetKnobs]) -> Knobs:
    """Set them, in every process."""
    return _knobs(await call.services.publishing.set_knobs(call.admin, call.asked.values))


async def unset_knobs(call: Call[UnsetKnobs]) -> Knobs:
    """Let them fall back, in every process."""
    return _knobs(await call.services.publishing.unset_knobs(call.admin, call.asked.keys))


async def reload(call: Call[Nothing]) -> Knobs:
    """Read anew, in every process."""
    return _knobs(await call.services.publishing.reload(call.admin))


def _customer(row: PassRow) -> Customer:
    return Customer(
        pass_id=row.id,
        email=row.email,
        display_name=row.display_name,
        credits=row.balance,
        expires_at=moment(row.expires_at),
        last_active=moment(row.last_active),
        disabled=row.disabled,
        created_at=print_datetime(row.created_at),
    )


def _knobs(report: RuntimeReport) -> Knobs:
    return Knobs(
        values=report.values,
        defaults=report.defaults,
        overrides=report.overrides,
        ignored=report.ignored,
        updated_at=moment(report.updated_at),
        loaded_at=print_datetime(report.loaded_at),
    )


RUNTIME = "/admin/config/runtime"

OPERATIONS = (
    Operation(
        "GET", "/admin/summary", "How the studio stands.", Nothing, summary, {200: Summary}, access=Access.ADMIN, tag="admin"
    ),
    Operation(
        "GET",
        "/admin/customers",
        "Everybody, newest first.",
        FindCustomers,
        customers,
        {200: Customers},
        access=Access.ADMIN,
        tag="admin",
    ),
    Operation(
        "GET",
        "/admin/mega/parity",
        "Whether what the tables say in two places agrees.",
        AskParity,
        parity,
        {200: Parity},
        access=Access.ADMIN,
        tag="admin",
    ),
    Operation(
        "POST",
        "/admin/credits/adjust",
        "Give or take matcha.",
        Adjust,
        adjust,
        {200: Adjusted},
        access=Access.ADMIN,
        refuses=(404, 409),
        headers=(IDEMPOTENCY_KEY,),
        tag="admin",
    ),
    Operation("GET", RUNTIME, "The runtime knobs.", Nothing, knobs, {200: Knobs}, access=Access.ADMIN, tag="admin"),
    Operation("POST", RUNTIME, "Set runtime knobs.", SetKnobs, set_knobs, {200: Knobs}, access=Access.ADMIN, tag="admin"),
    Operation(
        "POST",
        f"{RUNTIME}/unset",
        "Let runtime knobs fall back to their defaults.",
        UnsetKnobs,
        unset_knobs,
        {200: Knobs},
        access=Access.ADMIN,
        tag="admin",
    ),
    Operation(
        "POST",
        f"{RUNTIME}/reload",
        "Let every process read its configuration anew.",
        Nothing,
        reload,
        {200: Knobs},
        access=Access.ADMIN,
        tag="admin",
    ),
)
