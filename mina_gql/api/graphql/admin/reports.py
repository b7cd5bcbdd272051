"""Reports: sums, parity, the vendors' health, the queue."""

from asyncio import Future
from collections.abc import Callable

import strawberry
from strawberry import Parent, Private

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.passes import Pass
from mina_gql.mega.parity import DayRow, Mismatch
from mina_gql.services.admin import Sampled


@strawberry.type
class AdminSummary:
    """How the studio stands."""

    passes: int
    active_passes_24h: int = strawberry.field(name="activePasses24h")
    generations: int
    generations_24h: int = strawberry.field(name="generations24h")
    failures_24h: int = strawberry.field(
        name="failures24h", description="Of those of the last 24 hours, how many ended in ERROR."
    )
    matcha_outstanding: int = strawberry.field(description="Matcha on all Passes that has not expired.")
    matcha_sold_30d: int = strawberry.field(name="matchaSold30d", description="Matcha bought in 30 days, before clawbacks.")
    queued: int


@strawberry.type
class ParityDay:
    """How many rows of a record type a day has, in the zone of the knob `reports.timezone`."""

    day: str
    record_type: str

    @strawberry.field
    def count(root: Parent[DayRow]) -> int:
        """How many."""
        return root.rows


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
    """Whether what the tables say in two places agrees. Each part is looked up when it is asked for."""

    last_days: Private[int]
    drawn: Private[Callable[[], Future[Sampled]]]

    @strawberry.field
    async def days(self, info: Info) -> list[ParityDay]:
        """Rows by day and record type, the newest day first."""
        return shown(await info.context.services.admin.by_day(self.last_days))

    @strawberry.field
    async def mismatches(self, info: Info) -> list[CreditMismatch]:
        """Every Pass whose ledger and balance differ."""
        return shown(await info.context.services.credits.mismatches())

    @strawberry.field
    async def sampled(self) -> int:
        """How many generations were drawn by lot and looked into."""
        return (await self.drawn()).number

    @strawberry.field
    async def sample_faults(self) -> list[str]:
        """What is wrong with them, in sentences."""
        return (await self.drawn()).faults


@strawberry.type
class ProviderHealth:
    """How whoever fills a role of the registry fares."""

    name: str = strawberry.field(description="openai, seedream, kling or offline.")
    kind: str = strawberry.field(description="The role: vision, writer, moderation, still or video.")
    model: str
    configured: bool
    state: str = strawberry.field(description="closed: works; open: keeps failing and is left alone; half-open: is being tried.")
    p50_seconds: float | None = strawberry.field(name="p50Seconds", description="The median of its latest successful steps.")
    failures_24h: int = strawberry.field(name="failures24h", description="Steps that failed by the vendor's fault.")


@strawberry.type
class QueueHealth:
    """What waits and what is being made."""

    queued: int
    running: int
    oldest_queued_seconds: int
    workers: int
