"""Steps: the pipeline's trace of a generation."""

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import StepStatus
from mina_gql.api.graphql.lazy import LazyGeneration
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.domain.pipeline import generation_mg_id
from mina_gql.mega.generations.steps import StepRow


@strawberry.type
class ConfigUse:
    """The version of a context that a language-model step ran with."""

    key: str
    version: int
    id: strawberry.ID


@strawberry.type
class MmaStep(Node):
    """One stage of a pipeline run."""

    step_no: int
    step_type: str
    status: StepStatus
    provider: str | None
    model: str | None
    started_at: DateTime | None
    ended_at: DateTime | None
    duration_ms: int | None
    input_tokens: int | None
    output_tokens: int | None
    error: str | None

    @strawberry.field(description="The context version that a language-model step ran with.")
    def config(root: Parent[StepRow]) -> ConfigUse | None:
        if root.ctx_key is None or root.ctx_version is None or root.ctx_id is None:
            return None
        return ConfigUse(key=root.ctx_key, version=root.ctx_version, id=strawberry.ID(root.ctx_id))

    @strawberry.field
    async def generation(root: Parent[StepRow], info: Info) -> LazyGeneration:
        """What the step belongs to."""
        return shown(await info.context.loaders.generations.load(generation_mg_id(root.generation_id)))

    @strawberry.field(name="input", description="What the step was given; for admins, null for everybody else.")
    async def given(root: Parent[StepRow], info: Info) -> JSON | None:
        return await _recorded(root, info, "input")

    @strawberry.field(name="output", description="What the step found; for admins, null for everybody else.")
    async def found(root: Parent[StepRow], info: Info) -> JSON | None:
        return await _recorded(root, info, "output")

    @strawberry.field(description="All that was recorded of the step; for admins, null for everybody else.")
    async def payload(root: Parent[StepRow], info: Info) -> JSON | None:
        return await _recorded(root, info, "payload")


node_type(StepRow, "MmaStep")


async def _recorded(row: StepRow, info: Info, part: str) -> JSON | None:
    """A part of what only admins see: our words to the models are in it. Read only when asked for."""
    login = info.context.caller.login
    if login is None or not login.admin:
        return None
    return getattr(await info.context.loaders.payloads.load(row.id), part, None)
