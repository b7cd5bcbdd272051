"""What admins look at: everybody's records page by page, sums, the queue, the vendors' health, parity."""

import asyncio
from datetime import datetime
from typing import NamedTuple

from mina_gql.domain.config import VENDORS, Role
from mina_gql.domain.errors import InvalidInput, ProviderNotConfigured
from mina_gql.domain.estimates import RECENT_RUNS, Maker, step_keys
from mina_gql.domain.pipeline import EventType
from mina_gql.domain.ports import Models
from mina_gql.domain.reports import Audited, days_until, faults_of
from mina_gql.mega import admin, buyers, customers, directory, parity, reports
from mina_gql.mega.admin import AuditRow, ProfileRow
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database
from mina_gql.mega.generations import events, ledger, steps
from mina_gql.mega.generations.events import EventRow
from mina_gql.mega.generations.ledger import LedgerEntryRow
from mina_gql.mega.generations.steps import StepRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.mega.parity import DayRow
from mina_gql.mega.reports import FiguresRow, QueueRow, SummaryRow
from mina_gql.services.config import ConfigService
from mina_gql.services.pipeline.gate import VendorGate

SEARCH_CHARS = 200


class ProviderHealth(NamedTuple):
    """How whoever fills a role fares. `kind` is the role; `name` is openai, seedream, kling or offline (DESIGN section 14).

    `state` is the breaker's: closed, open or half-open. `p50_seconds` is the median of the latest runs that succeeded.
    """

    name: str
    kind: str
    model: str
    configured: bool
    state: str
    p50_seconds: float | None
    failures_24h: int


class Sampled(NamedTuple):
    """How many generations were drawn by lot, and what is wrong with them."""

    number: int
    faults: list[str]


