"""Generations as people read them. Ordering them: `orders`; what happens to one while it is made: `progress`."""

from collections.abc import Awaitable

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.archive import RecreateDraft, draft_of, parent_of
from mina_gql.api.graphql.connections import After, Before, Connection, First, Last, connection, page_request
from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.credits import CreditTransaction
from mina_gql.api.graphql.enums import FailureCode, GenerationKind, GenerationStatus
from mina_gql.api.graphql.lazy import LazyGeneration, LazyPass
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.permissions import pass_of
from mina_gql.api.graphql.scalars import JSON, URL, DateTime
from mina_gql.api.graphql.selections import asked_of_nodes, columns
from mina_gql.api.graphql.sessions import Session
from mina_gql.api.graphql.steps import MmaStep
from mina_gql.api.graphql.variables import GenerationAssets, Scans, UserMessage, assets_of, from_vars, lines_in, scans_of
from mina_gql.mega.database import decode
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.mega.generations.ledger import LedgerEntryRow
from mina_gql.mega.generations.sessions import SessionRow
from mina_gql.mega.generations.steps import StepRow
from mina_gql.services.generations.reading import ENDED


@strawberry.type
class GenerationFailure:
    """Why it failed, in words for people."""

    code: FailureCode
    message: str
    step_type: str | None
    retryable: bool
    refunded: bool


