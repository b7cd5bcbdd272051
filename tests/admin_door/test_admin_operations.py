"""P10: the admins' ready operations fit the schema, keep within the limits, and each answers its question in one query."""

import json
from uuid import uuid4

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, get_variable_values, parse, validate

from mina_gql.api.graphql import schema
from mina_gql.api.ide import tour
from tests.admin_door.door import ANN, Door
from tests.api.graphql.graphql_world import Api, World, make_world
from tests.identity.edge import Who

ADJUST = (
    """mutation ($input: AdjustCreditsInput!) { adjustCredits(input: $input) { transaction { id } userErrors { message } } }"""
)


def operation(tab: dict[str, str | None]) -> OperationDefinitionNode:
    (node,) = parse(tab["query"] or "").definitions
    assert isinstance(node, OperationDefinitionNode)
    return node


TABS = {operation(tab).name.value: tab for tab in tour("admin")}


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    return build_schema(schema.build().as_str())


def test_the_questions_stand_first() -> None:
    assert list(TABS)[:4] == ["WhatHappened", "WhyThisBalance", "WhichVendorFails", "WhatDidIChange"]


@pytest.mark.parametrize("name", TABS)
def test_every_ready_operation_fits_the_schema(built: GraphQLSchema, name: str) -> None:
    node, variables = operation(TABS[name]), json.loads(TABS[name]["variables"] or "{}")
    assert validate(built, parse(TABS[name]["query"] or "")) == []
    values = get_variable_values(built, node.variable_definitions or (), variables)
    assert not isinstance(values, list), values


@pytest.fixture
async def world(door: Door) -> World:
    """A studio with a finished and a failed generation in it."""
    return await make_world(Api(door.edge.studio, door.edge.engine))


async def answer(door: Door, name: str, **variables: object):
    """What a ready operation tells an admin, with its own variables but for those given."""
    ready = json.loads(TABS[name]["variables"] or "{}")
    told = await door.edge.ask(boss(door), TABS[name]["query"] or "", **{**ready, **variables})
    assert "errors" not in told, told
    return told["data"]["admin"]


def boss(door: Door) -> Who:
    return Who(token=door.edge.token(sub=str(uuid4()), email=ANN, admin=True))


async def test_what_happened_to_this_generation(door: Door, world: World) -> None:
    done = (await answer(door, "WhatHappened", id=world.done))["generation"]
    steps = {step["stepType"]: step for step in done["steps"]}
    reader = steps["gpt_reader"]
    assert reader["config"] == {"key": "mma.ctx.gpt_reader", "version": 1, "id": "app_config:mma.ctx.gpt_reader.v1"}
    assert reader["input"]
    assert reader["output"]
    assert all(step["durationMs"] is not None and step["startedAt"] for step in steps.values())
    assert (done["charge"]["delta"], done["refund"]) == (-1, None)
    assert done["pass"]["id"] == world.owner.pass_id
    failed = (await answer(door, "WhatHappened", id=world.failed))["generation"]
    assert (failed["failure"]["code"], failed["failure"]["refunded"]) == ("MODERATED", True)
    assert (failed["charge"]["delta"], failed["refund"]["delta"]) == (-1, 1)


async def test_why_this_customer_s_balance_changed(door: Door, world: World) -> None:
    found = (await answer(door, "WhyThisBalance", passId=world.owner.pass_id))["pass"]
    entries = found["creditTransactions"]["nodes"]
    assert [entry["reason"] for entry in entries] == ["refund", "charge", "charge", "adjustment"]
    assert [entry["generation"] and entry["generation"]["id"] for entry in entries] == [
        world.failed,
        world.failed,
        world.done,
        None,
    ]
    assert sum(entry["delta"] for entry in entries) == found["credits"]["balance"]


async def test_which_vendor_fails(door: Door, world: World) -> None:
    await door.sql.execute(
        """insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_parent_id, mg_step_no, mg_step_type,
        mg_status, mg_error, mg_provider) select mg_id || ':9', 'mma_step', mg_pass_id, mg_generation_id, 'generation:' || mg_generation_id,
        9, 'seedream_generate', 'failed', 'PROVIDER_ERROR', 'seedream' from (select 'mma_step:' || mg_generation_id as mg_id,
        mg_pass_id, mg_generation_id from mega_generations where mg_id = $1) failed""",
        f"credit_transaction:charge:{world.failed.partition(':')[2]}",
    )
    told = await answer(door, "WhichVendorFails")
    assert {each["kind"] for each in told["providers"]} >= {"vision", "writer", "still", "video"}
    (error,) = told["errors"]["nodes"]
    assert (error["stepType"], error["provider"], error["generation"]["id"]) == ("seedream_generate", "seedream", world.failed)


async def test_what_did_i_change(door: Door, world: World) -> None:
    asked = {"passId": world.owner.pass_id, "delta": 3, "reason": "a gift", "idempotencyKey": "gift"}
    assert (await door.edge.ask(boss(door), ADJUST, input=asked))["data"]["adjustCredits"]["userErrors"] == []
    (act,) = (await answer(door, "WhatDidIChange"))["audits"]["nodes"]
    assert (act["action"], act["actor"], act["pass"]["id"]) == ("credits.adjust", ANN, world.owner.pass_id)
    assert act["detail"]["asked"]["delta"] == 3
    assert (await answer(door, "WhatDidIChange", action="config.publish"))["audits"]["nodes"] == []


async def test_what_the_others_tell_names_what_the_questions_ask_for(door: Door, world: World) -> None:
    recent = (await answer(door, "Recent"))["generations"]["nodes"]
    assert {world.done, world.failed} <= {each["id"] for each in recent}
    customers = (await answer(door, "Customers"))["passes"]["nodes"]
    assert world.owner.pass_id in {each["id"] for each in customers}
