"""Connections: pages that cannot be are refused, and the number of queries does not grow with the page."""

from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest

from mina_gql.services.sessions import NewSession
from tests.api.graphql.graphql_world import code
from tests.studio import BRIEF, counted

LISTINGS = ["generations", "creditTransactions", "events", "sessions"]

# ---------------------------------------------------------------- connections


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize(
    "arguments",
    [
        "first: 0",
        "first: 101",
        "first: -1",
        "last: 0",
        "last: 101",
        "first: 1, last: 1",
        'after: ""',
        'after: "nonsense"',
        'before: "AAAA"',
        f'after: "{urlsafe_b64encode(b"9999-99-99 99:99:99+00|x").decode()}"',
        f'before: "{urlsafe_b64encode(b"2026-11-21 09:10:40+00|x").decode()}x"',
    ],
)
async def test_a_page_that_cannot_be_is_refused_as_the_client_s_fault(world, listing, arguments):
    answer = await world.ask(world.owner, f"{{ me {{ {listing}({arguments}) {{ nodes {{ id }} }} }} }}")
    assert code(answer) == "BAD_USER_INPUT"
    assert answer["data"] == {"me": None}


async def test_pages_of_a_session_follow_the_same_rules(world):
    page = "{ me { sessions(first: 2) { nodes { generations(%s) { nodes { id } totalCount } } } } }"
    assert code(await world.ask(world.owner, page % "first: 101")) == "BAD_USER_INPUT"
    found = (await world.data(world.owner, page % "first: 1"))["me"]["sessions"]["nodes"]
    assert found == [{"generations": {"nodes": [{"id": world.full}], "totalCount": 2}}]


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_hundred_is_the_most_and_twenty_the_default(world, listing):
    for arguments in ("(first: 100)", "(last: 100)", "", "(first: null, last: null, after: null, before: null)"):
        found = await world.data(world.owner, f"{{ me {{ {listing}{arguments} {{ nodes {{ id }} totalCount }} }} }}")
        rows = found["me"][listing]
        assert len(rows["nodes"]) == min(rows["totalCount"], 100) > 0


async def test_the_default_page_is_the_newest_twenty(api):
    caller = await api.studio.person(matcha=25)
    made = [(await api.studio.orders.create(caller, BRIEF)).generation.id for _ in range(22)]
    found = (await api.data(caller, "{ me { generations { nodes { id } pageInfo { hasNextPage endCursor } } } }"))["me"][
        "generations"
    ]
    assert [node["id"] for node in found["nodes"]] == made[:1:-1]
    assert found["pageInfo"]["hasNextPage"]
    rest = "query($after: String) { me { generations(after: $after) { nodes { id } pageInfo { hasNextPage hasPreviousPage } } } }"
    found = (await api.data(caller, rest, after=found["pageInfo"]["endCursor"]))["me"]["generations"]
    assert [node["id"] for node in found["nodes"]] == made[1::-1]
    assert found["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": True}


async def test_edges_nodes_and_page_info_agree(world):
    text = "{ me { events { nodes { id } edges { cursor node { id } } pageInfo { startCursor endCursor } } } }"
    found = (await world.data(world.owner, text))["me"]["events"]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    assert found["pageInfo"] == {"startCursor": found["edges"][0]["cursor"], "endCursor": found["edges"][-1]["cursor"]}


async def test_an_empty_listing_has_no_cursors(world):
    info = "hasNextPage hasPreviousPage startCursor endCursor"
    text = f"{{ me {{ sessions {{ nodes {{ id }} edges {{ cursor }} pageInfo {{ {info} }} totalCount }} }} }}"
    assert (await world.data(world.stranger, text))["me"]["sessions"] == {
        "nodes": [],
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
        "totalCount": 0,
    }


async def test_a_cursor_of_somebody_else_s_shows_nothing_of_theirs(world):
    text = "query($after: String) { me { generations(after: $after) { nodes { id } pageInfo { endCursor } } } }"
    theirs = (await world.data(world.owner, text))["me"]["generations"]["pageInfo"]["endCursor"]
    assert (await world.data(world.stranger, text, after=theirs))["me"]["generations"]["nodes"] == []


