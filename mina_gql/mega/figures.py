"""The queue in numbers, for metrics. The table of jobs holds what is unfinished and nothing else, so it is small."""

from typing import NamedTuple

from sqlalchemy import text

from mina_gql.mega.database import Query


class Queue(NamedTuple):
    """Jobs that wait and jobs at work, and how many seconds the first of those that wait has been waiting."""

    waiting: int
    running: int
    oldest_seconds: float


QUEUE = Query(
    text("""
        select count(*) filter (where status = 'queued'), count(*) filter (where status = 'picked'),
          coalesce(extract(epoch from clock_timestamp() - min(created) filter (where status = 'queued')), 0)::float
        from ops.pgqueuer
    """)
)
