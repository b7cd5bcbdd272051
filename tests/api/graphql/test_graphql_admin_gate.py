"""The gate of the admins: every field and mutation of theirs is shut, who tries is written down, and cannot fill the disk (P1, P7)."""

from dataclasses import replace

import orjson
import pytest
from graphql import get_named_type, is_composite_type, is_required_argument

from mina_gql.adapters.rates import MemoryRates
from mina_gql.api.graphql import schema
from mina_gql.api.graphql.admin import ActMutations, ConfigMutations
from mina_gql.api.graphql.context import ContextFactory
from mina_gql.api.graphql.permissions import REFUSALS_KEPT
from tests.identity.conftest import edge
from tests.identity.edge import Edge, Who
from tests.studio import BRIEF, counted

__all__ = ["edge"]

AUDITED = "select count(*) from mega_admin where mg_action = 'refused.admin' and mg_status = 403"
LOOK = "{ admin { parity { mismatches { balance } } } }"


async def test_refused_attempts_are_written_down_but_not_without_end(api):
    mina = api.studio.mina
    api.contexts = ContextFactory(replace(mina.services, rates=MemoryRates()), mina.authenticator)
    for attempt in range(1, REFUSALS_KEPT + 5):
        answer = await api.ask(None, LOOK, headers={"user_agent": "u" * 60_000})
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert await api.studio.sql.fetchval(AUDITED) == min(attempt, REFUSALS_KEPT)
    assert await api.studio.sql.fetchval("select max(length(mg_user_agent)) from mega_admin") == 500


GIVEN = {
    "ID!": '"pass:anon:x"',
    "String!": '"words"',
    "Boolean!": "true",
    "JSON!": "{price: 1}",
    "[String!]!": '["price.create"]',
    "AdjustCreditsInput!": '{passId: "pass:anon:x", delta: 5, reason: "r", idempotencyKey: "k"}',
}
"""A value for each kind of argument that an admin must give."""


def asked(name, field) -> str:
    """A selection of one field, with what it needs."""
    needed = {name: argument for name, argument in field.args.items() if is_required_argument(argument)}
    arguments = ", ".join(f"{name}: {GIVEN[str(argument.type)]}" for name, argument in needed.items())
    below = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    return f"{name}{f'({arguments})' if arguments else ''}{below}"


def attempts() -> dict[str, tuple[str, str]]:
    """Every field of `admin` and every mutation of admins: the field that is refused, and how to ask for it."""
    built = schema.build()._schema
    names = {
        field.graphql_name or "".join(part.title() if n else part for n, part in enumerate(field.python_name.split("_")))
        for group in (ActMutations, ConfigMutations)
        for field in group.__strawberry_definition__.fields
    }
    fields = {
        f"admin.{name}": ("admin", f"{{ admin {{ {asked(name, field)} }} }}")
        for name, field in built.type_map["Admin"].fields.items()
    }
    return fields | {name: (name, f"mutation {{ {asked(name, built.mutation_type.fields[name])} }}") for name in sorted(names)}


async def callers(edge: Edge) -> dict[str, tuple[Who, str]]:
    """Everybody who is no admin, and what they are told."""
    owner = (await edge.studio.person(matcha=3)).pass_id
    user = edge.token(email="user@mina.example")
    await edge.arrive(Who(token=user))
    forged = edge.token(email="boss@mina.example", admin=True)
    return {
        "nobody": (Who(), "FORBIDDEN"),
        "an anonymous Pass": (Who(owner), "FORBIDDEN"),
        "a user": (Who(token=user), "FORBIDDEN"),
        "who says so of themselves": (Who(owner, more={"x-admin": "true", "x-user-role": "admin"}), "FORBIDDEN"),
        "a forged token": (Who(token=forged[:-6] + "AAAAAA"), "UNAUTHENTICATED"),
        "a token without a signature": (Who(token=forged.rpartition(".")[0] + "."), "UNAUTHENTICATED"),
    }


@pytest.mark.parametrize("attempt", attempts())
async def test_every_field_and_mutation_of_admins_is_shut_to_everybody_else_and_each_try_is_on_record(edge: Edge, attempt):
    field, query = attempts()[attempt]
    tables = "select (select count(*) from mega_generations) + (select count(*) from mega_customers) + (select count(*) from mega_admin where mg_action is null)"
    people = await callers(edge)
    before = await edge.studio.sql.fetchval(tables)
    for who, (headers, code) in people.items():
        answer = await edge.ask(headers, query)
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code], (who, answer)
        assert not any((answer.get("data") or {}).values())
    rows = await edge.studio.sql.fetch("select * from mega_admin where mg_record_type = 'admin_audit' order by mg_created_at")
    forbidden = [code for _, code in people.values()].count("FORBIDDEN")
    assert [(row["mg_action"], row["mg_method"], row["mg_status"]) for row in rows] == [
        (f"refused.{field}", field, 403)
    ] * forbidden
    assert [row["mg_email"] for row in rows] == [None, None, "user@mina.example", None]
    assert {(row["mg_ip"], row["mg_route"], row["mg_user_agent"]) for row in rows} == {
        ("127.0.0.1", "/graphql", "Tests/1.0 (of identity)")
    }
    assert await edge.studio.sql.fetchval(tables) == before


async def test_what_an_admin_sees_in_a_step_is_null_for_its_owner_and_is_not_read_for_them(edge: Edge):
    """MmaStep.input, output and payload, wherever a step is shown."""
    owner = await edge.studio.person(matcha=3)
    made = (await edge.studio.orders.create(owner, BRIEF)).generation
    await edge.studio.mina.runner.run(made.id)
    step = f"mma_step:{made.generation_id}:0"
    query = "query($id: ID!) { node(id: $id) { ... on MmaStep { stepType input output payload } } }"
    with counted(edge.studio.mina.database) as reads:
        seen = (await edge.ask(Who(owner.pass_id), query, id=step))["data"]["node"]
    assert (seen["input"], seen["output"], seen["payload"]) == (None, None, None)
    assert not [text for text in reads.queries if "mg_payload, " in text]
    boss = Who(token=edge.token(email="boss@mina.example", admin=True))
    shown = (await edge.ask(boss, query, id=step))["data"]["node"]
    kept = orjson.loads(await edge.studio.sql.fetchval("select mg_payload from mega_generations where mg_id = $1", step))
    assert shown == {"stepType": seen["stepType"], "input": kept["input"], "output": kept["output"], "payload": kept}