async def test_events_may_be_asked_for_by_type(world):
    text = "query($types: [MmaEventType!]) { me { events(types: $types) { nodes { type } totalCount } } }"
    everything = (await world.data(world.owner, text))["me"]["events"]
    assert everything["totalCount"] >= 2
    assert (await world.data(world.owner, text, types=["CREATE"]))["me"]["events"]["totalCount"] == everything["totalCount"]
    assert (await world.data(world.owner, text, types=["LIKE", "TWEAK"]))["me"]["events"] == {"nodes": [], "totalCount": 0}
    assert (await world.data(world.owner, text, types=[]))["me"]["events"]["totalCount"] == 0


# ---------------------------------------------------------------- queries that are asked


async def reads(api, who, text, **variables) -> int:
    with counted(api.studio.mina.database) as made:
        await api.data(who, text, **variables)
    return len(made)


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_count_costs_a_query_only_when_it_is_asked_for(world, listing):
    without = await reads(world.api, world.owner, f"{{ me {{ {listing} {{ nodes {{ id }} }} }} }}")
    assert await reads(world.api, world.owner, f"{{ me {{ {listing} {{ nodes {{ id }} totalCount }} }} }}") == without + 1
    skipped = f"query($no: Boolean = false) {{ me {{ {listing} {{ nodes {{ id }} totalCount @include(if: $no) }} }} }}"
    assert await reads(world.api, world.owner, skipped) == without


ALL = """{ me { %s(first: %d) { nodes { %s } totalCount } } }"""
DEEP = {
    "generations": "id brief prompt assets { productImageUrl } scans { product } settings vars userMessages { text } finalMessage"
    " failure { message } charge { delta pass { id } } refund { delta } session { title } pass { id }"
    " steps { stepType generation { id } }",
    "creditTransactions": "id generation { id brief session { id } steps { id } } pass { id credits { balance } }",
    "events": "id payload generation { id finalMessage charge { id } } pass { id }",
}


@pytest.fixture
async def crowded(api):
    """A Pass with 20 generations, each in a visit of its own, with steps, a charge and a refund."""
    caller = await api.studio.person(matcha=40)
    for n in range(20):
        visit = await api.studio.sessions.start(caller, NewSession(title=f"Visit {n}"))
        made = (await api.studio.orders.create(caller, replace(BRIEF, brief=f"Cup {n}", session_id=visit.id))).generation
        for step in range(3):
            of = {"generation_id": made.generation_id, "parent_id": made.id, "step_no": step, "step_type": "postscan"}
            await api.studio.row("mma_step", f"{made.generation_id}:{step}", caller, status="succeeded", **of)
    return caller


@pytest.mark.parametrize("listing", DEEP)
async def test_a_page_of_twenty_costs_as_many_queries_as_a_page_of_one(api, crowded, listing):
    one, twenty = [await reads(api, crowded, ALL % (listing, size, DEEP[listing])) for size in (1, 20)]
    assert one == twenty <= 12
    nodes = (await api.data(crowded, ALL % (listing, 20, DEEP[listing])))["me"][listing]["nodes"]
    assert len(nodes) == 20
    assert "None" not in {str(node.get("session", "")) for node in nodes}


async def test_nodes_of_one_kind_are_looked_up_together(api, crowded):
    ids = [
        node["id"] for node in (await api.data(crowded, "{ me { generations { nodes { id } } } }"))["me"]["generations"]["nodes"]
    ]
    many = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Generation { brief charge { id } } } }"
    one, twenty = [await reads(api, crowded, many, ids=ids[:size]) for size in (1, 20)]
    assert one == twenty


async def test_steps_of_a_deleted_generation_cannot_be_reached(api, crowded):
    generation = await api.studio.sql.fetchval("select mg_id from mega_generations where mg_record_type = 'generation' limit 1")
    step = f"mma_step:{generation.removeprefix('generation:')}:0"
    text = "query($id: ID!) { node(id: $id) { id ... on MmaStep { generation { id } } } }"
    assert (await api.data(crowded, text, id=step))["node"]["generation"]["id"] == generation
    await api.studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", generation)
    assert (await api.data(crowded, text, id=step))["node"] is None
