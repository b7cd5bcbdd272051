"""Passes by REST: `GET /me` makes or resumes the caller's, `POST /auth/shopify-sync` notes their Shopify customer."""

from mina_gql.api.graphql.scalars import print_datetime
from mina_gql.api.rest.table import Access, Asks, Call, Done, Moment, Nothing, Operation, Reply, Tells
from mina_gql.mega.customers import PassRow


class Me(Tells):
    """The caller's Pass (seed 003, 1.1): keep `passId`, and send it as X-Mina-Pass-Id."""

    pass_id: str
    email: str | None
    credits: int
    expires_at: Moment | None
    last_active: Moment | None


class ShopifySync(Asks):
    """The caller's Shopify customer (seed 000: an attribute, no identity), as a number or as a `gid://` address."""

    shopify_customer_id: str | int


async def me(call: Call[Nothing]) -> Reply:
    """Make or resume the Pass, link a login to it, merge what must be merged, mark it seen; as `ensurePass`."""
    services, caller = call.services, call.caller
    runtime = await services.config.runtime()
    await services.rates.hit("ensure_pass", caller.address, runtime.per_minute("ensure_pass"))
    owner = (await services.passes.ensure(caller)).owner
    return Reply(_me(owner), headers={"X-Mina-Pass-Id": owner.id})


async def shopify_sync(call: Call[ShopifySync]) -> Done:
    """Link; needs a login with a verified e-mail, as `linkShopify`. It does not answer with an identity."""
    await call.services.passes.link_shopify(call.caller, str(call.asked.shopify_customer_id))
    return Done()


def moment(at: str | None) -> str | None:
    """A moment as it is told, where there is one."""
    return None if at is None else print_datetime(at)


def _me(owner: PassRow) -> Me:
    return Me(
        pass_id=owner.id,
        email=owner.email,
        credits=owner.balance,
        expires_at=moment(owner.expires_at),
        last_active=moment(owner.last_active),
    )


OPERATIONS = (
    Operation("GET", "/me", "Make or resume the caller's Pass.", Nothing, me, {200: Me}, access=Access.ANYBODY),
    Operation(
        "POST",
        "/auth/shopify-sync",
        "Note the caller's Shopify customer id.",
        ShopifySync,
        shopify_sync,
        {200: Done},
        refuses=(409,),
    ),
)
