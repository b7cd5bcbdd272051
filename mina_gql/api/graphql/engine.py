"""Runs prepared documents on graphql-core: the one engine behind POST, SSE and WebSocket."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from typing import Any, Protocol, Self, TypeGuard, TypeVar, cast

import strawberry
from graphql import ExecutionResult
from graphql.execution import Executor, create_source_event_stream
from starlette.requests import HTTPConnection
from strawberry.execution import optimized_is_awaitable

from mina_gql.api.errors import as_graphql, coded, with_code
from mina_gql.api.graphql.documents import Document, Documents, Operation, RequestRefused
from mina_gql.api.graphql.encoding import GraphQLRequest
from mina_gql.api.graphql.executor import PlainExecutor, plain_fields
from mina_gql.api.graphql.limits import Limits, check_cost
from mina_gql.domain import observing
from mina_gql.domain.errors import LimitExceeded, TimedOut

T = TypeVar("T")
is_awaitable = cast("Callable[[object], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)
Variables = Mapping[str, object]


class Context(Protocol):
    """What resolvers see as `info.context`: one for each operation."""

    @property
    def response_headers(self) -> Mapping[str, str]:
        """Headers that the operation adds to its HTTP answer, such as X-Mina-Pass-Id."""
        ...


class PerEvent(Protocol):
    """A context may also have this: then each event of a stream gets its own, whose loaders forget the event before."""

    def for_event(self) -> Self:
        """The same caller, with fresh loaders."""
        ...


class ContextFactory(Protocol):
    """Makes the context of one operation."""

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, object] | None, request_id: str) -> Context:
        """`params` is the payload of a socket's `connection_init`, None over HTTP. Raises RequestError."""
        ...


class SeesSchema(Protocol):
    """Whether somebody may see the schema."""

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, object] | None) -> bool:
        """`params` as for `ContextFactory`. Raises RequestError."""
        ...


class Engine:
    """Prepares and runs operations of one schema. `timeout` is seconds for a request, and for each event of a stream.

    `sees_schema` says to whom the schema is shown, by introspection and by hints in errors; None: to everybody.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits | None = None,
        timeout: float = 30.0,
        sees_schema: SeesSchema | None = None,
    ) -> None:
        self.schema = schema._schema  # noqa: SLF001 -- Strawberry has no public name for the graphql-core schema
        self.limits = limits or Limits()
        self.timeout = timeout
        self.documents = Documents(self.schema, self.limits)
        self._plain = plain_fields(self.schema)
        self._sees_schema = sees_schema

    async def admit(
        self, request: GraphQLRequest, connection: HTTPConnection, params: Mapping[str, object] | None
    ) -> tuple[Document, Operation]:
        """What `prepare` gives, with the schema shown to those alone who may see it.

        Raises RequestError, RequestRefused.
        """
        asked = (request.query, request.operation_name, request.variables)
        if self._sees_schema is None:
            return self.prepare(*asked)
        try:
            document, operation = self.prepare(*asked, hints=False)
        except RequestRefused:
            if await self._sees_schema(connection, params):
                return self.prepare(*asked)  # which refuses it again, and says more
            raise
        if document.introspects and not await self._sees_schema(connection, params):
            raise RequestRefused([coded("GRAPHQL_VALIDATION_FAILED", "The schema is shown to admins only.")])
        return document, operation

    def prepare(
        self, query: str, operation_name: str | None, variables: Variables | None, *, hints: bool = True
    ) -> tuple[Document, Operation]:
        """The document and its operation, within every limit. `hints`: errors may name what was meant. Raises RequestRefused."""
        document = self.documents.prepare(query, hints=hints)
        operation = document.operation(operation_name)
        try:
            check_cost(operation.price, variables or {}, self.limits)
        except LimitExceeded as error:
            raise RequestRefused([coded("LIMIT_EXCEEDED", error.message)]) from None
        return document, operation

    async def execute(
        self, document: Document, variables: Variables | None, operation_name: str | None, context: object
    ) -> ExecutionResult:
        """Run a query or mutation. Raises RequestRefused where it could not start, or not end in time."""
        executor = self._executor(document, variables, operation_name, context)
        return await self._in_time(_run(executor))

    async def subscribe(
        self, document: Document, variables: Variables | None, operation_name: str | None, context: object
    ) -> AsyncGenerator[ExecutionResult, None]:
        """Start a subscription; close the stream that comes back.

        A result with errors is the last one: clients cannot mend a stream with holes, they ask again with the last
        `seq` they saw. Raises RequestRefused where the stream could not start.
        """
        executor = self._executor(document, variables, operation_name, context)
        source = await self._in_time(_source(executor))
        if isinstance(source, ExecutionResult):
            raise RequestRefused(source.errors or [])
        return self._events(executor, source)

    async def _events(self, executor: Executor[Any], source: AsyncIterable[object]) -> AsyncGenerator[ExecutionResult, None]:
        events = aiter(source)
        with observing.held(observing.OPEN, what="subscription"):
            try:
                while True:
                    try:
                        event = await anext(events)
                    except StopAsyncIteration:
                        return
                    except Exception as error:  # noqa: BLE001 -- ends the stream, and is logged where it is printed
                        yield ExecutionResult(None, [as_graphql(error)])
                        return
                    result = await self._event(executor, event)
                    yield result
                    if result.errors:
                        return
            finally:
                if isinstance(events, AsyncGenerator):
                    await events.aclose()

    async def _event(self, executor: Executor[Any], event: object) -> ExecutionResult:
        each = executor.build_per_event_executor(event)
        for_event = getattr(each.context_value, "for_event", None)
        if for_event is not None:
            each.context_value = for_event()
        try:
            return await self._in_time(_run(each, serially=False))
        except RequestRefused as refused:
            return ExecutionResult(None, list(refused.errors))

    def _executor(
        self, document: Document, variables: Variables | None, operation_name: str | None, context: object
    ) -> Executor[Any]:
        executor = PlainExecutor.build(
            self.schema,
            document.ast,
            context_value=context,
            raw_variable_values=dict(variables) if variables else None,
            operation_name=operation_name,
            is_awaitable=is_awaitable,
            plain=self._plain,
            hide_suggestions=self._sees_schema is not None,
        )
        if isinstance(executor, list):
            raise RequestRefused([with_code(error, "BAD_USER_INPUT") for error in executor])
        return executor

    async def _in_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.timeout) as clock:
                return await work
        except TimeoutError as error:
            if not clock.expired():
                raise
            late = TimedOut(f"This took longer than {self.timeout:g} s and was stopped. Ask for less at once.")
            raise RequestRefused([as_graphql(late)]) from error


async def _run(executor: Executor[Any], *, serially: bool | None = None) -> ExecutionResult:
    """Execute the operation; None: serially for mutations only."""
    result = executor.execute_operation(serially)
    return cast("ExecutionResult", await result if is_awaitable(result) else result)


async def _source(executor: Executor[Any]) -> AsyncIterable[object] | ExecutionResult:
    stream = create_source_event_stream(executor)
    return cast("AsyncIterable[object] | ExecutionResult", await stream if is_awaitable(stream) else stream)
