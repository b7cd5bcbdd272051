"""OpenAI in trouble (FEATURES R2, R4, R5; DESIGN section 14): what is survived, what ends the generation, what `mina doctor` says."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import stamina

from mina_gql.adapters.ai.openai import OpenAIVendor, calls
from mina_gql.adapters.ai.registry import VendorRefused
from mina_gql.adapters.ai.retries import TRIES, VendorFault
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from tests.vendors.openai_roles import caption_request, role, vendor_at, write_request
from tests.vendors.openai_server import KEY, OpenAIServer, Reply, completion, error, models

BRIEF = "a bag for Ms Marigold Quillfeather"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
async def vendor(server) -> AsyncIterator[OpenAIVendor]:
    vendor = vendor_at(server)
    yield vendor
    await vendor.close()


@pytest.fixture
def writer(vendor):
    return vendor.writer(role("writer"))


@pytest.fixture
def moderator(vendor):
    return vendor.moderator(role("moderation"))


# ---------------------------------------------------------------- what is survived


@pytest.mark.parametrize(
    "reply",
    [
        error(500, "server_error"),
        error(503, "overloaded"),
        error(429, "rate_limit_exceeded"),
        error(408),
        Reply(b"<html>Bad gateway</html>", 502, {"content-type": "text/html"}),
        Reply(fate="drop"),
        Reply(completion("{}").body, fate="cut"),
        Reply(b'{"id": "chatcmpl-C1", "choi'),
        Reply(b"\xff\xfe\x00"),
    ],
    ids=["500", "503", "429", "408", "gateway", "dropped", "cut off", "half JSON", "no text"],
)
async def test_three_of_it_in_a_row_are_survived(hurried, server, writer, reply):
    """DESIGN section 14."""
    server.answer(reply, reply, reply)
    assert (await writer.write(write_request())).value["clean_prompt"] == "A red bag on stone."
    assert len(server.requests) == 4


async def test_every_role_survives(hurried, server, vendor, moderator):
    broken = error(500, "server_error")
    server.answer(*[broken] * 3)
    assert (await vendor.vision(role("vision")).caption(caption_request())).text
    server.answer(*[broken, models("omni-moderation-latest")] * 3)  # a proxy is asked whether it moderates at all
    assert await moderator.flagged(text="x") == []


async def test_retry_after_is_waited_for(server, writer):
    begun: asyncio.Queue[float] = asyncio.Queue()
    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: begun.put_nowait(details.wait_for)])
    try:
        server.answer(error(429, "rate_limit_exceeded", retry_after="33"))
        writing = asyncio.create_task(writer.write(write_request()))
        assert await begun.get() >= 33
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    finally:
        stamina.instrumentation.set_on_retry_hooks(before)
    assert len(server.requests) == 1


async def test_an_answer_that_does_not_come_is_given_up(hurried, server, vendor, writer, monkeypatch):
    """And asked for again, with time of its own."""
    await vendor._connection.calls()
    server.answer(Reply(fate="hang"))
    with monkeypatch.context() as patched:
        patched.setattr(calls, "CALL_SECONDS", 0.5)
        writing = asyncio.create_task(writer.write(write_request()))
        await server.hanging.wait()
    assert (await writing).value["clean_prompt"] == "A red bag on stone."
    assert len(server.requests) == 2


async def test_an_answer_that_never_comes_is_a_timeout(hurried, server, writer, monkeypatch):
    monkeypatch.setattr(calls, "CALL_SECONDS", 0.02)
    server.answer(*[Reply(fate="hang")] * TRIES)
    with pytest.raises(GenerationFailed) as caught:
        await writer.write(write_request())
    assert caught.value.code == FailureCode.PROVIDER_TIMEOUT


async def test_a_call_that_is_given_up_by_its_caller_ends_at_once(server, writer):
    """The generation's deadline, or a cancel."""
    server.answer(Reply(fate="hang"))
    writing = asyncio.create_task(writer.write(write_request()))
    await server.hanging.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert len(server.requests) == 1


