"""What is somebody else's looks exactly like what does not exist, wherever the API takes an id (FEATURES A1, A9, O6)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from graphql import GraphQLInputObjectType, get_named_type

from mina_gql.api.graphql import schema
from mina_gql.domain.passes import Caller
from tests.api.graphql.graphql_world import World

CREATE = """mutation($input: CreateInput!) { create(input: $input) {
    generation { id } pass { id } replayed userErrors { code message field } } }"""
EVENTS = "subscription($id: ID!) { generationEvents(generationId: $id) { __typename seq generationId } }"
ID_LIKE = re.compile(r"^(id|ids|key)$|(Id|Ids|Key|Url|Urls)$")

Ask = Callable[[World, Caller | None, str], Awaitable[Any]]


@dataclass
class Probe:
    """One place that takes an id: how to ask there, a real id of the owner's, and ids of nothing."""

    ask: Ask
    real: Callable[[World], Awaitable[str]]
    fakes: tuple[str, ...]
    data: Callable[[World, Any], bool]


def query(text: str, wrap: Callable[[str], Any] = lambda given: given) -> Ask:
    return lambda world, who, given: world.ask(who, text, id=wrap(given))


def create(change: Callable[[str], dict[str, Any]]) -> Ask:
    return lambda world, who, given: world.ask(who, CREATE, input={"brief": "A cup.", **change(given)})


def known(attribute: Callable[[World], str]) -> Callable[[World], Awaitable[str]]:
    async def of(world: World) -> str:
        return attribute(world)

    return of


NOTHING = str(uuid4())
PICTURES = "http://127.0.0.1:8000/files/user_uploads/"
BAD_IDS = ("", "generation:", "\x00", "nonsense", "pass:anon:" + NOTHING, "x" * 2_000)


def accepted(_: World, answer: Any) -> bool:
    return answer["data"]["create"]["generation"] is not None


def node_probes() -> dict[str, Probe]:
    """`node` and `nodes` for every kind of record, and `nodes` among the caller's own."""
    made = {}
    for kind in ("Pass", "Session", "Generation", "MmaStep", "MmaEvent", "CreditTransaction"):
        real = known(lambda world, kind=kind: world.ids[kind])
        fakes = {
            "Pass": (f"pass:anon:{NOTHING}",),
            "Session": (f"session:sess_{NOTHING}",),
            "Generation": (f"generation:{NOTHING}",),
            "MmaStep": (f"mma_step:{NOTHING}:0",),
            "MmaEvent": (f"mma_event:{NOTHING}",),
            "CreditTransaction": (f"credit_transaction:charge:{NOTHING}",),
        }[kind] + BAD_IDS
        one = query("query($id: ID!) { node(id: $id) { __typename id } }")
        many = query("query($id: [ID!]!) { nodes(ids: $id) { __typename id } }", lambda given: [given, NOTHING, given])
        made[f"Query.node.id of {kind}"] = Probe(
            one,
            real,
            fakes,
            lambda world, answer, kind=kind: answer["data"]["node"] == {"__typename": kind, "id": world.ids[kind]},
        )
        made[f"Query.nodes.ids of {kind}"] = Probe(
            many,
            real,
            fakes,
            lambda world, answer, kind=kind: (
                [node and node["id"] for node in answer["data"]["nodes"]] == [world.ids[kind], None, world.ids[kind]]
            ),
        )
    return made


def generation_probes(name: str, real: Callable[[World], Awaitable[str]]) -> dict[str, Probe]:
    fakes = (f"generation:{NOTHING}", NOTHING, *BAD_IDS)
    return {
        f"Query.generation.id, {name}": Probe(
            query("query($id: ID!) { generation(id: $id) { id } }"),
            real,
            fakes,
            lambda world, answer: answer["data"]["generation"]["id"] == world.done,
        ),
        f"Subscription.generationEvents.generationId, {name}": Probe(
            lambda world, who, given: world.follow(who, EVENTS, id=given),
            real,
            fakes,
            lambda world, answers: answers[-1]["data"]["generationEvents"]["__typename"] == "GenerationCompleted",
        ),
    }


