"""Runs one generation to its end: takes the lease, records steps, skips what an earlier run finished, refunds failures."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex

import structlog

from mina_gql.domain import observing
from mina_gql.domain.errors import GenerationFailed, LeaseLost, ProviderNotConfigured
from mina_gql.domain.pipeline import LEASE, LEASE_RENEWAL, MAX_ATTEMPTS, FailureCode
from mina_gql.domain.ports import ProgressBus, StorageError
from mina_gql.mega.database import Database, DatabaseAway
from mina_gql.mega.generations import runs
from mina_gql.mega.generations.runs import Ending
from mina_gql.services.pipeline.endings import Endings
from mina_gql.services.pipeline.lines import PACE_SECONDS, line_for, waiting_line
from mina_gql.services.pipeline.recorder import Recorder, Step
from mina_gql.services.pipeline.steps import Stage, pipeline_of
from mina_gql.services.pipeline.work import Call, Outcome, Tools, Work

log = structlog.get_logger(__name__)

_OOPS = "Something went wrong on our side. Your matcha is back; please try again."


class Runner:
    """Takes generations over and finishes them. Several may run at once, in one process or in many."""

    def __init__(self, database: Database, tools: Tools, bus: ProgressBus, endings: Endings) -> None:
        self._database = database
        self._tools = tools
        self._bus = bus
        self._endings = endings

    async def run(self, generation: str) -> None:
        """Work on a generation (mg_id) until it ends; returns at once when somebody else does, or it has ended.

        Cancelled from outside (shutdown), it hands the generation back unfinished.
        """
        lease = token_hex(16)
        async with self._database.begin() as session:
            claim = await runs.claim(session, generation, lease)
        if claim is None:
            return
        recorder = Recorder(self._database, self._bus, claim, lease)
        try:
            work = Work(claim, self._tools, claim.vars)
            async with self._renewing(generation, lease), _keeping_company(work, recorder):
                await self._work(work, recorder)
            await recorder.finish(_ending(work), work.vars["prompts"]["userMessage_final"])
        except LeaseLost:
            log.warning("lease lost", generation=generation)
        except DatabaseAway:
            raise  # nothing can be recorded now: the lease runs out and another run goes on from the last checkpoint
        except asyncio.CancelledError:
            async with self._database.begin() as session:
                await runs.release(session, generation, lease)
            raise
        except GenerationFailed as failure:
            await self._endings.fail(generation, failure, lease=lease)
        except ProviderNotConfigured as error:
            await self._endings.fail(generation, _not_configured(error), lease=lease)
        except Exception as error:
            log.exception("generation failed", generation=generation)
            await self._endings.fail(generation, GenerationFailed(FailureCode.INTERNAL, _OOPS, detail=repr(error)), lease=lease)

    async def _work(self, work: Work, recorder: Recorder) -> None:
        if work.claim.attempts > MAX_ATTEMPTS:
            raise GenerationFailed(FailureCode.INTERNAL, _OOPS, detail=f"given up after {MAX_ATTEMPTS} attempts")
        if work.claim.seconds_left <= 0:
            raise _deadline_exceeded()
        try:
            async with asyncio.timeout(work.claim.seconds_left):
                await recorder.load()
                work.begun = recorder.begun
                for stage in pipeline_of(work.vars):
                    await self._stage(work, stage, recorder)
        except TimeoutError as error:
            raise _deadline_exceeded() from error

    async def _stage(self, work: Work, stage: Stage, recorder: Recorder) -> None:
        calls = [call for plan in stage.plans for call in await plan(work)]
        if calls:
            await recorder.enter(stage.status, line_for(stage.status, work.generation, mode=work.claim.mode))
            await self._together(calls, work, recorder)

    async def _together(self, calls: Sequence[Call], work: Work, recorder: Recorder) -> None:
        """Run calls at the same time. The first essential failure ends them all."""
        waiting = [call for call in calls if not recorder.succeeded(call)]
        if len(waiting) == 1:
            await self._call(waiting[0], work, recorder)
            return
        try:
            async with asyncio.TaskGroup() as group:
                for call in waiting:
                    group.create_task(self._call(call, work, recorder))
        except* (GenerationFailed, LeaseLost, DatabaseAway) as failures:
            raise _first(failures) from failures

    async def _call(self, call: Call, work: Work, recorder: Recorder) -> None:
        step = await recorder.begin(call)
        try:
            with observing.step(call.step_type, call.provider):
                outcome = await self._attempt(call, step)
        except GenerationFailed as failure:
            if call.essential:
                raise failure.at(call.step_type)  # noqa: B904 -- the same error; its step is closed as the generation ends
            await recorder.failed(step, failure)
            log.warning("step failed, going on", generation=work.generation, step=call.step_type, error=failure.detail)
            return
        await recorder.succeed(step, outcome)
        work.apply(outcome.patches)

    async def _attempt(self, call: Call, step: Step) -> Outcome:
        """The step's work, with everything that may go wrong in it as a GenerationFailed."""
        try:
            return await call.work(step)
        except (GenerationFailed, LeaseLost, DatabaseAway):
            raise
        except StorageError as error:
            raise GenerationFailed(
                FailureCode.STORAGE_ERROR, "The picture could not be kept. Please try again.", detail=str(error)
            ) from error
        except Exception as error:
            log.exception("step broke", step=call.step_type)
            raise GenerationFailed(FailureCode.INTERNAL, _OOPS, detail=repr(error)) from error

    @asynccontextmanager
    async def _renewing(self, generation: str, lease: str) -> AsyncIterator[None]:
        """Keep the lease while the block runs; the block ends in LeaseLost when it is gone or cannot be renewed in time."""
        try:
            async with asyncio.timeout(LEASE.total_seconds()) as held:
                renewal = asyncio.create_task(self._renew(generation, lease, held))
                try:
                    yield
                finally:
                    renewal.cancel()
                    await asyncio.gather(renewal, return_exceptions=True)
        except TimeoutError as error:
            if held.expired():
                raise LeaseLost from error
            raise

    async def _renew(self, generation: str, lease: str, held: asyncio.Timeout) -> None:
        now = asyncio.get_running_loop().time
        while not held.expired():
            await asyncio.sleep(LEASE_RENEWAL.total_seconds())
            asked = now()
            try:
                async with self._database.begin() as session:
                    ours = await runs.renew(session, generation, lease)
            except Exception as error:  # noqa: BLE001 -- there is time for another try before the lease runs out
                log.warning("lease not renewed, trying again", generation=generation, error=error)
            else:
                held.reschedule(asked + LEASE.total_seconds() if ours else asked)


