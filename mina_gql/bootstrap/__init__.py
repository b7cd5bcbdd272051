"""The one place where adapters meet services: from settings to a Mina that can serve and work."""

from mina_gql.bootstrap.databases import CANNOT_START, DatabaseUnreachable, NotMigrated, database_of, migrate
from mina_gql.bootstrap.models import shelf
from mina_gql.bootstrap.secrets import development_secret, secret_key
from mina_gql.bootstrap.stores import store_of
from mina_gql.bootstrap.wiring import CONCURRENCY, Mina, assembled, backfill

__all__ = [
    "CANNOT_START",
    "CONCURRENCY",
    "DatabaseUnreachable",
    "Mina",
    "NotMigrated",
    "assembled",
    "backfill",
    "database_of",
    "development_secret",
    "migrate",
    "secret_key",
    "shelf",
    "store_of",
]
