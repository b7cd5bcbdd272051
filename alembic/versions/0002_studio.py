"""What the studio's journeys look up: `0002_studio.sql`, beside this file."""

from mina_gql.mega.alembic_upgrade import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL; it is idempotent."""
    run_sql_beside(__file__)
