"""The schema: the nouns put together. `mina schema` prints it; `schema.graphql` keeps it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from graphql import GraphQLObjectType
from strawberry.schema.config import StrawberryConfig

from mina_gql.api.graphql.accounts import AccountMutations
from mina_gql.api.graphql.admin import ActMutations, AdminQueries, ConfigMutations
from mina_gql.api.graphql.assets import AssetMutations
from mina_gql.api.graphql.checkout import CheckoutMutations
from mina_gql.api.graphql.context import Context, Info
from mina_gql.api.graphql.credits import CreditQueries, CreditSubscriptions
from mina_gql.api.graphql.generations import GenerationQueries
from mina_gql.api.graphql.nodes import Node, shown
from mina_gql.api.graphql.orders import OrderMutations
from mina_gql.api.graphql.passes import PassMutations, PassQueries
from mina_gql.api.graphql.profiles import ProfileMutations
from mina_gql.api.graphql.progress import EVENT_TYPES, ProgressSubscriptions
from mina_gql.api.graphql.scalars import SCALARS
from mina_gql.api.graphql.sessions import SessionMutations
from mina_gql.api.graphql.studio import StudioQueries
from mina_gql.api.graphql.taste import TasteMutations
from mina_gql.api.graphql.user_errors import InsufficientMatcha, InvalidInput
from mina_gql.domain.errors import LimitExceeded

MAX_NODES = 100


@strawberry.type
class Query(PassQueries, GenerationQueries, CreditQueries, StudioQueries, AdminQueries):
    """What can be read."""

    @strawberry.field(description="Null for what does not exist and for what the caller may not see.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        return await _node(info.context, id)

    @strawberry.field
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        """Many by their ids, in their order; null for what does not exist and for what the caller may not see."""
        if len(ids) > MAX_NODES:
            raise LimitExceeded(f"At most {MAX_NODES} ids at once.")
        return await asyncio.gather(*(_node(info.context, id_) for id_ in ids))  # at once, so that loaders see them together


@strawberry.type
class Mutation(
    PassMutations,
    ProfileMutations,
    AccountMutations,
    SessionMutations,
    AssetMutations,
    OrderMutations,
    TasteMutations,
    CheckoutMutations,
    ActMutations,
    ConfigMutations,
):
    """What can be done."""


@strawberry.type
class Subscription(ProgressSubscriptions, CreditSubscriptions):
    """What can be followed."""


def build() -> strawberry.Schema:
    """The schema, with nothing behind it yet: services come with each operation's context."""
    schema = strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        types=[InvalidInput, InsufficientMatcha, *EVENT_TYPES],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    for kind in schema._schema.type_map.values():  # noqa: SLF001 -- Strawberry has no public name for it
        if isinstance(kind, GraphQLObjectType):
            # Resolvers return read-models, not instances of the types; interfaces name the type themselves.
            kind.is_type_of = None
    return schema


async def _node(context: Context, id_: str) -> Node | None:
    """A record by its global id: the caller's own, or anybody's for an admin. The id's prefix names the table to look in."""
    owner, loaders = context.owner, context.loaders
    login = context.caller.login
    admin = login is not None and login.admin
    if owner is not None and id_ == owner.id:
        return shown(owner)
    if owner is None and not admin:
        return None
    find: dict[str, Callable[[str], Awaitable[Any]]] = {
        "generation": loaders.generations.load,
        "session": loaders.sessions.load,
        "mma_step": loaders.steps_by_id.load,
        "mma_event": loaders.events.load,
        "credit_transaction": loaders.transactions.load,
    }
    if admin:
        find |= {"admin_audit": loaders.audits.load, "app_config": loaders.configs.load}
    kind, _, rest = id_.partition(":")
    if not rest or kind not in find:
        return shown(await loaders.passes.load(id_)) if admin else None
    row = await find[kind](id_)
    return row if row is not None and (admin or (owner is not None and row.pass_id == owner.id)) else None
