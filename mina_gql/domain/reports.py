"""What reports say: days of a time zone, the health of a provider, and the invariants a sample of the ledger is held to."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mina_gql.domain.errors import InvalidInput

MAX_DAYS = 366
MAX_SAMPLE = 1_000


class Day(NamedTuple):
    """A calendar day of a zone: its ISO date, and the UTC moments it begins and ends with; 23 to 25 hours apart."""

    name: str
    begins: datetime
    ends: datetime


def days_until(now: datetime, count: int, zone: ZoneInfo) -> list[Day]:
    """The last `count` days of a zone, the one of `now` last."""
    today = now.astimezone(zone).date()
    dates = [today - timedelta(days=back) for back in range(count - 1, -2, -1)]
    return [Day(day.isoformat(), _midnight(day, zone), _midnight(following, zone)) for day, following in pairwise(dates)]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def check_span(days: int, sample: int) -> None:
    """Raises InvalidInput for a report that would be too long."""
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"`days` is 1 to {MAX_DAYS}.", ["days"])
    if not 0 <= sample <= MAX_SAMPLE:
        raise InvalidInput(f"`sample` is 0 to {MAX_SAMPLE:,}.", ["sample"])


class Audited(NamedTuple):
    """A generation with all that its money and its steps say. `refundable` is what its end in ERROR gives back.

    `charged` and `refunded` are sums of the ledger, in matcha, a charge below 0; None where there is no such row. `steps` counts
    them, `last_step` is the highest number, -1 without any; `open_steps` are still running. `lowest` is what the ledger of its
    Pass, added up in its order, came to at its lowest point.
    """

    id: str
    status: str
    cost: int
    refundable: int
    charged: int | None
    refunded: int | None
    steps: int
    last_step: int
    open_steps: int
    lowest: int


def faults_of(found: Audited) -> list[str]:
    """What is wrong with a generation, in sentences; nothing, as a rule (DESIGN sections 5 and 6)."""
    faults = []
    if -(found.charged or 0) != found.cost:
        faults.append(f"{found.id} cost {found.cost} matcha and {-(found.charged or 0)} were charged.")
    due = found.refundable if found.status == "error" else 0
    if (found.refunded or 0) != due:
        faults.append(f"{found.id} is {found.status} and was refunded {found.refunded or 0} matcha where {due} were due.")
    if found.lowest < 0:
        faults.append(f"The ledger of the Pass that {found.id} belongs to once came to {found.lowest} matcha, below 0.")
    if found.steps != found.last_step + 1:
        faults.append(f"{found.id} has {found.steps} steps, and the last one has number {found.last_step}.")
    if found.open_steps and found.status in {"done", "error"}:
        faults.append(f"{found.id} has ended and {found.open_steps} of its steps are still open.")
    return faults
