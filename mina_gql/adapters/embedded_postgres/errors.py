"""What can keep Mina's own PostgreSQL from running."""


class EmbeddedPostgresError(Exception):
    """Mina's own PostgreSQL cannot be run; the message says what to change."""


class AlreadyRunning(EmbeddedPostgresError):
    """Another Mina, alive, runs on the same home."""
