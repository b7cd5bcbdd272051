"""Passes: who the caller is, and everything that is theirs."""

from typing import Annotated

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.archive import GenerationFilter
from mina_gql.api.graphql.connections import After, Before, Connection, First, Last, connection, page_request
from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.credits import Credits, CreditTransaction, Topup, credits_of
from mina_gql.api.graphql.enums import EventType, PassState
from mina_gql.api.graphql.events import MmaEvent
from mina_gql.api.graphql.generations import Generation
from mina_gql.api.graphql.lazy import LazyPreferences
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.api.graphql.selections import asked_of_nodes, columns
from mina_gql.api.graphql.sessions import Session
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import decode
from mina_gql.services.taste import preferences_of


@strawberry.type
class Verification:
    """What a login has verified."""

    any: bool
    email: bool
    google: bool
    apple: bool
    method: str | None
    at: DateTime | None


@strawberry.type(
    description=("One customer, known by exactly one Pass ID. Auth user, Shopify customer and e-mail are attributes of it.")
)
class Pass(Node):
    """One customer."""

    state: PassState
    email: str | None
    display_name: str | None
    first_name: str | None
    last_name: str | None
    locale: str | None
    timezone: str | None
    marketing_opt_in: bool
    product_updates_opt_in: bool
    disabled: bool = strawberry.field(description="Switched off by an admin: it may look and do nothing more.")
    last_active: DateTime | None
    created_at: DateTime

    @strawberry.field
    def settings(root: Parent[PassRow]) -> JSON:
        """Preferred settings per provider, as `updateProfile` took them."""
        return JSON(decode(root.settings) or {})

    @strawberry.field
    def verification(root: Parent[PassRow]) -> Verification:
        """What a login has verified."""
        return Verification(
            any=root.verified_any,
            email=root.verified_email,
            google=root.verified_google,
            apple=root.verified_apple,
            method=root.verification_method,
            at=shown(root.verification_at),
        )

    @strawberry.field
    def credits(root: Parent[PassRow]) -> Credits:
        """Balance and expiry."""
        return credits_of(root)

    @strawberry.field
    def topup(root: Parent[PassRow]) -> Topup:
        """How this person likes to buy matcha."""
        return Topup(
            default_packs=root.topup_default_packs,
            auto_enabled=root.auto_topup_enabled,
            auto_monthly_limit_packs=root.auto_topup_monthly_limit_packs,
            last_at=shown(root.last_topup_at),
            source=root.topup_source,
        )

    @strawberry.field
    def preferences(root: Parent[PassRow]) -> LazyPreferences:
        """Learned taste."""
        return shown(preferences_of(root))

    @strawberry.field
    async def generations(
        root: Parent[PassRow],
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        narrowed: Annotated[GenerationFilter | None, strawberry.argument(name="filter")] = None,
    ) -> Connection[Generation]:
        """The archive, newest first."""
        row, services = root, info.context.services
        asked, narrowing = asked_of_nodes(info), (narrowed or GenerationFilter()).asked()
        page = await services.archive.page(row.id, page_request(first, after, last, before), columns(asked), narrowing)
        if "steps" in asked:
            info.context.steps_ahead |= await services.generations.steps([node.generation_id for node in page.rows])
        return connection(page, lambda: services.archive.count(row.id, narrowing))

    @strawberry.field
    async def credit_transactions(
        root: Parent[PassRow], info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[CreditTransaction]:
        """The ledger, newest first."""
        row, ledger = root, info.context.services.credits
        page = await ledger.transactions(row.id, page_request(first, after, last, before))
        return connection(page, lambda: ledger.count_transactions(row.id))

    @strawberry.field
    async def events(
        root: Parent[PassRow],
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        types: list[EventType] | None = None,
    ) -> Connection[MmaEvent]:
        """What this person did, newest first."""
        row, events = root, info.context.services.events
        page = await events.of_pass(row.id, page_request(first, after, last, before), types)
        return connection(page, lambda: events.count_of_pass(row.id, types))

    @strawberry.field
    async def sessions(
        root: Parent[PassRow], info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Session]:
        """Visits, newest first."""
        row, sessions = root, info.context.services.sessions
        page = await sessions.of_pass(row.id, page_request(first, after, last, before))
        return connection(page, lambda: sessions.count_of_pass(row.id))


node_type(PassRow, "Pass")


@strawberry.type
class MergeReport:
    """What a merge moved."""

    rows_moved: int
    matcha_moved: int


@strawberry.type
class PassPayload:
    """The caller's Pass after the change, or why not."""

    pass_: Pass | None = strawberry.field(name="pass", default=None)
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class EnsurePassPayload:
    """The caller's Pass. Keep its id and send it as X-Mina-Pass-Id."""

    pass_: Pass | None = strawberry.field(name="pass", default=None)
    merged: MergeReport | None = strawberry.field(
        default=None, description="Set when another Pass was merged into this one just now."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class PassQueries:
    """Queries about the caller."""

    @strawberry.field(description="The caller's Pass; null when the request proves none. `ensurePass` makes or resumes one.")
    async def me(self, info: Info) -> Pass | None:
        owner = info.context.owner
        if owner is not None and owner.seen_long_ago:
            await info.context.services.passes.touch(owner.id)
        return shown(owner)


@strawberry.type
class PassMutations:
    """Mutations of Passes."""

    @strawberry.mutation(
        description=(
            "Make or resume the caller's Pass, link a signed-in user to it, merge what must be merged, and mark it seen."
        )
    )
    async def ensure_pass(self, info: Info) -> EnsurePassPayload | None:
        context = info.context

        async def ensure() -> EnsurePassPayload:
            runtime = await context.services.config.runtime()
            await context.services.rates.hit("ensure_pass", context.caller.address, runtime.per_minute("ensure_pass"))
            owner, merged = await context.services.passes.ensure(context.caller)
            context.response_headers["X-Mina-Pass-Id"] = owner.id
            return EnsurePassPayload(pass_=shown(owner), merged=shown(merged))

        return await answered(EnsurePassPayload, ensure)

    @strawberry.mutation
    async def link_shopify(self, info: Info, shopify_customer_id: str) -> PassPayload | None:
        """Note the caller's Shopify customer id; needs a login with a verified e-mail."""

        async def link() -> PassPayload:
            owner = await info.context.services.passes.link_shopify(info.context.caller, shopify_customer_id)
            return PassPayload(pass_=shown(owner))

        return await answered(PassPayload, link)
