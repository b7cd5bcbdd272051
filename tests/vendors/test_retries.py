"""The policy of another try: what is worth one, how long to wait, and what a person is told (DESIGN sections 9 and 14, R5)."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_gql.adapters.ai import retries
from mina_gql.adapters.ai.retries import FaultKind, VendorFault, told_wait, with_retries
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
KEY = "sk-proj-4f5e6d7c8b9a"


class Vendor:
    """Raises these faults one after another, then answers."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "fine"


@pytest.fixture
def waits() -> Iterator[asyncio.Queue[float]]:
    """The seconds that each wait before another try is to take, told as it begins."""
    begun: asyncio.Queue[float] = asyncio.Queue()
    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: begun.put_nowait(details.wait_for)])
    yield begun
    stamina.instrumentation.set_on_retry_hooks(before)


def status(code: int, **headers: str) -> VendorFault:
    return VendorFault(FaultKind.STATUS, status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})


# ---------------------------------------------------------------- what is worth another try


async def test_three_500s_in_a_row_are_survived(hurried):
    """DESIGN section 14."""
    vendor = Vendor(status(500), status(500), status(500))
    assert await with_retries(vendor) == "fine"
    assert vendor.calls == 4


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503, 504, 529])
async def test_a_status_that_passes_is_tried_again(hurried, code):
    assert await with_retries(Vendor(status(code))) == "fine"


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 422])
async def test_a_refusal_is_not_tried_again(hurried, code):
    vendor = Vendor(status(code))
    with pytest.raises(GenerationFailed) as caught:
        await with_retries(vendor)
    assert vendor.calls == 1
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert not caught.value.retryable


@pytest.mark.parametrize("kind", [FaultKind.UNREACHABLE, FaultKind.CUT, FaultKind.TIMEOUT])
async def test_a_call_that_got_no_answer_is_tried_again(hurried, kind):
    assert await with_retries(Vendor(VendorFault(kind))) == "fine"


@pytest.mark.parametrize("kind", [FaultKind.MODERATED, FaultKind.BAD_OUTPUT])
async def test_an_answer_is_not_asked_for_again(hurried, kind):
    vendor = Vendor(VendorFault(kind))
    with pytest.raises(GenerationFailed):
        await with_retries(vendor)
    assert vendor.calls == 1


async def test_an_account_without_funds_is_not_asked_again(hurried):
    vendor = Vendor(VendorFault(FaultKind.STATUS, status=429, reason="insufficient_quota", final=True))
    with pytest.raises(GenerationFailed) as caught:
        await with_retries(vendor)
    assert vendor.calls == 1
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "fault",
    [VendorFault(FaultKind.CUT), VendorFault(FaultKind.TIMEOUT), status(408), status(409), status(502), status(504)],
    ids=str,
)
async def test_a_call_that_may_have_been_paid_for_is_not_made_twice(hurried, fault):
    """R5: retries only where there is no double bill."""
    vendor = Vendor(fault)
    with pytest.raises(GenerationFailed):
        await with_retries(vendor, idempotent=False)
    assert vendor.calls == 1


@pytest.mark.parametrize("fault", [VendorFault(FaultKind.UNREACHABLE), status(429), status(500), status(503)], ids=str)
async def test_a_paid_call_that_surely_did_nothing_is_made_again(hurried, fault):
    assert await with_retries(Vendor(fault), idempotent=False) == "fine"


async def test_what_is_no_fault_of_the_vendor_goes_through_untouched(hurried):
    vendor = Vendor(KeyError("a bug of ours"))
    with pytest.raises(KeyError):
        await with_retries(vendor)
    assert vendor.calls == 1


async def test_tries_end(hurried):
    vendor = Vendor(*[status(503)] * 50)
    with pytest.raises(GenerationFailed) as caught:
        await with_retries(vendor)
    assert vendor.calls == retries.TRIES
    assert caught.value.retryable
    assert caught.value.detail == "HTTP 503 (5 tries)"


# ---------------------------------------------------------------- how long to wait


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:45 GMT"}, 45),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:45 GMT", "date": "Sat, 21 Nov 2026 09:00:00 GMT"}, 45),
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sat, 99 Nov 2026 12:00:45 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 20260000000000000000000 12:00:00 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:00 +9999"}, None),
    ],
)
def test_the_wait_a_vendor_tells_is_read_in_every_form(headers, told):
    """RFC 9110, 10.2.3; `retry-after-ms` is a vendor's own."""
    assert told_wait(headers, NOW) == told


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"Sat, \d{1,30} Nov \d{1,30} \d{1,30}:\d\d:\d\d [+-]\d{1,30}", fullmatch=True))
def test_any_retry_after_is_read_or_ignored(text):
    told = told_wait({"retry-after": text, "date": text}, NOW)
    assert told is None or told >= 0


