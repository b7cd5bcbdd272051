"""A worker alone: `mina work`. Several may run at once, on one machine or on many."""

import asyncio
import signal
from collections.abc import Callable

from mina_gql import bootstrap, scraping
from mina_gql.adapters import observability
from mina_gql.bootstrap import Mina
from mina_gql.logs import configure
from mina_gql.settings import Settings


async def work(settings: Settings, ready: Callable[[Mina], None] | None = None) -> None:
    """Work until SIGTERM or SIGINT, then hand back what is unfinished."""
    configure(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        observability.watching(),
        bootstrap.database_of(settings, own=False) as dsn,
        bootstrap.assembled(settings, dsn) as mina,
        scraping.listening(mina),
        mina.worker.running(),
    ):
        if ready is not None:
            ready(mina)
        await stop.wait()
