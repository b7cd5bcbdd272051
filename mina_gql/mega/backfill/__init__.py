"""Backfill at the database: reading legacy tables (`source`), whose a row is (`people`), money (`books`), writing (`target`)."""

from mina_gql.mega.backfill.books import Books, Closing
from mina_gql.mega.backfill.learners import Learners
from mina_gql.mega.backfill.people import People
from mina_gql.mega.backfill.source import FoundTable, LegacyAway, LegacySource
from mina_gql.mega.backfill.target import ADMIN, LEDGER, BackfillStopped, Refused, Standing, Target, stopped_in_words

__all__ = [
    "ADMIN",
    "LEDGER",
    "BackfillStopped",
    "Books",
    "Closing",
    "FoundTable",
    "Learners",
    "LegacyAway",
    "LegacySource",
    "People",
    "Refused",
    "Standing",
    "Target",
    "stopped_in_words",
]
