"""Values as they are answered: JSON, enums, failures, rows from before MMA."""

from uuid import uuid4

import orjson
import pytest

from mina_gql.api.graphql.enums import EventType, FailureCode, GenerationStatus, StepStatus
from tests.api.graphql.graphql_world import FIELDS, code


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
    await api.studio.row("generation", "a", caller, mma_status=status.value, mma_mode="video")
    found = await api.data(caller, '{ generation(id: "a") { status kind failure { code refunded retryable stepType } } }')
    assert found["generation"]["status"] == status.name
    assert found["generation"]["kind"] == "VIDEO"
    assert (found["generation"]["failure"] is not None) == (status is GenerationStatus.ERROR)


@pytest.mark.parametrize(
    ("stored", "shown"), [*((each.value, each.name) for each in FailureCode), ("LEGACY_WORDS", "INTERNAL"), (None, "INTERNAL")]
)
async def test_every_failure_has_a_code(api, stored, shown):
    caller = await api.studio.person()
    await api.studio.row("generation", "a", caller, mma_status="error", error=stored)
    found = await api.data(caller, '{ generation(id: "a") { failure { code message } } }')
    assert found["generation"]["failure"] == {"code": shown, "message": "This picture could not be made."}


async def test_every_kind_of_event_and_step_is_answered(api):
    caller = await api.studio.person()
    await api.studio.row("generation", "a", caller, mma_status="queued")
    for each in EventType:
        await api.studio.row("mma_event", str(uuid4()), caller, meta=orjson.dumps({"event_type": each}).decode())
    for number, status in enumerate(StepStatus):
        of = {"generation_id": "a", "parent_id": "generation:a", "step_no": number, "step_type": "postscan"}
        await api.studio.row("mma_step", f"a:{number}", caller, status=status.value, **of)
    found = await api.data(
        caller, '{ me { events { nodes { type payload } } } generation(id: "a") { steps { status config { key } } } }'
    )
    assert {node["type"] for node in found["me"]["events"]["nodes"]} == {each.name for each in EventType}
    assert [step["status"] for step in found["generation"]["steps"]] == [each.name for each in StepStatus]


async def test_a_row_from_before_mma_is_answered(api):
    """Backfilled rows have a type, a status and little else."""
    caller = await api.studio.person()
    await api.studio.row("generation", "a", caller, type="motion", status="succeeded", prompt="waves")
    text = f"{{ me {{ generations {{ nodes {{ kind status {' '.join(FIELDS)} }} }} }} }}"
    (node,) = (await api.data(caller, text))["me"]["generations"]["nodes"]
    assert (node["kind"], node["status"], node["prompt"], node["cost"]) == ("VIDEO", "DONE", "waves", 0)
    assert (node["userMessages"], node["assets"]["inspirationImageUrls"], node["vars"]) == ([], [], {})