@strawberry.type
class Generation(Node):
    """A still or a clip, from QUEUED to DONE or ERROR."""

    kind: GenerationKind
    status: GenerationStatus
    brief: str | None
    style: str | None
    ratio: str | None
    movement_style: str | None
    feedback: str | None = strawberry.field(description="The words of a tweak.")
    prompt: str | None = strawberry.field(description="The prompt sent to the image or video model, once written.")
    output_url: URL | None
    output_key: str | None
    content_type: str | None
    width: int | None
    height: int | None
    poster_url: URL | None = strawberry.field(description="A still to show before a video plays.")
    provider: str | None
    model: str | None
    latency_ms: int | None
    cost: int
    created_at: DateTime
    updated_at: DateTime

    @strawberry.field(description="The output as an attachment with a file name.")
    def download_url(root: Parent[GenerationRow], info: Info) -> URL | None:
        if root.output_key is None:
            return None
        extension = root.output_key.rpartition(".")[2]
        return URL(info.context.services.assets.download_url(root.output_key, f"mina-{root.generation_id[:8]}.{extension}"))

    @strawberry.field
    def assets(root: Parent[GenerationRow], info: Info) -> GenerationAssets:
        """The pictures it was made from."""
        return from_vars(root, info, assets_of)

    @strawberry.field
    def scans(root: Parent[GenerationRow], info: Info) -> Scans:
        """What MMA understood of the images."""
        return from_vars(root, info, scans_of)

    @strawberry.field
    def settings(root: Parent[GenerationRow], info: Info) -> JSON:
        """The settings as resolved: provider defaults, then preferences, then the request."""
        return from_vars(root, info, lambda vars_: JSON(vars_.get("settings", {})))

    @strawberry.field
    def vars(root: Parent[GenerationRow], info: Info) -> JSON:
        """The canonical MMA variable map, without internals."""
        if root.vars is not None:
            return JSON(root.vars)  # passed on unread
        return from_vars(root, info, JSON)

    @strawberry.field
    def user_messages(root: Parent[GenerationRow], info: Info, after: int | None = 0) -> list[UserMessage]:
        """The lines so far with `seq` above `after`, the final one included."""
        return from_vars(root, info, lambda vars_: [line for line in lines_in(vars_) if line.seq > (after or 0)])

    @strawberry.field
    def final_message(root: Parent[GenerationRow], info: Info) -> str | None:
        """The last line of a finished generation."""
        return from_vars(root, info, lambda vars_: (vars_.get("userMessages", {}).get("final_line") or {}).get("text"))

    @strawberry.field
    def failure(root: Parent[GenerationRow]) -> GenerationFailure | None:
        """Why it failed; null unless the status is ERROR."""
        return failure_of(root)

    @strawberry.field
    async def charge(root: Parent[GenerationRow], info: Info) -> CreditTransaction | None:
        """What it cost."""
        return shown(await _transaction(root, info, "charge"))

    @strawberry.field
    async def refund(root: Parent[GenerationRow], info: Info) -> CreditTransaction | None:
        """What was given back."""
        return shown(await _transaction(root, info, "refund"))

    @strawberry.field(description="The generation this one tweaks or animates.")
    async def parent(root: Parent[GenerationRow], info: Info) -> LazyGeneration | None:
        return shown(await parent_of(root, info))

    @strawberry.field
    async def children(
        root: Parent[GenerationRow],
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[LazyGeneration]:
        """What was made from this one, newest first."""
        row, archive = root, info.context.services.archive
        page = await archive.children(row, page_request(first, after, last, before), columns(asked_of_nodes(info)))
        return connection(page, lambda: archive.count_children(row))

    @strawberry.field
    async def session(root: Parent[GenerationRow], info: Info) -> Session | None:
        """The visit it was ordered in."""
        if root.session_id is None:
            return None
        row: SessionRow | None = await info.context.loaders.sessions.load(f"session:{root.session_id}")
        return shown(row)

    @strawberry.field
    def steps(root: Parent[GenerationRow], info: Info) -> list[MmaStep]:
        """The pipeline's trace, in order."""
        known: list[StepRow] | None = info.context.steps_ahead.get(root.generation_id)
        return shown(known if known is not None else info.context.loaders.steps.load(root.generation_id))

    @strawberry.field
    async def liked(root: Parent[GenerationRow], info: Info) -> bool:
        """Whether its owner likes it: the latest like, unlike or dislike counts."""
        return bool(await info.context.loaders.liked.load(root.generation_id))

    @strawberry.field(description="How many queued generations stand before this one; null once it has started.")
    def queue_position(root: Parent[GenerationRow], info: Info) -> int | None:
        return shown(_estimated(root, info, "queue_position")) if root.status not in ENDED else None

    @strawberry.field(description="Seconds still to go, learned from how long such steps took lately; null at the end.")
    def eta_seconds(root: Parent[GenerationRow], info: Info) -> int | None:
        return shown(_estimated(root, info, "eta_seconds")) if root.status not in ENDED else None

    @strawberry.field(description="A draft that makes the same picture again with create, tweak or animate.")
    async def recreate(root: Parent[GenerationRow], info: Info) -> RecreateDraft:
        return await draft_of(root, info)

    @strawberry.field(name="pass", description="Whose it is: the caller's own Pass, or anybody's for an admin.")
    async def owner(root: Parent[GenerationRow], info: Info) -> LazyPass | None:
        return shown(await pass_of(info, root.pass_id))


node_type(GenerationRow, "Generation")


@strawberry.type
class GenerationQueries:
    """Queries of generations."""

    @strawberry.field
    async def generation(self, info: Info, id: strawberry.ID) -> Generation | None:
        """One of the caller's own generations, by its global or bare id."""
        owner = info.context.owner
        if owner is None:
            return None
        return shown(await info.context.services.generations.own(owner.id, id))


def failure_of(row: GenerationRow) -> GenerationFailure | None:
    """What people are told of a failed generation; rows from before MMA have a code at most."""
    if row.status != GenerationStatus.ERROR:
        return None
    told = decode(row.failure) or {}
    return GenerationFailure(
        code=FailureCode.__members__.get(row.error or "", FailureCode.INTERNAL),
        message=told.get("message", "This picture could not be made."),
        step_type=told.get("step_type"),
        retryable=told.get("retryable", True),
        refunded=told.get("refunded", False),
    )


async def _estimated(row: GenerationRow, info: Info, what: str) -> int | None:
    """One of its estimates; all of one operation are made together."""
    return getattr(await info.context.loaders.estimates.load(row.id), what, None)


def _transaction(row: GenerationRow, info: Info, kind: str) -> Awaitable[LedgerEntryRow | None]:
    return info.context.loaders.transactions.load(f"credit_transaction:{kind}:{row.generation_id}")
