"""Who somebody is over the wire: what a Pass ID proves, what it does not, and that it stays a secret."""

from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.journeys.server import Server, mina
from tests.journeys.visitor import CREATE, ENSURE_PASS, EVENTS, Visitor

ME = "{ me { id state email credits { balance } generations(first: 1) { totalCount } } }"
INSERT = """insert into mega_customers (mg_pass_id, mg_meta, mg_user_id, mg_email, mg_shopify_customer_id, mg_deleted_at)
            values ($1, $2::jsonb, $3, $4, $5, case when $6 then now() end)"""
MINTED = '{"minted": true}'


async def keep(
    database: asyncpg.Connection,
    pass_id: str,
    meta: str = MINTED,
    *,
    user: UUID | None = None,
    email: str | None = None,
    shopify: str | None = None,
    deleted: bool = False,
) -> str:
    """A Pass as a backfill, a purchase or a login may have left it."""
    await database.execute(INSERT, pass_id, meta, user, email, shopify, deleted)
    return pass_id


async def test_the_first_visit_gives_a_pass_and_the_next_one_finds_it(studio: Server, database: asyncpg.Connection) -> None:
    """A2, A5, A18: no header, a new row each; the id answered in header and body, resumed by the header, one row."""
    first, second = Visitor(studio), Visitor(studio)
    assert (await first.arrive())["id"] != (await second.arrive())["id"]
    assert first.pass_id is not None
    kind, _, secret = first.pass_id.rpartition(":")
    assert (kind, UUID(secret).version) == ("pass:anon", 4)
    again = Visitor(studio, first.pass_id)
    assert await again.arrive() == {**await first.arrive(), "credits": {"balance": 10}}
    assert await database.fetchval("select count(*) from mega_customers where mg_pass_id = $1", first.pass_id) == 1


async def test_looking_in_notes_when_somebody_was_seen_but_not_at_every_look(
    visitor: Visitor, database: asyncpg.Connection
) -> None:
    """A3."""
    seen = "select mg_last_active from mega_customers where mg_pass_id = $1"
    await database.execute(
        "update mega_customers set mg_last_active = now() - interval '1 hour' where mg_pass_id = $1", visitor.pass_id
    )
    long_ago = await database.fetchval(seen, visitor.pass_id)
    await visitor.ask(ME)
    just_now = await database.fetchval(seen, visitor.pass_id)
    assert just_now > long_ago
    await visitor.ask(ME)
    assert await database.fetchval(seen, visitor.pass_id) == just_now


async def test_the_header_is_answered_and_a_page_may_read_it(studio: Server) -> None:
    """A4: `X-Mina-Pass-Id` after `ensurePass`, exposed to pages of our own origin; a plain query does not repeat it."""
    headers = {"Origin": studio.origin}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.post(studio.graphql, json={"query": ENSURE_PASS}) as answer:
            pass_id = (await answer.json())["data"]["ensurePass"]["pass"]["id"]
            assert answer.headers["X-Mina-Pass-Id"] == pass_id
            exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
            assert {"X-Mina-Pass-Id", "X-Request-Id"} <= exposed
        async with http.post(studio.graphql, json={"query": ME}, headers={"X-Mina-Pass-Id": pass_id}) as answer:
            assert "X-Mina-Pass-Id" not in answer.headers


@pytest.mark.parametrize("name", ["x-mina-pass-id", "X-Mina-Pass-Id"])
async def test_a_socket_knows_the_same_visitor(visitor: Visitor, name: str) -> None:
    """A4: the Pass in `connection_init` is the one in the header, however its name is written."""
    transport = WebsocketsTransport(visitor.server.websocket, init_payload={name: visitor.pass_id})
    async with Client(transport=transport) as session:
        assert await session.execute(GraphQLRequest(ME)) == await visitor.ask(ME)


