"""The archive: what a listing of generations is narrowed to, what was made from what, and drafts of the same again."""

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import GenerationKind, GenerationStatus
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.domain.archive import ArchiveFilter
from mina_gql.domain.pipeline import bare_id, generation_mg_id
from mina_gql.mega.generations.archive import GenerationRow


@strawberry.input(description="What a listing of generations is narrowed to; every part that is given must fit.")
class GenerationFilter:
    """A filter of the archive."""

    kind: GenerationKind | None = None
    status: list[GenerationStatus] | None = strawberry.field(
        default=None, description="Any of these; an empty list asks nothing."
    )
    liked: bool | None = strawberry.field(default=None, description="The latest like, unlike or dislike counts.")
    session_id: strawberry.ID | None = None
    ratio: str | None = None
    created_after: DateTime | None = strawberry.field(default=None, description="From this moment on.")
    created_before: DateTime | None = strawberry.field(default=None, description="Before this moment.")
    search: str | None = strawberry.field(default=None, description="Words looked for in briefs, prompts and captions.")

    def asked(self) -> ArchiveFilter:
        """The filter as the archive takes it."""
        return ArchiveFilter(
            kind=self.kind,
            status=tuple(self.status or ()),
            liked=self.liked,
            session_id=self.session_id,
            ratio=self.ratio,
            created_after=self.created_after,
            created_before=self.created_before,
            search=self.search,
        )


@strawberry.type
class RecreateDraft:
    """The input of `create`, `tweak` or `animate` that makes the same again; the mutation takes it as it is."""

    kind: GenerationKind
    create: JSON | None
    tweak: JSON | None
    animate: JSON | None
    changes: list[str] = strawberry.field(description="Settings or contexts that have changed since.")


async def parent_of(row: GenerationRow, info: Info) -> GenerationRow | None:
    """What a generation was made from, where its owner can still see it."""
    if row.parent_id is None:
        return None
    parent = await info.context.loaders.generations.load(generation_mg_id(bare_id("generation", row.parent_id)))
    return parent if parent is not None and parent.pass_id == row.pass_id else None


async def draft_of(row: GenerationRow, info: Info) -> RecreateDraft:
    """What makes a generation again."""
    loaders = info.context.loaders
    whole = row if row.vars is not None else await loaders.generations.load(row.id) or row
    steps = await loaders.steps.load(row.generation_id) or []
    return shown(await info.context.services.archive.recreate(whole, steps, await parent_of(row, info)))
