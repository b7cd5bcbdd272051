"""Reading: connections, look-ahead that changes no answer, and a number of queries that does not grow with the page."""

import asyncio
import random
from base64 import urlsafe_b64encode
from dataclasses import replace
from uuid import uuid4

import orjson
import pytest
from studio import BRIEF, counted

from mina_gql.api.graphql.enums import EventType, FailureCode, GenerationStatus, StepStatus
from mina_gql.services.sessions import NewSession

LISTINGS = ["generations", "creditTransactions", "events", "sessions"]


def code(answer) -> str:
    return answer["errors"][0]["extensions"]["code"]


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
    page = "{ me { sessions { nodes { generations(%s) { nodes { id } totalCount } } } } }"
    assert code(await world.ask(world.owner, page % "first: 101")) == "BAD_USER_INPUT"
    found = (await world.data(world.owner, page % "first: 1"))["me"]["sessions"]["nodes"]
    assert found == [{"generations": {"nodes": [{"id": world.done}], "totalCount": 1}}]


@pytest.mark.parametrize("listing", LISTINGS)
async def test_a_hundred_is_the_most_and_twenty_the_default(world, listing):
    for arguments in ("(first: 100)", "(last: 100)", "", "(first: null, last: null, after: null, before: null)"):
        found = await world.data(world.owner, f"{{ me {{ {listing}{arguments} {{ nodes {{ id }} totalCount }} }} }}")
        rows = found["me"][listing]
        assert len(rows["nodes"]) == min(rows["totalCount"], 100) > 0


async def test_the_default_page_is_the_newest_twenty(api):
    caller = await api.studio.person(matcha=25)
    made = [(await api.studio.generations.create(caller, BRIEF)).generation.id for _ in range(22)]
    found = (await api.data(caller, "{ me { generations { nodes { id } pageInfo { hasNextPage endCursor } } } }"))["me"]["generations"]
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
    text = "{ me { sessions { nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } } }"
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
    " failure { message } charge { delta pass { id } } refund { delta } session { title } pass { id } steps { stepType generation { id } }",
    "creditTransactions": "id generation { id brief session { id } steps { id } } pass { id credits { balance } }",
    "events": "id payload generation { id finalMessage charge { id } } pass { id }",
}


@pytest.fixture
async def crowded(api):
    """A Pass with 20 generations, each in a visit of its own, with steps, a charge and a refund."""
    caller = await api.studio.person(matcha=40)
    for n in range(20):
        visit = await api.studio.sessions.start(caller, NewSession(title=f"Visit {n}"))
        made = (await api.studio.generations.create(caller, replace(BRIEF, brief=f"Cup {n}", session_id=visit.id))).generation
        await api.studio.sql.executemany(
            """insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_parent_id, mg_step_no, mg_step_type,
            mg_status, mg_payload) values ($1, 'mma_step', $2, $3, $4, $5, 'postscan', 'succeeded', '{"timing": {}, "input": {}}')""",
            [(f"mma_step:{made.generation_id}:{step}", caller.pass_id, made.generation_id, made.id, step) for step in range(3)],
        )
    return caller


@pytest.mark.parametrize("listing", DEEP)
async def test_a_page_of_twenty_costs_as_many_queries_as_a_page_of_one(api, crowded, listing):
    one, twenty = [await reads(api, crowded, ALL % (listing, size, DEEP[listing])) for size in (1, 20)]
    assert one == twenty <= 12
    nodes = (await api.data(crowded, ALL % (listing, 20, DEEP[listing])))["me"][listing]["nodes"]
    assert len(nodes) == 20
    assert "None" not in {str(node.get("session", "")) for node in nodes}


async def test_nodes_of_one_kind_are_looked_up_together(api, crowded):
    ids = [node["id"] for node in (await api.data(crowded, "{ me { generations { nodes { id } } } }"))["me"]["generations"]["nodes"]]
    many = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Generation { brief charge { id } } } }"
    one, twenty = [await reads(api, crowded, many, ids=ids[:size]) for size in (1, 20)]
    assert one == twenty