@pytest.mark.parametrize("shape", ["pass:anon:{uuid}", "pass:user:{uuid}", "pass:shopify:{number}", "pass_{ulid}"])
async def test_every_shape_of_an_id_is_opaque(studio: Server, database: asyncpg.Connection, shape: str) -> None:
    """A5: what a row says decides, and the id is never written anew."""
    ulid = uuid4().hex.upper().translate(str.maketrans("", "", "ILOU"))[:26]
    pass_id = await keep(database, shape.format(uuid=uuid4(), number=uuid4().int % 10**12, ulid=ulid))
    visitor = Visitor(studio, pass_id)
    found = await visitor.arrive()
    assert (found["id"], found["state"]) == (pass_id, "BEARER")
    assert (await visitor.ask("query ($id: ID!) { node(id: $id) { id } }", id=pass_id))["node"] == {"id": pass_id}


async def presented(database: asyncpg.Connection) -> dict[str, str]:
    """Ids that prove nothing, by why."""
    target = await keep(database, f"pass:anon:{uuid4()}")
    return {
        "made up": f"pass:anon:{uuid4()}",
        "malformed": "'; drop table mega_customers; --",
        "long": "pass:anon:" + "a" * 5_000,
        "null": "null",
        "undefined": "undefined",
        "claimed": await keep(database, f"pass:anon:{uuid4()}", user=uuid4(), email=f"{uuid4()}@studio.example"),
        "claimed by name": await keep(database, f"pass:user:{uuid4()}", user=uuid4()),
        "unclaimed purchase": await keep(
            database, f"pass:shopify:{uuid4().int % 10**12}", "{}", shopify=str(uuid4().int % 10**12)
        ),
        "unclaimed backfill": await keep(database, f"pass:anon:{uuid4()}", "{}"),
        "unclaimed with an e-mail": await keep(database, f"pass:anon:{uuid4()}", email=f"{uuid4()}@studio.example"),
        "merged away": await keep(
            database, f"pass:anon:{uuid4()}", f'{{"minted": true, "merged_into": "{target}"}}', deleted=True
        ),
    }


async def test_ids_that_prove_nothing_all_look_the_same(studio: Server, database: asyncpg.Connection, visitor: Visitor) -> None:
    """A9, A10, A12, A13: no answer tells whether a row exists, and `ensurePass` gives a fresh Pass, never the one named."""
    generation = await visitor.accepted()
    rows = "select to_jsonb(c)::text from mega_customers c where mg_pass_id = $1"
    shapes: dict[str, list[Any]] = {}
    for why, pass_id in (await presented(database)).items():
        before = await database.fetchval(rows, pass_id)
        stranger = Visitor(studio, pass_id)
        assert await stranger.ask(ME) == {"me": None}, why
        looks = [
            await stranger.post("query ($id: ID!) { node(id: $id) { id } }", id=pass_id),
            await stranger.post("query ($id: ID!) { generation(id: $id) { id } }", id=generation),
            await stranger.post("{ quote(action: CREATE) { balance } }"),
            await stranger.post(CREATE, input={"brief": "A cup"}),
        ]
        with pytest.raises(TransportQueryError) as caught:
            await stranger.followed(generation)
        assert caught.value.errors is not None
        looks.append(caught.value.errors)
        fresh = await Visitor(studio, pass_id).arrive()
        assert fresh["id"] != pass_id, why
        assert (fresh["state"], fresh["credits"]["balance"]) == ("BEARER", 10), why
        assert await database.fetchval(rows, pass_id) == before, why  # not even marked as seen
        shapes[why] = _without_request_ids(looks)
    assert all(shape == shapes["made up"] for shape in shapes.values()), shapes


