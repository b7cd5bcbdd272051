"""Money and refusals at the edge, and what a disabled Pass may still see."""

import asyncio

import pytest

DOING = {
    "create": 'create(input: { brief: "x" }) { generation { id }',
    "createUpload": 'createUpload(input: { contentType: "image/png", fileName: "p", bytes: 9 }) { upload { url }',
    "confirmUpload": 'confirmUpload(key: "x") { asset { key }',
    "startSession": "startSession(input: {}) { session { id }",
    "endSession": 'endSession(id: "x") { session { id }',
}


@pytest.mark.parametrize("name", DOING)
async def test_a_disabled_pass_may_do_nothing(world, name):
    answer = (await world.data(world.disabled, f"mutation {{ {DOING[name]} userErrors {{ code }} }} }}"))[name]
    assert answer.pop("userErrors") == [{"code": "ACCOUNT_DISABLED"}]
    assert list(answer.values()) == [None]


async def test_a_disabled_pass_may_look_but_not_follow(world):
    me = (await world.data(world.disabled, "{ me { id credits { balance } generations { totalCount } } }"))["me"]
    assert (me["id"], me["credits"]["balance"]) == (world.disabled.pass_id, 5)
    (events,) = await world.follow(world.disabled, 'subscription { generationEvents(generationId: "x") { seq } }')
    assert "switched off" in events["errors"][0]["message"]


async def test_a_quote_and_the_prices_follow_the_knobs(api):
    text = """{ quote(action: ANIMATE) { action cost balance affordable shortBy }
        pricing { create tweak animate packs { sku matcha } } }"""
    caller = await api.studio.person(matcha=3)
    assert await api.data(caller, text) == {
        "quote": {"action": "ANIMATE", "cost": 5, "balance": 3, "affordable": False, "shortBy": 2},
        "pricing": {
            "create": 1,
            "tweak": 1,
            "animate": 5,
            "packs": [{"sku": "MINA-50", "matcha": 50}, {"sku": "MINA-100", "matcha": 100}],
        },
    }
    await api.studio.knobs(price_animate=3)
    assert (await api.data(caller, text))["quote"] == {
        "action": "ANIMATE",
        "cost": 3,
        "balance": 3,
        "affordable": True,
        "shortBy": 0,
    }
    assert (await api.data(None, text))["quote"] is None


async def test_too_little_matcha_is_told_in_numbers_beside_a_null_generation(api):
    caller = await api.studio.person()
    text = """mutation { create(input: { brief: "x" }) { generation { id } pass { id } userErrors {
        __typename code message field ... on InsufficientMatcha { required balance } } } }"""
    answer = (await api.data(caller, text))["create"]
    assert (answer["generation"], answer["pass"]) == (None, None)
    (error,) = answer["userErrors"]
    assert (error["__typename"], error["code"], error["required"], error["balance"]) == (
        "InsufficientMatcha",
        "INSUFFICIENT_MATCHA",
        1,
        0,
    )


async def test_the_studio_says_what_it_offers(world):
    found = await world.data(
        None,
        "{ studio { styles ratios movementStyles maxInspirationImages maxUploadBytes uploadContentTypes uploadTimeoutSeconds } }",
    )
    studio = found["studio"]
    assert studio["ratios"] == ["1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9"]
    assert (studio["maxInspirationImages"], studio["maxUploadBytes"]) == (4, 25 * 1024 * 1024)
    assert studio["uploadContentTypes"] == ["image/jpeg", "image/png", "image/webp"]
    assert studio["styles"]
    assert studio["movementStyles"]


async def test_siblings_run_at_once_and_share_nothing(world):
    text = "{ a: me { generations { totalCount } } b: me { events { totalCount } } c: me { sessions { totalCount } } }"
    one = await world.data(world.owner, text)
    assert all(each == one for each in await asyncio.gather(*(world.data(world.owner, text) for _ in range(10))))