@asynccontextmanager
async def _keeping_company(work: Work, recorder: Recorder) -> AsyncIterator[None]:
    """A line every few seconds while the block runs, so that nobody stares at a dead loader."""

    async def talk() -> None:
        told = len(work.vars["userMessages"]["scan_lines"])
        while True:
            await asyncio.sleep(max(0.0, PACE_SECONDS - recorder.silent_for))
            if recorder.silent_for < PACE_SECONDS:
                continue
            try:
                await recorder.say(waiting_line(work.claim.mode, recorder.status, work.generation, told))
            except LeaseLost:
                return  # the run itself finds out
            except Exception as error:  # noqa: BLE001 -- a line less is no reason to end
                log.warning("a line was not told", generation=work.generation, error=error)
                await asyncio.sleep(PACE_SECONDS)
            told += 1

    talking = asyncio.create_task(talk())
    try:
        yield
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


def _ending(work: Work) -> Ending:
    outputs = work.vars["outputs"]
    return Ending(work.vars["prompts"]["clean_prompt"], outputs["url"], outputs["key"], outputs["provider"], outputs["model"])


def _deadline_exceeded() -> GenerationFailed:
    return GenerationFailed(
        FailureCode.DEADLINE_EXCEEDED, "This took longer than it should. Your matcha is back; please try again."
    )


def _not_configured(error: ProviderNotConfigured) -> GenerationFailed:
    return GenerationFailed(
        FailureCode.PROVIDER_NOT_CONFIGURED,
        "This cannot be made here at the moment. Your matcha is back.",
        detail=error.message,
        retryable=False,
    )


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group: the others failed because of it, or would have ended the run the same way."""
    leaf: BaseException = failures
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
