"""Errors on their way out: each becomes a GraphQL error or a JSON answer here, once, and nothing internal leaks."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import structlog
from graphql import ArgumentNode, GraphQLError, GraphQLSyntaxError, ValueNode
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from mina_gql.domain import observing
from mina_gql.domain.errors import InsufficientMatcha, NotFound, Refusal, RequestError, Throttled

CODES = frozenset(
    {
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "BAD_USER_INPUT",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "LIMIT_EXCEEDED",
        "THROTTLED",
        "TIMEOUT",
        "INTERNAL_SERVER_ERROR",
    }
)
"""Every `extensions.code` there is (DESIGN section 11)."""

INTERNAL = "INTERNAL_SERVER_ERROR"
SORRY = "Something went wrong on our side. Try again; if it stays, tell us the request id."

# A refusal's status on the REST routes, where there are no `userErrors`; every other refusal is a 400.
REFUSAL_STATUS = {
    "NOT_FOUND": 404,
    "INSUFFICIENT_MATCHA": 402,
    "ACCOUNT_DISABLED": 403,
    "VERIFICATION_REQUIRED": 403,
    "VIDEO_TWEAK_DISABLED": 403,
    "IDEMPOTENCY_KEY_REUSED": 409,
    "CONFLICT": 409,
    "PROVIDER_NOT_CONFIGURED": 503,
}

log = structlog.get_logger(__name__)

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SCOPE_KEY = "mina.request_id"


def request_id_of(scope: Scope) -> str:
    """The client's `X-Request-Id` where it is sane, else a new one; the same for everyone who asks with this scope."""
    known = scope.get(_SCOPE_KEY)
    if isinstance(known, str):
        return known
    sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    request_id = sent if _SANE_REQUEST_ID.fullmatch(sent) else new_request_id()
    scope[_SCOPE_KEY] = request_id
    return request_id


def new_request_id() -> str:
    """A fresh id for a request, or for one operation of a socket."""
    return uuid4().hex


def coded(code: str, message: str) -> GraphQLError:
    """A GraphQL error of the edge's own, with one of `CODES`."""
    return GraphQLError(message, extensions={"code": code})


def as_graphql(error: Exception) -> GraphQLError:
    """Any exception as a GraphQL error, for `graphql_error` to tell what it is."""
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)


def with_code(error: GraphQLError, code: str) -> GraphQLError:
    """An error of graphql-core about the client's own document or values, with its code; the message may be shown."""
    error.extensions = {"code": code}
    return error.with_traceback(None)


def graphql_error(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """One entry of `errors`: message, locations, path, `extensions {code, requestId}` (THROTTLED: `retryAfterMs` too).

    What nobody raised on purpose is logged with its traceback and answered with INTERNAL_SERVER_ERROR.
    """
    extensions: dict[str, Any] = {"code": code_of(error), "requestId": request_id}
    observing.count(observing.GRAPHQL_ERRORS, code=extensions["code"])
    message = error.message
    cause = _purpose(error)
    if cause is not None:
        message = cause.message
    if isinstance(cause, Throttled):
        extensions["retryAfterMs"] = cause.retry_after_ms
    if extensions["code"] == INTERNAL:
        message = SORRY
        log.error("graphql_error", request_id=request_id, path=error.path, exc_info=_innermost(error))

    answer: dict[str, Any] = {"message": message}
    if error.locations:
        answer["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        answer["path"] = error.path
    answer["extensions"] = extensions
    return answer


def code_of(error: GraphQLError) -> str:
    """Which of `CODES` an error is."""
    cause = _purpose(error)
    if cause is not None:
        return _code_on_top(cause)
    own = (error.extensions or {}).get("code")
    if isinstance(own, str) and own in CODES:
        return own
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if _is_about_argument(error) else INTERNAL


def status_of(error: GraphQLError) -> int:
    """The HTTP status of an error that kept the whole request from running."""
    cause = _purpose(error)
    if isinstance(cause, RequestError):
        return cause.http_status
    return {"NOT_FOUND": 404, INTERNAL: 500}.get(code_of(error), 400)


def http_error(error: Exception, request_id: str) -> Response:
    """The answer of the REST and upload routes: `{"ok": false, "error": {"code", "message"}}` with a fitting status."""
    headers = {"X-Request-Id": request_id}
    match error:
        case RequestError():
            status, code, message = error.http_status, error.code, error.message
        case Refusal():
            status, code, message = REFUSAL_STATUS.get(error.code, 400), error.code, error.message
        case _:
            log.error("http_error", request_id=request_id, exc_info=error)
            status, code, message = 500, INTERNAL, SORRY
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(retry_after_seconds(error))
    told: dict[str, Any] = {"code": code, "message": message}
    if isinstance(error, InsufficientMatcha):
        told |= {"required": error.required, "balance": error.balance, "checkoutUrl": error.checkout_url}
    body = orjson.dumps({"ok": False, "error": told})
    return Response(body, status, headers, media_type="application/json")


async def unmatched(request: Request, error: Exception) -> Response:
    """The answer to what no route takes: there is nothing at this address, or not by this method."""
    headers = {**(getattr(error, "headers", None) or {}), "X-Request-Id": request_id_of(request.scope)}
    wrong_method = getattr(error, "status_code", 404) == 405
    told = (
        {"code": "METHOD_NOT_ALLOWED", "message": f"{request.method} is not for this address."}
        if wrong_method
        else {"code": "NOT_FOUND", "message": "There is nothing at this address."}
    )
    return Response(
        orjson.dumps({"ok": False, "error": told}), 405 if wrong_method else 404, headers, media_type="application/json"
    )


def retry_after_seconds(error: Throttled) -> int:
    """`Retry-After` counts whole seconds, so a wait is rounded up."""
    return max(1, -(-error.retry_after_ms // 1000))


def _code_on_top(cause: Refusal | RequestError) -> str:
    """A refusal that no payload caught loses its finer code: the codes on top are a closed list."""
    if isinstance(cause, NotFound):
        return "NOT_FOUND"
    return cause.code if isinstance(cause, RequestError) else "BAD_USER_INPUT"


def _purpose(error: GraphQLError) -> Refusal | RequestError | None:
    """The domain's own error that graphql-core wrapped, if there is one."""
    return next((inner for inner in _chain(error) if isinstance(inner, Refusal | RequestError)), None)


def _innermost(error: GraphQLError) -> Exception:
    return list(_chain(error))[-1]


def _chain(error: GraphQLError) -> Iterator[Exception]:
    inner: Exception | None = error
    while inner is not None:
        yield inner
        inner = inner.original_error if isinstance(inner, GraphQLError) else None


def _is_about_argument(error: GraphQLError) -> bool:
    """Whether a client's own argument did not fit: then the message speaks of it and may be shown.

    graphql-core's complaints about *our* values (a resolver's wrong type) point at the field, and may quote what must
    not leak.
    """
    return any(isinstance(node, ArgumentNode | ValueNode) for node in error.nodes or ())
