"""Company for those whom no run talks to: in the queue, and after a worker died, a line every few seconds all the same."""

from mina_gql.domain.pipeline import GenerationStatus
from mina_gql.domain.ports import ProgressBus
from mina_gql.mega.database import Database
from mina_gql.mega.generations import waiting
from mina_gql.services.pipeline.lines import PACE_SECONDS, waiting_line

QUEUED_SILENCE = PACE_SECONDS - 1
SILENCE = PACE_SECONDS + 0.3
"""A run that lives talks by itself, so it is given a little longer."""


class QueueCompany:
    """Talks to the silent; several processes may do so at once, each line is told by one."""

    def __init__(self, database: Database, bus: ProgressBus) -> None:
        self._database = database
        self._bus = bus

    async def talk(self) -> int:
        """Tell each that has heard nothing for a while its next line; gives how many."""
        async with self._database.begin() as session:
            silent = await waiting.silent(session, queued=QUEUED_SILENCE, begun=SILENCE)
        told = 0
        for one in silent:
            line = waiting_line(one.mode, GenerationStatus(one.status), one.id, one.told)
            async with self._database.begin() as session:
                seq = await waiting.say(session, one, line)
            if seq is not None:
                told += 1
                await self._bus.announce(one.id, seq)
        return told