def picture_probe(change: Callable[[str], dict[str, Any]]) -> Probe:
    fakes = (f"{PICTURES}{'0' * 32}/{'1' * 32}.png", "https://elsewhere.example/a.png", "nonsense")
    return Probe(create(lambda url: {"assets": change(url)}), known(lambda world: world.picture), fakes, accepted)


PROBES: dict[str, Probe] = {
    **node_probes(),
    **generation_probes("global", known(lambda world: world.done)),
    **generation_probes("bare", known(lambda world: world.done.removeprefix("generation:"))),
    "Mutation.endSession.id": Probe(
        query("mutation($id: ID!) { endSession(id: $id) { session { id } userErrors { code message field } } }"),
        known(lambda world: world.session),
        (NOTHING, f"sess_{NOTHING}", f"session:sess_{NOTHING}", *BAD_IDS),
        lambda world, answer: answer["data"]["endSession"]["session"]["id"] == world.session,
    ),
    "Mutation.confirmUpload.key": Probe(
        query("mutation($id: String!) { confirmUpload(key: $id) { asset { key } userErrors { code message field } } }"),
        lambda world: world.staged(),
        (f"user_uploads/{'0' * 32}/{'1' * 32}.png", *BAD_IDS),
        lambda world, answer: answer["data"]["confirmUpload"]["asset"] is not None,
    ),
    "Mutation.create.input.sessionId": Probe(
        create(lambda given: {"sessionId": given}),
        known(lambda world: world.session),
        (NOTHING, f"session:sess_{NOTHING}", "nonsense", "\x00"),
        accepted,
    ),
    "the header X-Session-Id": Probe(
        lambda world, who, given: world.ask(who, CREATE, headers={"x_session_id": given}, input={"brief": "A cup."}),
        known(lambda world: world.session),
        (NOTHING, f"session:sess_{NOTHING}", "nonsense"),
        accepted,
    ),
    "Mutation.create.input.assets.productImageUrl": picture_probe(lambda url: {"productImageUrl": url}),
    "Mutation.create.input.assets.logoImageUrl": picture_probe(lambda url: {"logoImageUrl": url}),
    "Mutation.create.input.assets.inspirationImageUrls": picture_probe(lambda url: {"inspirationImageUrls": [url]}),
}

EXCUSED = {
    "Mutation.create.input.idempotencyKey": "the same words of two people are two keys (see the tests of matcha)",
    "Mutation.startSession.input.id": "a client may choose its id, so a free one starts a visit; a taken one is NOT_FOUND",
    "Mutation.linkShopify.shopifyCustomerId": "an attribute, not an identity, and only for a verified login; see below",
    "Mutation.adjustCredits.input.passId": "admins only; see below",
    "Mutation.adjustCredits.input.idempotencyKey": "admins only",
}


def places() -> set[str]:
    """Every argument and input field of the root types that takes something like an id."""
    found = set()

    def walk(where: str, kind: Any) -> None:
        if ID_LIKE.search(where.rpartition(".")[2]) or get_named_type(kind).name == "ID":
            found.add(where)
        if isinstance(get_named_type(kind), GraphQLInputObjectType):
            for name, field in get_named_type(kind).fields.items():
                walk(f"{where}.{name}", field.type)

    built = schema.build()._schema
    for root in (built.query_type, built.mutation_type, built.subscription_type):
        for field, definition in root.fields.items():
            for argument, kind in definition.args.items():
                walk(f"{root.name}.{field}.{argument}", kind.type)
    return found


def test_every_place_that_takes_an_id_is_probed():
    probed = {re.split(r" of |, ", name)[0] for name in PROBES}
    excused = EXCUSED.keys() & places()
    assert places() - excused == probed - {"the header X-Session-Id"}


