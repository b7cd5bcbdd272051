"""The archive over GraphQL: filters, lineage, posters, and drafts that make the same again (FEATURES N1 to N4, N8, N9, B5)."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.generations import StillOrder
from mina_gql.domain.passes import Caller
from mina_gql.services.sessions import NewSession
from tests.api.graphql.graphql_world import Api, code
from tests.studio import BRIEF, Studio, counted

LIST = "query($filter: GenerationFilter) { me { generations(filter: $filter) { nodes { id } totalCount } } }"
DRAFT = "query($id: ID!) { generation(id: $id) { recreate { kind create tweak animate changes } } }"
CREATE = "mutation($input: CreateInput!) { create(input: $input) { generation { id } userErrors { message } } }"
TWEAK = "mutation($input: TweakInput!) { tweak(input: $input) { generation { id } userErrors { message } } }"
ANIMATE = "mutation($input: AnimateInput!) { animate(input: $input) { generation { id } userErrors { message } } }"
SAME = ("assets", "inputs", "settings", "feedback")


async def found(api: Api, who: Caller, **filter_: Any) -> list[str]:
    listed = (await api.data(who, LIST, filter=filter_))["me"]["generations"]
    assert listed["totalCount"] == len(listed["nodes"])
    return [node["id"] for node in listed["nodes"]]


async def made(studio: Studio, who: Caller, **order: Any) -> str:
    """A finished still."""
    row = (await studio.orders.create(who, replace(BRIEF, **order))).generation
    await studio.mina.runner.run(row.id)
    return row.id


async def vars_of(studio: Studio, id_: str) -> dict[str, Any]:
    kept = orjson.loads(await studio.sql.fetchval("select mg_mma_vars from mega_generations where mg_id = $1", id_))
    return {name: kept[name] for name in SAME} | {"seeing": kept["history"]["vision_intelligence"]}


async def again(api: Api, who: Caller, id_: str) -> dict[str, Any]:
    return (await api.data(who, DRAFT, id=id_))["generation"]["recreate"]


@pytest.fixture
async def somebody(api: Api) -> Caller:
    return await api.studio.person(matcha=40)


# ---------------------------------------------------------------- filters


async def test_what_people_made_is_found_by_every_part_of_a_filter(api: Api, somebody: Caller):
    """FEATURES N2, N9, B5: on rows that the studio itself wrote."""
    studio = api.studio
    visit = await studio.sessions.start(somebody, NewSession(title="Visit"))
    stone = await made(studio, somebody, brief="A kettle on slate", ratio="9:16")
    silk = await made(studio, somebody, brief="A ribbon", session_id=visit.id)
    failed = (await studio.orders.create(somebody, replace(BRIEF, brief="A lamp"))).generation
    await studio.mina.endings.fail(failed.id, GenerationFailed("MODERATED", "Not this one, sorry."), lease=None)
    queued = (await studio.orders.create(somebody, replace(BRIEF, brief="A kettle for tomorrow"))).generation.id
    clip = await studio.row("generation", "clip", somebody, mma_mode="video", mma_status="done")
    await api.data(somebody, "mutation($id: ID!) { like(input: {generationId: $id}) { userErrors { code } } }", id=stone)

    assert await found(api, somebody) == [clip, queued, failed.id, silk, stone]
    assert await found(api, somebody, kind="VIDEO") == [clip]
    assert await found(api, somebody, status=["ERROR"]) == [failed.id]
    assert await found(api, somebody, status=["ERROR", "QUEUED"]) == [queued, failed.id]
    assert len(await found(api, somebody, status=[])) == len(await found(api, somebody, status=None)) == 5
    assert await found(api, somebody, liked=True) == [stone]
    assert await found(api, somebody, liked=False) == [clip, queued, failed.id, silk]
    for given in (visit.id, visit.session_id, visit.session_id.removeprefix("sess_")):
        assert await found(api, somebody, sessionId=given) == [silk]
    assert await found(api, somebody, ratio="9:16") == [stone]
    assert await found(api, somebody, search="kettles") == [queued, stone]
    assert await found(api, somebody, search="kettle", liked=True, ratio="9:16", kind="STILL", status=["DONE"]) == [stone]
    caption = await studio.sql.fetchval(
        "select mg_mma_vars #>> '{scans,output_still_crt}' from mega_generations where mg_id = $1", silk
    )
    assert silk in await found(api, somebody, search=f'"{" ".join(caption.split()[:3])}"')
    at = "query($id: ID!) { generation(id: $id) { createdAt } }"
    moment = (await api.data(somebody, at, id=failed.id))["generation"]["createdAt"]
    assert await found(api, somebody, createdAfter=moment) == [clip, queued, failed.id]
    assert await found(api, somebody, createdBefore=moment) == [silk, stone]


@pytest.mark.parametrize(
    "filter_",
    [
        {"search": "x" * 201},
        {"createdAfter": "soon"},
        {"createdAfter": "2026-11-21T09:10:40"},
        {"createdAfter": "2026-11-22T00:00:00Z", "createdBefore": "2026-11-21T00:00:00Z"},
        {"status": ["SOON"]},
        {"nothing": 1},
    ],
)
async def test_a_filter_that_cannot_be_is_the_clients_fault(api: Api, somebody: Caller, filter_: dict[str, Any]):
    assert code(await api.ask(somebody, LIST, filter=filter_)) == "BAD_USER_INPUT"


async def test_pages_of_a_narrowed_archive_go_on_by_their_cursors(api: Api, somebody: Caller):
    ids = [await api.studio.row("generation", f"g{n}", somebody, mma_mode="still", mma_status="done") for n in range(5)]
    await api.studio.row("generation", "clip", somebody, mma_mode="video", mma_status="done")
    text = """query($after: String) { me { generations(first: 2, after: $after, filter: {kind: STILL}) {
        nodes { id } pageInfo { hasNextPage endCursor } totalCount } } }"""
    seen, after = [], None
    while True:
        page = (await api.data(somebody, text, after=after))["me"]["generations"]
        assert page["totalCount"] == 5
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == ids[::-1]


# ---------------------------------------------------------------- lineage and posters


async def test_parents_and_children_find_each_other(api: Api, somebody: Caller):
    """Newest first; what was deleted is in neither, and somebody else's never."""
    studio, stranger = api.studio, await api.studio.person()
    parent = await made(studio, somebody)
    children = [await studio.row("generation", f"c{n}", somebody, parent_id=parent, mma_status="done") for n in range(3)]
    theirs = await studio.row("generation", "theirs", stranger, parent_id=parent, mma_status="done")
    text = """query($id: ID!) { generation(id: $id) { parent { id }
        children(first: 2) { nodes { id parent { id } } totalCount pageInfo { hasNextPage } } } }"""
    shown = (await api.data(somebody, text, id=parent))["generation"]
    assert shown == {
        "parent": None,
        "children": {
            "nodes": [{"id": id_, "parent": {"id": parent}} for id_ in children[:0:-1]],
            "totalCount": 3,
            "pageInfo": {"hasNextPage": True},
        },
    }
    assert (await api.data(stranger, text, id=theirs))["generation"]["parent"] is None
    await api.data(somebody, "mutation($id: ID!) { deleteGeneration(id: $id) { userErrors { code } } }", id=children[1])
    assert (await api.data(somebody, text, id=parent))["generation"]["children"]["totalCount"] == 2
    await api.data(somebody, "mutation($id: ID!) { deleteGeneration(id: $id) { userErrors { code } } }", id=parent)
    assert (await api.data(somebody, text, id=children[0]))["generation"]["parent"] is None


