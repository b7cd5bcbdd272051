"""Generation rows at work: lease, progress, end. Every write of a run is conditional on its lease (DESIGN section 6)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain.pipeline import DEADLINES, LEASE, QUEUE_DEADLINE, GenerationKind, GenerationStatus
from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.generations.archive import STATUS
from mina_gql.mega.models import Generation, LedgerRow
from mina_gql.mega.phrases import rfc3339


class Claim(NamedTuple):
    """A generation in the hands of one run. `vars` is the map at the time of the claim, `seconds_left` counts to the deadline."""

    id: str
    generation_id: str
    pass_id: str
    mode: str
    status: str
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

    pass_id: str
    status: str
    messages: orjson.Fragment
    statuses: orjson.Fragment
    updated_at: Timestamp


# An int: what a database that was away for a month made of it must not keep a generation from its end.
_LATENCY = "least(2147483647, round(extract(epoch from clock_timestamp() - mg_created_at) * 1000))::int"
IN_FLIGHT = "mg_record_type = 'generation' and mg_mma_status not in ('done', 'error')"
_HELD = f"mg_id = :id and {IN_FLIGHT} and mg_meta ->> 'lease' = :lease"
UNHELD = f"{IN_FLIGHT} and coalesce((mg_meta ->> 'lease_until')::timestamptz, '-infinity') < clock_timestamp()"
_DEADLINE = "case mg_mma_mode when 'video' then cast(:video_deadline as float) else cast(:still_deadline as float) end"

# The last seq of messages and statuses together; appends take the next one under the row's lock.
SEQ = """greatest(0, coalesce((mg_mma_vars #>> '{userMessages,scan_lines,-1,seq}')::int, 0),
  coalesce((mg_mma_vars #>> '{userMessages,final_line,seq}')::int, 0), coalesce((mg_mma_vars #>> '{statuses,-1,seq}')::int, 0))"""
# Never before an earlier record of the row, even where the clock steps back.
AT = rfc3339("greatest(clock_timestamp(), mg_updated_at)")


def _patched(patches: Mapping[tuple[str, ...], Any]) -> tuple[str, dict[str, Any]]:
    """The variable map with values set at paths, as SQL; paths are our own words, values are parameters."""
    vars_, values = "mg_mma_vars", {}
    for number, (path, value) in enumerate(patches.items()):
        vars_ = f"jsonb_set({vars_}, '{{{','.join(path)}}}', cast(:patch_{number} as jsonb))"
        values[f"patch_{number}"] = orjson.dumps(value).decode()
    return vars_, values


def appended(vars_: str, path: Sequence[str], item: str) -> str:
    """The variable map with one more item at the end of the list at `path`, as SQL."""
    joined = "{" + ",".join(path) + "}"
    return f"jsonb_set({vars_}, '{joined}', coalesce(mg_mma_vars #> '{joined}', '[]') || {item})"


PROGRESS = Query(
    select(
        LedgerRow.pass_id,
        STATUS,
        LedgerRow.mma_vars["userMessages"],
        LedgerRow.mma_vars["statuses"],
        LedgerRow.updated_at,
    ).where(recorded_as(Generation), LedgerRow.deleted_at.is_(None), LedgerRow.id == bindparam("id"))
)

_CLAIM = text(f"""
    update mega_generations set mg_meta = mg_meta || jsonb_build_object(
      'lease', cast(:lease as text), 'lease_until', clock_timestamp() + make_interval(secs => :lease_seconds),
      'attempts', coalesce((mg_meta ->> 'attempts')::int, 0) + 1,
      'first_started_at', coalesce(mg_meta -> 'first_started_at', to_jsonb(clock_timestamp())))
    where mg_id = :id and {UNHELD}
    returning mg_id, substr(mg_id, 12), mg_pass_id, mg_mma_mode, mg_mma_status,
      (mg_meta ->> 'attempts')::int, mg_mma_vars,
      extract(epoch from (mg_meta ->> 'first_started_at')::timestamptz - clock_timestamp())::float +
        {_DEADLINE}
""").columns(mg_mma_vars=LedgerRow.mma_vars.type)

_RENEW = text(f"""
    update mega_generations set mg_meta = mg_meta || jsonb_build_object('lease_until', clock_timestamp() + make_interval(secs => :lease_seconds))
    where {_HELD}
    returning mg_id
""")

# Handing back is no crash: the attempt is not counted.
_RELEASE = text(f"""
    update mega_generations set mg_meta = mg_meta - 'lease' - 'lease_until' || jsonb_build_object('attempts', (mg_meta ->> 'attempts')::int - 1)
    where {_HELD}
""")

_HOLD = text(f"select 1 from mega_generations where {_HELD} for no key update")

_OVERDUE = f"""(mg_meta ? 'first_started_at' and (mg_meta ->> 'first_started_at')::timestamptz + make_interval(secs =>
    {_DEADLINE}) < clock_timestamp()
  or not mg_meta ? 'first_started_at' and mg_created_at + make_interval(secs => :queue_deadline) < clock_timestamp())"""

_STRANDED = text(f"""
    select mg_id, {_OVERDUE} from mega_generations
    where {UNHELD}
    order by mg_created_at limit 500
""")

_DEADLINES = {
    "still_deadline": DEADLINES[GenerationKind.STILL].total_seconds(),
    "video_deadline": DEADLINES[GenerationKind.VIDEO].total_seconds(),
}


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
    seq = SEQ
    if status is not None:
        seq = f"({seq} + 1)"
        vars_ = appended(vars_, ("statuses",), f"jsonb_build_object('seq', {seq}, 'status', cast(:status as text), 'at', {AT})")
        values["status"] = status.value
    if line is not None:
        seq = f"({seq} + 1)"
        stage = "cast(:status as text)" if status is not None else "mg_mma_status"
        message = f"jsonb_build_object('seq', {seq}, 'text', cast(:line as text), 'stage', {stage}, 'at', {AT})"
        vars_ = appended(vars_, ("userMessages", "scan_lines"), message)
        values["line"] = line
    sets = f"mg_mma_vars = {vars_}" + (", mg_mma_status = :status" if status is not None else "")
    statement = text(f"""
        update mega_generations set {sets} where {_HELD}
        returning {SEQ}
    """)
    return (await session.execute(statement, {"id": generation, "lease": lease, **values})).scalar_one_or_none()


async def finish(session: AsyncSession, generation: str, lease: str, ending: Ending, *, final_line: str) -> int | None:
    """End a running generation in DONE: its last line, its end, its columns, in one UPDATE; gives its seq, None when the lease is lost."""
    line = f"jsonb_build_object('seq', {SEQ} + 1, 'text', cast(:line as text), 'stage', 'done', 'at', {AT})"
    vars_ = f"jsonb_set(mg_mma_vars, '{{userMessages,final_line}}', {line})"
    vars_ = appended(vars_, ("statuses",), f"jsonb_build_object('seq', {SEQ} + 2, 'status', 'done', 'at', {AT})")
    statement = text(f"""
        update mega_generations set mg_mma_vars = {vars_}, mg_mma_status = 'done', mg_status = 'succeeded', mg_prompt = :prompt,
          mg_output_url = :output_url, mg_output_key = :output_key, mg_provider = :provider, mg_model = :model,
          mg_latency_ms = {_LATENCY}, mg_meta = mg_meta - 'lease' - 'lease_until'
        where {_HELD}
        returning {SEQ}
    """)
    values = {"id": generation, "lease": lease, "line": final_line, **ending._asdict()}
    return (await session.execute(statement, values)).scalar_one_or_none()


_LOCK_TO_FAIL = text(f"""
    select mg_pass_id, coalesce((mg_meta ->> 'refundable')::int, (mg_meta ->> 'cost')::int, 0), mg_mma_vars ->> 'mode'
    from mega_generations
    where mg_id = :id and {IN_FLIGHT} and (cast(:lease as text) is null or mg_meta ->> 'lease' = :lease)
    for no key update
""")

_LOCK_IN_FLIGHT = text(f"""
    select mg_id, coalesce((mg_meta ->> 'refundable')::int, (mg_meta ->> 'cost')::int, 0) from mega_generations
    where mg_pass_id = :pass_id and {IN_FLIGHT} order by mg_id for no key update
""")
_CAP_REFUND = text(
    "update mega_generations set mg_meta = mg_meta || jsonb_build_object('refundable', cast(:refundable as int)) where mg_id = :id"
)

_FAILED = appended("mg_mma_vars", ("statuses",), f"jsonb_build_object('seq', {SEQ} + 1, 'status', 'error', 'at', {AT})")
_FAIL = text(f"""
    update mega_generations set mg_mma_status = 'error', mg_status = 'failed', mg_error = :code, mg_mma_vars = {_FAILED},
      mg_latency_ms = {_LATENCY},
      mg_meta = mg_meta - 'lease' - 'lease_until' || jsonb_build_object('failure', cast(:failure as jsonb))
    where mg_id = :id
    returning {SEQ}
""")


async def lock_to_fail(session: AsyncSession, generation: str, lease: str | None) -> tuple[str, int, str] | None:
    """Lock an unfinished generation to end it in ERROR: its Pass, what it gives back, and its kind; None when it has ended or the lease is lost.

    Without a lease (a deadline, a cancel) whoever holds it loses it. The caller has locked the customer first.
    """
    row = (await session.execute(_LOCK_TO_FAIL, {"id": generation, "lease": lease})).first()
    return None if row is None else (row[0], row[1], row[2])


async def fail(session: AsyncSession, generation: str, code: str, failure: Mapping[str, Any]) -> int:
    """End a locked generation in ERROR; gives its seq. `failure` is what people are told of it."""
    values = {"id": generation, "code": code, "failure": orjson.dumps(failure).decode()}
    return int((await session.execute(_FAIL, values)).scalar_one())


# `late` in the failure marks a cancel after the paid call went out.
_LATE_CANCELS = text("""
    select count(*) from mega_generations
    where mg_pass_id = :pass_id and mg_record_type = 'generation' and mg_mma_status = 'error' and mg_error = 'CANCELLED'
      and mg_meta @> '{"late_cancel": true}' and mg_updated_at > clock_timestamp() - interval '24 hours'
      and mg_created_at > clock_timestamp() - interval '26 hours'
""")
_MARK_LATE = text("""update mega_generations set mg_meta = mg_meta || '{"late_cancel": true}' where mg_id = :id""")


async def late_cancels(session: AsyncSession, pass_id: str) -> int:
    """How many generations a Pass cancelled after their paid call, in the last 24 hours; deleted ones count. The caller holds the customer's lock."""
    return int((await session.execute(_LATE_CANCELS, {"pass_id": pass_id})).scalar_one())


async def mark_late_cancel(session: AsyncSession, generation: str) -> None:
    """Note on a locked, unfinished generation that its cancel came after the paid call."""
    await session.execute(_MARK_LATE, {"id": generation})


_DELETE = text("""
    update mega_generations set mg_deleted_at = clock_timestamp()
    where mg_id = :id and mg_pass_id = :pass_id and mg_record_type = 'generation' and mg_deleted_at is null
      and coalesce(mg_mma_status, 'done') in ('done', 'error')
    returning mg_id
""")


async def delete(session: AsyncSession, generation: str, pass_id: str) -> bool:
    """Take an ended generation out of every read; False when it is gone already. Nothing of it is removed."""
    return (await session.execute(_DELETE, {"id": generation, "pass_id": pass_id})).first() is not None


async def lock_in_flight(session: AsyncSession, pass_id: str) -> list[tuple[str, int]]:
    """Lock the unfinished generations of a Pass, in id order: each with what it would give back if it failed."""
    return [(row[0], row[1]) for row in await session.execute(_LOCK_IN_FLIGHT, {"pass_id": pass_id})]


async def cap_refund(session: AsyncSession, generation: str, refundable: int) -> None:
    """Let an unfinished generation give back no more than this."""
    await session.execute(_CAP_REFUND, {"id": generation, "refundable": refundable})


async def pass_of(session: AsyncSession, generation: str) -> str | None:
    """The Pass of a generation, read without a lock; read it again under both locks."""
    row = (await session.execute(select(LedgerRow.pass_id).where(LedgerRow.id == generation))).first()
    return None if row is None else str(row[0])
