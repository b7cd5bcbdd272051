"""What admins do to Passes: adjustments, switching off, merging."""

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.credits import CreditTransaction
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.passes import Pass, PassPayload
from mina_gql.api.graphql.permissions import admin_only
from mina_gql.api.graphql.user_errors import UserError, answered


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
class ActMutations:
    """What admins do to Passes; each act writes the audit in its transaction."""

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

    @strawberry.mutation
    async def set_pass_disabled(self, info: Info, pass_id: strawberry.ID, disabled: bool, reason: str) -> PassPayload | None:
        """Switch a Pass off, so that it may look and do nothing more, or on again."""
        actor, acts = await admin_only(info), info.context.services.pass_acts

        async def switch() -> PassPayload:
            owner = await acts.set_disabled(actor, pass_id, reason, disabled=disabled)
            info.context.forget()
            return PassPayload(pass_=shown(owner))

        return await answered(PassPayload, switch)

    @strawberry.mutation
    async def merge_passes(
        self, info: Info, from_pass_id: strawberry.ID, into_pass_id: strawberry.ID, reason: str
    ) -> PassPayload | None:
        """Merge one Pass into another, for good: what was made and bought with the one belongs to the other."""
        actor, acts = await admin_only(info), info.context.services.pass_acts

        async def merge() -> PassPayload:
            owner, _ = await acts.merge(actor, from_pass_id, into_pass_id, reason)
            info.context.forget()
            return PassPayload(pass_=shown(owner))

        return await answered(PassPayload, merge)
