"""Archive: whose history is read by whom, and the order of what was made (FEATURES group N)."""

from mina_gql.services.sessions import NewSession
from tests.api.graphql.graphql_world import Api
from tests.identity.edge import Edge, Who

BY_PASS = "query($pass: ID!) { admin { generations(first: 5, passId: $pass) { nodes { id } } } }"
CAROUSEL = """query($visit: ID!) { node(id: $visit) { ... on Session { generations(first: 9) { nodes { id kind } } } }
  me { generations(first: 9) { nodes { id kind } } same: generations(first: 9, filter: { sessionId: $visit }) { nodes { id } } } }"""


async def test_history_by_pass_is_for_admins_alone(edge: Edge) -> None:
    """N5: not even one's own, not by knowing the id, and a Pass that never was looks the same."""
    owner, other = await edge.studio.person(1), await edge.studio.person(1)
    made = await edge.studio.row("generation", "mine", owner, mma_mode="still", mma_status="done")
    await edge.studio.row("generation", "theirs", other, mma_mode="still", mma_status="done")
    user, boss = Who(token=edge.token(email="ada@mina.example")), Who(token=edge.token(email="boss@mina.example", admin=True))
    await edge.arrive(user)
    for who in (Who(pass_id=owner.pass_id), user):
        for pass_id in (owner.pass_id, "pass:anon:never"):
            answer = await edge.ask(who, BY_PASS, **{"pass": pass_id})
            assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, "FORBIDDEN")
    seen = await edge.ask(boss, BY_PASS, **{"pass": owner.pass_id})
    assert seen["data"]["admin"]["generations"]["nodes"] == [{"id": made}]


async def test_the_carousel_shows_stills_and_clips_of_a_visit_newest_first(bench: Api) -> None:
    """N8: the same order in the visit, in the archive, and in the archive narrowed to the visit."""
    workshop = bench.studio
    caller = await workshop.person(20)
    visit = await workshop.sessions.start(caller, NewSession())
    still = (await workshop.made(caller, session_id=visit.id)).generation["mg_id"]
    clip = await workshop.animate(caller, generation_id=still, session_id=visit.id)
    await workshop.run(clip)
    tweak = await workshop.tweak(caller, still, session_id=visit.id)
    elsewhere = await workshop.create(caller)
    found = await bench.data(caller, CAROUSEL, visit=visit.id)
    shown = [(tweak, "STILL"), (clip, "VIDEO"), (still, "STILL")]
    assert [(node["id"], node["kind"]) for node in found["node"]["generations"]["nodes"]] == shown
    assert [(node["id"], node["kind"]) for node in found["me"]["generations"]["nodes"]] == [(elsewhere, "STILL"), *shown]
    assert [node["id"] for node in found["me"]["same"]["nodes"]] == [id_ for id_, _ in shown]
