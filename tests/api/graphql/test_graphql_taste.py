"""Taste at the edge: saying it, seeing it, and why (FEATURES H4, H5, H7, M1 to M8)."""

import pytest

from mina_gql.adapters.rates import MemoryRates
from mina_gql.domain.taste import HARD_BLOCK
from tests.api.graphql.graphql_world import code
from tests.studio import counted

ERRORS = "userErrors { code message field }"
LIKE = f"""mutation($input: LikeInput!) {{ like(input: $input) {{ event {{ id type payload generation {{ id }} }}
    generation {{ id liked }} pass {{ id preferences {{ tagWeights {{ tag weight }} }} }} {ERRORS} }} }}"""
PREFERENCES = "preferences { hardBlocks tagWeights { tag weight } updatedAt source }"
SET = f"mutation($input: SetPreferenceInput!) {{ setPreference(input: $input) {{ pass {{ {PREFERENCES} }} {ERRORS} }} }}"


async def made(api, caller, name="a", prompt="Velvet on travertine.", **columns):
    """A finished picture; its global id."""
    row = {"generation_id": name, "mma_mode": "still", "mma_status": "done", "prompt": prompt, "output_url": f"http://x/{name}"}
    return await api.studio.row("generation", name, caller, **row | columns)


async def test_a_like_answers_with_its_event_the_picture_and_the_pass(api):
    caller = await api.studio.person()
    id_ = await made(api, caller)
    told = (await api.data(caller, LIKE, input={"generationId": id_, "context": "archive"}))["like"]
    assert told["userErrors"] == []
    assert (told["event"]["type"], told["event"]["generation"]) == ("LIKE", {"id": id_})
    assert told["event"]["payload"] == {"value": True, "context": "archive", "tags": ["velvet", "travertine"]}
    assert told["generation"] == {"id": id_, "liked": True}
    weights = [{"tag": "travertine", "weight": 1.0}, {"tag": "velvet", "weight": 1.0}]
    assert told["pass"] == {"id": caller.pass_id, "preferences": {"tagWeights": weights}}
    node = await api.data(caller, "query($id: ID!) { node(id: $id) { ... on MmaEvent { type } } }", id=told["event"]["id"])
    assert node == {"node": {"type": "LIKE"}}


async def test_mutations_of_one_request_each_see_what_they_did(api):
    caller = await api.studio.person()
    id_ = await made(api, caller)
    inner = "{ event { type pass { preferences { tagWeights { tag } } } } generation { liked } }"
    told = await api.data(
        caller,
        f"""mutation($id: ID!) {{
            none: like(input: {{ generationId: $id, value: false }}) {inner}
            up: like(input: {{ generationId: $id }}) {inner}
            down: dislike(input: {{ generationId: $id }}) {inner}
            back: dislike(input: {{ generationId: $id, value: false }}) {inner}
            got: recordDownload(generationId: $id) {inner} }}""",
        id=id_,
    )
    assert told["none"] == {"event": None, "generation": {"liked": False}}
    assert [told[name]["generation"]["liked"] for name in ("up", "down", "back", "got")] == [True, False, False, False]
    assert [told[name]["event"]["type"] for name in ("up", "down", "back", "got")] == ["LIKE", "DISLIKE", "DISLIKE", "DOWNLOAD"]
    assert [len(told[name]["event"]["pass"]["preferences"]["tagWeights"]) for name in ("up", "down", "back", "got")] == [
        2,
        2,
        0,
        2,
    ]


async def test_feedback_to_a_clip_is_sent_and_makes_nothing(api):
    """FEATURES M4."""
    caller = await api.studio.person(matcha=5)
    id_ = await made(api, caller, mma_mode="video")
    text = f"""mutation($id: ID!, $text: String!) {{ sendFeedback(generationId: $id, text: $text) {{
        event {{ type payload }} generation {{ kind }} pass {{ credits {{ balance }} generations {{ totalCount }} }} {ERRORS} }} }}"""
    told = (await api.data(caller, text, id=id_, text="Slower."))["sendFeedback"]
    assert told == {
        "event": {"type": "FEEDBACK", "payload": {"text": "Slower."}},
        "generation": {"kind": "VIDEO"},
        "pass": {"credits": {"balance": 5}, "generations": {"totalCount": 1}},
        "userErrors": [],
    }
    refused = (await api.data(caller, text, id=id_, text=" "))["sendFeedback"]
    assert (refused["event"], refused["userErrors"][0]["code"], refused["userErrors"][0]["field"]) == (
        None,
        "INVALID_INPUT",
        ["text"],
    )


async def test_preferences_are_set_cleared_and_reset(api):
    """FEATURES H4, H5, H7."""
    caller = await api.studio.person()
    assert (await api.data(caller, f"{{ me {{ {PREFERENCES} }} }}"))["me"]["preferences"] == {
        "hardBlocks": [],
        "tagWeights": [],
        "updatedAt": None,
        "source": "mma",
    }
    await api.data(caller, SET, input={"tag": "Soft light", "weight": 2})
    told = (await api.data(caller, SET, input={"tag": "motion.light_flicker", "hardBlock": True}))["setPreference"]
    found = told["pass"]["preferences"]
    assert (found["hardBlocks"], found["source"], found["updatedAt"] is None) == (["motion.light_flicker"], "mma", False)
    weights = [{"tag": "soft light", "weight": 2.0}, {"tag": "motion.light_flicker", "weight": HARD_BLOCK}]
    assert found["tagWeights"] == weights
    inner = "{ pass { preferences { hardBlocks tagWeights { tag } } } userErrors { code } }"
    cleared = (await api.data(caller, f'mutation {{ clearPreference(tag: "motion.light_flicker") {inner} }}'))["clearPreference"]
    assert cleared["pass"]["preferences"] == {"hardBlocks": [], "tagWeights": [{"tag": "soft light"}]}
    reset = (await api.data(caller, f"mutation {{ resetPreferences {inner} }}"))["resetPreferences"]
    assert reset["pass"]["preferences"] == {"hardBlocks": [], "tagWeights": []}