# ---------------------------------------------------------------- what is not


@pytest.mark.parametrize(
    ("reply", "tries", "retryable"),
    [
        (error(401, "invalid_api_key"), 1, False),
        (error(403, "unsupported_country_region_territory"), 1, False),
        (error(404, "model_not_found"), 1, False),
        (error(400, "invalid_image"), 1, False),
        (error(429, "insufficient_quota", kind="insufficient_quota"), 1, False),
        (error(500, "server_error", x_should_retry="false"), 1, False),
        (error(503, "overloaded"), TRIES, True),
        (error(429, "rate_limit_exceeded"), TRIES, True),
        (error(429, "rate_limit_exceeded", retry_after="3600"), 1, True),
        (Reply(fate="drop"), TRIES, True),
    ],
    ids=["401", "403", "404", "400", "no funds", "told not to", "503", "429", "an hour", "dropped"],
)
async def test_what_goes_on_ends_the_generation(hurried, server, writer, reply, tries, retryable):
    server.answer(*[reply] * TRIES)
    with pytest.raises(GenerationFailed) as caught:
        await writer.write(write_request())
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert caught.value.retryable is retryable
    assert len(server.requests) == tries


async def test_a_server_that_is_not_there(hurried, free_port):
    vendor = vendor_at(f"http://127.0.0.1:{free_port}/v1")
    with pytest.raises(GenerationFailed) as caught:
        await vendor.writer(role("writer")).write(write_request())
    await vendor.close()
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert caught.value.detail == f"unreachable ({TRIES} tries)"


async def test_the_admins_detail_says_what_and_which_request(hurried, server, writer):
    server.answer(error(404, "model_not_found", message=f"No model for {KEY}"))
    with pytest.raises(GenerationFailed) as caught:
        await writer.write(write_request())
    assert caught.value.detail == "HTTP 404, model_not_found, request req_0123456789abcdef"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
async def test_no_key_and_no_word_of_a_person_gets_out(hurried, server, vendor, writer, caplog, capsys, monkeypatch, level):
    """Neither into an error, nor into a log: not even where the vendor says them back, or the library is told to be loud."""
    for name in ("openai", "httpx2", "httpcore2", ""):
        caplog.set_level(level, name)
    said = f"{KEY} {BRIEF} {server.url}"
    replies = [
        error(429, said, kind=said, message=said),
        Reply(said.encode(), 500, {"content-type": "text/plain"}),
        error(400, message=said),
    ]
    server.answer(*replies)
    with pytest.raises(GenerationFailed) as caught:
        await writer.write(write_request(BRIEF))
    server.answer(completion(None, refusal=said))
    with pytest.raises(GenerationFailed) as refused:
        await writer.write(write_request(BRIEF))
    server.answer(error(401, said, message=said))
    with pytest.raises(VendorRefused) as told:
        await vendor.check()
    out, err = capsys.readouterr()
    texts = [caplog.text, out, err, *(f"{e.value!r} {e.value} {e.value.__cause__!r}" for e in (caught, refused, told))]
    texts += [caught.value.detail, caught.value.message, refused.value.detail]
    assert not any(secret in text for secret in (KEY, "Marigold") for text in texts)


@pytest.mark.parametrize("reply", [error(500), Reply(fate="drop"), Reply(b"{")], ids=["500", "dropped", "half JSON"])
async def test_the_librarys_errors_are_left_behind(server, vendor, reply):
    """They carry the request along, with the key and the person's words in it."""
    server.answer(reply)
    with pytest.raises(VendorFault) as caught:
        await (await vendor._connection.calls()).models()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


# ---------------------------------------------------------------- moderation


async def test_a_proxy_without_moderation_moderates_nothing(server, moderator):
    server.answer(error(500, message="Missing credentials"), models("gpt-4.1-mini"))
    assert await moderator.flagged(text="x") == []
    server.answer(error(404), error(404))
    assert await moderator.flagged(text="x") == []


