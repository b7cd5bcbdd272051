"""`mma_step` rows: the pipeline's trace and its checkpoints. Open while a step runs, frozen from then on."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Integer, Text, bindparam, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mina_gql.domain.pipeline import StepStatus
from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import LedgerRow, MmaStep
from mina_gql.mega.pages import Pages
from mina_gql.mega.phrases import json_at, rfc3339, text_at


class StepRow(NamedTuple):
    """One step as people see it. Times are RFC 3339 as recorded, `duration_ms` is null while it runs."""

    id: str
    generation_id: str
    pass_id: str
    step_no: int
    step_type: str
    status: str
    provider: str | None
    model: str | None
    duration_ms: int | None
    input_tokens: int | None
    output_tokens: int | None
    error: str | None
    started_at: str | None
    ended_at: str | None
    ctx_key: str | None
    ctx_version: int | None
    ctx_id: str | None
    created_at: Timestamp


class PayloadRow(NamedTuple):
    """What a step was given, what it found, and all that was recorded of it."""

    id: str
    input: orjson.Fragment | None
    output: orjson.Fragment | None
    payload: orjson.Fragment | None


class Checkpoint(NamedTuple):
    """One step as a run that takes over sees it. `sent` and `prediction_id` are kept for paid calls."""

    id: str
    step_type: str
    position: int
    status: str
    sent: bool
    prediction_id: str | None


_SELECT = select(
    LedgerRow.id,
    LedgerRow.generation_id,
    LedgerRow.pass_id,
    LedgerRow.step_no,
    LedgerRow.step_type,
    LedgerRow.status,
    LedgerRow.provider,
    LedgerRow.model,
    LedgerRow.latency_ms,
    LedgerRow.input_tokens,
    LedgerRow.output_tokens,
    LedgerRow.error,
    text_at(LedgerRow.payload, "timing", "started_at"),
    text_at(LedgerRow.payload, "timing", "ended_at"),
    text_at(LedgerRow.payload, "input", "ctx_key"),
    text_at(LedgerRow.payload, "input", "ctx_version").cast(Integer),
    text_at(LedgerRow.payload, "input", "ctx_id"),
    LedgerRow.created_at,
).where(recorded_as(MmaStep), LedgerRow.deleted_at.is_(None))

OF_GENERATIONS = Query(
    _SELECT.where(LedgerRow.generation_id == func.any(bindparam("generation_ids"))).order_by(
        LedgerRow.generation_id, LedgerRow.step_no
    )
)
_of = aliased(LedgerRow)
# A step is asked for by its id alone here; it stays when its generation is deleted, and must not be seen then.
BY_IDS = Query(
    _SELECT.join(_of, LedgerRow.parent_id == _of.id).where(LedgerRow.id == func.any(bindparam("ids")), _of.deleted_at.is_(None))
)

# The constant is a literal: the index is matched by it.
FAILED = Pages(
    _SELECT.join(_of, LedgerRow.parent_id == _of.id).where(
        LedgerRow.status == literal_column("'failed'"), _of.deleted_at.is_(None)
    ),
    StepRow,
    LedgerRow.created_at,
    LedgerRow.id,
)
# What a step was given and what it found, for admins: a column that nothing else reads.
PAYLOADS = Query(
    select(LedgerRow.id, json_at(LedgerRow.payload, "input"), json_at(LedgerRow.payload, "output"), LedgerRow.payload).where(
        recorded_as(MmaStep), LedgerRow.deleted_at.is_(None), LedgerRow.id == func.any(bindparam("ids"))
    )
)

_CHECKPOINTS = text("""
    select mg_id, mg_step_type, coalesce((mg_meta ->> 'index')::int, 0), mg_status, mg_meta ? 'sent_at', mg_meta ->> 'prediction_id'
    from mega_generations where mg_generation_id = :generation_id and mg_record_type = 'mma_step' order by mg_step_no
""")

_NOW = rfc3339("clock_timestamp()")

# The caller holds the generation's row lock, so the next number is free (no gaps, no doubles).
_START = text(f"""
    insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_session_id, mg_generation_id, mg_parent_id, mg_step_no, mg_step_type,
      mg_mma_mode, mg_provider, mg_model, mg_status, mg_meta, mg_payload, mg_source_system)
    select 'mma_step:' || g.mg_generation_id || ':' || n, 'mma_step', g.mg_pass_id, g.mg_session_id, g.mg_generation_id, g.mg_id, n, :step_type,
      g.mg_mma_mode, :provider, :model, 'running', jsonb_build_object('index', cast(:index as int)),
      jsonb_build_object('input', cast(:input as jsonb), 'output', '{{}}'::jsonb,
        'timing', jsonb_build_object('started_at', {_NOW}, 'ended_at', null, 'duration_ms', null), 'error', null), 'api'
    from mega_generations g, lateral (select coalesce(max(mg_step_no) + 1, 0) as n from mega_generations s
      where s.mg_generation_id = g.mg_generation_id and s.mg_record_type = 'mma_step') x
    where g.mg_id = :generation
    returning mg_id
