"""Ends in ERROR: the failure, the refund and the last record in one transaction, once. By a run, a deadline, or the person."""

from collections.abc import Awaitable, Callable

import structlog

from mina_gql.domain import observing
from mina_gql.domain.errors import GenerationFailed, MinaError, NotCancellable
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import JobQueue, Models, ProgressBus
from mina_gql.mega.database import Database, DatabaseAway, SessionConnection, Transaction
from mina_gql.mega.generations import runs, steps
from mina_gql.mega.generations.steps import PaidCall
from mina_gql.services import credits
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService

log = structlog.get_logger(__name__)

Check = Callable[[Transaction, str, str], Awaitable[None]]
"""Called with the Pass and the generation under both locks; raises when it must not end now."""


class Endings:
    """Ends generations that fail or are cancelled, and finds those that nobody works on."""

    def __init__(
        self,
        database: Database,
        bus: ProgressBus,
        jobs: JobQueue,
        ledger: CreditService,
        config: ConfigService,
        models: Models,
    ) -> None:
        self._database = database
        self._bus = bus
        self._jobs = jobs
        self._ledger = ledger
        self._config = config
        self._models = models
        self._told: set[str] = set()

    async def fail(self, generation: str, failure: GenerationFailed, *, lease: str | None, check: Check | None = None) -> bool:
        """End a generation (mg_id) in ERROR with its refund; False when it has ended already, or the lease is lost.

        Locks are taken customer first, then generation; a merge in between starts the transaction over.
        """
        while True:
            async with self._database.begin() as session:
                pass_id = await runs.pass_of(session, generation)
                if pass_id is None:
                    return False
                locked = await credits.settle(session, pass_id)
                held = await runs.lock_to_fail(session, generation, lease)
                if held is None:
                    return False
                if held[0] != pass_id:
                    continue
                if check is not None:
                    await check(session, pass_id, generation)
                cost = held[1]
                await steps.close_open(session, generation, failure.code, failure.detail)
                if locked is not None:
                    await credits.refund(session, locked, generation.removeprefix("generation:"), cost)
                told = {
                    "message": failure.message,
                    "step_type": failure.step_type,
                    "retryable": failure.retryable,
                    "refunded": locked is not None and cost > 0,
                }
                seq = await runs.fail(session, generation, failure.code, told)
            # The words of an unforeseen error may be a person's: where it broke is in the log already.
            detail = None if failure.code == FailureCode.INTERNAL else failure.detail
            log.warning("generation ended in error", generation=generation, code=failure.code, detail=detail)
            observing.ended(held[2], failure.code, refunded=cost if locked is not None else 0)
            await self._bus.announce(generation, seq)
            await self._ledger.changed(pass_id)
            return True

    # ------------------------------------------------------------ cancelling

    async def cancel(self, generation: str) -> None:
        """End an unfinished generation (mg_id) because its owner says so. Raises NotCancellable.

        Before the paid call it is free; after it, a Pass may do so a few times a day (DESIGN section 6). The row's lock decides
        the race with the paid call: its `sent` mark needs the lease, which is gone with the end.
        """
        failure = GenerationFailed(
            FailureCode.CANCELLED, "You stopped this one. Your matcha is back.", detail="cancelled by its owner"
        )
        if not await self.fail(generation, failure, lease=None, check=self._may_cancel):
            raise NotCancellable("This one has ended already.")

    async def _may_cancel(self, session: Transaction, pass_id: str, generation: str) -> None:
        if await steps.paid_call(session, generation.removeprefix("generation:")) is None:
            return
        limit = (await self._config.runtime()).late_cancels_per_day
        if await runs.late_cancels(session, pass_id) >= limit:
            raise NotCancellable(f"This one is almost there: after a start, {limit} a day can be stopped. Let it finish.")
        await runs.mark_late_cancel(session, generation)

    async def pass_on_cancels(self) -> int:
        """Tell vendors of paid calls whose generations were cancelled, once a process: the telling may be lost with it."""
        async with self._database.begin() as session:
            cancelled = await steps.cancelled_calls(session)
        self._told &= {call.generation for call in cancelled}
        untold = [call for call in cancelled if call.generation not in self._told]
        for call in untold:
            await self._tell_vendor(call)
        return len(untold)

    async def _tell_vendor(self, call: PaidCall) -> None:
        line = (await self._config.role(call.mode)).line
        role = next((each for each in line if call.step_type.startswith(f"{each.provider}_generate")), line[0])
        try:
            await self._models.media(role).cancel(str(call.prediction_id))
        except MinaError as error:
            log.warning("the vendor was not told of a cancel", generation=call.generation, error=error)
        self._told.add(call.generation)

    # ------------------------------------------------------------ reconciling

    async def reconcile(self) -> int:
        """Find unfinished work that nobody holds: end what is overdue, enqueue the rest again. Gives how many were found."""
        async with self._database.begin() as session:
            stranded = await runs.stranded(session)
            for generation, overdue in stranded:
                if not overdue:
                    await self._jobs.enqueue(SessionConnection(session), generation)
        for generation, overdue in stranded:
            if overdue:
                await self._end_overdue(generation)
        return len(stranded)

    async def _end_overdue(self, generation: str) -> None:
        try:
            await self.fail(generation, _overdue(), lease=None)
        except DatabaseAway:
            raise
        except Exception:
            log.exception("cannot be ended, going on with the others", generation=generation)


def _overdue() -> GenerationFailed:
    return GenerationFailed(
        FailureCode.DEADLINE_EXCEEDED,
        "This took longer than it should. Your matcha is back; please try again.",
        detail="found by the reconcile job past its deadline",
    )
