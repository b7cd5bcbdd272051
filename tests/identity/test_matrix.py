"""Everybody asks for everything, wherever the schema takes an id: only the owner gets it, to others it does not exist."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import orjson
import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from mina_gql.api.graphql import schema
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.passes import Caller
from mina_gql.services.sessions import NewSession
from tests.identity.edge import Edge, Who, caller_of, edge_on
from tests.studio import BRIEF, PNG

ID_LIKE = re.compile(r"^(id|ids|key)$|(Id|Ids|Key|Url|Urls)$")
NOTHING = str(uuid4())
ERRORS = "userErrors { code message field }"


@dataclass
class Matrix:
    """An owner with records of every kind, some made under a Pass that was merged away, and all who might ask for them."""

    edge: Edge
    who: dict[str, Who]
    ids: dict[str, str]


OWNERS = {"the owner", "the owner with a merged id"}
STRANGERS = {
    "nobody", "another guest", "another user", "another user with the owner's id", "an admin", "the claimed id alone",
    "the merged id alone", "a made-up id", "a deleted Pass", "a disabled guest",
}  # fmt: skip


async def visit(edge: Edge, caller: Caller) -> dict[str, str]:
    """A visit with a picture that is done, one that failed, and an upload; their ids."""
    studio = edge.studio
    session = await studio.sessions.start(caller, NewSession(title="Visit"))
    picture = await studio.picture(caller)
    order = replace(BRIEF, session_id=session.id, product_image_url=picture)
    done = (await studio.orders.create(caller, order)).generation
    await studio.mina.runner.run(done.id)
    failed = (await studio.orders.create(caller, BRIEF)).generation
    await studio.mina.endings.fail(failed.id, GenerationFailed("MODERATED", "Not this one, sorry."), lease=None)
    event = "select mg_id from mega_generations where mg_record_type = 'mma_event' and mg_generation_id = $1"
    return {
        "Session": session.id,
        "Generation": done.id,
        "failed Generation": failed.id,
        "MmaStep": f"mma_step:{done.generation_id}:0",
        "MmaEvent": await studio.sql.fetchval(event, done.generation_id),
        "picture": picture,
        "output": (await studio.generations.own(caller.pass_id, done.id)).output_url,
    }


@pytest.fixture(scope="module")
async def matrix(postgres, seeded, tmp_path_factory) -> AsyncIterator[Matrix]:
    """Made once: strangers change nothing, and the owner's acts leave the ids as they are."""
    dsn = await postgres.create_database(seeded)
    async with edge_on(tmp_path_factory.mktemp("matrix"), dsn) as edge:
        yield await make(edge)
    await postgres.drop_database(dsn)


async def make(edge: Edge) -> Matrix:
    studio = edge.studio
    first, second = await studio.person(matcha=50), await studio.person(matcha=500)
    ids = await visit(edge, first)
    token = edge.token(email="owner@mina.example")
    assert (await edge.arrive(Who(second.pass_id, token)))["id"] == second.pass_id
    merged = (await edge.arrive(Who(first.pass_id, token)))["id"]
    assert merged == second.pass_id
    gone, guest, off = await studio.person(matcha=9), await studio.person(matcha=50), await studio.person(matcha=50)
    ids |= {f"deleted {kind}": id_ for kind, id_ in (await visit(edge, gone)).items()}
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", gone.pass_id)
    await studio.disable(off)
    user, admin = edge.token(email="user@mina.example"), edge.token(email="boss@mina.example", admin=True)
    for each in (user, admin):
        await edge.arrive(Who(token=each))
    order = (await studio.orders.create(await caller_of(studio, None, guest.pass_id), BRIEF)).generation
    ids |= {
        "Pass": second.pass_id,
        "alias": first.pass_id,
        "deleted Pass": gone.pass_id,
        "CreditTransaction": f"credit_transaction:{await charge_of_the_owner(edge, second.pass_id, token)}",
        "guest's Generation": order.id,
    }
    who = {
        "the owner": Who(second.pass_id, token),
        "the owner with a merged id": Who(first.pass_id, token),
        "nobody": Who(),
        "another guest": Who(guest.pass_id),
        "another user": Who(token=user),
        "another user with the owner's id": Who(second.pass_id, user),
        "an admin": Who(token=admin),
        "the claimed id alone": Who(second.pass_id),
        "the merged id alone": Who(first.pass_id),
        "a made-up id": Who(f"pass:anon:{uuid4()}"),
        "a deleted Pass": Who(gone.pass_id),
        "a disabled guest": Who(off.pass_id),
    }
    return Matrix(edge, who, ids)


