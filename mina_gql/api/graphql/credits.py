"""Matcha: balance, ledger, quotes, prices."""

from collections.abc import AsyncIterator

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import BillableAction
from mina_gql.api.graphql.lazy import LazyGeneration, LazyPass
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.permissions import pass_of
from mina_gql.api.graphql.scalars import DateTime
from mina_gql.domain.pipeline import generation_mg_id
from mina_gql.mega.customers import PassRow
from mina_gql.mega.generations.ledger import LedgerEntryRow
from mina_gql.services.credits import Quote as QuoteRow
from mina_gql.services.passes import required


@strawberry.type
class Credits:
    """Matcha: the studio's credits."""

    balance: int
    expires_at: DateTime | None


@strawberry.type
class Topup:
    """How a person likes to buy matcha."""

    default_packs: int
    auto_enabled: bool
    auto_monthly_limit_packs: int | None
    last_at: DateTime | None
    source: str | None


@strawberry.type
class CreditTransaction(Node):
    """One change of a balance."""

    delta: int
    reason: str = strawberry.field(
        description="charge, refund, purchase, clawback, grant, expiry, adjustment, merge_in, merge_out"
    )
    source: str
    ref_type: str
    ref_id: str
    created_at: DateTime

    @strawberry.field
    async def generation(root: Parent[LedgerEntryRow], info: Info) -> LazyGeneration | None:
        """What was charged or refunded."""
        if root.generation_id is None:
            return None
        return shown(await info.context.loaders.generations.load(generation_mg_id(root.generation_id)))

    @strawberry.field(name="pass")
    async def owner(root: Parent[LedgerEntryRow], info: Info) -> LazyPass | None:
        """Whose balance it is."""
        return shown(await pass_of(info, root.pass_id))


node_type(LedgerEntryRow, "CreditTransaction")


@strawberry.type
class Quote:
    """What an action would cost the caller now."""

    action: BillableAction
    cost: int
    balance: int
    affordable: bool
    short_by: int

    @strawberry.field(description="Typical seconds from accept to done, learned from recent runs.")
    async def estimated_seconds(root: Parent[QuoteRow], info: Info) -> int:
        return await info.context.services.estimates.typical(root.action)


@strawberry.type
class Pack:
    """Matcha on sale."""

    sku: str
    matcha: int


@strawberry.type
class Pricing:
    """What actions cost, and what matcha is sold in."""

    create: int
    tweak: int
    animate: int
    packs: list[Pack]


@strawberry.type
class CreditQueries:
    """Queries about matcha."""

    @strawberry.field(
        description="What an action would cost the caller now, and whether they can pay: decides the state of a button."
    )
    async def quote(self, info: Info, action: BillableAction) -> Quote | None:
        owner = info.context.owner
        if owner is None:
            return None
        return shown(await info.context.services.credits.quote(owner, action))

    @strawberry.field
    async def pricing(self, info: Info) -> Pricing:
        """What actions cost, and the packs on sale."""
        runtime = await info.context.services.config.runtime()
        return Pricing(
            create=runtime.price(BillableAction.CREATE),
            tweak=runtime.price(BillableAction.TWEAK),
            animate=runtime.price(BillableAction.ANIMATE),
            packs=[Pack(sku=sku, matcha=matcha) for sku, matcha in runtime.packs],
        )


@strawberry.type
class CreditSubscriptions:
    """Subscriptions to a balance."""

    @strawberry.subscription(
        description="The caller's Pass, now and whenever its balance or expiry changes (also when matcha expires)."
    )
    async def credits_changed(self, info: Info) -> AsyncIterator[LazyPass]:
        async for row in info.context.services.credits.follow(required(info.context.caller)):
            yield shown(row)


def credits_of(owner: PassRow) -> Credits:
    """Balance and expiry as the database clock has them."""
    return Credits(balance=owner.balance, expires_at=shown(owner.expires_at))