""")

_MS = (
    "least(2147483647, greatest(0, round(extract(epoch from clock_timestamp() - (mg_payload #>> '{timing,started_at}')::timestamptz)"
    " * 1000)))::int"
)

_END = text(f"""
    update mega_generations set
      mg_status = :status, mg_error = :error, mg_provider = coalesce(:provider, mg_provider), mg_model = coalesce(:model, mg_model),
      mg_input_chars = :input_chars, mg_output_chars = :output_chars, mg_input_tokens = :input_tokens, mg_output_tokens = :output_tokens,
      mg_latency_ms = t.ms, mg_output_url = :output_url, mg_output_key = :output_key,
      mg_payload = jsonb_build_object('input', mg_payload -> 'input', 'output', cast(:output as jsonb), 'error', cast(:error_detail as jsonb),
        'timing', jsonb_build_object('started_at', mg_payload #> '{{timing,started_at}}', 'ended_at', {_NOW}, 'duration_ms', t.ms))
    from (select {_MS} as ms from mega_generations where mg_id = :id) t
    where mg_id = :id and mg_record_type = 'mma_step' and mg_status = 'running'
""")

_CLOSE_OPEN = text(f"""
    update mega_generations set mg_status = 'failed', mg_error = :error, mg_latency_ms = t.ms,
      mg_payload = mg_payload || jsonb_build_object('error', cast(:detail as text),
        'timing', (mg_payload -> 'timing') || jsonb_build_object('ended_at', {_NOW}, 'duration_ms', t.ms))
    from (select mg_id as id, {_MS} as ms from mega_generations
      where mg_generation_id = substr(:generation, 12) and mg_record_type = 'mma_step' and mg_status = 'running') t
    where mg_id = t.id
""")

_MARK = text("""
    update mega_generations set mg_meta = mg_meta || cast(:mark as jsonb)
    where mg_id = :id and mg_record_type = 'mma_step' and mg_status = 'running'
""")


async def checkpoints(session: AsyncSession, generation_id: str) -> list[Checkpoint]:
    """The steps of a generation (bare id) so far, in order."""
    return [Checkpoint(*row) for row in await session.execute(_CHECKPOINTS, {"generation_id": generation_id})]


async def start(
    session: AsyncSession,
    generation: str,
    step_type: str,
    *,
    index: int,
    provider: str | None,
    model: str | None,
    input_: dict[str, Any],
) -> str:
    """Open the next step of a generation (mg_id); the caller holds its row lock. Gives the step's id."""
    result = await session.execute(
        _START,
        {
            "generation": generation,
            "step_type": step_type,
            "index": index,
            "provider": provider,
            "model": model,
            "input": orjson.dumps(input_).decode(),
        },
    )
    return str(result.scalar_one())


class StepResult(NamedTuple):
    """How a step ended. `output` goes into the payload; `error` is a FailureCode and `error_detail` what admins read."""

    status: StepStatus
    output: dict[str, Any]
    provider: str | None = None
    model: str | None = None
    input_chars: int | None = None
    output_chars: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    output_url: str | None = None
    output_key: str | None = None
    error: str | None = None
    error_detail: str | None = None


async def end(session: AsyncSession, step_id: str, result: StepResult) -> None:
    """Close a step; from now on it is frozen."""
    values = result._asdict()
    values["output"] = orjson.dumps(result.output).decode()
    values["error_detail"] = None if result.error_detail is None else orjson.dumps(result.error_detail).decode()
    await session.execute(_END, {"id": step_id, **values})


async def close_open(session: AsyncSession, generation: str, error: str, detail: str) -> None:
    """Close every step that is still open, as failed: its generation ends in ERROR."""
    await session.execute(_CLOSE_OPEN, {"generation": generation, "error": error, "detail": detail})


async def mark(session: AsyncSession, step_id: str, **marks: Any) -> None:
    """Note something about a running step: `sent_at` before a paid call, `prediction_id` once there is one."""
    await session.execute(_MARK, {"id": step_id, "mark": orjson.dumps(marks).decode()})


class PaidCall(NamedTuple):
    """A paid call as it stands: the step type tells the provider, `prediction_id` names it at the vendor where it is known."""

    generation: str
    step_type: str
    mode: str
    prediction_id: str | None


_PAID = text("""
    select mg_parent_id, mg_step_type, mg_mma_mode, mg_meta ->> 'prediction_id' from mega_generations
    where mg_generation_id = :generation_id and mg_record_type = 'mma_step' and mg_meta ? 'sent_at'
    order by mg_step_no desc limit 1
""")

_CANCELLED = text("""
    select mg_parent_id, mg_step_type, mg_mma_mode, mg_meta ->> 'prediction_id' from mega_generations
    where mg_record_type = 'mma_step' and mg_error in ('CANCELLED', 'DEADLINE_EXCEEDED') and mg_updated_at > clock_timestamp() - interval '15 minutes'
      and mg_meta ? 'prediction_id'
""")


async def paid_call(session: AsyncSession, generation_id: str) -> PaidCall | None:
    """The paid call of a generation (bare id) that went out, or None. The caller holds the generation's lock."""
    row = (await session.execute(_PAID, {"generation_id": generation_id})).first()
    return None if row is None else PaidCall(*row)


async def cancelled_calls(session: AsyncSession) -> list[PaidCall]:
    """Paid calls that were cancelled, or given up past their deadline, in the last quarter of an hour: their vendors are to be told."""
    return [PaidCall(*row) for row in await session.execute(_CANCELLED)]


# A look at the same bytes in the same words, by the same Pass, that succeeded before (DESIGN section 6).
KNOWN_CAPTION = Query(
    text("""
        select mg_payload #>> '{output,crt}' from mega_generations
        where mg_pass_id = :pass_id and mg_record_type = 'mma_step' and mg_step_type = :step_type and mg_status = 'succeeded'
          and mg_payload #>> '{output,sha256}' = :sha256 and mg_payload #>> '{input,ctx_id}' = :ctx_id and mg_deleted_at is null
        order by mg_created_at desc limit 1
    """).bindparams(*(bindparam(name, type_=Text()) for name in ("pass_id", "step_type", "sha256", "ctx_id")))
)
