"""What is somebody else's looks exactly like what does not exist, wherever the API takes an id (FEATURES A1, A9, O6)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from graphql import GraphQLInputObjectType, get_named_type

from mina_gql.api.graphql import schema
from mina_gql.domain.passes import Caller
from tests.api.graphql.graphql_world import World
from tests.studio import BRIEF

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
PICTURES = "http://127.0.0.1:8000/assets/user_uploads/"
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


SIGNALS = {
    "like.input.generationId": "like(input: { generationId: $id })",
    "dislike.input.generationId": "dislike(input: { generationId: $id })",
    "recordDownload.generationId": "recordDownload(generationId: $id)",
    "sendFeedback.generationId": 'sendFeedback(generationId: $id, text: "Nice.")',
}


def signal_probes() -> dict[str, Probe]:
    asked = "{ event { generation { id } } generation { id liked } pass { id } userErrors { code message field } }"
    return {
        f"Mutation.{place}": Probe(
            query(f"mutation($id: ID!) {{ told: {said} {asked} }}"),
            known(lambda world: world.done),
            (f"generation:{NOTHING}", NOTHING, *BAD_IDS),
            lambda world, answer: answer["data"]["told"]["event"]["generation"]["id"] == world.done,
        )
        for place, said in SIGNALS.items()
    }


def order_probe(
    name: str, change: Callable[[str], dict[str, Any]], real: Callable[[World], Awaitable[str]], fakes: tuple[str, ...]
) -> Probe:
    """An order that names something of the owner's, in its input."""
    kind = f"{name[0].upper()}{name[1:]}Input"
    document = (
        f"mutation($input: {kind}!) {{ told: {name}(input: $input) {{ {_answer(name)} userErrors {{ code message field }} }} }}"
    )
    return Probe(
        lambda world, who, given: world.ask(who, document, input=change(given)),
        real,
        fakes,
        lambda world, answer: any(value for name, value in (answer["data"]["told"] or {}).items() if name in MADE),
    )


MADE = ("generation", "motionPrompt")
"""Where an order answers what it made."""


def _answer(name: str) -> str:
    return "motionPrompt" if name == "suggestMotion" else "generation { id } pass { id } replayed"


def ending_probe(name: str, argument: str, real: Callable[[World], Awaitable[str]]) -> Probe:
    """A mutation that ends, hides or repeats a generation of the owner's."""
    return Probe(
        query(
            f"mutation($id: ID!) {{ told: {name}({argument}: $id) {{ generation {{ id }} pass {{ id }} "
            "userErrors { code message field } } }"
        ),
        real,
        (f"generation:{NOTHING}", NOTHING, *BAD_IDS),
        lambda world, answer: answer["data"]["told"]["generation"] is not None,
    )


async def queued(world: World) -> str:
    """A generation of the owner's that nobody has begun."""
    return (await world.api.studio.orders.create(world.owner, BRIEF)).generation.id


def order_probes() -> dict[str, Probe]:
    done, session = known(lambda world: world.done), known(lambda world: world.session)
    picture = known(lambda world: world.picture)
    generations = (f"generation:{NOTHING}", NOTHING, *BAD_IDS[1:])
    sessions = (NOTHING, f"session:sess_{NOTHING}", "nonsense", "\x00")
    pictures = (f"{PICTURES}{'0' * 32}/{'1' * 32}.png", "https://elsewhere.example/a.png", "nonsense")

    def of_done(world_key: str) -> Callable[[str], dict[str, Any]]:
        return lambda given: {world_key: given, **({"feedback": "Softer."} if world_key == "generationId" else {})}

    probes = {
        "tweak.input.generationId": order_probe("tweak", of_done("generationId"), done, generations),
        "animate.input.generationId": order_probe("animate", lambda id_: {"generationId": id_}, done, generations),
        "animate.input.inputStillUrl": order_probe("animate", lambda url: {"inputStillUrl": url}, picture, pictures),
        "suggestMotion.input.generationId": order_probe("suggestMotion", lambda id_: {"generationId": id_}, done, generations),
        "suggestMotion.input.inputStillUrl": order_probe("suggestMotion", lambda url: {"inputStillUrl": url}, picture, pictures),
        "retry.generationId": ending_probe("retry", "generationId", known(lambda world: world.failed)),
        "cancel.generationId": ending_probe("cancel", "generationId", queued),
        "deleteGeneration.id": ending_probe("deleteGeneration", "id", queued),
    }
    return (
        {f"Mutation.{place}": probe for place, probe in probes.items()}
        | {f"Mutation.{name}.input.sessionId": beside_own(name, "sessionId", session, sessions) for name in ("tweak", "animate")}
        | {"Mutation.animate.input.endStillUrl": beside_own("animate", "endStillUrl", picture, pictures)}
    )


