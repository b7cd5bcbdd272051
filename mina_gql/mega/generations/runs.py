"""Generation rows at work: accept, lease, progress, end. Every write of a run is conditional on its lease (DESIGN section 6)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, cast, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain.pipeline import DEADLINES, LEASE, QUEUE_DEADLINE, GenerationKind, GenerationStatus
from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.generations.archive import STATUS
from mina_gql.mega.models import Generation, LedgerRow


class Accepted(NamedTuple):
    """A generation as its accepting transaction finds it again: for idempotency."""

    id: str
    pass_id: str
    input_hash: str | None


class Claim(NamedTuple):
    """A generation in the hands of one run. `vars` is the map at the time of the claim, `seconds_left` counts to the deadline."""

    id: str
    generation_id: str
    pass_id: str
    mode: str
    status: str
    cost: int
    attempts: int
    vars: dict[str, Any]
    seconds_left: float


class Ending(NamedTuple):
    """How a generation ends in DONE: the columns of the finished row."""

    prompt: str
    output_url: str
    output_key: str
    provider: str
    model: str


class ProgressRow(NamedTuple):
    """What a subscriber follows: everything recorded so far of one generation."""

    id: str
    pass_id: str
    status: str
    error: str | None
    messages: orjson.Fragment
    statuses: orjson.Fragment
    failure: orjson.Fragment | None
    cost: int
    updated_at: Timestamp


_IN_FLIGHT = "mg_record_type = 'generation' and mg_mma_status not in ('done', 'error')"

# The last seq of messages and statuses together; appends take the next one under the row's lock.
_SEQ = """greatest(0, coalesce((mg_mma_vars #>> '{userMessages,scan_lines,-1,seq}')::int, 0),
  coalesce((mg_mma_vars #>> '{userMessages,final_line,seq}')::int, 0), coalesce((mg_mma_vars #>> '{statuses,-1,seq}')::int, 0))"""
# Never before an earlier record of the row, even where the clock steps back.
_AT = """to_char(greatest(clock_timestamp(), mg_updated_at) at time zone 'utc', 'YYYY-MM-DD"T"HH24\\:MI\\:SS.MS"Z"')"""


_ACCEPTED_AT = """to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def _patched(patches: Mapping[tuple[str, ...], Any]) -> tuple[str, dict[str, Any]]:
    """The variable map with values set at paths, as SQL; paths are our own words, values are parameters."""
    vars_, values = "mg_mma_vars", {}
    for number, (path, value) in enumerate(patches.items()):
        vars_ = f"jsonb_set({vars_}, '{{{','.join(path)}}}', cast(:patch_{number} as jsonb))"
        values[f"patch_{number}"] = orjson.dumps(value).decode()
    return vars_, values


def _appended(vars_: str, path: Sequence[str], item: str) -> str:
    """The variable map with one more item at the end of the list at `path`, as SQL."""
    joined = "{" + ",".join(path) + "}"
    return f"jsonb_set({vars_}, '{joined}', coalesce(mg_mma_vars #> '{joined}', '[]') || {item})"


PROGRESS = Query(
    select(
        LedgerRow.id,
        LedgerRow.pass_id,
        STATUS,
        LedgerRow.error,
        LedgerRow.mma_vars["userMessages"],
        LedgerRow.mma_vars["statuses"],
        LedgerRow.meta["failure"],
        LedgerRow.meta["cost"].as_integer(),
        LedgerRow.updated_at,
    ).where(recorded_as(Generation), LedgerRow.deleted_at.is_(None), LedgerRow.id == bindparam("id"))
)

_CLAIM = text(f"""
    update mega_generations set mg_meta = mg_meta || jsonb_build_object(
      'lease', cast(:lease as text), 'lease_until', clock_timestamp() + make_interval(secs => :lease_seconds),
      'attempts', coalesce((mg_meta ->> 'attempts')::int, 0) + 1,
      'first_started_at', coalesce(mg_meta -> 'first_started_at', to_jsonb(clock_timestamp())))
    where mg_id = :id and {_IN_FLIGHT} and coalesce((mg_meta ->> 'lease_until')::timestamptz, '-infinity') < clock_timestamp()
    returning mg_id, substr(mg_id, 12), mg_pass_id, mg_mma_mode, mg_mma_status, coalesce((mg_meta ->> 'cost')::int, 0),
      (mg_meta ->> 'attempts')::int, mg_mma_vars,
      extract(epoch from (mg_meta ->> 'first_started_at')::timestamptz - clock_timestamp())::float +
        case mg_mma_mode when 'video' then cast(:video_deadline as float) else cast(:still_deadline as float) end
""").columns(mg_mma_vars=LedgerRow.mma_vars.type)

_RENEW = text(f"""
    update mega_generations set mg_meta = mg_meta || jsonb_build_object('lease_until', clock_timestamp() + make_interval(secs => :lease_seconds))
    where mg_id = :id and {_IN_FLIGHT} and mg_meta ->> 'lease' = :lease
    returning mg_id
""")

# Handing back is no crash: the attempt is not counted.
_RELEASE = text(f"""
    update mega_generations set mg_meta = mg_meta - 'lease' - 'lease_until' || jsonb_build_object('attempts', (mg_meta ->> 'attempts')::int - 1)
    where mg_id = :id and {_IN_FLIGHT} and mg_meta ->> 'lease' = :lease
""")

_HOLD = text(
    f"select 1 from mega_generations where mg_id = :id and {_IN_FLIGHT} and mg_meta ->> 'lease' = :lease for no key update"
)

_OVERDUE = """(mg_meta ? 'first_started_at' and (mg_meta ->> 'first_started_at')::timestamptz + make_interval(secs =>
    case mg_mma_mode when 'video' then cast(:video_deadline as float) else cast(:still_deadline as float) end) < clock_timestamp()
  or not mg_meta ? 'first_started_at' and mg_created_at + make_interval(secs => :queue_deadline) < clock_timestamp())"""

_STRANDED = text(f"""
    select mg_id, {_OVERDUE} from mega_generations
    where {_IN_FLIGHT} and coalesce((mg_meta ->> 'lease_until')::timestamptz, '-infinity') < clock_timestamp()
    order by mg_created_at limit 500
""")

_DEADLINES = {
    "still_deadline": DEADLINES[GenerationKind.STILL].total_seconds(),
    "video_deadline": DEADLINES[GenerationKind.VIDEO].total_seconds(),
}


async def insert(session: AsyncSession, generation: Generation) -> None:
    """Record an accepted generation, QUEUED with seq 1. A second one of the same id raises IntegrityError."""
    queued = func.jsonb_build_object("seq", 1, "status", GenerationStatus.QUEUED.value, "at", literal_column(_ACCEPTED_AT))
    vars_ = cast(generation.mma_vars, JSONB)
    generation.mma_vars = func.jsonb_set(vars_, literal_column("'{statuses}'"), func.jsonb_build_array(queued))
    session.add(generation)
    await session.flush()


async def find_accepted(session: AsyncSession, generation: str) -> Accepted | None:
    """The generation (mg_id) of an idempotency key, if an earlier call made it; soft-deleted ones count."""
    row = (
        await session.execute(
            select(LedgerRow.id, LedgerRow.pass_id, LedgerRow.meta["input_hash"].astext).where(LedgerRow.id == generation)
        )
    ).one_or_none()
    return None if row is None else Accepted(*row)


async def claim(session: AsyncSession, generation: str, lease: str) -> Claim | None:
    """Take an unfinished generation that nobody works on; None when it has ended or another run holds it."""
    values = {"id": generation, "lease": lease, "lease_seconds": LEASE.total_seconds(), **_DEADLINES}
    row = (await session.execute(_CLAIM, values)).one_or_none()
    return None if row is None else Claim(*row)


async def renew(session: AsyncSession, generation: str, lease: str) -> bool:
    """Hold on for another lease; False when it is lost."""
    values = {"id": generation, "lease": lease, "lease_seconds": LEASE.total_seconds()}
    return (await session.execute(_RENEW, values)).first() is not None


async def release(session: AsyncSession, generation: str, lease: str) -> None:
    """Hand a generation back unfinished, so that another run may take it at once."""
    await session.execute(_RELEASE, {"id": generation, "lease": lease})


async def hold(session: AsyncSession, generation: str, lease: str) -> bool:
    """Lock the row while the lease is ours; False when it is lost."""
    return (await session.execute(_HOLD, {"id": generation, "lease": lease})).first() is not None


async def stranded(session: AsyncSession) -> list[tuple[str, bool]]:
    """Unfinished generations that nobody works on, oldest first, and whether each is past its deadline. Deleted ones too: they were paid for."""
    values = {"queue_deadline": QUEUE_DEADLINE.total_seconds(), **_DEADLINES}
    return [(row[0], row[1]) for row in await session.execute(_STRANDED, values)]


async def advance(
    session: AsyncSession,
    generation: str,
    lease: str,
    *,
    patches: Mapping[tuple[str, ...], Any] | None = None,
    status: GenerationStatus | None = None,
    line: str | None = None,
) -> int | None:
    """Append to a running generation in one UPDATE: patches of the variable map, a status, a line, in this order.

    Gives the last seq afterwards, or None when the lease is lost. The map is never written back whole.
    """
    vars_, values = _patched(patches or {})
    seq = _SEQ
    if status is not None:
        seq = f"({seq} + 1)"
        vars_ = _appended(vars_, ("statuses",), f"jsonb_build_object('seq', {seq}, 'status', cast(:status as text), 'at', {_AT})")
        values["status"] = status.value
    if line is not None:
        seq = f"({seq} + 1)"
        stage = "cast(:status as text)" if status is not None else "mg_mma_status"
        message = f"jsonb_build_object('seq', {seq}, 'text', cast(:line as text), 'stage', {stage}, 'at', {_AT})"
        vars_ = _appended(vars_, ("userMessages", "scan_lines"), message)
        values["line"] = line
    sets = f"mg_mma_vars = {vars_}" + (", mg_mma_status = :status" if status is not None else "")
    statement = text(f"""
        update mega_generations set {sets} where mg_id = :id and {_IN_FLIGHT} and mg_meta ->> 'lease' = :lease
        returning {_SEQ}
    """)
    row = (await session.execute(statement, {"id": generation, "lease": lease, **values})).first()
    return None if row is None else int(row[0])


async def finish(
    session: AsyncSession,
    generation: str,
    lease: str,
    ending: Ending,
    *,
    patches: Mapping[tuple[str, ...], Any],
    final_line: str,
) -> int | None:
    """End a running generation in DONE: its last line, its end, its columns, in one UPDATE. None when the lease is lost."""
    vars_, values = _patched(patches)
    line = f"jsonb_build_object('seq', {_SEQ} + 1, 'text', cast(:line as text), 'stage', 'done', 'at', {_AT})"
    vars_ = f"jsonb_set({vars_}, '{{userMessages,final_line}}', {line})"
    vars_ = _appended(vars_, ("statuses",), f"jsonb_build_object('seq', {_SEQ} + 2, 'status', 'done', 'at', {_AT})")
    statement = text(f"""
        update mega_generations set mg_mma_vars = {vars_}, mg_mma_status = 'done', mg_status = 'succeeded', mg_prompt = :prompt,
          mg_output_url = :output_url, mg_output_key = :output_key, mg_provider = :provider, mg_model = :model,
          mg_latency_ms = round(extract(epoch from clock_timestamp() - mg_created_at) * 1000)::int, mg_meta = mg_meta - 'lease' - 'lease_until'
        where mg_id = :id and {_IN_FLIGHT} and mg_meta ->> 'lease' = :lease
        returning {_SEQ}
    """)
    row = (
        await session.execute(statement, {"id": generation, "lease": lease, "line": final_line, **values, **ending._asdict()})
    ).first()
    return None if row is None else int(row[0])


_LOCK_TO_FAIL = text(f"""
    select mg_pass_id, coalesce((mg_meta ->> 'cost')::int, 0) from mega_generations
    where mg_id = :id and {_IN_FLIGHT} and (cast(:lease as text) is null or mg_meta ->> 'lease' = :lease)
    for no key update
""")

_FAILED = _appended("mg_mma_vars", ("statuses",), f"jsonb_build_object('seq', {_SEQ} + 1, 'status', 'error', 'at', {_AT})")
_FAIL = text(f"""
    update mega_generations set mg_mma_status = 'error', mg_status = 'failed', mg_error = :code, mg_mma_vars = {_FAILED},
      mg_latency_ms = round(extract(epoch from clock_timestamp() - mg_created_at) * 1000)::int,
      mg_meta = mg_meta - 'lease' - 'lease_until' || jsonb_build_object('failure', cast(:failure as jsonb))
    where mg_id = :id
    returning {_SEQ}
""")


async def lock_to_fail(session: AsyncSession, generation: str, lease: str | None) -> tuple[str, int] | None:
    """Lock an unfinished generation to end it in ERROR: its Pass and cost, or None when it has ended or the lease is lost.

    Without a lease (a deadline, a cancel) whoever holds it loses it. The caller has locked the customer first.
    """
    row = (await session.execute(_LOCK_TO_FAIL, {"id": generation, "lease": lease})).first()
    return None if row is None else (row[0], row[1])


async def fail(session: AsyncSession, generation: str, code: str, failure: Mapping[str, Any]) -> int:
    """End a locked generation in ERROR. `failure` is what people are told of it."""
    row = (await session.execute(_FAIL, {"id": generation, "code": code, "failure": orjson.dumps(failure).decode()})).one()
    return int(row[0])


async def pass_of(session: AsyncSession, generation: str) -> str | None:
    """The Pass of a generation, read without a lock; read it again under both locks."""
    row = (await session.execute(select(LedgerRow.pass_id).where(LedgerRow.id == generation))).first()
    return None if row is None else str(row[0])
