"""Replicate's HTTP API (https://replicate.com/docs/reference/http): one call each, never made twice here."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

import httpx
from replicate.client import Client

from mina_gql.adapters.ai.retries import FaultKind, VendorFault
from mina_gql.domain.pipeline import plain_text
from mina_gql.domain.ports import JsonObject

PUBLIC_URL = "https://api.replicate.com"
CALL_SECONDS = 60.0
TIMEOUTS = httpx.Timeout(30.0, connect=10.0)
FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""https://replicate.com/docs/topics/predictions/lifecycle"""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NO_TOKEN = re.compile(r"[^!-~]")

T = TypeVar("T")


class Prediction(NamedTuple):
    """A prediction as the vendor tells it. All but the id may be missing; `output` and `error` are whatever the model gives."""

    id: str
    model: str
    version: str
    status: str
    input: JsonObject
    output: Any
    error: str
    metrics: JsonObject
    created_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in FINAL


class ReplicateApi(Client):
    """The vendor's client with answers as they are: its own models refuse the documented status `aborted`, and a prediction that
    was paid for must not be lost to a field.

    What goes wrong is a VendorFault, with the answer's headers.
    """

    def __init__(self, token: str, base_url: str = "") -> None:
        super().__init__(
            _NO_TOKEN.sub("", token),  # what was copied with it: a line end, a typographic space
            base_url=base_url or PUBLIC_URL,
            timeout=TIMEOUTS,
            # In the place of the client's own transport, which tries again by itself and waits for as long as it is told.
            mounts={"all://": httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=100, max_keepalive_connections=20))},
            event_hooks={"response": [self._set_clock, _refuse_faults]},
        )
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The vendor's time, as its last answer told it: ours may be wrong."""
        return datetime.now(UTC) + self._ahead

    async def close(self) -> None:
        """Give the connections back."""
        await self._async_client.aclose()

    async def create(self, model: str, input_: JsonObject, webhook: str | None) -> Prediction:
        """Ask for a prediction: a paid call. `model` is `owner/name`, or `owner/name:version`. Raises VendorFault."""
        name, _, version = model.partition(":")
        body: JsonObject = {"input": input_}
        if webhook is not None:
            body |= {"webhook": webhook, "webhook_events_filter": ["completed"]}
        if version:
            return await self._ask(_prediction, "POST", "/v1/predictions", json={"version": version, **body})
        return await self._ask(_prediction, "POST", f"/v1/models/{name}/predictions", json=body)

    async def get(self, prediction_id: str) -> Prediction:
        """How a prediction stands. Raises VendorFault."""
        return await self._ask(_prediction, "GET", f"/v1/predictions/{prediction_id}")

    async def cancel(self, prediction_id: str) -> None:
        """Stop a prediction. Raises VendorFault."""
        await self._ask(_object, "POST", f"/v1/predictions/{prediction_id}/cancel")

    async def newest(self) -> list[Prediction]:
        """The newest predictions of the account, up to a hundred, the newest first. Raises VendorFault."""
        return await self._ask(_page, "GET", "/v1/predictions")

    async def account(self) -> str:
        """Whose token it is. Raises VendorFault."""
        return await self._ask(lambda answer: str(_object(answer).get("username") or "an unnamed account"), "GET", "/v1/account")

    async def _set_clock(self, response: httpx.Response) -> None:
        try:
            self._ahead = parsedate_to_datetime(response.headers.get("date", "")) - datetime.now(UTC)
        except (TypeError, ValueError):
            return

    async def _ask(self, read: Callable[[Any], T], method: str, path: str, **arguments: Any) -> T:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                response = await self._async_request(method, path, **arguments)
            return read(response.json())
        except _NEVER_SENT:
            raise VendorFault(FaultKind.UNREACHABLE) from None
        except (httpx.TimeoutException, TimeoutError):
            raise VendorFault(FaultKind.TIMEOUT) from None
        except (httpx.HTTPError, ValueError):  # broken off, or no JSON, or not of the shape: what became of it is not known
            raise VendorFault(FaultKind.CUT) from None


async def _refuse_faults(response: httpx.Response) -> None:
    """Raise what is no success. A 429 tells its wait in the body, not always in a header."""
    if response.is_success:
        return
    try:
        await response.aread()
        problem = _object(response.json())
    except (httpx.HTTPError, ValueError):
        problem = {}
    headers = dict(response.headers)
    if "retry_after" in problem:
        headers.setdefault("retry-after", str(problem["retry_after"]))
    reason = str(problem.get("title") or "").strip().lower().replace(" ", "_")
    raise VendorFault(FaultKind.STATUS, status=response.status_code, headers=headers, reason=reason)


def _object(answer: Any) -> JsonObject:
    if not isinstance(answer, dict):
        raise ValueError("not an object")  # noqa: TRY004 -- of the answer, not of our code
    return answer


def _page(answer: Any) -> list[Prediction]:
    results = _object(answer).get("results")
    if not isinstance(results, list):
        raise ValueError("not a page")  # noqa: TRY004 -- of the answer, not of our code
    return [_prediction(result) for result in results]


def _prediction(answer: Any) -> Prediction:
    told = _object(answer)
    name = told.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError("no prediction")
    input_, metrics = told.get("input"), told.get("metrics")
    return Prediction(
        id=name,
        model=_text(told.get("model")),
        version=_text(told.get("version")),
        status=_text(told.get("status")),
        input=input_ if isinstance(input_, dict) else {},
        output=told.get("output"),
        error=_text(told.get("error")),
        metrics=metrics if isinstance(metrics, dict) else {},
        created_at=_time(told.get("created_at")),
    )


def _text(value: Any) -> str:
    return plain_text(str(value or ""))


def _time(text: Any) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