# ---------------------------------------------------------------- look-ahead

FIELDS = [
    "brief",
    "style",
    "ratio",
    "movementStyle",
    "feedback",
    "contentType",
    "width",
    "height",
    "vars",
    "settings",
    "finalMessage",
    "prompt",
    "cost",
    "latencyMs",
    "downloadUrl",
    "createdAt",
    "assets { productImageUrl inspirationImageUrls }",
    "scans { product outputStill }",
    "userMessages { seq text stage at }",
    "steps { stepNo stepType status startedAt }",
    "failure { code message }",
]


def shapes(inner: str) -> list[str]:
    """The same fields of a listing's nodes, asked for in every way GraphQL has."""
    return [
        f"{{ me {{ generations {{ nodes {{ {inner} }} }} }} }}",
        f"{{ me {{ generations {{ nodes: edges {{ node {{ {inner} }} }} }} }} }}",
        f"{{ me {{ generations {{ edges {{ node {{ ... on Generation {{ {inner} }} }} }} }} }} }}",
        f"{{ me {{ generations {{ ...page }} }} }} fragment page on GenerationConnection {{ nodes {{ ...one }} }} fragment one on Generation {{ {inner} }}",
        f"{{ me {{ generations {{ ... {{ nodes {{ ... on Node {{ id }} ... @include(if: true) {{ {inner} }} }} }} }} }} }}",
        f"{{ me {{ all: generations {{ n: nodes {{ id }} }} all: generations {{ n: nodes {{ {inner} }} }} }} }}",
        f"{{ me {{ sessions {{ nodes {{ generations {{ nodes {{ {inner} }} }} }} }} }} }}",
        f"query($yes: Boolean = true) {{ me {{ generations {{ nodes @include(if: $yes) {{ {inner} }} }} }} }}",
    ]


def nodes_of(data) -> list:
    """The generations in any of the shapes, by id."""
    if isinstance(data, list):
        return [node for each in data for node in nodes_of(each)]
    if "id" in data:
        return [data]
    return [node for each in data.values() for node in nodes_of(each)]


@pytest.mark.parametrize("seed", range(12))
async def test_a_list_says_of_a_generation_what_it_says_alone(world, seed):
    chance = random.Random(seed)
    inner = "id " + " ".join(chance.sample(FIELDS, chance.randint(1, 6)))
    alone = {}
    for id_ in (world.done, world.failed):
        alone[id_] = (await world.data(world.owner, f"query($id: ID!) {{ generation(id: $id) {{ {inner} }} }}", id=id_))["generation"]
    for text in shapes(inner):
        found = nodes_of(await world.data(world.owner, text))
        assert {node["id"] for node in found} >= {world.done}
        for node in found:
            if node["id"] in alone:
                assert node == alone[node["id"]], text


@pytest.mark.parametrize("field", FIELDS)
async def test_aliases_change_names_only(world, field):
    name = field.partition(" ")[0]
    plain = (await world.data(world.owner, f"{{ me {{ generations {{ nodes {{ {field} }} }} }} }}"))["me"]["generations"]["nodes"]
    aliased = (await world.data(world.owner, f"{{ me {{ generations {{ nodes {{ x: {field} }} }} }} }}"))["me"]["generations"]["nodes"]
    assert [node["x"] for node in aliased] == [node[name] for node in plain]


async def test_a_list_without_the_map_does_not_read_it(world):
    with counted(world.studio.mina.database) as made:
        await world.data(world.owner, "{ me { generations { nodes { id status cost outputUrl createdAt } } } }")
    assert not [query for query in made.queries if "mg_mma_vars -" in query or "'{inputs," in query]


# ---------------------------------------------------------------- values


async def test_json_is_passed_through_as_it_is_kept(world):
    found = await world.data(world.owner, "query($id: ID!) { generation(id: $id) { vars settings } }", id=world.done)
    kept = await world.studio.sql.fetchval("select mg_mma_vars - 'meta' from mega_generations where mg_id = $1", world.done)
    assert found["generation"]["vars"] == orjson.loads(kept)
    assert found["generation"]["settings"] == orjson.loads(kept)["settings"]
    visits = (await world.data(world.owner, "{ me { sessions { nodes { meta title } } } }"))["me"]["sessions"]["nodes"]
    assert visits == [{"meta": {"deep": [1, {"a": "ü"}]}, "title": "Visit"}]


