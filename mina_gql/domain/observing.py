"""What Mina tells of its work beside the log: metrics and spans, by name. Told to nobody until `tell_to` says to whom.

One listener a process, as for logs: what is told is no business of who is told, so it is handed to nobody's constructor.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from mina_gql.domain.errors import GenerationFailed

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Metric:
    """A number by name. Its labels take few values: never an id, an address or a person's words."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


class Counter(Metric):
    """Only grows."""


class Gauge(Metric):
    """Goes up and down."""


@dataclass(frozen=True, slots=True)
class Histogram(Metric):
    """How long things take, in seconds, by upper bounds."""

    bounds: tuple[float, ...] = ()


_REQUEST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WORK = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_LAG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

REQUESTS = Counter("mina_requests_total", "Requests that were answered.", ("method", "route", "status", "operation"))
REQUEST_SECONDS = Histogram(
    "mina_request_seconds", "From a request to its answer, streams left out.", ("route", "operation"), _REQUEST
)
GRAPHQL_ERRORS = Counter("mina_graphql_errors_total", "Errors in GraphQL answers.", ("code",))
OPEN = Gauge("mina_open", "Sockets, subscriptions, event streams and requests that are open now.", ("what",))

ACCEPTED = Counter("mina_generations_accepted_total", "Orders that were accepted.", ("kind", "operation"))
ENDED = Counter("mina_generations_ended_total", "Generations that ended: DONE, or why not.", ("kind", "code"))
STEP_SECONDS = Histogram("mina_step_seconds", "From a step's begin to its end.", ("step", "provider", "outcome"), _WORK)
VENDOR_SECONDS = Histogram(
    "mina_vendor_call_seconds", "From a call of a model to its answer, tries included.", ("vendor", "task", "outcome"), _WORK
)
VENDOR_RETRIES = Counter("mina_vendor_retries_total", "Calls of a model that were made again after a failure.")
GATE_SECONDS = Histogram("mina_gate_wait_seconds", "How long a step waited for its turn at a vendor.", ("vendor",), _WORK)
SLOTS = Gauge("mina_vendor_slots_in_use", "Turns at a vendor that this process holds.", ("vendor",))

MATCHA = Counter("mina_matcha_total", "Matcha that was charged, refunded, sold or taken back.", ("what",))
WEBHOOKS = Counter("mina_webhooks_total", "Webhooks that came in.", ("source", "topic", "outcome"))

JOBS = Gauge("mina_jobs", "Jobs of the whole studio: waiting for a worker, or with one.", ("state",))
OLDEST_JOB = Gauge("mina_oldest_job_seconds", "How long the first in the queue has been waiting.")
DATABASE_UP = Gauge("mina_database_up", "Whether the database answered.")
CONNECTIONS = Gauge("mina_database_connections", "This process's connections.", ("pool", "state"))
LOOP_LAG = Histogram("mina_event_loop_lag_seconds", "How much later than asked for the event loop went on.", (), _LAG)
BUILD = Gauge("mina_build_info", "Always 1.", ("version", "python"))