@pytest.mark.parametrize(
    "reply", [error(401, "invalid_api_key"), error(403), error(429, retry_after="3600")], ids=["401", "403", "429"]
)
async def test_moderation_that_fails_lets_nothing_through(server, moderator, reply):
    server.answer(reply)
    with pytest.raises(GenerationFailed):
        await moderator.flagged(text="x")


async def test_openai_itself_always_moderates(hurried, server, vendor, moderator, monkeypatch):
    monkeypatch.setattr(await vendor._connection.calls(), "_is_openai", True)
    server.answer(error(404))
    with pytest.raises(GenerationFailed):
        await moderator.flagged(text="x")
    assert [asked.path for asked in server.requests] == ["/v1/moderations"]


# ---------------------------------------------------------------- mina doctor


async def test_a_key_that_is_taken(server, vendor):
    assert await vendor.check() == "the key is taken"
    assert server.asked.path == "/v1/models"


async def test_a_key_that_lacks_a_model(server, vendor):
    server.answer(models("gpt-4o"))
    assert (await vendor.check()).startswith("the key is taken, but not for gpt-4.1-mini and omni-moderation-latest: ")


@pytest.mark.parametrize(
    ("reply", "setting", "words"),
    [
        (error(401, "invalid_api_key"), "OPENAI_API_KEY", "make a new one"),
        (error(403, "insufficient_permissions"), "OPENAI_API_KEY", "Let it list and use models"),
        (error(404), "OPENAI_BASE_URL", "with /v1 at its end"),
        (error(429, "insufficient_quota"), "OPENAI_API_KEY", "billing and limits"),
        (error(503), "OPENAI_API_KEY", "Try again"),
        (Reply(b"<html>", headers={"content-type": "text/html"}), "OPENAI_BASE_URL", "with /v1 at its end"),
        (Reply(b"{", headers={}), "OPENAI_BASE_URL", "with /v1 at its end"),
    ],
    ids=["401", "403", "404", "429", "503", "a website", "half JSON"],
)
async def test_the_doctor_names_the_setting_and_the_cure(server, vendor, reply, setting, words):
    server.answer(reply)
    with pytest.raises(VendorRefused) as caught:
        await vendor.check()
    told = str(caught.value)
    assert setting in told
    assert words in told
    assert KEY not in told
    assert server.url not in told
    assert len(server.requests) == 1


async def test_the_doctor_knows_a_wrong_address(free_port):
    vendor = vendor_at(f"http://127.0.0.1:{free_port}/v1")
    with pytest.raises(VendorRefused, match=r"^OPENAI_BASE_URL: no answer \(unreachable\)"):
        await vendor.check()
    await vendor.close()


async def test_the_doctor_knows_a_wrong_key(server):
    vendor = vendor_at(server, "sk-wrong")
    with pytest.raises(VendorRefused, match=r"^OPENAI_API_KEY: the key is not taken \(HTTP 401, invalid_api_key, request"):
        await vendor.check()
    await vendor.close()


async def test_a_key_with_what_was_copied_along_works(server):
    """And one that is none is not told by the error that says so."""
    vendor = vendor_at(server, f"\u00a0{KEY}\n")
    assert await vendor.check() == "the key is taken"
    await vendor.close()


async def test_a_proxy_that_lists_patterns_may_serve_anything(server, vendor):
    server.answer(models("openai/*"))
    assert await vendor.check() == "the key is taken"


# ---------------------------------------------------------------- starting up


def test_the_library_is_loaded_by_the_first_call_only():
    """R4, and a start of less than three seconds: `openai` alone takes most of one."""
    code = (
        "import sys; from mina_gql.adapters.ai.openai import OpenAIVendor; OpenAIVendor('k', None);"
        "print([name for name in ('openai', 'httpx2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


async def test_calls_at_once_share_one_client(server, vendor):
    await asyncio.gather(*(vendor.writer(role("writer")).write(write_request()) for _ in range(3)))
    assert len({id(await vendor._connection.calls()) for _ in range(2)}) == 1
    assert len(server.requests) == 3


async def test_closing_what_was_never_opened_is_fine():
    await vendor_at("").close()
