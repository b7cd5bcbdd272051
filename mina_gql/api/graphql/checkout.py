"""Buying matcha: the link to the shop."""

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.user_errors import UserError, answered


@strawberry.type
class CheckoutPayload:
    """The link, or why not."""

    url: str | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class CheckoutMutations:
    """Mutations of buying."""

    @strawberry.mutation
    async def create_checkout(self, info: Info, sku: str, quantity: int = 1) -> CheckoutPayload | None:
        """A Shopify checkout link that credits this Pass and reveals nothing of it."""

        async def create() -> CheckoutPayload:
            return CheckoutPayload(url=await info.context.services.checkout.url(info.context.caller, sku, quantity))

        return await answered(CheckoutPayload, create)