@pytest.mark.parametrize(
    "told", ["37", pytest.param(lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=38), usegmt=True), id="date")]
)
async def test_retry_after_is_obeyed_until_the_deadline_of_the_caller(waits, told):
    vendor = Vendor(status(429, retry_after=told if isinstance(told, str) else told()))
    waiting = asyncio.create_task(with_retries(vendor))
    assert 36 <= await waits.get() <= 38 + retries.JITTER
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert vendor.calls == 1


async def test_a_wait_of_more_than_ten_minutes_ends_at_once(waits):
    vendor = Vendor(status(429, retry_after="601"))
    with pytest.raises(GenerationFailed) as caught:
        await with_retries(vendor)
    assert vendor.calls == 1
    assert waits.empty()
    assert caught.value.code == FailureCode.PROVIDER_ERROR


async def test_a_told_wait_of_nothing_is_no_leave_to_hammer(waits):
    waiting = asyncio.create_task(with_retries(Vendor(status(429, retry_after="0"))))
    assert await waits.get() >= retries.FIRST_WAIT
    waiting.cancel()


async def test_waits_grow_and_are_spread(waits, monkeypatch):
    """Exponential, with jitter; each wait is cut short by the test's own clock."""
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retries, "JITTER", 0.0005)
    await with_retries(Vendor(*[status(500)] * (retries.TRIES - 1)))
    begun = [waits.get_nowait() for _ in range(retries.TRIES - 1)]
    assert [0.001 * 2**n <= wait <= 0.001 * 2**n + 0.0005 for n, wait in enumerate(begun)] == [True] * len(begun)
    assert all(wait != 0.001 * 2**n for n, wait in enumerate(begun))


# ---------------------------------------------------------------- what is told


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (VendorFault(FaultKind.MODERATED), FailureCode.MODERATED),
        (VendorFault(FaultKind.BAD_OUTPUT), FailureCode.BAD_MODEL_OUTPUT),
        (VendorFault(FaultKind.TIMEOUT), FailureCode.PROVIDER_TIMEOUT),
        (status(408), FailureCode.PROVIDER_TIMEOUT),
        (status(504), FailureCode.PROVIDER_TIMEOUT),
        (VendorFault(FaultKind.UNREACHABLE), FailureCode.PROVIDER_ERROR),
        (VendorFault(FaultKind.CUT), FailureCode.PROVIDER_ERROR),
        (status(401), FailureCode.PROVIDER_ERROR),
        (status(500), FailureCode.PROVIDER_ERROR),
    ],
    ids=str,
)
def test_every_fault_has_its_code_and_words_that_name_nobody(fault, code):
    failure = retries.failed(fault)
    assert failure.code == code
    words = failure.message.lower()
    assert words.endswith(".")
    assert not any(name in words for name in ("openai", "replicate", "seedream", "kling", "gpt", "http", "error", "api"))


def test_only_plain_words_and_request_ids_of_a_vendor_are_kept():
    """A key, an address or a person's text that a vendor or a proxy says back must not get into a log."""
    headers = {"X-Request-Id": "req_1a2b3c4d5e6f", "Authorization": KEY, "Set-Cookie": KEY}
    assert str(VendorFault(FaultKind.STATUS, status=500, headers=headers, reason="server_error")) == (
        "HTTP 500, server_error, request req_1a2b3c4d5e6f"
    )
    for said in (KEY, f"Incorrect API key provided: {KEY}", "a red bag", "https://x.example/?k=1", 500, {"code": KEY}, "a" * 49):
        assert str(VendorFault(FaultKind.STATUS, status=400, headers={"x-request-id": KEY}, reason=said)) == "HTTP 400"


async def test_the_log_of_a_retry_holds_no_more_than_the_error(hurried, capsys):
    vendor = Vendor(VendorFault(FaultKind.STATUS, status=500, headers={"authorization": KEY}, reason=f"bad {KEY}"))
    await with_retries(vendor)
    out, err = capsys.readouterr()
    assert "retry" in out + err
    assert KEY not in out + err
