"""Records a run: steps, statuses, lines, the end in DONE. Every write holds the lease; what is recorded is then announced."""

import time
from datetime import UTC, datetime

from mina_gql.domain import observing
from mina_gql.domain.errors import GenerationFailed, LeaseLost
from mina_gql.domain.pipeline import FailureCode, GenerationStatus, StepStatus
from mina_gql.domain.ports import Accepted, ProgressBus
from mina_gql.mega.database import Database, Transaction
from mina_gql.mega.generations import runs, steps
from mina_gql.mega.generations.runs import Claim, Ending
from mina_gql.mega.generations.steps import Checkpoint, StepResult
from mina_gql.services.pipeline.work import Call, Outcome

_ORDER = list(GenerationStatus)


class Recorder:
    """The pen of one run over one generation."""

    def __init__(self, database: Database, bus: ProgressBus, claim: Claim, lease: str) -> None:
        self._database = database
        self._bus = bus
        self._claim = claim
        self._lease = lease
        self._status = GenerationStatus(claim.status)
        self._checkpoints: list[Checkpoint] = []
        self._line_at = time.monotonic()

    @property
    def status(self) -> GenerationStatus:
        """Where the generation stands."""
        return self._status

    @property
    def silent_for(self) -> float:
        """Seconds since the person was last told something."""
        return time.monotonic() - self._line_at

    @property
    def begun(self) -> frozenset[str]:
        """The types of the steps that an earlier run began and did not fail in."""
        return frozenset(point.step_type for point in self._checkpoints if point.status != StepStatus.FAILED)

    async def load(self) -> None:
        """Read what earlier runs recorded."""
        async with self._database.begin() as session:
            self._checkpoints = await steps.checkpoints(session, self._claim.generation_id)

    def succeeded(self, call: Call) -> bool:
        """Whether an earlier run finished this step: its patches are in the map already."""
        return any(point.status == StepStatus.SUCCEEDED for point in self._points(call))

    async def enter(self, status: GenerationStatus, line: str) -> None:
        """Go on to a status, with a line; never backwards, and once."""
        if _ORDER.index(status) <= _ORDER.index(self._status):
            return
        async with self._database.begin() as session:
            seq = _still_ours(await runs.advance(session, self._claim.id, self._lease, status=status, line=line))
        self._status = status
        await self._told(seq)

    async def say(self, line: str) -> None:
        """A line between the others, while something takes its time."""
        async with self._database.begin() as session:
            seq = _still_ours(await runs.advance(session, self._claim.id, self._lease, line=line))
        await self._told(seq)

    async def begin(self, call: Call) -> "Step":
        """Open a step, or take the one that a crash left open: same row, same number."""
        open_ = next((point for point in self._points(call) if point.status == StepStatus.RUNNING), None)
        if open_ is not None:
            return Step(self, open_.id, already_sent=open_.sent, prediction_id=open_.prediction_id)
        async with self._database.begin() as session:
            await self._hold(session)
            step_id = await steps.start(
                session,
                self._claim.id,
                call.step_type,
                index=call.index,
                provider=call.provider,
                model=call.model,
                input_=call.recorded_input,
            )
        return Step(self, step_id)

    async def succeed(self, step: "Step", outcome: Outcome) -> None:
        """Close a step and write what it found into the map, with its line, in one transaction."""
        usage = outcome.usage
        result = StepResult(
            StepStatus.SUCCEEDED,
            outcome.output,
            outcome.provider,
            outcome.model,
            usage.input_chars if usage else None,
            usage.output_chars if usage else None,
            usage.input_tokens if usage else None,
            usage.output_tokens if usage else None,
            outcome.output_url,
            outcome.output_key,
        )
        async with self._database.begin() as session:
            seq = _still_ours(
                await runs.advance(session, self._claim.id, self._lease, patches=outcome.patches, line=outcome.line)
            )
            await steps.end(session, step.id, result)
        if outcome.line is not None:
            await self._told(seq)

    async def failed(self, step: "Step", failure: GenerationFailed) -> None:
        """Close a step that may fail; one that may not is closed in the transaction that ends its generation."""
        async with self._database.begin() as session:
            await self._hold(session)
            result = StepResult(StepStatus.FAILED, {}, error=failure.code, error_detail=failure.detail)
            await steps.end(session, step.id, result)

    async def mark(self, step_id: str, **marks: str) -> None:
        """Note something on a running step, under the lease. Raises LeaseLost."""
        async with self._database.begin() as session:
            await self._hold(session)
            await steps.mark(session, step_id, **marks)

    async def finish(self, ending: Ending, final_line: str) -> None:
        """End in DONE."""
        async with self._database.begin() as session:
            seq = _still_ours(await runs.finish(session, self._claim.id, self._lease, ending, final_line=final_line))
        observing.ended(self._claim.mode, "DONE")
        await self._bus.announce(self._claim.id, seq)

    def _points(self, call: Call) -> list[Checkpoint]:
        return [point for point in self._checkpoints if (point.step_type, point.position) == (call.step_type, call.index)]

    async def _told(self, seq: int) -> None:
        self._line_at = time.monotonic()
        await self._bus.announce(self._claim.id, seq)

    async def _hold(self, session: Transaction) -> None:
        if not await runs.hold(session, self._claim.id, self._lease):
            raise LeaseLost


class Step:
    """A step that is open: what a paid call needs so that it never pays twice (`work.PaidCall`)."""

    def __init__(self, recorder: Recorder, id_: str, *, already_sent: bool = False, prediction_id: str | None = None) -> None:
        self._recorder = recorder
        self._already_sent = already_sent
        self.id = id_
        self.prediction_id = prediction_id

    async def sent(self) -> None:
        """Mark the step as sent, right before the paid call.

        A takeover that finds it sent without an id cannot know whether the vendor was reached: it ends, with its refund.
        """
        if self._already_sent:
            raise GenerationFailed(
                FailureCode.PROVIDER_ERROR,
                "We were interrupted at the worst moment. Your matcha is back; please try again.",
                detail="taken over after the paid call was sent and before its id was kept",
            )
        await self._recorder.mark(self.id, sent_at=datetime.now(UTC).isoformat())

    @property
    def accepted(self) -> Accepted:
        """Keeps the vendor's prediction id."""

        async def keep(prediction_id: str) -> None:
            await self._recorder.mark(self.id, prediction_id=prediction_id)
            self.prediction_id = prediction_id

        return keep


def _still_ours(seq: int | None) -> int:
    if seq is None:
        raise LeaseLost
    return seq