@pytest.mark.parametrize(
    ("input_", "field"),
    [
        ({"tag": "silk"}, ["input", "weight"]),
        ({"tag": "silk", "weight": 11}, ["input", "weight"]),
        ({"tag": "silk", "weight": -999}, ["input", "weight"]),
        ({"tag": "silk", "weight": 1, "hardBlock": True}, ["input", "weight"]),
        ({"tag": "", "weight": 1}, ["input", "tag"]),
        ({"tag": "https://x.example", "weight": 1}, ["input", "tag"]),
    ],
)
async def test_a_setting_that_cannot_be_is_told_where_it_is_wrong(world, input_, field):
    told = (await world.data(world.stranger, SET, input=input_))["setPreference"]
    assert told["pass"] is None
    assert (told["userErrors"][0]["code"], told["userErrors"][0]["field"]) == ("INVALID_INPUT", field)


DOING = {
    "like": 'like(input: { generationId: "x" }) { event { id }',
    "dislike": 'dislike(input: { generationId: "x" }) { event { id }',
    "recordDownload": 'recordDownload(generationId: "x") { event { id }',
    "sendFeedback": 'sendFeedback(generationId: "x", text: "y") { event { id }',
    "setPreference": 'setPreference(input: { tag: "silk", weight: 1 }) { pass { id }',
    "clearPreference": 'clearPreference(tag: "silk") { pass { id }',
    "resetPreferences": "resetPreferences { pass { id }",
}


@pytest.mark.parametrize("name", DOING)
async def test_a_disabled_pass_says_nothing_and_nobody_is_asked_who_they_are(world, name):
    told = (await world.data(world.disabled, f"mutation {{ {DOING[name]} userErrors {{ code }} }} }}"))[name]
    assert told.pop("userErrors") == [{"code": "ACCOUNT_DISABLED"}]
    assert list(told.values()) == [None]
    assert code(await world.ask(None, f"mutation {{ {DOING[name]} userErrors {{ code }} }} }}")) == "UNAUTHENTICATED"


async def test_signals_have_a_rate_of_their_own(api):
    await api.studio.knobs(limits_signals=2)
    object.__setattr__(api.studio.mina.services, "rates", MemoryRates())
    caller, other = await api.studio.person(), await api.studio.person()
    text = "mutation { resetPreferences { userErrors { code } } }"
    for _ in range(2):
        await api.data(caller, text)
    answer = await api.ask(caller, f"mutation {{ {DOING['like']} userErrors {{ code }} }} }}")
    assert code(answer) == "THROTTLED"
    await api.data(other, text)


# ---------------------------------------------------------------- liked


async def test_a_page_knows_what_is_liked_in_one_query_more(api):
    """FEATURES M8: the heart is kept with the Pass, so another device shows it."""
    caller = await api.studio.person()
    for n in range(12):
        id_ = await made(api, caller, f"{n:02}")
        if n % 3 == 0:
            await api.data(caller, LIKE, input={"generationId": id_})
    await api.data(caller, LIKE, input={"generationId": "03", "value": False})
    with counted(api.studio.mina.database) as plain:
        await api.data(caller, "{ me { generations { nodes { id } } } }")
    with counted(api.studio.mina.database) as reads:
        found = await api.data(caller, "{ me { generations { nodes { id liked } } } }")
    assert len(reads) == len(plain) + 1
    liked = {node["id"] for node in found["me"]["generations"]["nodes"] if node["liked"]}
    assert liked == {"generation:00", "generation:06", "generation:09"}
    one = await api.data(caller, '{ generation(id: "06") { liked } node(id: "generation:03") { ... on Generation { liked } } }')
    assert one == {"generation": {"liked": True}, "node": {"liked": False}}


# ---------------------------------------------------------------- because

BECAUSE = "query($n: Int) { me { preferences { tagWeights { tag because(first: $n) { id type generation { id } } } } } }"


async def test_a_weight_says_which_events_moved_it_newest_first_in_one_query(api):
    caller = await api.studio.person()
    for n in range(7):
        await api.data(caller, LIKE, input={"generationId": await made(api, caller, f"{n}", "Velvet.")})
    await api.data(caller, LIKE, input={"generationId": "6", "value": False})
    await api.data(caller, SET, input={"tag": "silk", "weight": 1})
    with counted(api.studio.mina.database) as reads:
        found = await api.data(caller, "{ me { preferences { tagWeights { tag because { type } } } } }")
    assert len([query for query in reads.queries if "event_type" in query]) == 1
    velvet, silk = found["me"]["preferences"]["tagWeights"]
    assert (velvet["tag"], len(velvet["because"]), silk) == (
        "velvet",
        5,
        {"tag": "silk", "because": [{"type": "PREFERENCE_SET"}]},
    )
    of = (await api.data(caller, BECAUSE, n=20))["me"]["preferences"]["tagWeights"][0]["because"]
    assert [event["generation"]["id"] for event in of] == [f"generation:{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert len((await api.data(caller, BECAUSE, n=2))["me"]["preferences"]["tagWeights"][0]["because"]) == 2


@pytest.mark.parametrize("n", [0, -1, 21])
async def test_reasons_are_one_to_twenty(api, n):
    caller = await api.studio.person()
    await api.data(caller, SET, input={"tag": "silk", "weight": 1})
    assert code(await api.ask(caller, BECAUSE, n=n)) == "BAD_USER_INPUT"