async def charge_of_the_owner(edge: Edge, pass_id: str, token: str) -> str:
    """A ledger row of the canonical Pass itself: those of a merged one stay with it."""
    answer = await edge.ask(Who(pass_id, token), 'mutation { create(input: {brief: "A cup."}) { generation { id } } }')
    return f"charge:{answer['data']['create']['generation']['id'].partition(':')[2]}"


# ---------------------------------------------------------------- the places

Variables = Callable[[str], dict[str, Any]]


@dataclass(frozen=True)
class Place:
    """One way to hand an id in: the document, its variables, ids of the owner's, and one of nothing at all."""

    document: str
    variables: Variables
    real: tuple[str, ...]
    fake: str
    found: Callable[[Any], bool]
    staged: bool = False


def node(kind: str, fake: str) -> dict[str, Place]:
    one = "query($id: ID!) { node(id: $id) { __typename id } }"
    many = "query($id: [ID!]!) { nodes(ids: $id) { __typename id } }"
    return {
        f"Query.node.id of {kind}": Place(one, lambda id_: {"id": id_}, (kind,), fake, lambda data: data["node"] is not None),
        f"Query.nodes.ids of {kind}": Place(
            many, lambda id_: {"id": [id_, NOTHING, id_]}, (kind,), fake, lambda data: data["nodes"][0] is not None
        ),
    }


def creating(change: Variables, real: tuple[str, ...], fake: str) -> Place:
    document = f"mutation($input: CreateInput!) {{ create(input: $input) {{ generation {{ kind }} replayed {ERRORS} }} }}"
    return Place(
        document,
        lambda id_: {"input": {"brief": "A cup.", **change(id_)}},
        real,
        fake,
        lambda data: data["create"]["generation"] is not None,
    )


def picture(change: Callable[[str], Any]) -> Place:
    fake = f"http://127.0.0.1:8000/assets/user_uploads/{'0' * 32}/{'1' * 32}.png"
    return creating(lambda url: {"assets": change(url)}, ("picture", "output"), fake)


def signal(said: str) -> Place:
    document = f"mutation($id: ID!) {{ told: {said} {{ event {{ id }} generation {{ id }} pass {{ id }} {ERRORS} }} }}"
    fake = f"generation:{NOTHING}"
    return Place(document, lambda id_: {"id": id_}, ("Generation",), fake, lambda data: data["told"]["event"] is not None)


def ordering(name: str, field: str, real: tuple[str, ...], fake: str, **more: str) -> Place:
    kind = f"{name[0].upper()}{name[1:]}Input"
    made = "motionPrompt" if name == "suggestMotion" else "generation { kind }"
    return Place(
        f"mutation($input: {kind}!) {{ told: {name}(input: $input) {{ {made} {ERRORS} }} }}",
        lambda id_: {"input": {field: id_, **more}},
        real,
        fake,
        lambda data: bool(data["told"].get("generation") or data["told"].get("motionPrompt")),
    )


