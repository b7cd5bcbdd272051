"""The root `admin`: everybody's records, reports, configuration."""

import asyncio
from functools import cache
from typing import Annotated

import strawberry

from mina_gql.api.graphql.admin.audits import Audit, Profile
from mina_gql.api.graphql.admin.configs import ConfigVersion, RuntimeConfig
from mina_gql.api.graphql.admin.reports import AdminSummary, Parity, ProviderHealth, QueueHealth
from mina_gql.api.graphql.archive import GenerationFilter
from mina_gql.api.graphql.connections import After, Before, Connection, First, Last, connection, page_request
from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.credits import CreditTransaction
from mina_gql.api.graphql.enums import EventType
from mina_gql.api.graphql.events import MmaEvent
from mina_gql.api.graphql.generations import Generation
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.passes import Pass
from mina_gql.api.graphql.permissions import admin_only
from mina_gql.api.graphql.selections import asked_of_nodes, columns
from mina_gql.api.graphql.steps import MmaStep
from mina_gql.domain.pipeline import bare_id, generation_mg_id
from mina_gql.domain.reports import check_span


@strawberry.type
class Admin:
    """What admins see."""

    @strawberry.field
    async def summary(self, info: Info) -> AdminSummary:
        """How the studio stands."""
        return shown(await info.context.services.admin.summary())

    @strawberry.field
    async def passes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[
            str | None, strawberry.argument(description="How an id, e-mail, name or Shopify id begins, or all of it.")
        ] = None,
    ) -> Connection[Pass]:
        """Everybody, newest first."""
        admin = info.context.services.admin
        page = await admin.passes(page_request(first, after, last, before), search)
        return connection(page, lambda: admin.count_passes(search))

    @strawberry.field(name="pass")
    async def one_pass(self, info: Info, id: strawberry.ID) -> Pass | None:
        """A Pass by its id; of one that was merged, the Pass it became."""
        return shown(await info.context.services.admin.pass_behind(id))

    @strawberry.field
    async def generation(self, info: Info, id: strawberry.ID) -> Generation | None:
        """Anybody's generation, by its global or bare id."""
        return shown(await info.context.loaders.generations.load(generation_mg_id(bare_id("generation", id))))

    @strawberry.field
    async def generations(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        narrowed: Annotated[GenerationFilter | None, strawberry.argument(name="filter")] = None,
        pass_id: strawberry.ID | None = None,
    ) -> Connection[Generation]:
        """What everybody made, or one Pass, newest first."""
        services = info.context.services
        asked, narrowing = asked_of_nodes(info), (narrowed or GenerationFilter()).asked()
        page = await services.archive.page(pass_id, page_request(first, after, last, before), columns(asked), narrowing)
        if "steps" in asked:
            info.context.steps_ahead |= await services.generations.steps([node.generation_id for node in page.rows])
        return connection(page, lambda: services.archive.count(pass_id, narrowing))

    @strawberry.field
    async def events(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        types: list[EventType] | None = None,
        pass_id: strawberry.ID | None = None,
    ) -> Connection[MmaEvent]:
        """What everybody did, or one Pass, newest first."""
        request, admin, events = (
            page_request(first, after, last, before),
            info.context.services.admin,
            info.context.services.events,
        )
        if pass_id is None:
            return connection(await admin.events(request, types), lambda: admin.count_events(types))
        return connection(await events.of_pass(pass_id, request, types), lambda: events.count_of_pass(pass_id, types))

    @strawberry.field
    async def credit_transactions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        pass_id: strawberry.ID | None = None,
    ) -> Connection[CreditTransaction]:
        """Everybody's ledger, or that of one Pass, newest first. That of a merged Pass stays under its own id."""
        request, admin, ledger = (
            page_request(first, after, last, before),
            info.context.services.admin,
            info.context.services.credits,
        )
        if pass_id is None:
            return connection(await admin.transactions(request), admin.count_transactions)
        return connection(await ledger.transactions(pass_id, request), lambda: ledger.count_transactions(pass_id))

    @strawberry.field
    async def errors(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[MmaStep]:
        """Steps that failed, newest first: what went wrong in which generation."""
        admin = info.context.services.admin
        return connection(await admin.errors(page_request(first, after, last, before)), admin.count_errors)

    @strawberry.field
    async def audits(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        action: Annotated[str | None, strawberry.argument(description="Of one action, such as `credits.adjust`.")] = None,
    ) -> Connection[Audit]:
        """What admins did, and what others tried, newest first."""
        admin = info.context.services.admin
        page = await admin.audits(page_request(first, after, last, before), action)
        return connection(page, lambda: admin.count_audits(action))

    @strawberry.field
    async def profiles(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Profile]:
        """Profiles of the old tables, newest first."""
        admin = info.context.services.admin
        return connection(await admin.profiles(page_request(first, after, last, before)), admin.count_profiles)

    @strawberry.field(description="Counts by day and record type, and every Pass whose ledger and balance differ.")
    def parity(self, info: Info, days: int = 30, sample: int = 100) -> Parity:
        check_span(days, sample)
        admin = info.context.services.admin
        return Parity(last_days=days, drawn=cache(lambda: asyncio.ensure_future(admin.sample(sample))))

    @strawberry.field
    async def runtime_config(self, info: Info) -> RuntimeConfig:
        """The runtime knobs, as this process has them."""
        return shown(await info.context.services.config.report())

    @strawberry.field
    async def configs(self, info: Info) -> list[ConfigVersion]:
        """Every version of every key: by key, the newest version first."""
        return shown(await info.context.services.publishing.versions())

    @strawberry.field
    async def config(self, info: Info, key: str) -> list[ConfigVersion]:
        """Every version of a key, newest first."""
        return shown(await info.context.services.publishing.versions(key))

    @strawberry.field
    async def providers(self, info: Info) -> list[ProviderHealth]:
        """Who fills each role of the registry, and how they fare."""
        return shown(await info.context.services.admin.providers())

    @strawberry.field
    async def queue(self, info: Info) -> QueueHealth:
        """What waits, what is being made, and by how many workers."""
        return shown(await info.context.services.admin.queue())


@strawberry.type
class AdminQueries:
    """The admins' part of the graph."""

    @strawberry.field(description="Admins only; FORBIDDEN for everyone else.")
    async def admin(self, info: Info) -> Admin:
        await admin_only(info)
        return Admin()
