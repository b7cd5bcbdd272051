"""What a backfill did, in numbers and in words. No Pass ID, e-mail or prompt stands in it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

SAMPLES = 5
LISTED = 200


@dataclass(slots=True)
class Remarks:
    """Reasons, how often each was met, and the first rows it was met at."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reason: str, at: str | None) -> None:
        """Note a reason; `at` names the row where it may be named."""
        self.counts[reason] += 1
        if at is not None and len(self.samples[reason]) < SAMPLES:
            self.samples[reason].append(at)

    def lines(self) -> Iterator[str]:
        """A line a reason, the commonest first."""
        for reason, count in self.counts.most_common():
            named = self.samples[reason]
            more = ", …" if count > len(named) else ""
            yield f"{count:,} {reason}" + (f": {', '.join(named)}{more}" if named else "")


@dataclass(slots=True)
class TableReport:
    """One legacy table: rows read = written + there already + skipped. Remarks are about rows that were written."""

    name: str
    read: int = 0
    written: int = 0
    present: int = 0
    skipped: Remarks = field(default_factory=Remarks)
    remarks: Remarks = field(default_factory=Remarks)

    @property
    def left_out(self) -> int:
        """How many rows were skipped."""
        return self.skipped.counts.total()


@dataclass(slots=True)
class BackfillReport:
    """The whole run. `adjustments` are the first of those that closed a ledger: keyed hash of the Pass, matcha."""

    dry_run: bool
    tables: dict[str, TableReport] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    orphans: int = 0
    adjusted: int = 0
    adjusted_by: int = 0
    adjustments: list[tuple[str, int]] = field(default_factory=list)
    learners: int = 0

    @property
    def changed(self) -> int:
        """How many legacy rows were written, or would be."""
        return sum(table.written for table in self.tables.values())

    def table(self, name: str) -> TableReport:
        """The report of a table, from when it is first spoken of."""
        return self.tables.setdefault(name, TableReport(name))

    def adjust(self, name: str, delta: int) -> None:
        """Note that a ledger was closed by an adjustment."""
        self.adjusted += 1
        self.adjusted_by += delta
        if len(self.adjustments) < LISTED:
            self.adjustments.append((name, delta))

    def lines(self) -> Iterator[str]:
        """The report as it is printed."""
        yield f"{'legacy table':<22}{'read':>12}{'to write' if self.dry_run else 'written':>12}{'there':>12}{'skipped':>12}"
        for table in self.tables.values():
            yield f"{table.name:<22}{table.read:>12,}{table.written:>12,}{table.present:>12,}{table.left_out:>12,}"
        if self.missing:
            yield f"Not there: {', '.join(self.missing)}."
        for table in self.tables.values():
            yield from (f"{table.name}, skipped: {line}" for line in table.skipped.lines())
            yield from (f"{table.name}: {line}" for line in table.remarks.lines())
        if self.orphans:
            stand = self._verb("stand", "would stand")
            yield f"{self.orphans:,} rows name nobody who is there; they {stand} with a Pass made for them."
        yield from (f"Ledger closed by an adjustment of {delta:+,}: {name}" for name, delta in self.adjustments)
        if self.adjusted:
            more = f", of which {LISTED} are listed" if self.adjusted > LISTED else ""
            yield f"{self.adjusted:,} ledgers closed by adjustments{more}, {self.adjusted_by:+,} matcha in all."
        if self.learners:
            yield f"{self.learners:,} Passes {self._verb('have', 'would have')} learned from their old likes."

    def _verb(self, done: str, planned: str) -> str:
        return planned if self.dry_run else done
