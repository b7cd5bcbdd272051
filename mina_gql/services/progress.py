"""Progress: follow one generation from any point, each event once and in order (DESIGN section 7)."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from mina_gql.domain.errors import NoSuchThing
from mina_gql.domain.pipeline import GenerationStatus, bare_id, generation_mg_id
from mina_gql.domain.ports import ProgressBus
from mina_gql.mega.database import Database, decode
from mina_gql.mega.generations import runs
from mina_gql.mega.generations.runs import ProgressRow

REREAD_SECONDS = 5.0
_ENDS = {GenerationStatus.DONE, GenerationStatus.ERROR}


class Message(NamedTuple):
    """A line was added. `at` is RFC 3339."""

    seq: int
    text: str
    stage: str
    at: str


class Change(NamedTuple):
    """The status changed; DONE and ERROR are the end."""

    seq: int
    status: GenerationStatus
    at: str

    @property
    def final(self) -> bool:
        """Whether nothing follows."""
        return self.status in _ENDS


Event = Message | Change


class ProgressService:
    """Reads what was recorded of a generation, and waits for more."""

    def __init__(self, database: Database, bus: ProgressBus) -> None:
        self._database = database
        self._bus = bus

    async def follow(self, pass_id: str, given: str, after_seq: int) -> AsyncIterator[Event]:
        """Everything recorded with `seq > after_seq`, then what comes, until the end. Raises NoSuchThing.

        It registers for wake-ups first, then reads, and re-reads every few seconds in any case: nothing is lost or doubled
        by a lost announcement, a restart, or another process doing the work. It holds no more than one row's events.
        """
        generation = generation_mg_id(bare_id("generation", given))
        seq, owned = after_seq, False
        async with self._bus.watch(generation) as wakeups:
            while True:
                row = await self._read(generation)
                if row is None or not (owned or row.pass_id == pass_id):
                    raise NoSuchThing("There is no such generation.")
                owned = True
                recorded = events_of(row)
                for event in recorded:
                    if event.seq > seq:
                        seq = event.seq
                        yield event
                if recorded and isinstance(recorded[-1], Change) and recorded[-1].final:
                    return
                await wakeups.wait(REREAD_SECONDS)

    async def _read(self, generation: str) -> ProgressRow | None:
        record = await self._database.fetch_one(runs.PROGRESS, id=generation)
        return None if record is None else ProgressRow(*record)


def events_of(row: ProgressRow) -> list[Event]:
    """What is recorded, in order of `seq`; a row from before MMA may lack its end, which its status tells all the same."""
    messages, statuses = decode(row.messages) or {}, decode(row.statuses) or []
    events: list[Event] = [message_of(line) for line in lines_of(messages)]
    events += [Change(entry["seq"], GenerationStatus(entry["status"]), entry["at"]) for entry in statuses]
    events.sort(key=lambda event: event.seq)
    if row.status in _ENDS and not any(isinstance(event, Change) and event.final for event in events):
        events.append(Change(events[-1].seq + 1 if events else 1, GenerationStatus(row.status), row.updated_at))
    return events


def lines_of(messages: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a map's `userMessages`, the final one included."""
    final = messages.get("final_line")
    return [*messages.get("scan_lines", []), *([final] if final else [])]


def message_of(line: dict[str, Any]) -> Message:
    """A recorded line as people read it."""
    return Message(line["seq"], line["text"], line["stage"], line["at"])
