"""The one listener of this process: metrics always, traces where an exporter is configured, fields of log lines."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import cache
from typing import TYPE_CHECKING

from pgqueuer.ports import tracing
from structlog.contextvars import bind_contextvars, bound_contextvars

from mina_gql.adapters.observability.meters import Meters
from mina_gql.domain import observing
from mina_gql.domain.observing import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from mina_gql.adapters.observability.traces import Traces

LAG_SECONDS = 1.0
"""How often it is measured how late the event loop is."""


class Watch:
    """`domain.observing.Observer`."""

    def __init__(self, meters: Meters, traces: "Traces | None") -> None:
        self._meters = meters
        self._traces = traces

    def count(self, metric: Counter, amount: float, labels: Mapping[str, str]) -> None:
        self._meters.count(metric, amount, labels)

    def observe(self, metric: Histogram, seconds: float, labels: Mapping[str, str]) -> None:
        self._meters.observe(metric, seconds, labels)

    def put(self, metric: Gauge, value: float, labels: Mapping[str, str]) -> None:
        self._meters.put(metric, value, labels)

    def move(self, metric: Gauge, by: float, labels: Mapping[str, str]) -> None:
        self._meters.move(metric, by, labels)

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[None]:
        """The attributes in every log line of the block, and a span where traces are kept."""
        if self._traces is None:
            return bound_contextvars(**attributes)
        return self._traced(self._traces, name, attributes)

    def note(self, attributes: Mapping[str, str]) -> None:
        bind_contextvars(**attributes)
        if self._traces is not None:
            self._traces.note(attributes)

    def name(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._traces is not None:
            self._traces.name(name, attributes)

    @contextmanager
    def _traced(self, traces: "Traces", name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        with bound_contextvars(**attributes), traces.span(name, attributes):
            yield


@cache
def _meters() -> Meters:
    """Made once: what was counted stays counted, however often a Mina opens and closes in this process."""
    return Meters()


def exposition() -> bytes:
    """Every metric of this process, in Prometheus' text format."""
    return _meters().exposition()


def exports_traces() -> bool:
    """Whether the environment names an exporter of traces."""
    named = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return bool(named) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


@asynccontextmanager
async def watching() -> AsyncIterator[None]:
    """Listen for as long as the block runs; at its end, what is left of the traces is sent."""
    traces = _traces() if exports_traces() else None
    observing.tell_to(Watch(_meters(), traces))
    lag = asyncio.create_task(_measure_lag())
    try:
        yield
    finally:
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)
        observing.tell_to(observing.Nobody())
        if traces is not None:
            tracing.TRACER.tracer = None
            await asyncio.to_thread(traces.close)


def _traces() -> "Traces":
    # A quarter of a second of a start, and a thread, that nobody without an exporter need pay for.
    from mina_gql.adapters.observability.traces import JobTraces, Traces  # noqa: PLC0415 -- as the line above says

    tracing.set_tracing_class(JobTraces())
    return Traces()


async def _measure_lag() -> None:
    now = asyncio.get_running_loop().time
    while True:
        asked = now()
        await asyncio.sleep(LAG_SECONDS)
        observing.observe(observing.LOOP_LAG, max(0.0, now() - asked - LAG_SECONDS))