def beside_own(name: str, field: str, real: Callable[[World], Awaitable[str]], fakes: tuple[str, ...]) -> Probe:
    """An order for a still of whoever asks, with something of the owner's beside it."""
    kind = f"{name[0].upper()}{name[1:]}Input"
    document = (
        f"mutation($input: {kind}!) {{ told: {name}(input: $input) {{ {_answer(name)} userErrors {{ code message field }} }} }}"
    )

    async def ask(world: World, who: Caller | None, given: str) -> Any:
        own = world.done if who is world.owner else await _own_still(world, who)
        order = {"generationId": own, field: given} | ({"feedback": "Softer."} if name == "tweak" else {})
        return await world.ask(who, document, input=order)

    return Probe(ask, real, fakes, lambda world, answer: (answer["data"]["told"] or {}).get("generation") is not None)


async def _own_still(world: World, who: Caller | None) -> str:
    """A finished still of somebody's; of nobody's, an id of nothing."""
    if who is None or who.disabled:
        return f"generation:{NOTHING}"
    studio = world.api.studio
    made = (await studio.orders.create(who, replace(BRIEF, idempotency_key="own"))).generation
    await studio.mina.runner.run(made.id)
    return str(made.id)


def picture_probe(change: Callable[[str], dict[str, Any]]) -> Probe:
    fakes = (f"{PICTURES}{'0' * 32}/{'1' * 32}.png", "https://elsewhere.example/a.png", "nonsense")
    return Probe(create(lambda url: {"assets": change(url)}), known(lambda world: world.picture), fakes, accepted)


PROBES: dict[str, Probe] = {
    **node_probes(),
    **generation_probes("global", known(lambda world: world.done)),
    **generation_probes("bare", known(lambda world: world.done.removeprefix("generation:"))),
    **signal_probes(),
    **order_probes(),
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
    "Mutation.storeRemote.input.sourceUrl": Probe(
        query(
            "mutation($id: String!) { storeRemote(input: { sourceUrl: $id }) { asset { key } userErrors { code message field } } }"
        ),
        known(lambda world: world.picture),
        (f"{PICTURES}{'0' * 32}/{'1' * 32}.png",),
        lambda world, answer: world.picture.endswith(answer["data"]["storeRemote"]["asset"]["key"]),
    ),
    "Mutation.create.input.sessionId": Probe(
        create(lambda given: {"sessionId": given}),
        known(lambda world: world.session),
        (NOTHING, f"session:sess_{NOTHING}", "nonsense", "\x00"),
        accepted,
    ),
    "the filter of an archive": Probe(
        query("query($id: ID!) { me { generations(filter: { sessionId: $id }) { nodes { id } totalCount } } }"),
        known(lambda world: world.session),
        (NOTHING, f"sess_{NOTHING}", f"session:sess_{NOTHING}", *BAD_IDS),
        lambda world, answer: world.done in str(answer["data"]["me"]),
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
    "Mutation.tweak.input.idempotencyKey": "as for create",
    "Mutation.animate.input.idempotencyKey": "as for create",
    "Mutation.retry.idempotencyKey": "as for create",
    "Mutation.startSession.input.id": "a client may choose its id, so a free one starts a visit; a taken one is NOT_FOUND",
    "Mutation.linkShopify.shopifyCustomerId": "an attribute, not an identity, and only for a verified login; see below",
    "Mutation.adjustCredits.input.passId": "admins only; see below",
    "Mutation.adjustCredits.input.idempotencyKey": "admins only",
    "Mutation.setPassDisabled.passId": "admins only: test_matrix.py",
    "Mutation.mergePasses.fromPassId": "admins only: test_matrix.py",
    "Mutation.mergePasses.intoPassId": "admins only: test_matrix.py",
    "Mutation.setConfigEnabled.id": "admins only; a version is nobody's",
    "Mutation.publishConfig.key": "admins only; a key of the configuration",
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
    assert places() - excused == probed - {"the header X-Session-Id", "the filter"}


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
             pass { id } parent { pass { id } } children(first: 2) { nodes { pass { id } } } charge { pass { id } } refund { pass { id } } steps { generation { pass { id } } } } }
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
