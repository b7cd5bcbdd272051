"""One path over HTTP: who asks, may they, what do they ask, and the answer. What a route does is in its noun's module."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLError
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mina_gql.api.auth import Authenticator
from mina_gql.api.errors import http_error, request_id_of
from mina_gql.api.graphql.media import is_json
from mina_gql.api.graphql.scalars import read_json
from mina_gql.api.rest.admins import admin_only
from mina_gql.api.rest.streams import EventStream
from mina_gql.api.rest.table import Access, Answer, Asks, Call, Operation, Reply, Stream, proven
from mina_gql.api.rest.waiting import Drain, Waiting
from mina_gql.api.services import Services
from mina_gql.api.webhooks import Unavailable
from mina_gql.domain.errors import InvalidInput, LimitExceeded, RequestError
from mina_gql.domain.ports import StorageError
from mina_gql.mega.database import DatabaseAway

MAX_BODY_BYTES = 256 * 1024


class WrongMethod(RequestError):
    """The path has other methods."""

    code = "METHOD_NOT_ALLOWED"
    http_status = 405


class WrongMedia(RequestError):
    """The body is no JSON, or says that it is none."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    http_status = 415


class BodyTooLarge(LimitExceeded):
    """More bytes than any request needs."""

    http_status = 413

    def __init__(self) -> None:
        super().__init__("A request's body has at most 256 KiB. Pictures are uploaded apart: POST /api/r2/upload-signed.")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every route needs. `heartbeat` is the seconds between comments that keep proxies from hanging up on a stream."""

    services: Services
    authenticator: Authenticator
    drain: Drain
    heartbeat: float = 12.0


class Endpoint:
    """The operations of one path, by method, as an ASGI app."""

    def __init__(self, operations: Mapping[str, Operation[Any]], desk: Desk) -> None:
        self._operations = dict(operations)
        if "GET" in self._operations:
            self._operations["HEAD"] = self._operations["GET"]
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody is there to read it
        except (DatabaseAway, StorageError):
            away = Unavailable("This cannot be done now. Try again in a moment.")
            response = http_error(away, request_id_of(scope))
        except Exception as error:  # noqa: BLE001 -- told without internals, and logged where it is nobody's purpose
            response = http_error(error, request_id_of(scope))
        if response.status_code == WrongMethod.http_status:
            response.headers["Allow"] = ", ".join(sorted(self._operations))
        if response.status_code == BodyTooLarge.http_status:
            response.headers["Connection"] = "close"  # the rest of it is not waited for
        response.headers.setdefault("Cache-Control", "no-store")
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        if operation is None:
            raise WrongMethod(f"{request.method} is not for this address.")
        services = self._desk.services
        caller, owner = await self._desk.authenticator.caller(request, None)
        actor = await admin_only(services, caller, operation) if operation.access is Access.ADMIN else None
        if operation.access is Access.PASS:
            proven(owner)
        call = Call(
            services=services,
            caller=caller,
            owner=owner,
            asked=await _asked(request, operation),
            headers=request.headers,
            waiting=Waiting(self._desk.drain, request.receive),
            actor=actor,
        )
        return self._told(await operation.handler(call), request_id_of(request.scope))

    def _told(self, told: Answer, request_id: str) -> Response:
        if isinstance(told, Stream):
            return EventStream(told, self._desk.drain, request_id, self._desk.heartbeat)
        answer = told if isinstance(told, Reply) else Reply(told)
        headers = {"X-Request-Id": request_id, **answer.headers}
        if answer.body is None:
            return Response(status_code=answer.status, headers=headers)
        return Response(orjson.dumps(answer.body.model_dump()), answer.status, headers, media_type="application/json")


async def _asked(request: Request, operation: Operation[Any]) -> Asks:
    """What the request asks, checked. Raises InvalidInput, WrongMedia and BodyTooLarge."""
    given: dict[str, Any] = {}
    if operation.has_body:
        given = await _json(request)
    elif operation.method == "GET":
        given = dict(request.query_params)
    try:
        asked: Asks = operation.asks.model_validate({**given, **request.path_params}, strict=operation.has_body)
    except ValidationError as error:
        raise InvalidInput(_explain(error)) from None
    return asked


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, as a sentence; a client's own value is not repeated."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, fault["loc"]))[:100]
    if fault["type"] == "missing":
        return f"`{place}` is missing."
    return f"`{place}` {fault['msg'].removeprefix('Input ').rstrip('.')}."


async def _json(request: Request) -> dict[str, Any]:
    headers = request.headers
    if not is_json(headers.get("content-type")) or headers.get("content-encoding", "identity") != "identity":
        raise WrongMedia("Send the request as application/json in UTF-8, not compressed.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    try:
        value = read_json(orjson.loads(body))
    except orjson.JSONDecodeError:
        raise InvalidInput("The body is no JSON.") from None
    except GraphQLError as error:
        raise InvalidInput(error.message) from None
    if not isinstance(value, dict):
        raise InvalidInput("The body is a JSON object.")
    return value