async def test_parents_of_a_page_are_read_at_once(api: Api, somebody: Caller):
    parents = [await api.studio.row("generation", f"p{n}", somebody, mma_status="done") for n in range(5)]
    for n, parent in enumerate(parents):
        await api.studio.row("generation", f"c{n}", somebody, parent_id=parent, mma_status="done")
    with counted(api.studio.mina.database) as reads:
        listed = await api.data(somebody, "{ me { generations { nodes { parent { id } } } } }")
    assert [node["parent"] and node["parent"]["id"] for node in listed["me"]["generations"]["nodes"]] == [
        *parents[::-1],
        *[None] * 5,
    ]
    assert len(reads) <= 3


async def test_a_clip_has_a_poster_and_a_still_has_none(api: Api, somebody: Caller):
    """FEATURES N8: also in a list, without the whole map."""
    vars_ = {"assets": {"input_still_url": "http://x/still.png"}, "outputs": {}}
    clip = await api.studio.row("generation", "clip", somebody, mma_mode="video", mma_vars=orjson.dumps(vars_).decode())
    own = {**vars_, "outputs": {"poster_url": "http://x/poster.jpg"}}
    framed = await api.studio.row("generation", "framed", somebody, mma_mode="video", mma_vars=orjson.dumps(own).decode())
    still = await api.studio.row("generation", "still", somebody, mma_mode="still", mma_vars=orjson.dumps(own).decode())
    posters = {still: None, framed: "http://x/poster.jpg", clip: "http://x/still.png"}
    with counted(api.studio.mina.database) as reads:
        listed = (await api.data(somebody, "{ me { generations { nodes { id posterUrl } } } }"))["me"]["generations"]["nodes"]
    assert {node["id"]: node["posterUrl"] for node in listed} == posters
    assert not [query for query in reads.queries if "mg_mma_vars -" in query]
    for id_, url in posters.items():
        alone = await api.data(somebody, "query($id: ID!) { generation(id: $id) { posterUrl } }", id=id_)
        assert alone["generation"]["posterUrl"] == url


# ---------------------------------------------------------------- again


