"""When a call to a vendor is worth another try, how long to wait before it, and what is told when none was enough.

Knows no vendor and no HTTP library: an adapter raises what went wrong as a `VendorFault`, and `with_retries` does the rest.
"""

import random
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TypeVar

import stamina

from mina_gql.domain import observing
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode

TRIES = 5
"""Calls in all: three failures in a row are survived, and one more (DESIGN section 14)."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0
JITTER = 0.5
"""Seconds: FIRST_WAIT x 2^(n-1) before the n-th try again, up to JITTER more so that callers do not come back as one."""
LONGEST_TOLD_WAIT = 600.0
"""Seconds of a `Retry-After` that are waited for; a vendor that wants longer has failed."""

_TRANSIENT = frozenset({408, 409, 425, 429, *range(500, 600)})
_NOTHING_DONE = frozenset({425, 429, 500, 503})
"""After these a call can be made again that must not happen twice; 408, 409, 502 and 504 leave open what became of it."""
_SLUG = re.compile(r"[a-z][a-z_]{0,47}")
_REQUEST_ID = re.compile(r"req_[0-9A-Za-z]{8,64}")

T = TypeVar("T")


class FaultKind(StrEnum):
    """How a call failed."""

    UNREACHABLE = "unreachable"
    """It never left: no such host, refused, no TLS."""
    CUT = "connection cut"
    """The connection broke after the request had left."""
    TIMEOUT = "timeout"
    """No answer in time, after the request had left."""
    STATUS = "status"
    """An HTTP status of 400 or more."""
    MODERATED = "moderated"
    """The vendor will not do this: of no use to ask again."""
    BAD_OUTPUT = "bad output"
    """An answer that cannot be used. Not asked for again here: the pipeline has its own repair try."""


class VendorFault(Exception):
    """One call to a vendor failed. `status` and `headers` are those of its answer, where there is one.

    `reason` is the vendor's own word for it (an error code); only a plain slug is kept, so that no key, address or text of a
    person gets into logs. With `final` it is not worth another try whatever its kind (an account without funds answers 429).
    """

    def __init__(
        self,
        kind: FaultKind,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: object = None,
        final: bool = False,
    ) -> None:
        self.kind = kind
        self.status = status
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}
        self.reason = reason if isinstance(reason, str) and _SLUG.fullmatch(reason) else None
        self.final = final
        request = self.headers.get("x-request-id", "")
        words = (
            f"HTTP {status}" if status is not None else kind.value,
            self.reason,
            f"request {request}" if _REQUEST_ID.fullmatch(request) else None,
        )
        super().__init__(", ".join(word for word in words if word))


async def with_retries(call: Callable[[], Awaitable[T]], *, idempotent: bool = True) -> T:
    """Make a call, `TRIES` times at most while it is worth it. What goes on for longer is ended by the caller's own deadline.

    A call that must not happen twice (`idempotent=False`) is made again only where the vendor surely did nothing.
    Raises GenerationFailed.
    """

    def again(error: Exception) -> bool | float:
        if not isinstance(error, VendorFault) or not is_worth_another_try(error, idempotent=idempotent):
            return False
        told = told_wait(error.headers)
        if told is None or told < FIRST_WAIT:  # a wait of nothing would be used up by all tries at once
            return True
        return told + random.uniform(0, JITTER) if told <= LONGEST_TOLD_WAIT else False  # noqa: S311 -- no secret

    tries = 0
    try:
        async for attempt in stamina.retry_context(
            again, attempts=TRIES, timeout=None, wait_initial=FIRST_WAIT, wait_max=LONGEST_WAIT, wait_jitter=JITTER
        ):
            with attempt:
                tries = attempt.num
                observing.count(observing.VENDOR_RETRIES, tries > 1)
                return await call()
    except VendorFault as fault:
        raise failed(fault, tries) from None
    raise AssertionError("unreachable")  # pragma: no cover -- the last attempt returns or raises


def is_worth_another_try(fault: VendorFault, *, idempotent: bool) -> bool:
    """Whether the same call may go better the next time, and does no harm."""
    if fault.final:
        return False
    match fault.kind:
        case FaultKind.UNREACHABLE:
            return True
        case FaultKind.CUT | FaultKind.TIMEOUT:
            return idempotent
        case FaultKind.STATUS:
            return fault.status in (_TRANSIENT if idempotent else _NOTHING_DONE)
        case _:
            return False


def told_wait(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds a vendor wants us to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).

    A date counts from the answer's own `Date`, so that a clock that is off does no harm; `now` stands in where it has none.
    None where nothing is told, or nothing that can be read.
    """
    milliseconds, seconds = _number(headers.get("retry-after-ms")), _number(headers.get("retry-after"))
    if milliseconds is not None:
        return milliseconds / 1000
    if seconds is not None:
        return seconds
    until = _date(headers.get("retry-after"))
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date")) or now or datetime.now(UTC))).total_seconds())


def failed(fault: VendorFault, tries: int = 1) -> GenerationFailed:
    """What ends the generation when no more tries are made. Nothing of the vendor's body is in it."""
    code, message, retryable = _ending(fault)
    detail = f"{fault} ({tries} tries)" if tries > 1 else str(fault)
    return GenerationFailed(code, message, detail=detail, retryable=retryable)


def _ending(fault: VendorFault) -> tuple[FailureCode, str, bool]:
    """The code, the words for people, and whether the same may go well later."""
    if fault.kind is FaultKind.MODERATED:
        return FailureCode.MODERATED, "This cannot be made as it is. Change the brief or the pictures and try again.", False
    if fault.kind is FaultKind.BAD_OUTPUT:
        return FailureCode.BAD_MODEL_OUTPUT, "That did not come out right. Please try again.", True
    if fault.kind is FaultKind.TIMEOUT or fault.status in {408, 504}:
        return FailureCode.PROVIDER_TIMEOUT, "This took too long. Please try again.", True
    if fault.final or (fault.status is not None and fault.status not in _TRANSIENT):
        return FailureCode.PROVIDER_ERROR, "This cannot be made here at the moment. Please try again later.", False
    return FailureCode.PROVIDER_ERROR, "The studio is very busy at the moment. Please try again later.", True


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,12}(\.\d{1,6})?\s*", text, re.ASCII) else None


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