@pytest.mark.parametrize("meta", [{"a\x00b": 1}, {"a": ["\x00"]}])
async def test_json_with_a_nul_is_refused_and_no_fault_of_ours(world, meta):
    text = "mutation($input: StartSessionInput!) { startSession(input: $input) { session { id } userErrors { code } } }"
    assert code(await world.ask(world.owner, text, input={"meta": meta})) == "BAD_USER_INPUT"


@pytest.mark.parametrize("literal", ["99999999999999999999", "[" * 260 + "]" * 260, '"\\u0000"'])
async def test_json_literals_that_cannot_be_kept_are_no_fault_of_ours(world, literal):
    for text in (
        f"mutation {{ startSession(input: {{ meta: {{ a: {literal} }} }}) {{ session {{ id }} userErrors {{ code }} }} }}",
        f'mutation {{ create(input: {{ brief: "x", settings: {{ a: {literal} }} }}) {{ replayed userErrors {{ code }} }} }}',
    ):
        answer = await world.ask(world.owner, text)
        assert code(answer) in {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"}


@pytest.mark.parametrize("status", GenerationStatus)
async def test_every_status_is_answered(api, status):
    caller = await api.studio.person()
    await api.studio.sql.execute(
        "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_mma_status, mg_mma_mode) values ('generation:a', 'generation', $1, $2, 'video')",
        caller.pass_id,
        status.value,
    )
    found = await api.data(caller, '{ generation(id: "a") { status kind failure { code refunded retryable stepType } } }')
    assert found["generation"]["status"] == status.name
    assert found["generation"]["kind"] == "VIDEO"
    assert (found["generation"]["failure"] is not None) == (status is GenerationStatus.ERROR)


@pytest.mark.parametrize(("stored", "shown"), [*((each.value, each.name) for each in FailureCode), ("LEGACY_WORDS", "INTERNAL"), (None, "INTERNAL")])
async def test_every_failure_has_a_code(api, stored, shown):
    caller = await api.studio.person()
    await api.studio.sql.execute(
        "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_mma_status, mg_error) values ('generation:a', 'generation', $1, 'error', $2)",
        caller.pass_id,
        stored,
    )
    found = await api.data(caller, '{ generation(id: "a") { failure { code message } } }')
    assert found["generation"]["failure"] == {"code": shown, "message": "This picture could not be made."}


async def test_every_kind_of_event_and_step_is_answered(api):
    caller = await api.studio.person()
    row = "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, {}) values ($1, $2, $3, {})"
    await api.studio.sql.execute(row.format("mg_mma_status", "'queued'"), "generation:a", "generation", caller.pass_id)
    for each in EventType:
        await api.studio.sql.execute(
            row.format("mg_meta", "$4"), f"mma_event:{uuid4()}", "mma_event", caller.pass_id, orjson.dumps({"event_type": each}).decode()
        )
    for number, status in enumerate(StepStatus):
        await api.studio.sql.execute(
            row.format("mg_generation_id, mg_parent_id, mg_step_type, mg_step_no, mg_status", "'a', 'generation:a', 'postscan', $4, $5"),
            f"mma_step:a:{number}",
            "mma_step",
            caller.pass_id,
            number,
            status.value,
        )
    found = await api.data(caller, '{ me { events { nodes { type payload } } } generation(id: "a") { steps { status config { key } } } }')
    assert {node["type"] for node in found["me"]["events"]["nodes"]} == {each.name for each in EventType}
    assert [step["status"] for step in found["generation"]["steps"]] == [each.name for each in StepStatus]


async def test_a_row_from_before_mma_is_answered(api):
    """Backfilled rows have a type, a status and little else."""
    caller = await api.studio.person()
    await api.studio.sql.execute(
        """insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_type, mg_status, mg_prompt)
        values ('generation:a', 'generation', $1, 'motion', 'succeeded', 'waves')""",
        caller.pass_id,
    )
    text = f"{{ me {{ generations {{ nodes {{ kind status {' '.join(FIELDS)} }} }} }} }}"
    (node,) = (await api.data(caller, text))["me"]["generations"]["nodes"]
    assert (node["kind"], node["status"], node["prompt"], node["cost"]) == ("VIDEO", "DONE", "waves", 0)
    assert (node["userMessages"], node["assets"]["inspirationImageUrls"], node["vars"]) == ([], [], {})


async def test_steps_of_a_deleted_generation_cannot_be_reached(api, crowded):
    generation = await api.studio.sql.fetchval("select mg_id from mega_generations where mg_record_type = 'generation' limit 1")
    step = f"mma_step:{generation.removeprefix('generation:')}:0"
    text = "query($id: ID!) { node(id: $id) { id ... on MmaStep { generation { id } } } }"
    assert (await api.data(crowded, text, id=step))["node"]["generation"]["id"] == generation
    await api.studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", generation)
    assert (await api.data(crowded, text, id=step))["node"] is None


# ---------------------------------------------------------------- a disabled Pass, and money


async def test_a_disabled_pass_may_look_and_do_nothing(world):
    assert (await world.data(world.disabled, "{ me { id credits { balance } generations { totalCount } } }"))["me"]["credits"]["balance"] == 5
    for text, name in (
        ('mutation { create(input: { brief: "x" }) { generation { id } userErrors { code } } }', "create"),
        ('mutation { createUpload(input: { contentType: "image/png", fileName: "p", bytes: 9 }) { upload { url } userErrors { code } } }', "createUpload"),
        ('mutation { confirmUpload(key: "x") { asset { key } userErrors { code } } }', "confirmUpload"),
        ("mutation { startSession(input: {}) { session { id } userErrors { code } } }", "startSession"),
        ('mutation { endSession(id: "x") { session { id } userErrors { code } } }', "endSession"),
    ):
        answer = (await world.data(world.disabled, text))[name]
        assert answer.pop("userErrors") == [{"code": "ACCOUNT_DISABLED"}]
        assert list(answer.values()) == [None]
    (events,) = await world.follow(world.disabled, 'subscription { generationEvents(generationId: "x") { seq } }')
    assert "switched off" in events["errors"][0]["message"]


async def test_a_quote_and_the_prices_follow_the_knobs(api):
    text = "{ quote(action: ANIMATE) { action cost balance affordable shortBy } pricing { create tweak animate packs { sku matcha } } }"
    caller = await api.studio.person(matcha=3)
    assert await api.data(caller, text) == {
        "quote": {"action": "ANIMATE", "cost": 5, "balance": 3, "affordable": False, "shortBy": 2},
        "pricing": {"create": 1, "tweak": 1, "animate": 5, "packs": [{"sku": "MINA-50", "matcha": 50}, {"sku": "MINA-100", "matcha": 100}]},
    }
    await api.studio.knobs(price_animate=3)
    assert (await api.data(caller, text))["quote"] == {"action": "ANIMATE", "cost": 3, "balance": 3, "affordable": True, "shortBy": 0}
    assert (await api.data(None, text))["quote"] is None


async def test_too_little_matcha_is_told_in_numbers_beside_a_null_generation(api):
    caller = await api.studio.person()
    text = """mutation { create(input: { brief: "x" }) { generation { id } pass { id } userErrors {
        __typename code message field ... on InsufficientMatcha { required balance } } } }"""
    answer = (await api.data(caller, text))["create"]
    assert (answer["generation"], answer["pass"]) == (None, None)
    (error,) = answer["userErrors"]
    assert (error["__typename"], error["code"], error["required"], error["balance"]) == ("InsufficientMatcha", "INSUFFICIENT_MATCHA", 1, 0)


async def test_the_studio_says_what_it_offers(world):
    found = await world.data(None, "{ studio { styles ratios movementStyles maxInspirationImages maxUploadBytes uploadContentTypes uploadTimeoutSeconds } }")
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
