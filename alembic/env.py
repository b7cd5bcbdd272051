"""What Alembic runs migrations with: the connection that `mina_gql.mega.migrations` hands over."""

from alembic import context

from mina_gql.mega.migrations import OPS

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Alembic has no connection of its own here. Run `mina migrate`, or `mina migrate --sql` for the SQL.")

context.configure(connection=connection, version_table_schema=OPS)
with context.begin_transaction():
    context.run_migrations()
