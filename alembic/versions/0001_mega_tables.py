"""The three MEGA tables, made or adopted: `0001_mega_tables.sql`, beside this file."""

from mina_gql.mega.alembic_upgrade import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL; it is idempotent."""
    run_sql_beside(__file__)
