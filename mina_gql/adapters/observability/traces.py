"""Traces by OpenTelemetry, over OTLP/HTTP. Imported only where an exporter is configured.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ says what is read from the environment.
"""

import os
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pgqueuer.domain.models import Job

_W3C = TraceContextTextMapPropagator()


class Traces:
    """The spans of this process, sent in batches by a thread of the exporter's own."""

    def __init__(self) -> None:
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        own = {"service.version": version("mina-gql")} | ({} if named else {"service.name": "mina"})
        self._provider = TracerProvider(resource=Resource.create(own))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("mina_gql")

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        """A span below the one at hand."""
        named = {f"mina.{key}": value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(
            name, attributes=named, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                # Never its words: they may be a person's.
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
                raise

    def note(self, attributes: Mapping[str, str]) -> None:
        """Attributes of the span at hand."""
        trace.get_current_span().set_attributes({f"mina.{key}": value for key, value in attributes.items()})

    def name(self, name: str, attributes: Mapping[str, str]) -> None:
        """The name of the span at hand, and attributes."""
        trace.get_current_span().update_name(name)
        self.note(attributes)

    def close(self) -> None:
        """Send what is left. Takes as long as the exporter's time-out, at most."""
        self._provider.shutdown()


class JobTraces:
    """Carries the trace of who enqueues over to who works, in the job's headers (`pgqueuer.ports.tracing.TracingProtocol`)."""

    def trace_publish(self, entrypoints: list[str]) -> Generator[dict[str, object], None, None]:
        """The headers of each job."""
        for _ in entrypoints:
            carrier: dict[str, str] = {}
            _W3C.inject(carrier)
            yield {"otel": carrier} if carrier else {}

    @asynccontextmanager
    async def trace_process(self, job: Job) -> AsyncIterator[None]:
        """Work below the span that enqueued the job."""
        token = context.attach(_W3C.extract(job.otel_headers() or {}, context.Context()))
        try:
            yield
        finally:
            context.detach(token)