NO_PICTURE = f"http://127.0.0.1:8000/assets/user_uploads/{'0' * 32}/{'1' * 32}.png"
PLACES: dict[str, Place] = {
    **node("Pass", f"pass:anon:{NOTHING}"),
    **node("Session", f"session:sess_{NOTHING}"),
    **node("Generation", f"generation:{NOTHING}"),
    **node("failed Generation", f"generation:{NOTHING}"),
    **node("MmaStep", f"mma_step:{NOTHING}:0"),
    **node("MmaEvent", f"mma_event:{NOTHING}"),
    **node("CreditTransaction", f"credit_transaction:charge:{NOTHING}"),
    "Query.generation.id": Place(
        "query($id: ID!) { generation(id: $id) { id brief prompt vars steps { id } charge { delta } pass { id email } } }",
        lambda id_: {"id": id_},
        ("Generation", "failed Generation"),
        f"generation:{NOTHING}",
        lambda data: data["generation"] is not None,
    ),
    "Subscription.generationEvents.generationId": Place(
        "subscription($id: ID!) { generationEvents(generationId: $id) { __typename seq generationId } }",
        lambda id_: {"id": id_},
        ("Generation", "failed Generation"),
        f"generation:{NOTHING}",
        lambda data: data["generationEvents"]["seq"] > 0,
    ),
    "Mutation.like.input.generationId": signal("like(input: {generationId: $id})"),
    "Mutation.dislike.input.generationId": signal("dislike(input: {generationId: $id})"),
    "Mutation.recordDownload.generationId": signal("recordDownload(generationId: $id)"),
    "Mutation.sendFeedback.generationId": signal('sendFeedback(generationId: $id, text: "Nice.")'),
    "Pass.generations.filter.sessionId": Place(
        "query($id: ID!) { me { generations(filter: {sessionId: $id}) { nodes { id } totalCount } } }",
        lambda id_: {"id": id_},
        ("Session",),
        f"session:sess_{NOTHING}",
        lambda data: data["me"] is not None and data["me"]["generations"]["totalCount"] > 0,
    ),
    "Mutation.endSession.id": Place(
        f"mutation($id: ID!) {{ endSession(id: $id) {{ session {{ id title }} {ERRORS} }} }}",
        lambda id_: {"id": id_},
        ("Session",),
        f"session:sess_{NOTHING}",
        lambda data: data["endSession"]["session"] is not None,
    ),
    "Mutation.confirmUpload.key": Place(
        f"mutation($key: String!) {{ confirmUpload(key: $key) {{ asset {{ key publicUrl }} {ERRORS} }} }}",
        lambda key: {"key": key},
        ("staged",),
        f"user_uploads/{'0' * 32}/{'1' * 32}.png",
        lambda data: data["confirmUpload"]["asset"] is not None,
    ),
    "Mutation.storeRemote.input.sourceUrl": Place(
        f"mutation($url: String!) {{ storeRemote(input: {{sourceUrl: $url}}) {{ asset {{ key publicUrl }} {ERRORS} }} }}",
        lambda url: {"url": url},
        ("picture", "output"),
        f"http://127.0.0.1:8000/assets/user_uploads/{'0' * 32}/{'1' * 32}.png",
        lambda data: data["storeRemote"]["asset"] is not None,
    ),
    "Mutation.tweak.input.generationId": ordering(
        "tweak", "generationId", ("Generation",), f"generation:{NOTHING}", feedback="Softer."
    ),
    "Mutation.animate.input.generationId": ordering("animate", "generationId", ("Generation",), f"generation:{NOTHING}"),
    "Mutation.animate.input.inputStillUrl": ordering("animate", "inputStillUrl", ("picture", "output"), NO_PICTURE),
    "Mutation.suggestMotion.input.generationId": ordering(
        "suggestMotion", "generationId", ("Generation",), f"generation:{NOTHING}"
    ),
    "Mutation.suggestMotion.input.inputStillUrl": ordering("suggestMotion", "inputStillUrl", ("picture", "output"), NO_PICTURE),
    "Mutation.create.input.sessionId": creating(lambda id_: {"sessionId": id_}, ("Session",), f"session:sess_{NOTHING}"),
    "Mutation.create.input.assets.productImageUrl": picture(lambda url: {"productImageUrl": url}),
    "Mutation.create.input.assets.logoImageUrl": picture(lambda url: {"logoImageUrl": url}),
    "Mutation.create.input.assets.inspirationImageUrls": picture(lambda url: {"inspirationImageUrls": [url]}),
}

ADMINS_ONLY = {
    "Mutation.adjustCredits.input.passId",
    "Mutation.adjustCredits.input.idempotencyKey",
    "Mutation.setPassDisabled.passId",
    "Mutation.mergePasses.fromPassId",
    "Mutation.mergePasses.intoPassId",
    "Mutation.setConfigEnabled.id",
    "Mutation.publishConfig.key",
    "Admin.pass.id",
    "Admin.generation.id",
    "Admin.generations.passId",
    "Admin.generations.filter.sessionId",
    "Admin.events.passId",
    "Admin.creditTransactions.passId",
    "Admin.config.key",
}
"""Behind the gate: test_graphql_admin_gate.py tries every one of these fields as everybody else."""
NODES = {name for name in PLACES if name.startswith("Query.node")}
"""What an admin gets of everybody's."""
ELSEWHERE = {
    "Mutation.create.input.idempotencyKey": "a key is the caller's own; see below",
    "Mutation.tweak.input.idempotencyKey": "as for create",
    "Mutation.animate.input.idempotencyKey": "as for create",
    "Mutation.retry.idempotencyKey": "as for create",
    "Mutation.tweak.input.sessionId": "beside a generation of one's own: test_graphql_ownership.py",
    "Mutation.animate.input.sessionId": "beside a still of one's own: test_graphql_ownership.py",
    "Mutation.animate.input.endStillUrl": "beside a still of one's own: test_graphql_ownership.py",
    "Mutation.retry.generationId": "changes what it names: test_graphql_ownership.py",
    "Mutation.cancel.generationId": "changes what it names: test_graphql_ownership.py",
    "Mutation.deleteGeneration.id": "changes what it names: test_graphql_ownership.py",
    "Mutation.startSession.input.id": "a free id starts a visit; see below",
    "Mutation.linkShopify.shopifyCustomerId": "an attribute, tested in test_logins.py",
}


