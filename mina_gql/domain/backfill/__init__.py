"""Backfill: what rows of the legacy tables become in MEGA (seed 002, sections 0 and 4; DESIGN section 4). A row in, rows out."""

from mina_gql.domain.backfill.admins import admin_row
from mina_gql.domain.backfill.people import NOBODY, Person, Refs, legacy_person, nobody_known, refs_of
from mina_gql.domain.backfill.records import MappedRow, Row, closing_row, feedback_rows, generation_row, ledger_row, session_row
from mina_gql.domain.backfill.tables import TABLES, LegacyTable
from mina_gql.domain.backfill.values import LegacyRow, Unreadable

__all__ = [
    "NOBODY",
    "TABLES",
    "LegacyRow",
    "LegacyTable",
    "MappedRow",
    "Person",
    "Refs",
    "Row",
    "Unreadable",
    "admin_row",
    "closing_row",
    "feedback_rows",
    "generation_row",
    "ledger_row",
    "legacy_person",
    "nobody_known",
    "refs_of",
    "session_row",
]
