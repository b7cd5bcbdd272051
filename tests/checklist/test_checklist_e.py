"""Assets: what the checklist promises beyond a single file's tests (FEATURES group E)."""

import pytest

from tests.api.graphql.graphql_world import Api
from tests.services.pipeline_workshop import Workshop

SLOW_4G_BITS = 700_000
"""What a slow 4G line sends in a second (seed 003, 4.1)."""
UPLOAD = """mutation { createUpload(input: { contentType: "image/png", fileName: "p", bytes: 9 }) {
  upload { expiresInSec maxBytes timeoutSeconds } } }"""
LIMITS = "{ studio { maxInspirationImages maxUploadBytes uploadTimeoutSeconds } }"
CREATE = """mutation($urls: [String!]!) { create(input: { brief: "A cup", assets: { inspirationImageUrls: $urls } }) {
  generation { assets { inspirationImageUrls } } userErrors { code field } } }"""


async def test_an_outputs_address_and_key_are_the_same_object(workshop: Workshop) -> None:
    """E12: of a still, of its tweak and of its clip, in the columns and in the map, and the object is there."""
    caller = await workshop.person(20)
    still = await workshop.made(caller)
    tweak = await workshop.run(await workshop.tweak(caller, still.generation["mg_id"]))
    clip = await workshop.run(await workshop.animate(caller, generation_id=still.generation["mg_id"]))
    keys = set()
    for story in (still, tweak, clip):
        key, url = story.generation["mg_output_key"], story.generation["mg_output_url"]
        outputs = story.generation["mg_mma_vars"]["outputs"]
        assert workshop.mina.store.key_of(url) == key
        assert (outputs["key"], outputs["url"]) == (key, url)
        assert len(await workshop.mina.store.read(key)) == outputs["bytes"] > 0
        keys.add(key)
    assert len(keys) == 3


async def test_the_largest_upload_has_time_on_a_slow_line_and_its_address_lives_longer(api: Api) -> None:
    """E9: what “Upload image again” waits for is told with each upload and beforehand, the same number."""
    upload = (await api.data(await api.studio.person(), UPLOAD))["createUpload"]["upload"]
    limits = (await api.data(None, LIMITS))["studio"]
    assert (upload["maxBytes"], upload["timeoutSeconds"]) == (limits["maxUploadBytes"], limits["uploadTimeoutSeconds"])
    assert upload["maxBytes"] * 8 / SLOW_4G_BITS <= upload["timeoutSeconds"] < upload["expiresInSec"]


@pytest.mark.parametrize("number", range(6))
async def test_none_to_four_inspirations_are_taken_in_their_order_and_a_fifth_is_not(api: Api, number: int) -> None:
    """E7."""
    caller = await api.studio.person(1)
    urls = [await api.studio.picture(caller) for _ in range(number)]
    payload = (await api.data(caller, CREATE, urls=urls))["create"]
    if number <= (await api.data(None, LIMITS))["studio"]["maxInspirationImages"] == 4:
        assert payload == {"generation": {"assets": {"inspirationImageUrls": urls}}, "userErrors": []}
    else:
        [error] = payload["userErrors"]
        assert (payload["generation"], error["code"], await api.studio.balance(caller)) == (None, "INVALID_INPUT", 1)
