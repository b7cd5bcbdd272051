"""What was backfilled, as the person sees it through GraphQL: every field of an old picture has an answer (FEATURES DB11, M7)."""

from mina_gql.api.graphql import schema
from mina_gql.api.graphql.engine import Engine
from tests.api.graphql.graphql_world import Api
from tests.backfill.legacy_world import ULID, backfill, execute, legacy_database

HELD = f"""
    insert into generations (id, customer_id, type, prompt, output_url, output_key, status, meta, session_id) values
      ('clip', '{ULID}', 'motion', 'Orbit', 'https://cdn.example.com/c.mp4', 'out/c.mp4', 'succeeded', '{{"input_still_url": "https://cdn.example.com/s.png"}}', null),
      ('lost', '{ULID}', 'image', 'Never', null, null, 'processing', null, 'v'), ('broken', '{ULID}', 'image', null, null, null, 'failed', null, 'v');
    insert into sessions values ('v', null, 'web', 'A visit', 1709287200);
    alter table sessions add pass_id text;
    update sessions set pass_id = '{ULID}' where "sessionId" = 'v';
    insert into feedback (generation_id, comment, liked) values ('clip', 'Lovely', true), ('clip', 'Slower', null);
"""
EVERYTHING = """{
  me { id state email credits { balance expiresAt } creditTransactions { nodes { id delta reason generation { id } } }
    sessions { nodes { id title startedAt } } preferences { hardBlocks tagWeights { tag weight } }
    events { nodes { id type generation { id } } }
  generations(first: 10) { totalCount nodes {
    id kind status brief style ratio movementStyle feedback prompt outputUrl outputKey contentType width height posterUrl provider model latencyMs
    cost createdAt updatedAt downloadUrl assets { productImageUrl inspirationImageUrls inputStillUrl } scans { product inspirations } settings vars
    userMessages { text } finalMessage failure { code message stepType retryable refunded } charge { id } refund { id } parent { id }
    children { nodes { id } } session { id } steps { id } liked queuePosition etaSeconds recreate { kind create animate changes } pass { id } } } }
}"""


async def test_every_field_of_an_old_picture_has_an_answer(postgres, studio):
    """The holder of an old Pass ID finds their archive, their matcha and their taste."""
    async with legacy_database(postgres) as legacy:
        await execute(legacy, HELD)
        await backfill(studio.mina.dsn, legacy)
    api = Api(studio, Engine(schema.build()))
    seen = await api.data(await studio.seen(ULID), EVERYTHING)
    made = {each["id"]: each for each in seen["me"]["generations"]["nodes"]}
    assert seen["me"]["generations"]["totalCount"] == 4
    clip, lost = made["generation:clip"], made["generation:lost"]
    assert (clip["kind"], clip["status"], clip["liked"], clip["posterUrl"]) == (
        "VIDEO",
        "DONE",
        True,
        "https://cdn.example.com/s.png",
    )
    assert (lost["status"], lost["failure"]["message"]) == ("ERROR", "This one was never finished.")
    assert lost["session"] == {"id": "session:v"}
    assert made["generation:broken"]["failure"]["code"] == "INTERNAL"
    assert seen["me"]["state"] == "BEARER"
    assert seen["me"]["credits"]["balance"] == 1
    assert sorted(event["type"] for event in seen["me"]["events"]["nodes"]) == ["FEEDBACK", "LIKE"]