METRICS: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""All there are."""


class Observer(Protocol):
    """Who is told."""

    def count(self, metric: Counter, amount: float, labels: Mapping[str, str]) -> None: ...

    def observe(self, metric: Histogram, seconds: float, labels: Mapping[str, str]) -> None: ...

    def put(self, metric: Gauge, value: float, labels: Mapping[str, str]) -> None: ...

    def move(self, metric: Gauge, by: float, labels: Mapping[str, str]) -> None: ...

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[None]:
        """A stretch of work, within the one at hand. An error that leaves it is noted by its type, never by its words."""
        ...

    def note(self, attributes: Mapping[str, str]) -> None:
        """Something that was found out about the stretch of work at hand."""
        ...

    def name(self, name: str, attributes: Mapping[str, str]) -> None:
        """What the stretch of work at hand turned out to be; in traces alone."""
        ...


class Nobody:
    """Listens to nothing."""

    def count(self, metric: Counter, amount: float, labels: Mapping[str, str]) -> None: ...

    def observe(self, metric: Histogram, seconds: float, labels: Mapping[str, str]) -> None: ...

    def put(self, metric: Gauge, value: float, labels: Mapping[str, str]) -> None: ...

    def move(self, metric: Gauge, by: float, labels: Mapping[str, str]) -> None: ...

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[None]:  # noqa: ARG002 -- a protocol's names
        return nullcontext()

    def note(self, attributes: Mapping[str, str]) -> None: ...

    def name(self, name: str, attributes: Mapping[str, str]) -> None: ...


_told: Observer = Nobody()


def tell_to(observer: Observer) -> None:
    """Tell everything to `observer` from now on, in this whole process."""
    global _told  # noqa: PLW0603 -- one a process, as for logs
    _told = observer


def count(metric: Counter, amount: float = 1, /, **labels: str) -> None:
    """Something happened, once or `amount` times."""
    _told.count(metric, amount, labels)


def observe(metric: Histogram, seconds: float, /, **labels: str) -> None:
    """Something took so long."""
    _told.observe(metric, seconds, labels)


def put(metric: Gauge, value: float, /, **labels: str) -> None:
    """There are so many."""
    _told.put(metric, value, labels)


def note(**attributes: str) -> None:
    """Say something about the span at hand: it stands in its traces, and in the log lines that follow."""
    _told.note(attributes)


def turned_out(name: str, attributes: Mapping[str, str]) -> None:
    """What the span at hand is called after all, and what it was: for traces, where its own log line says so already."""
    _told.name(name, attributes)


def span(name: str, **attributes: str) -> AbstractContextManager[None]:
    """A stretch of work: a span in traces, its attributes in every log line of the block."""
    return _told.span(name, attributes)


def spanned(name: str) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """The same for a whole coroutine function."""

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(function)
        async def within(*args: P.args, **kwargs: P.kwargs) -> T:
            with span(name):
                return await function(*args, **kwargs)

        return within

    return decorate


@contextmanager
def held(metric: Gauge, **labels: str) -> Iterator[None]:
    """One more for as long as the block runs."""
    _told.move(metric, 1, labels)
    try:
        yield
    finally:
        _told.move(metric, -1, labels)


@contextmanager
def timed(metric: Histogram, name: str, labels: Mapping[str, str], **attributes: str) -> Iterator[None]:
    """A span that is also measured: `labels` and its outcome, which is ok, the failure's code, cut_off or broken."""
    started, outcome = time.perf_counter(), "ok"
    try:
        with span(name, **attributes):
            yield
    except GenerationFailed as failure:
        outcome = str(failure.code)
        raise
    except Exception:
        outcome = "broken"
        raise
    except BaseException:
        outcome = "cut_off"  # cancelled: too slow, or not wanted any more
        raise
    finally:
        observe(metric, time.perf_counter() - started, **labels, outcome=outcome)


def step(step_type: str, provider: str | None) -> AbstractContextManager[None]:
    """One step of a pipeline."""
    return timed(STEP_SECONDS, "step", {"step": step_type, "provider": provider or "none"}, step=step_type)


def vendor_call(vendor: Any, task: str) -> AbstractContextManager[None]:
    """One call of a model (`ports.Vendor`)."""
    labels = {"vendor": str(vendor.name), "task": task}
    return timed(VENDOR_SECONDS, "vendor call", labels, vendor=str(vendor.name), model=str(vendor.model), task=task)


def spanned_run(run: Callable[[str], Coroutine[Any, Any, None]]) -> Callable[[str], Coroutine[Any, Any, None]]:
    """A worker's run over one generation (its mg_id)."""

    async def within(generation: str) -> None:
        with span("run", generation=generation):
            await run(generation)

    return within


@contextmanager
def waited(vendor: str) -> Iterator[None]:
    """A step waits for its turn at a vendor."""
    started = time.perf_counter()
    try:
        with span("wait for a turn", vendor=vendor):
            yield
    finally:
        observe(GATE_SECONDS, time.perf_counter() - started, vendor=vendor)


def accepted(generation: str, kind: str, operation: str, cost: int) -> None:
    """An order was accepted: a generation (its mg_id) is to be made."""
    note(generation=generation)
    count(ACCEPTED, kind=kind, operation=operation)
    count(MATCHA, cost, what="charged")


def ended(kind: str, code: str, refunded: int = 0) -> None:
    """A generation ended, in DONE or by a failure's code."""
    count(ENDED, kind=kind, code=code)
    count(MATCHA, refunded, what="refunded")


def webhook(source: str, topic: str, outcome: str) -> None:
    """A webhook was answered; `topic` is one that we know, or other."""
    count(WEBHOOKS, source=source, topic=topic, outcome=outcome)
