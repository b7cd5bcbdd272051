"""The adapter against a server that is not ours (FEATURES R2): LiteLLM's proxy, which checks and rewrites what it is sent."""

from collections.abc import AsyncIterator

import pytest

from mina_gql.adapters.ai.openai import OpenAIVendor
from mina_gql.adapters.ai.registry import VendorRefused
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from tests.vendors.litellm_proxy import KEY, litellm_proxy
from tests.vendors.openai_roles import caption_request, opened, picture, role, vendor_at, write_request
from tests.vendors.openai_server import KEY as UPSTREAM_KEY
from tests.vendors.openai_server import OpenAIServer, error, moderation

pytestmark = pytest.mark.timeout(600)  # the first run installs the proxy


@pytest.fixture(scope="session")
async def upstream() -> AsyncIterator[OpenAIServer]:
    """The OpenAI behind the proxy; what a proxy adds to requests is its own affair."""
    async with OpenAIServer(picky=False) as server:
        yield server


@pytest.fixture(scope="session")
async def proxy(upstream, tmp_path_factory) -> AsyncIterator[str]:
    async with litellm_proxy(tmp_path_factory.mktemp("litellm"), upstream.url, UPSTREAM_KEY) as url:
        yield url


@pytest.fixture
async def vendor(proxy, upstream) -> AsyncIterator[OpenAIVendor]:
    upstream.requests.clear()
    upstream.script.clear()
    vendor = vendor_at(proxy, KEY)
    yield vendor
    await vendor.close()


async def test_a_picture_is_captioned_by_a_proxy(vendor):
    caption = await vendor.vision(role("vision", "caption")).caption(caption_request())
    assert (caption.text, caption.line) == ("A green glass bottle.", "What a fine bottle!")
    assert caption.usage.model == "caption"
    assert caption.usage.input_tokens and caption.usage.output_tokens


async def test_a_prompt_is_written_by_a_proxy(vendor):
    written = await vendor.writer(role("writer", "prompt")).write(write_request())
    assert written.value == {"clean_prompt": "A green bottle on stone.", "userMessage_final": "Ready."}


async def test_picture_and_strict_schema_come_through(vendor, upstream):
    """To the model itself, as we sent them."""
    caption = await vendor.vision(role("vision", "passed-on")).caption(caption_request(of=picture(64, 48)))
    assert caption.text == "A red leather bag."
    asked = upstream.asked.body
    assert asked["model"] == "gpt-4.1-mini"
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert asked["response_format"]["json_schema"]["schema"]["additionalProperties"] is False
    assert asked["max_completion_tokens"] == 8192
    image = asked["messages"][1]["content"][1]["image_url"]
    assert opened(image["url"]).size == (64, 48)
    assert image["detail"] == "high"


@pytest.mark.parametrize(("model", "status"), [("busy", 429), ("broken", 500)])
async def test_a_proxy_in_trouble_ends_the_generation(hurried, vendor, model, status):
    with pytest.raises(GenerationFailed) as caught:
        await vendor.writer(role("writer", model)).write(write_request())
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert caught.value.retryable
    assert caught.value.detail.startswith(f"HTTP {status}")
    assert caught.value.detail.endswith("(5 tries)")


async def test_three_500s_behind_a_proxy_are_survived(hurried, vendor, upstream):
    """DESIGN section 14."""
    upstream.answer(*[error(500, "server_error")] * 3)
    assert (await vendor.writer(role("writer", "passed-on")).write(write_request())).value["clean_prompt"]
    assert len(upstream.requests) == 4


async def test_a_model_that_a_proxy_does_not_know(vendor):
    with pytest.raises(GenerationFailed) as caught:
        await vendor.writer(role("writer", "unheard-of")).write(write_request())
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert not caught.value.retryable


async def test_a_wrong_key_at_a_proxy(hurried, proxy):
    vendor = vendor_at(proxy, "sk-litellm-wrong")
    with pytest.raises(VendorRefused, match="OPENAI_API_KEY: the key is not taken") as told:
        await vendor.check()
    with pytest.raises(GenerationFailed) as caught:
        await vendor.writer(role("writer", "prompt")).write(write_request())
    await vendor.close()
    assert not caught.value.retryable
    assert "sk-litellm-wrong" not in f"{told.value} {caught.value} {caught.value.detail}"


async def test_the_doctor_says_which_models_a_proxy_lacks(vendor):
    assert (await vendor.check()).startswith("the key is taken, but not for gpt-4.1-mini: ")


async def test_a_proxy_moderates_with_the_model_behind_it(vendor, upstream):
    upstream.answer(moderation("violence"))
    assert await vendor.moderator(role("moderation")).flagged(text="a red bag") == ["violence"]
    assert upstream.asked.body["input"] == [{"type": "text", "text": "a red bag"}]


async def test_a_proxy_that_serves_no_moderation_moderates_nothing(vendor):
    assert await vendor.moderator(role("moderation", "text-moderation-unheard-of")).flagged(text="a red bag") == []