class AdminService:
    """Reads for admins, over all Passes. Whether somebody is one, the edge has found out."""

    def __init__(self, database: Database, config: ConfigService, models: Models, gate: VendorGate) -> None:
        self._database = database
        self._config = config
        self._models = models
        self._gate = gate

    # ------------------------------------------------------------ listings, newest first

    async def passes(self, page: PageRequest, search: str | None) -> Page[PassRow]:
        """A page of all Passes, or of those whose id, e-mail, name or Shopify id begins with `search`. Raises InvalidInput."""
        sought = _sought(search)
        if sought is None:
            return await directory.EVERYBODY.read(self._database, page)
        return await directory.FOUND.read(self._database, page, **directory.sought(sought))

    async def count_passes(self, search: str | None) -> int:
        """How many that are. Raises InvalidInput."""
        sought = _sought(search)
        if sought is None:
            return await directory.EVERYBODY.count(self._database)
        return await directory.FOUND.count(self._database, **directory.sought(sought))

    async def pass_behind(self, pass_id: str) -> PassRow | None:
        """The live Pass that an id is or has become; None for an unknown or erased one."""
        live = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=pass_id)
        if live is None and await self._database.fetch(customers.ANY_BY_ID, pass_ids=[pass_id]):
            async with self._database.begin() as session:
                became = await buyers.canonical(session, pass_id)
            live = await self._database.fetch_one(customers.PASS_BY_ID, pass_id=became)
        return None if live is None else PassRow(*live)

    async def events(self, page: PageRequest, types: list[EventType] | None) -> Page[EventRow]:
        """A page of what everybody did; of some types only, where given."""
        if types is None:
            return await events.EVERYBODYS.read(self._database, page)
        return await events.EVERYBODYS_OF_TYPES.read(self._database, page, types=types)

    async def count_events(self, types: list[EventType] | None) -> int:
        """How many that are."""
        if types is None:
            return await events.EVERYBODYS.count(self._database)
        return await events.EVERYBODYS_OF_TYPES.count(self._database, types=types)

    async def transactions(self, page: PageRequest) -> Page[LedgerEntryRow]:
        """A page of everybody's ledger."""
        return await ledger.EVERYBODYS.read(self._database, page)

    async def count_transactions(self) -> int:
        """How many ledger rows there are."""
        return await ledger.EVERYBODYS.count(self._database)

    async def errors(self, page: PageRequest) -> Page[StepRow]:
        """A page of the steps that failed, whichever vendor's fault it was."""
        return await steps.FAILED.read(self._database, page)

    async def count_errors(self) -> int:
        """How many steps failed."""
        return await steps.FAILED.count(self._database)

    async def audits(self, page: PageRequest, action: str | None) -> Page[AuditRow]:
        """A page of what admins did and others tried; of one action only, where given."""
        if action is None:
            return await admin.AUDITS.read(self._database, page)
        return await admin.AUDITS_OF_ACTION.read(self._database, page, action=action)

    async def count_audits(self, action: str | None) -> int:
        """How many that are."""
        if action is None:
            return await admin.AUDITS.count(self._database)
        return await admin.AUDITS_OF_ACTION.count(self._database, action=action)

    async def audits_by_id(self, ids: list[str]) -> dict[str, AuditRow]:
        """Audit rows by their global ids."""
        rows = [AuditRow(*record) for record in await self._database.fetch(admin.AUDITS_BY_ID, ids=ids)]
        return {row.id: row for row in rows}

    async def profiles(self, page: PageRequest) -> Page[ProfileRow]:
        """A page of the profiles of the old tables."""
        return await admin.PROFILES.read(self._database, page)

    async def count_profiles(self) -> int:
        """How many profiles there are."""
        return await admin.PROFILES.count(self._database)

    # ------------------------------------------------------------ reports

    async def summary(self) -> SummaryRow:
        """How the studio stands."""
        (row,) = await self._database.fetch(reports.SUMMARY)
        return SummaryRow(*row)

    async def queue(self) -> QueueRow:
        """What waits, what is being made, and by how many workers."""
        (row,) = await self._database.fetch(reports.QUEUE)
        return QueueRow(*row)

    async def providers(self) -> list[ProviderHealth]:
        """Everybody who fills a role of the registry, each fallback behind whom it stands in for."""
        roles = [role for name in VENDORS for role in (await self._config.role(name)).line]
        filled = [self._filled_by(role) for role in roles]
        lines = [
            (maker, *key)
            for maker, (role, (name, _, _)) in enumerate(zip(roles, filled, strict=True))
            for key in step_keys({role.name: [Maker(role.provider, name)]})
        ]
        found = await self._database.fetch(
            reports.FIGURES,
            makers=[line[0] for line in lines],
            step_types=[line[1] for line in lines],
            vendors=[line[2] for line in lines],
            runs=RECENT_RUNS,
        )
        figures = {row.maker: row for row in (FiguresRow(*record) for record in found)}
        states = await asyncio.gather(*(self._gate.state(name) for name, _, _ in filled))
        return [
            ProviderHealth(
                name,
                role.name,
                model,
                configured,
                state,
                figures[maker].p50_seconds if maker in figures else None,
                figures[maker].failures_24h if maker in figures else 0,
            )
            for maker, (role, (name, model, configured), state) in enumerate(zip(roles, filled, states, strict=True))
        ]

    def _filled_by(self, role: Role) -> tuple[str, str, bool]:
        """The name and the model of whoever fills a role, as steps store them, and whether anybody does."""
        try:
            if role.name == "moderation":
                moderator = self._models.moderator(role)
                return (role.provider, role.model, False) if moderator is None else (moderator.name, moderator.model, True)
            makers = {"vision": self._models.vision, "writer": self._models.writer}
            filled = makers.get(role.name, self._models.media)(role)
        except ProviderNotConfigured:
            return role.provider, role.model, False
        return filled.name, filled.model, True

    async def by_day(self, days: int) -> list[DayRow]:
        """Rows by record type of the last days, in the zone of the knob `reports.timezone`; the newest day first."""
        zone = (await self._config.runtime()).timezone
        (now,) = await self._database.fetch(parity.NOW)
        span = days_until(datetime.fromisoformat(now[0]), days, zone)
        counted = await self._database.fetch(
            parity.BY_DAY,
            days=[day.name for day in span],
            begins=[day.begins.isoformat() for day in span],
            ends=[day.ends.isoformat() for day in span],
        )
        return [DayRow(*record) for record in counted]

    async def sample(self, number: int) -> Sampled:
        """Generations drawn by lot and held to the invariants of the ledger and of the steps.

        Passes whose ledger and balance differ, all of them: `CreditService.mismatches`.
        """
        drawn = [Audited(*record) for record in await self._database.fetch(parity.SAMPLE, sample=number)]
        return Sampled(len(drawn), [fault for found in drawn for fault in faults_of(found)])


def _sought(search: str | None) -> str | None:
    sought = (search or "").strip()
    if len(sought) > SEARCH_CHARS:
        raise InvalidInput(f"Search for at most {SEARCH_CHARS} characters.", ["search"])
    return sought or None
