"""What clients hear of errors, and what they never hear."""

import json

import pytest
from structlog.testing import capture_logs

from mina_gql.api.errors import CODES, SORRY, http_error
from mina_gql.domain import errors
from tests.api.transport.conftest import Toy
from tests.api.transport.transport_toy import FAILURES, SECRET


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("refusal", "BAD_USER_INPUT"),
        ("not_found", "NOT_FOUND"),
        ("forbidden", "FORBIDDEN"),
        ("throttled", "THROTTLED"),
        ("unexpected", "INTERNAL_SERVER_ERROR"),
        ("value", "INTERNAL_SERVER_ERROR"),
        ("key", "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_each_exception_has_its_code(toy: Toy, kind: str, code: str) -> None:
    _status, body = await toy.ask(f'{{ fail(kind: "{kind}") }}')
    [error] = body["errors"]
    assert error["extensions"]["code"] == code
    assert code in CODES
    internal = code == "INTERNAL_SERVER_ERROR"
    assert error["message"] == (SORRY if internal else FAILURES[kind].args[0])
    assert error["extensions"].get("retryAfterMs") == (1500 if kind == "throttled" else None)


@pytest.mark.parametrize("field", ["name", "size"])
async def test_our_own_wrong_values_are_internal_and_never_quoted(toy: Toy, field: str) -> None:
    _status, body = await toy.ask(f"{{ brokenItem {{ {field} }} }}")
    assert body["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert SECRET not in str(body)
    assert "hunter2" not in str(body)


async def test_an_argument_that_does_not_fit_is_the_clients(toy: Toy) -> None:
    query = "query($size: Int = 1) { required(size: $size) }"
    status, body = await toy.ask(query, {"size": None})
    assert status == 200
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "size" in body["errors"][0]["message"]


async def test_variables_are_named_in_the_message(toy: Toy) -> None:
    status, body = await toy.ask("query($at: DateTime) { count(range: {low: 1}, at: $at) }", {"at": "tomorrow"})
    assert status == 400
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "$at" in body["errors"][0]["message"]


async def test_what_is_unexpected_is_logged_with_its_request(toy: Toy) -> None:
    with capture_logs() as logged:
        await toy.ask('{ fail(kind: "unexpected") }', **{"X-Request-Id": "find-me"})
    [entry] = logged
    assert (entry["log_level"], entry["request_id"], entry["path"]) == ("error", "find-me", ["fail"])
    assert entry["exc_info"] is FAILURES["unexpected"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidInput("Empty."), 400, "INVALID_INPUT"),
        (errors.NotFound("None."), 404, "NOT_FOUND"),
        (errors.InsufficientMatcha(5, 1), 402, "INSUFFICIENT_MATCHA"),
        (errors.Conflict("Changed."), 409, "CONFLICT"),
        (errors.Unauthenticated("Who?"), 401, "UNAUTHENTICATED"),
        (errors.Forbidden("No."), 403, "FORBIDDEN"),
        (errors.Throttled("Wait.", 100), 429, "THROTTLED"),
        (RuntimeError(SECRET), 500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_rest_answers_have_one_shape(error: Exception, status: int, code: str) -> None:
    response = http_error(error, "id-1")
    body = json.loads(response.body)
    assert (response.status_code, body["ok"], body["error"]["code"]) == (status, False, code)
    assert body["error"]["message"] == (SORRY if status == 500 else str(error))
    assert response.headers["X-Request-Id"] == "id-1"
    assert response.headers.get("Retry-After") == ("1" if status == 429 else None)
