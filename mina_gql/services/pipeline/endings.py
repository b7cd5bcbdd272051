"""Ends in ERROR: the failure, the refund and the last record in one transaction, once."""

import structlog

from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import JobQueue, ProgressBus
from mina_gql.mega.database import Database, DatabaseAway, SessionConnection
from mina_gql.mega.generations import runs, steps
from mina_gql.services import credits
from mina_gql.services.credits import CreditService

log = structlog.get_logger(__name__)


class Endings:
    """Ends generations that fail, and finds those that nobody works on."""

    def __init__(self, database: Database, bus: ProgressBus, jobs: JobQueue, ledger: CreditService) -> None:
        self._database = database
        self._bus = bus
        self._jobs = jobs
        self._ledger = ledger

    async def fail(self, generation: str, failure: GenerationFailed, *, lease: str | None) -> bool:
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
            log.warning("generation ended in error", generation=generation, code=failure.code, detail=failure.detail)
            await self._bus.announce(generation, seq)
            await self._ledger.changed(pass_id)
            return True

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
