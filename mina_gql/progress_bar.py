"""How far a long command is: a bar on a terminal, a plain line now and then elsewhere. All on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS = 5.0

Tell = Callable[[str, int, int], None]
"""Told of progress: what is done, how much of it, of how much."""


@contextmanager
def told_progress() -> Iterator[Tell]:
    """Shows progress for as long as the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done, total=max(of, done))

        yield tell


def _lines() -> Tell:
    """A line when something begins, when it is done, and every few seconds in between."""
    said: dict[str, float] = {}

    def tell(what: str, done: int, of: int) -> None:
        if what not in said or done >= of or monotonic() - said[what] >= LINE_SECONDS:
            said[what] = monotonic()
            sys.stderr.write(f"{what}: {done:,} of {of:,}\n")
            sys.stderr.flush()

    return tell