@pytest.mark.parametrize(
    "order",
    [
        {},
        {
            "style": "luxury",
            "ratio": "3:4",
            "vision_intelligence": False,
            "settings": {"seedream": {"size": "4K", "guidance": 3}},
        },
    ],
)
async def test_a_still_drafted_and_ordered_again_has_the_same_inputs(api: Api, somebody: Caller, order: dict[str, Any]):
    """FEATURES N3: whatever the defaults and the taste of now are."""
    studio = api.studio
    pictures = {
        "product_image_url": await studio.picture(somebody),
        "inspiration_image_urls": (await studio.picture(somebody), await studio.picture(somebody)),
    }
    first = await made(studio, somebody, **order, **pictures)
    draft = await again(api, somebody, first)
    assert (draft["kind"], draft["tweak"], draft["animate"]) == ("STILL", None, None)
    await studio.sql.execute(
        "update mega_customers set mg_mma_preferences = $2 where mg_pass_id = $1",
        somebody.pass_id,
        '{"settings": {"seedream": {"size": "1K"}}}',
    )
    answer = (await api.data(somebody, CREATE, input=draft["create"]))["create"]
    assert answer["userErrors"] == []
    assert await vars_of(studio, answer["generation"]["id"]) == await vars_of(studio, first)


async def test_a_tweak_drafted_and_ordered_again_has_the_same_parent_and_words(api: Api, somebody: Caller):
    parent = await made(api.studio, somebody, style="moody")
    ordered = await api.data(somebody, TWEAK, input={"generationId": parent, "feedback": "Warmer light"})
    first = ordered["tweak"]["generation"]["id"]
    draft = await again(api, somebody, first)
    assert (draft["kind"], draft["create"], draft["animate"], draft["changes"]) == ("STILL", None, None, [])
    assert draft["tweak"] == {"generationId": parent, "feedback": "Warmer light"}
    answer = (await api.data(somebody, TWEAK, input=draft["tweak"]))["tweak"]
    assert await vars_of(api.studio, answer["generation"]["id"]) == await vars_of(api.studio, first)


@pytest.mark.parametrize("begin", ["generation", "picture"])
async def test_a_clip_drafted_and_ordered_again_has_the_same_inputs(api: Api, somebody: Caller, begin: str):
    """FEATURES N4: a clip leads to `animate`."""
    studio = api.studio
    still = (
        {"generationId": await made(studio, somebody)}
        if begin == "generation"
        else {"inputStillUrl": await studio.picture(somebody)}
    )
    chosen = {"motionPrompt": "Slow push-in", "movementStyle": "orbit", "settings": {"kling": {"durationSec": 10}}}
    ordered = await api.data(somebody, ANIMATE, input={**still, **chosen, "endStillUrl": await studio.picture(somebody)})
    first = ordered["animate"]["generation"]["id"]
    draft = await again(api, somebody, first)
    assert (draft["kind"], draft["create"], draft["tweak"]) == ("VIDEO", None, None)
    assert {name for name in ("generationId", "inputStillUrl") if draft["animate"][name]} == set(still)
    answer = (await api.data(somebody, ANIMATE, input=draft["animate"]))["animate"]
    assert answer["userErrors"] == []
    assert await vars_of(studio, answer["generation"]["id"]) == await vars_of(studio, first)


async def test_a_clip_whose_still_was_deleted_goes_on_from_its_picture(api: Api, somebody: Caller):
    parent = await made(api.studio, somebody)
    first = (await api.data(somebody, ANIMATE, input={"generationId": parent}))["animate"]["generation"]["id"]
    await api.studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", parent)
    draft = await again(api, somebody, first)
    assert draft["animate"]["generationId"] is None
    answer = (await api.data(somebody, ANIMATE, input=draft["animate"]))["animate"]
    assert answer["userErrors"] == []
    assert await vars_of(api.studio, answer["generation"]["id"]) == await vars_of(api.studio, first)


async def test_what_has_changed_since_is_said(api: Api, somebody: Caller):
    """Newer contexts, other defaults: as sentences, without the names of tools."""
    first = await made(api.studio, somebody)
    assert (await again(api, somebody, first))["changes"] == []
    newer = "insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value) values ('app_config:' || $1 || '.v2', 'app_config', $1, $2)"
    await api.studio.sql.execute(newer, "mma.ctx.gpt_reader", '{"system": "s", "user_template": "u"}')
    await api.studio.sql.execute(newer, "mma.provider.seedream.defaults", '{"size": "4K", "enhance_prompt": true}')
    api.studio.mina.services.config._read_at = float("-inf")
    changes = (await again(api, somebody, first))["changes"]
    assert len(changes) == 2
    assert changes[0] == "“size” is 4K by default; this draft keeps 2K."
    assert not any(word in " ".join(changes).lower() for word in ("gpt", "seedream", "openai", "replicate", "step", "mma"))


async def test_drafts_of_a_list_cost_no_query_a_row(api: Api, somebody: Caller):
    for _ in range(3):
        await api.studio.orders.create(somebody, StillOrder(brief="A cup."))
    text = "query($n: Int) { me { generations(first: $n) { nodes { recreate { create changes } } } } }"
    costs = []
    for n in (1, 3):
        with counted(api.studio.mina.database) as reads:
            await api.data(somebody, text, n=n)
        costs.append(len(reads))
    assert costs[0] == costs[1]
