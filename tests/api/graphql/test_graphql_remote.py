"""storeRemote, as clients ask for it (FEATURES E2, E3)."""

import pytest

from mina_gql.adapters.rates import MemoryRates
from mina_gql.domain.config import RuntimeConfig
from mina_gql.domain.errors import RemoteFetchRefused
from mina_gql.domain.ports import Fetched
from tests.api.graphql.graphql_world import code
from tests.studio import PNG

STORE = """mutation($input: StoreRemoteInput!) { storeRemote(input: $input) {
    asset { key publicUrl contentType bytes width height } userErrors { __typename code message field } } }"""
URL = "https://pictures.example/p.png"


class Elsewhere:
    """Gives a picture for `URL` and refuses the rest."""

    async def fetch(self, url: str) -> Fetched:
        if url != URL:
            raise RemoteFetchRefused("Not from there.")
        return Fetched(PNG, "image/png")


@pytest.fixture
def stored(api):
    api.studio.assets._remote = Elsewhere()

    async def store(who, **given):
        return await api.ask(who, STORE, input={"sourceUrl": URL, **given})

    return store


@pytest.mark.parametrize(
    ("kind", "folder"), [({}, "user_uploads"), ({"kind": "UPLOAD"}, "user_uploads"), ({"kind": "GENERATION"}, "generations")]
)
async def test_a_picture_is_stored_where_its_kind_says(api, stored, kind, folder):
    answer = (await stored(await api.studio.person(), **kind))["data"]["storeRemote"]
    assert answer["userErrors"] == []
    asset = answer["asset"]
    assert asset["key"].startswith(f"{folder}/")
    assert asset["publicUrl"].endswith(asset["key"])
    assert (asset["contentType"], asset["width"], asset["height"]) == ("image/png", 8, 6)


async def test_a_refusal_is_told_beside_a_null_asset(api, stored):
    answer = await stored(await api.studio.person(), sourceUrl="https://inner.example/")
    assert answer["data"]["storeRemote"] == {
        "asset": None,
        "userErrors": [
            {
                "__typename": "InvalidInput",
                "code": "REMOTE_FETCH_REFUSED",
                "message": "Not from there.",
                "field": ["input", "sourceUrl"],
            }
        ],
    }


async def test_nobody_stores_anything(api, stored):
    assert code(await stored(None)) == "UNAUTHENTICATED"


async def test_there_is_a_limit_a_minute_that_a_knob_sets(api, stored):
    assert RuntimeConfig().per_minute("remote") == 20
    object.__setattr__(api.studio.mina.services, "rates", MemoryRates())
    await api.studio.knobs(limits_remote=2)
    who = await api.studio.person()
    answers = [await stored(who) for _ in range(3)]
    assert [bool(answer.get("data") and answer["data"]["storeRemote"]) for answer in answers] == [True, True, False]
    assert code(answers[2]) == "THROTTLED"
    assert (await stored(await api.studio.person()))["data"]["storeRemote"]["asset"]
