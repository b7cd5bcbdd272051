"""For admins: parity of the money, adjustments."""

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.credits import CreditTransaction
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.passes import Pass
from mina_gql.api.graphql.permissions import admin_only
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.mega.parity import Mismatch


@strawberry.type
class CreditMismatch:
    """A Pass whose balance is not the sum of its ledger."""

    balance: int
    ledger_sum: int

    @strawberry.field(name="pass")
    async def owner(root: Parent[Mismatch], info: Info) -> Pass:
        """Whose money it is."""
        return shown(await info.context.loaders.any_passes.load(root.pass_id))


@strawberry.type
class Parity:
    """Whether what the tables say in two places agrees."""

    @strawberry.field
    async def mismatches(self, info: Info) -> list[CreditMismatch]:
        """Every Pass whose ledger and balance differ."""
        return shown(await info.context.services.credits.mismatches())


@strawberry.type
class Admin:
    """What admins see."""

    @strawberry.field
    def parity(self) -> Parity:
        """Every Pass whose ledger and balance differ."""
        return Parity()


@strawberry.type
class AdminQueries:
    """The admins' part of the graph."""

    @strawberry.field(description="Admins only; FORBIDDEN for everyone else.")
    async def admin(self, info: Info) -> Admin:
        await admin_only(info)
        return Admin()


@strawberry.input
class AdjustCreditsInput:
    """Matcha given (`delta` above 0) or taken, and why."""

    pass_id: strawberry.ID
    delta: int
    reason: str
    idempotency_key: str


@strawberry.type
class AdjustCreditsPayload:
    """The adjustment that stands, or why not."""

    transaction: CreditTransaction | None = None
    pass_: Pass | None = strawberry.field(name="pass", default=None)
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class AdminMutations:
    """What admins do; each act writes the audit in its transaction."""

    @strawberry.mutation
    async def adjust_credits(self, info: Info, input: AdjustCreditsInput) -> AdjustCreditsPayload | None:
        """Give or take matcha. Never takes more than there is; the shortfall is recorded."""
        actor = await admin_only(info)
        services = info.context.services

        async def adjust() -> AdjustCreditsPayload:
            made = await services.credits.adjust(actor, input.pass_id, input.delta, input.reason, input.idempotency_key)
            transaction = (await services.credits.transactions_by_id([made.ledger_id])).get(made.ledger_id)
            owner = await services.passes.find(made.pass_id)
            return AdjustCreditsPayload(transaction=shown(transaction), pass_=shown(owner))

        return await answered(AdjustCreditsPayload, adjust)