def places_of_the_schema() -> set[str]:
    """Every argument and input field, of whatever type, that takes something like an id."""
    found: set[str] = set()

    def walk(where: str, kind: Any) -> None:
        if ID_LIKE.search(where.rpartition(".")[2]) or get_named_type(kind).name == "ID":
            found.add(where)
        if isinstance(get_named_type(kind), GraphQLInputObjectType):
            for name, field in get_named_type(kind).fields.items():
                walk(f"{where}.{name}", field.type)

    for kind in schema.build()._schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for field, definition in kind.fields.items():
                for argument, taken in definition.args.items():
                    walk(f"{kind.name}.{field}.{argument}", taken.type)
    return found


def test_no_place_of_the_schema_is_forgotten():
    """Fails when the schema grows an argument that takes an id: give it a case."""
    tried = {re.split(r" of ", name)[0] for name in PLACES} | ADMINS_ONLY | ELSEWHERE.keys()
    assert places_of_the_schema() == tried


# ---------------------------------------------------------------- asking


async def answer(matrix: Matrix, who: Who, place: Place, id_: str) -> Any:
    if place.document.startswith("subscription"):
        return await matrix.edge.follow(who, place.document, **place.variables(id_))
    return await matrix.edge.ask(who, place.document, **place.variables(id_))


def anonymous(answered: Any, id_: str) -> str:
    """An answer as text, with the id that was asked for blotted out."""
    return orjson.dumps(answered).decode().replace(id_, "<id>").replace(id_.partition(":")[2] or id_, "<id>")


def has_data(place: Place, answered: Any) -> bool:
    last = answered[-1] if isinstance(answered, list) else answered
    return bool(last.get("data")) and not last.get("errors") and place.found(last["data"])


async def ids_of(matrix: Matrix, place: Place) -> list[str]:
    return [await staged(matrix) if kind == "staged" else matrix.ids[kind] for kind in place.real]


async def staged(matrix: Matrix) -> str:
    """The key of an upload of the owner's that waits to be confirmed."""
    owner = Caller(matrix.ids["Pass"], "127.0.0.1")
    upload = await matrix.edge.studio.assets.create_upload(owner, "image/png", "p.png", len(PNG))
    await matrix.edge.studio.stage(upload.key)
    return upload.key


@pytest.mark.parametrize(
    ("who", "name"), [(who, name) for who in sorted(STRANGERS) for name in PLACES if who != "an admin" or name not in NODES]
)
async def test_to_a_stranger_it_is_as_if_it_did_not_exist(matrix, name, who):
    place = PLACES[name]
    for id_ in await ids_of(matrix, place):
        theirs = await answer(matrix, matrix.who[who], place, id_)
        nothing = await answer(matrix, matrix.who[who], place, place.fake)
        assert anonymous(theirs, id_) == anonymous(nothing, place.fake)
        assert not has_data(place, theirs)
        assert "INTERNAL_SERVER_ERROR" not in str(theirs)


@pytest.mark.parametrize("name", sorted(NODES))
async def test_an_admin_finds_every_record_by_its_global_id(matrix, name):
    """P4: what a listing of admins has shown can be fetched again."""
    place, admin = PLACES[name], matrix.who["an admin"]
    for id_ in await ids_of(matrix, place):
        assert has_data(place, await answer(matrix, admin, place, id_))
    assert not has_data(place, await answer(matrix, admin, place, place.fake))


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("who", sorted(OWNERS))
async def test_the_owner_gets_what_is_theirs_also_what_was_merged_in(matrix, name, who):
    place = PLACES[name]
    for id_ in await ids_of(matrix, place):
        answered = await answer(matrix, matrix.who[who], place, id_)
        assert has_data(place, answered), answered


