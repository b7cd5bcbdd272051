"""${message}: `${up_revision}_….sql`, beside this file."""

from mina_gql.mega.migrations import run_sql_beside

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Run the SQL; it is idempotent."""
    run_sql_beside(__file__)