@pytest.mark.parametrize("place", PROBES)
async def test_a_stranger_and_nobody_learn_nothing(world, place):
    probe = PROBES[place]
    real = await probe.real(world)
    for who in (world.stranger, None):
        theirs = await probe.ask(world, who, real)
        for fake in probe.fakes:
            if (nothing := await probe.ask(world, who, fake)) != theirs:
                pytest.fail(f"{fake[:60]!r}: {nothing} but of the owner's: {theirs}")
        assert "INTERNAL_SERVER_ERROR" not in str(theirs)
        assert not probe_found(probe, world, theirs)


def probe_found(probe: Probe, world: World, answer: Any) -> bool:
    try:
        return probe.data(world, answer)
    except (KeyError, TypeError):
        return False


@pytest.mark.parametrize("place", PROBES)
async def test_the_owner_gets_what_is_theirs(world, place):
    probe = PROBES[place]
    answer = await probe.ask(world, world.owner, await probe.real(world))
    assert probe_found(probe, world, answer), answer


@pytest.mark.parametrize("place", PROBES)
async def test_ids_of_nothing_are_no_fault_of_ours(world, place):
    for fake in PROBES[place].fakes:
        assert "INTERNAL_SERVER_ERROR" not in str(await PROBES[place].ask(world, world.owner, fake))


async def test_many_nodes_keep_their_order_whatever_stands_between(world):
    ids = [world.done, "\x00", world.session, NOTHING, world.owner.pass_id, world.done]
    nodes = (await world.data(world.owner, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids))["nodes"]
    assert [node and node["id"] for node in nodes] == [world.done, None, world.session, None, world.owner.pass_id, world.done]


async def test_at_most_a_hundred_nodes_at_once(world):
    answer = await world.ask(world.owner, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[NOTHING] * 101)
    assert answer["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_records_lead_to_nobody_else(world):
    """Through every record of the owner's, `pass` and `generation` are the owner's own."""
    found = await world.data(
        world.owner,
        """{ me {
           generations { nodes {
             pass { id } charge { pass { id } } refund { pass { id } } steps { generation { pass { id } } } } }
           events { nodes { pass { id } generation { pass { id } } } }
           creditTransactions { nodes { pass { id } generation { pass { id } } } } } }""",
    )
    owners = set(re.findall(r"'pass': \{'id': '([^']+)'", str(found)))
    assert owners == {world.owner.pass_id}


async def test_me_is_whom_the_request_proves(world):
    assert (await world.data(None, "{ me { id } }"))["me"] is None
    for who in (world.owner, world.stranger):
        assert (await world.data(who, "{ me { id } }"))["me"]["id"] == who.pass_id


async def test_what_admins_name_by_id_tells_nobody_else_anything(world):
    if "Mutation.adjustCredits.input.passId" not in places():
        pytest.skip("adjustCredits is not in this schema")
    text = "mutation($input: AdjustCreditsInput!) { adjustCredits(input: $input) { pass { id } userErrors { code message } } }"
    for who in (world.owner, world.stranger, None):
        answers = [
            await world.ask(who, text, input={"passId": id_, "delta": 1, "reason": "r", "idempotencyKey": "k"})
            for id_ in (world.owner.pass_id, f"pass:anon:{NOTHING}")
        ]
        assert answers[0] == answers[1]
        assert answers[0]["errors"][0]["extensions"]["code"] in {"FORBIDDEN", "UNAUTHENTICATED"}


async def test_linking_a_shopify_customer_tells_strangers_nothing(world):
    if "Mutation.linkShopify.shopifyCustomerId" not in places():
        pytest.skip("linkShopify is not in this schema")
    await world.studio.sql.execute(
        "update mega_customers set mg_shopify_customer_id = '77' where mg_pass_id = $1", world.disabled.pass_id
    )
    text = "mutation($id: String!) { linkShopify(shopifyCustomerId: $id) { pass { id } userErrors { code message } } }"
    for who in (world.stranger, None):
        assert await world.ask(who, text, id="77") == await world.ask(who, text, id="78")