def _without_request_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_request_ids(inner) for name, inner in value.items() if name != "requestId"}
    return [_without_request_ids(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("authorization", "works"),
    [("Bearer null", True), ("Bearer undefined", True), ("Bearer ", True), ("Bearer a.b.c", False), ("Basic Zm9v", False)],
)
async def test_a_token_that_does_not_hold_is_never_taken_for_none(visitor: Visitor, authorization: str, works: bool) -> None:
    """A14: also beside a good Pass; the words browsers send by mistake mean that there is no token."""
    answer = await visitor.post(ME, {"Authorization": authorization})
    if works:
        assert answer["data"]["me"]["id"] == visitor.pass_id
    else:
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert answer.get("data") is None


KEPT = """
  select 'mega_customers' as place, (to_jsonb(c) - 'mg_pass_id')::text as kept from mega_customers c
  union all select mg_record_type, (to_jsonb(g) - 'mg_pass_id')::text from mega_generations g
  union all select mg_record_type, (to_jsonb(a) - 'mg_actor_pass_id')::text from mega_admin a
  union all select 'job', to_jsonb(j)::text || coalesce(convert_from(j.payload, 'UTF8'), '') from ops.pgqueuer j
  union all select 'job log', to_jsonb(l)::text from ops.pgqueuer_log l"""


async def test_a_pass_id_is_kept_nowhere_but_where_it_names(
    visitor: Visitor, studio: Server, database: asyncpg.Connection
) -> None:
    """A20, E10: after a whole run, refusals among it, no other column, key, URL, job or log line has it."""
    assert visitor.pass_id is not None
    secret = visitor.pass_id.rpartition(":")[2]
    picture = await visitor.uploaded()
    brief = f"A cup for {uuid4()}"
    generation = await visitor.accepted(brief, assets={"productImageUrl": picture["publicUrl"]}, idempotencyKey="mine")
    events = await visitor.followed(generation)
    still = await visitor.generation(generation)
    refusals = [
        await visitor.create("Another", idempotencyKey="mine"),
        await visitor.create(assets={"productImageUrl": f"{studio.origin}/assets/{visitor.pass_id}"}),
        await visitor.confirm(f"user_uploads/{visitor.pass_id}/a.jpg"),
        await visitor.post(EVENTS, {"Accept": "application/json"}, id=generation),
        await visitor.post("{ nothing }"),
    ]
    assert all(refusal.get("userErrors") or refusal["errors"] for refusal in refusals)

    assert secret not in str([picture, events, refusals, {**still, "pass": None}])
    found = [(row["place"], row["kept"]) for row in await database.fetch(KEPT) if secret in row["kept"]]
    assert found == []
    assert secret not in studio.log
    assert brief not in studio.log
    assert not [path for path in studio.home.rglob("*") if secret in str(path)]
    assert secret not in (studio.home / "postgres" / "log").read_text(errors="replace")


async def token(studio: Server, sub: UUID) -> dict[str, str]:
    """The header of somebody who has signed in with Google, as `mina token` gives it out for development."""
    who = ("--sub", str(sub), "--email", f"{sub}@studio.example", "--provider", "google")
    result = await mina(studio.home, "token", *who, MINA_PORT=str(studio.port))
    assert result.code == 0, result.err
    return {"Authorization": f"Bearer {result.out.strip().splitlines()[0]}"}


async def test_signing_in_keeps_the_pass_and_what_is_in_it(
    visitor: Visitor, studio: Server, database: asyncpg.Connection
) -> None:
    """A6, A7, A11, A12: the id stays, also when a shop's customer is linked later; from now on it takes the token."""
    generation = await visitor.accepted()
    await visitor.followed(generation)
    signed_in = await token(studio, uuid4())

    linked = (await visitor.ask(ENSURE_PASS, signed_in))["ensurePass"]["pass"]
    assert (linked["id"], linked["state"]) == (visitor.pass_id, "CLAIMED")
    shop = "update mega_customers set mg_shopify_customer_id = $2 where mg_pass_id = $1"
    await database.execute(shop, visitor.pass_id, str(uuid4().int % 10**12))

    elsewhere = Visitor(studio)  # another device: a token and no Pass
    again = (await elsewhere.ask(ENSURE_PASS, signed_in))["ensurePass"]["pass"]
    assert again["id"] == visitor.pass_id
    assert (await elsewhere.ask(ME, signed_in))["me"]["generations"] == {"totalCount": 1}
    by_socket = WebsocketsTransport(studio.websocket, init_payload={"authorization": signed_in["Authorization"]})
    async with Client(transport=by_socket) as session:
        assert (await session.execute(GraphQLRequest(ME)))["me"]["id"] == visitor.pass_id

    assert await visitor.ask(ME) == {"me": None}
    assert (await Visitor(studio, visitor.pass_id).arrive())["id"] != visitor.pass_id
    somebody_else = (await visitor.ask(ENSURE_PASS, await token(studio, uuid4())))["ensurePass"]["pass"]
    assert somebody_else["id"] != visitor.pass_id