@pytest.mark.parametrize("who", sorted(STRANGERS | OWNERS))
async def test_what_a_deleted_pass_left_and_aliases_are_for_nobody(matrix, who):
    """DESIGN section 4: an alias is no Pass any more, and a soft-deleted one is invisible with its records."""
    kinds = ["alias", "deleted Pass", *(kind for kind in matrix.ids if kind.startswith("deleted ") and kind != "deleted Pass")]
    for kind in kinds:
        if who == "an admin" and kind not in {"alias", "deleted Pass"}:
            continue  # the records themselves were not deleted: the money of a Pass that is gone can be looked into
        found = await matrix.edge.ask(matrix.who[who], "query($id: ID!) { node(id: $id) { id } }", id=matrix.ids[kind])
        assert found == {"data": {"node": None}}, kind
    document = "query($id: ID!) { generation(id: $id) { id } }"
    gone, never = matrix.ids["deleted Generation"], f"generation:{NOTHING}"
    assert anonymous(await matrix.edge.ask(matrix.who[who], document, id=gone), gone) == anonymous(
        await matrix.edge.ask(matrix.who[who], document, id=never), never
    )


ACTS = (
    'adjustCredits(input: {passId: $id, delta: 1, reason: "r", idempotencyKey: "k"})',
    'setPassDisabled(passId: $id, disabled: true, reason: "r")',
    'mergePasses(fromPassId: $id, intoPassId: "x", reason: "r")',
    'mergePasses(fromPassId: "x", intoPassId: $id, reason: "r")',
)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("who", sorted((STRANGERS | OWNERS) - {"an admin"}))
async def test_an_admins_mutation_tells_everybody_else_the_same_of_every_pass(matrix, who, act):
    document = f"mutation($id: ID!) {{ {act} {{ pass {{ id }} {ERRORS} }} }}"
    ids = (matrix.ids["Pass"], matrix.ids["alias"], f"pass:anon:{NOTHING}")
    told = [await matrix.edge.ask(matrix.who[who], document, id=pass_id) for pass_id in ids]
    assert told[0] == told[1] == told[2]
    assert told[0]["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_an_admin_reaches_a_pass_through_the_admins_mutation(matrix):
    document = f"mutation($input: AdjustCreditsInput!) {{ adjustCredits(input: $input) {{ pass {{ id }} {ERRORS} }} }}"
    given = {"delta": 1, "reason": "r", "idempotencyKey": str(uuid4())}
    admin = matrix.who["an admin"]
    real = await matrix.edge.ask(admin, document, input={**given, "passId": matrix.ids["Pass"]})
    assert real["data"]["adjustCredits"] == {"pass": {"id": matrix.ids["Pass"]}, "userErrors": []}
    never = await matrix.edge.ask(admin, document, input={**given, "passId": f"pass:anon:{NOTHING}"})
    assert never["data"]["adjustCredits"]["userErrors"][0]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("who", sorted(STRANGERS))
async def test_a_taken_session_id_starts_no_visit_of_somebody_elses(matrix, who):
    document = (
        f'mutation($id: String!) {{ startSession(input: {{id: $id, title: "Mine"}}) {{ session {{ id title }} {ERRORS} }} }}'
    )
    taken = matrix.ids["Session"].removeprefix("session:")
    answered = await matrix.edge.ask(matrix.who[who], document, id=taken)
    assert not (answered.get("data") or {}).get("startSession") or answered["data"]["startSession"]["session"] is None


async def test_the_header_x_session_id_is_an_id_like_any_other(matrix):
    place = creating(lambda _: {}, (), "")
    for who in sorted(STRANGERS):
        told = []
        for session in (matrix.ids["Session"], f"session:sess_{NOTHING}"):
            carried = replace(matrix.who[who], more={"x-session-id": session})
            told.append(anonymous(await answer(matrix, carried, place, session), session))
        assert told[0] == told[1], who


async def test_the_same_idempotency_key_of_two_people_is_two_keys(matrix):
    place = creating(lambda key: {"idempotencyKey": key}, (), "")
    key = str(uuid4())
    for who in ("the owner", "another guest"):
        answered = await answer(matrix, matrix.who[who], place, key)
        assert answered["data"]["create"] == {"generation": {"kind": "STILL"}, "replayed": False, "userErrors": []}


@pytest.mark.parametrize("who", sorted(STRANGERS))
async def test_me_is_never_the_owner_for_a_stranger(matrix, who):
    answered = await matrix.edge.ask(matrix.who[who], "{ me { id email credits { balance } generations { nodes { id } } } }")
    assert matrix.ids["Pass"] not in str(answered)
    assert "owner@mina.example" not in str(answered)
    assert matrix.ids["Generation"] not in str(answered)
