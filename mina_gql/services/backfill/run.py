"""A backfill from its first row to its report. Killed at any moment, it goes on when run again; run twice, it changes nothing.

What it knows of people lies in temporary tables, so its memory does not grow with the tables. The order is: who there is, their
ledgers, then Pass by Pass both at once with the balance; visits, generations, feedback, admin rows; what was learned from likes.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from mina_gql.domain.backfill import (
    TABLES,
    LegacyRow,
    MappedRow,
    Refs,
    Row,
    admin_row,
    closing_row,
    feedback_rows,
    generation_row,
    ledger_row,
    legacy_person,
    refs_of,
    session_row,
)
from mina_gql.domain.passes import log_name, row_name
from mina_gql.domain.taste import Snapshot, Taste
from mina_gql.mega.backfill import (
    ADMIN,
    LEDGER,
    Books,
    Closing,
    FoundTable,
    Learners,
    LegacySource,
    People,
    Refused,
    Standing,
    Target,
    stopped_in_words,
)
from mina_gql.services.backfill.pages import LegacyPage, LegacyPages
from mina_gql.services.backfill.report import BackfillReport

Tell = Callable[[str, int, int], None]
"""Told of progress: what is done, how much of it, of how much."""
Owned = tuple[MappedRow, str]
"""A row that may be written, and whose it is."""

BOOKS = 500
ERASED = "of a Pass that was erased"
OF_ANOTHER = "about a picture of somebody else, kept without it"
TAKEN = "whose id a row of Mina's own has"
_ADMIN = ("admin_sessions", "admin_audit", "profiles", "runtime_config", "app_config")


class NothingToBackfill(Exception):
    """None of the legacy tables is there."""


class BackfillService:
    """Brings legacy rows into MEGA. `dsn` leads to PostgreSQL itself, `secret` keys what stands for a Pass."""

    def __init__(self, dsn: str, secret: bytes) -> None:
        self._dsn = dsn
        self._secret = secret

    async def run(self, legacy_dsn: str, *, dry_run: bool, tell: Tell) -> BackfillReport:
        """Read, write, report; a dry run writes nothing. Raises LegacyAway, NothingToBackfill and BackfillStopped."""
        with stopped_in_words():
            return await self._run(legacy_dsn, dry_run=dry_run, tell=tell)

    async def _run(self, legacy_dsn: str, *, dry_run: bool, tell: Tell) -> BackfillReport:
        async with LegacySource.opened(legacy_dsn) as source, Target.opened(self._dsn) as target:
            found = await source.tables()
            if not found:
                raise NothingToBackfill(f"None of the legacy tables is there: {', '.join(TABLES)}.")
            report = BackfillReport(dry_run, missing=[name for name in TABLES if name not in found])
            await _Run(source, target, self._secret, report, tell).all_of(found)
            return report


class _Run:
    def __init__(self, source: LegacySource, target: Target, secret: bytes, report: BackfillReport, tell: Tell) -> None:
        self._pages = LegacyPages(source, target)
        self._target = target
        self._secret = secret
        self._report = report
        self._tell = tell
        self._people = People(target, secret)
        self._books = Books(target)

    async def all_of(self, found: dict[str, FoundTable]) -> None:
        """Everything, in its order."""
        await self._people.open()
        await self._books.open()
        if "customers" in found:
            await self._customers(found["customers"])
        if "credit_transactions" in found:
            await self._ledgers(found["credit_transactions"])
        await self._close_books()
        for name, mapping in (("sessions", session_row), ("generations", generation_row)):
            if name in found:
                await self._records(found[name], mapping)
        if "feedback" in found:
            await self._feedback(found["feedback"])
        for name in _ADMIN:
            if name in found:
                await self._admin(found[name])
        if not self._report.dry_run:
            await self._learn()

    # ------------------------------------------------------------ people and money

    async def _customers(self, table: FoundTable) -> None:
        counts = self._report.table(table.name)
        async for page in self._pages.mapped(table, lambda row: legacy_person(row, self._secret)):
            placed, refused = await self._people.meet([person for _, person in page.rows])
            lost = {each.row["pass_id"]: each.why for each in refused}
            for place in placed:
                name = log_name(place.row["pass_id"] if place.row else place.person.pass_id, self._secret)
                if place.row is not None and place.row["pass_id"] in lost:
                    counts.skipped.add(f"refused by the database ({lost[place.row['pass_id']]})", name)
                elif place.row is not None:
                    counts.written += 1
                    for note in (*place.person.notes, *place.notes):
                        counts.remarks.add(note, name)
                elif place.owner.pass_id is None:
                    counts.skipped.add(ERASED, None)
                else:
                    counts.present += 1
            self._read(table, page)

    async def _ledgers(self, table: FoundTable) -> None:
        async for page in self._pages.mapped(table, ledger_row, in_ledger=True):
            fresh = self._owned(table, page.rows, await self._owners(page.rows))
            for mapped, owner in fresh:
                mapped.row["pass_id"] = owner
            self._count(table, fresh, await self._books.stage([mapped.row for mapped, _ in fresh]))
            self._read(table, page)

    async def _close_books(self) -> None:
        total = await self._books.plan()
        for after in range(0, total, BOOKS):
            upto = after + BOOKS
            closings = await (self._books.adjustments if self._report.dry_run else self._close)(after, upto)
            for closing in closings:
                self._report.adjust(log_name(closing.pass_id, self._secret), closing.delta)
            self._tell("Passes and ledgers", min(upto, total), total)
        await self._books.closed()

    async def _close(self, after: int, upto: int) -> list[Closing]:
        async with self._target.begin():
            closings = await self._books.write(after, upto)
            rows = [
                closing_row(each.pass_id, row_name(each.pass_id, self._secret), str(uuid4()), each.delta) for each in closings
            ]
            if refused := await self._target.insert(LEDGER, rows):
                raise RuntimeError(f"an adjustment was refused ({refused[0].why}); the books of its Pass stay open")
            await self._books.settle(after, upto)
        return closings

    # ------------------------------------------------------------ the rest of the ledger

    async def _records(self, table: FoundTable, mapping: Callable[[LegacyRow], MappedRow]) -> None:
        async for page in self._pages.mapped(table, mapping, in_ledger=True):
            owners = await self._owners(page.rows)
            await self._write(table, self._owned(table, page.rows, owners))
            named = {mapped.row["id"]: owner for (_, mapped), owner in zip(page.rows, owners, strict=True)}
            await self._people.remember_rows(named | {id_: row.pass_id for id_, row in page.standing.items()})
            self._read(table, page)

    async def _feedback(self, table: FoundTable) -> None:
        async for page in self._pages.mapped(table, refs_of, in_ledger=True):
            owners, orphans = await self._people.owners_of([refs for _, refs in page.rows])
            self._report.orphans += orphans
            abouts = [refs.generation for _, refs in page.rows if refs.generation is not None]
            known, prompts = await self._people.known(abouts), await self._target.prompts(abouts)
            rows: list[tuple[LegacyRow, MappedRow]] = []
            events: dict[str, Row] = {}
            for (row, refs), owner in zip(page.rows, owners, strict=True):
                about = refs.generation
                strange = about in known and known[about].pass_id != owner
                kept, event = feedback_rows(row, None if strange else about, prompts.get(about or ""))
                rows.append((row, MappedRow(kept, (OF_ANOTHER,) if strange else ())))
                events[kept["id"]] = event
            await self._write(table, self._owned(table, rows, owners), beside=events)
            self._read(table, page)

    async def _write(self, table: FoundTable, fresh: list[Owned], beside: dict[str, Row] | None = None) -> None:
        """Write rows, and what stands beside each, where their Passes are by now."""
        refused: list[Refused] = []
        if not self._report.dry_run and fresh:
            async with self._target.begin():
                await self._people.write({owner for _, owner in fresh})
                standing = await self._target.standing_owners(owner for _, owner in fresh)
                gone = {mapped.row["id"] for mapped, owner in fresh if standing.get(owner) is None}
                rows = [{**mapped.row, "pass_id": standing[owner]} for mapped, owner in fresh if mapped.row["id"] not in gone]
                refused = await self._target.insert(LEDGER, rows)
                lost = {each.row["id"] for each in refused}
                told = (
                    [{**beside[row["id"]], "pass_id": row["pass_id"]} for row in rows if row["id"] not in lost] if beside else []
                )
                await self._target.insert(LEDGER, told)
            for id_ in gone:
                self._report.table(table.name).skipped.add(ERASED, id_)
            fresh = [(mapped, owner) for mapped, owner in fresh if mapped.row["id"] not in gone]
        self._count(table, fresh, refused)

    async def _admin(self, table: FoundTable) -> None:
        record_type = TABLES[table.name].record_type
        async for page in self._pages.mapped(table, lambda row: admin_row(row, record_type)):
            taken = await self._target.present(ADMIN, [mapped.row["id"] for _, mapped in page.rows])
            self._note_standing(table, taken)
            fresh = [(row, mapped) for row, mapped in page.rows if mapped.row["id"] not in taken]
            names = [_acted_on(row, record_type) for row, _ in fresh]
            known = await self._people.known(name for each in names for name in each)
            for each, (_, mapped) in zip(names, fresh, strict=True):
                mapped.row["actor_pass_id"] = next((known[name].pass_id for name in each if name in known), None)
            refused: list[Refused] = []
            if not self._report.dry_run and fresh:
                async with self._target.begin():
                    refused = await self._target.insert(ADMIN, [mapped.row for _, mapped in fresh])
            self._count(table, [(mapped, "") for _, mapped in fresh], refused)
            self._read(table, page)

    async def _learn(self) -> None:
        """Let every Pass learn from the likes that came with it: the snapshot is what its signals add up to (FEATURES M5)."""
        learners = Learners(self._target)
        total = await learners.find()
        for after in range(0, total, BOOKS):
            async with self._target.begin():
                await learners.lock(after, after + BOOKS)
                tastes: dict[str, Taste] = {}
                snapshots: dict[str, Snapshot] = {}
                async for pass_id, signal in learners.signals(after, after + BOOKS):
                    if pass_id not in tastes:
                        snapshots |= {done: taste.snapshot() for done, taste in tastes.items()}
                        tastes = {pass_id: Taste()}
                    tastes[pass_id].hear(signal)
                await learners.write(snapshots | {done: taste.snapshot() for done, taste in tastes.items()})
            self._tell("taste", min(after + BOOKS, total), total)
        self._report.learners = total

    # ------------------------------------------------------------ counting

    async def _owners(self, rows: list[tuple[LegacyRow, MappedRow]]) -> list[str | None]:
        owners, orphans = await self._people.owners_of([_refs(row, mapped) for row, mapped in rows])
        self._report.orphans += orphans
        return owners

    def _owned(self, table: FoundTable, rows: list[tuple[LegacyRow, MappedRow]], owners: Sequence[str | None]) -> list[Owned]:
        """The rows that may be written, and whose they are."""
        fresh: list[Owned] = []
        for (_, mapped), owner in zip(rows, owners, strict=True):
            if owner is None:
                self._report.table(table.name).skipped.add(ERASED, mapped.row["id"])
            else:
                fresh.append((mapped, owner))
        return fresh

    def _note_standing(self, table: FoundTable, standing: dict[str, Standing]) -> None:
        counts = self._report.table(table.name)
        for id_, row in standing.items():
            if row.origin == "legacy":
                counts.present += 1
            else:
                counts.skipped.add(TAKEN, _shown(table, id_))

    def _read(self, table: FoundTable, page: LegacyPage[Any]) -> None:
        """A page is done."""
        counts = self._report.table(table.name)
        counts.read += page.count
        self._note_standing(table, page.standing)
        for why, id_ in page.unreadable:
            counts.skipped.add(why, _shown(table, id_))
        self._tell(table.name, counts.read, table.rows)

    def _count(self, table: FoundTable, fresh: list[Owned], refused: Sequence[Refused]) -> None:
        counts, why = self._report.table(table.name), {each.row["id"]: each.why for each in refused}
        for mapped, _ in fresh:
            id_ = mapped.row["id"]
            if id_ in why:
                counts.skipped.add(f"refused by the database ({why[id_]})", _shown(table, id_))
                continue
            counts.written += 1
            for note in mapped.notes:
                counts.remarks.add(note, _shown(table, id_))


def _refs(row: LegacyRow, mapped: MappedRow) -> Refs:
    """Whom a row names; a visit and a generation also stand beside themselves, so that what is about them finds their Pass."""
    named = refs_of(row)
    if row.table == "sessions":
        return Refs(named.pass_id, named.shopify_id, named.user_id, named.customer_id, session=mapped.row["id"])
    generation = mapped.row["id"] if row.table == "generations" else mapped.about or named.generation
    return Refs(named.pass_id, named.shopify_id, named.user_id, named.customer_id, named.session, generation)


def _acted_on(row: LegacyRow, record_type: str) -> list[str]:
    """The names of the customer that an admin row is about; who acted is no customer."""
    refs = refs_of(row)
    if record_type == "profile":
        return [*refs.names, f"user:{row.key}"]
    return Refs(refs.pass_id, refs.shopify_id, None, refs.customer_id).names if record_type == "admin_audit" else []


def _shown(table: FoundTable, id_: str) -> str | None:
    """A row's id where it cannot name a person."""
    return None if table.name in {*_ADMIN, "customers"} else id_
