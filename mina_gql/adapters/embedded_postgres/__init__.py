"""Mina's own PostgreSQL below MINA_HOME: started, guarded and stopped here (DESIGN sections 3, 9, 13).

Whoever holds the lock on `postgres.lock` owns the home; the kernel lets go of it when that process dies.
"""

from mina_gql.adapters.embedded_postgres.errors import AlreadyRunning, EmbeddedPostgresError
from mina_gql.adapters.embedded_postgres.server import EmbeddedPostgres, dsn_of_running, start

__all__ = ["AlreadyRunning", "EmbeddedPostgres", "EmbeddedPostgresError", "dsn_of_running", "start"]
