"""Limits hold before anything runs, and finding out takes work in proportion to the text. Work is counted, not timed."""

import pytest
from graphql import get_introspection_query, parse

from mina_gql.api.graphql.documents import Documents, RequestRefused
from mina_gql.api.graphql.limits import Limits, Walk, check_cost
from mina_gql.domain.errors import LimitExceeded
from tests.api.transport.transport_toy import make_schema

SCHEMA = make_schema()._schema
LIMITS = Limits()


def chain(count: int, body: str, end: str) -> str:
    """`count` fragments on Item, each spreading the next one as `body` says."""
    fragments = [f"fragment F{n} on Item {{ {body.replace('NEXT', f'...F{n + 1}')} }}" for n in range(count)]
    return "{ item { ...F0 } } " + " ".join(fragments) + f" fragment F{count} on Item {{ {end} }}"


ATTACKS = {
    "spread bomb": chain(26, "NEXT NEXT", "id"),
    "object bomb": chain(20, "parent { NEXT } steps { NEXT }", "id"),
    "page bomb": chain(10, "children { nodes { NEXT } edges { node { NEXT } } }", "id"),
    "variable page bomb": chain(20, "children(first: $n) { nodes { NEXT } } because(first: $n) { NEXT }", "id").replace(
        "{", "query($n: Int) {", 1
    ),
    "alias bomb": chain(20, "a: parent { NEXT } b: parent { NEXT }", "id"),
    "introspection bomb": "{ __schema { types { ...F0 } } } "
    + " ".join(f"fragment F{n} on __Type {{ ofType {{ ...F{n + 1} }} interfaces {{ ...F{n + 1} }} }}" for n in range(20))
    + " fragment F20 on __Type { name }",
    "5,000 aliases": "{" + " ".join(f"a{n}: hello" for n in range(5000)) + "}",
    "31 aliases": "{" + " ".join(f"a{n}: hello" for n in range(31)) + "}",
    "31 aliases by a fragment": "{ item { " + "...F parent { ...F } steps { ...F } " + "} } fragment F on Item { "
    + " ".join(f"a{n}: id" for n in range(11)) + " }",
    "5,000 directives": "{ hello " + "@include(if: true) " * 5000 + "}",
    "11 directives": "{" + " ".join("hello @include(if: true)" for _ in range(11)) + "}",
    "5,000 equal fields": "{" + "hello " * 5000 + "}",
    "501 equal fields": "{" + "hello " * 501 + "}",
    "depth 3,000": "{ item " + "{ parent " * 3000 + "{ id }" + "}" * 3001,
    "depth 300": "{ item " + "{ parent " * 300 + "{ id }" + "}" * 301,
    "depth 13": "{ item " + "{ parent " * 11 + "{ id }" + "}" * 12,
    "depth 13 by fragments": chain(12, "parent { NEXT }", "id"),
    "values within values": "{ count(range: " + "[" * 500 + "]" * 500 + ") }",
    "comments": "#\n" * 100_000 + "{ hello }",
    "100 x 100": "{ items(first: 100) { nodes { children(first: 100) { nodes { id } } } } }",
    "100 x default 20": "{ items(first: 100) { nodes { children { nodes { id } } } } }",
    "100 x 5 x 5": "{ items(first: 100) { nodes { because { because { id } } } } }",
    "a list of ids": "{ nodes(ids: [" + '"x" ' * 1001 + "]) { id } }",
    "huge numbers": "{ items(first: 1" + "0" * 5000 + ") { nodes { children(first: 99999999999) { nodes { id } } } } }",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused_with_what_to_change(attack: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        Documents(SCHEMA, LIMITS).prepare(attack)
    [error] = refused.value.errors
    assert error.extensions == {"code": "LIMIT_EXCEEDED"}
    assert "allowed" in error.message or "more than" in error.message


@pytest.mark.parametrize("name", [name for name, text in ATTACKS.items() if "bomb" in name])
def test_a_bomb_takes_one_look_at_each_selection(name: str) -> None:
    """841 bytes that stock limiters expand a million times: the walk sees what is written, once."""
    text = ATTACKS[name]
    walk = Walk(SCHEMA, parse(text), LIMITS)
    with pytest.raises(LimitExceeded):
        walk.run()
    assert walk.visits <= len(text.split())


CONTRACT = """
query Archive($n: Int = 50) {
  items(first: $n) {
    edges { cursor }
    nodes { id name size at parent { id } steps { id name size } because(first: 3) { id } }
    pageInfo { hasNextPage }
  }
}
"""
FAIR = {
    "the archive": (CONTRACT, {}),
    "the archive, 50": (CONTRACT, {"n": 50}),
    "a page of 100": ("{ items(first: 100) { nodes { id name size at } edges { cursor node { id } } } }", {}),
    "20 x 20": ("{ items { nodes { children { nodes { id } } } } }", {}),
    "30 aliases": ("{" + " ".join(f"a{n}: hello" for n in range(30)) + "}", {}),
    "10 directives": ("{" + " ".join("hello @include(if: true)" for _ in range(10)) + "}", {}),
    "12 levels": ("{ item " + "{ parent " * 10 + "{ id }" + "}" * 11, {}),
    "100 ids": ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["x"] * 100}),
    "GraphiQL's introspection": (get_introspection_query(), {}),
    "all introspection": (
        get_introspection_query(schema_description=True, specified_by_url=True, directive_is_repeatable=True),
        {},
    ),
}


@pytest.mark.parametrize(("query", "variables"), FAIR.values(), ids=FAIR.keys())
def test_fair_requests_pass(query: str, variables: dict) -> None:
    operation = Documents(SCHEMA, LIMITS).prepare(query).operation(None)
    check_cost(operation.price, variables, LIMITS)


@pytest.mark.parametrize(
    ("query", "variables", "objects"),
    [
        ("{ hello }", {}, 0),
        ("{ item { id parent { id } } }", {}, 2),
        ("{ items(first: 3) { nodes { id } edges { cursor } pageInfo { hasNextPage } } }", {}, 1 + 3 + 3 + 1),
        ("{ items(first: 3) { ...P } } fragment P on ItemConnection { nodes { id } }", {}, 1 + 3),
        ("{ items { nodes { id } } }", {}, 1 + 20),
        ("{ items(first: null) { nodes { id } } }", {}, 1 + 20),
        ("{ items(last: 7) { nodes { id } } }", {}, 1 + 7),
        ("{ items(first: -5) { nodes { id } } }", {}, 1 + 1),
        ("{ items(first: 500) { nodes { id } } }", {}, 1 + 100),
        ("{ item { because { id } steps { id } } }", {}, 1 + 5 + 1),
        ("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": 9}, 1 + 9),
        ("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": None}, 1 + 20),
        ("query($n: Int = 4) { items(first: $n) { nodes { id } } }", {}, 1 + 4),
        ("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": "many"}, 1 + 100),
        ("query($n: Int) { items(first: $n) { nodes { children(first: 2) { nodes { id } } } } }", {"n": 3}, 1 + 3 * 4),
        ("query($n: Int) { items(first: 3) { nodes { children(first: $n) { nodes { id } } } } }", {"n": 2}, 1 + 3 * 4),
        ("query($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a", "b"]}, 2),
        ("mutation { ensure }", {}, 0),
    ],
)
def test_objects_are_counted(query: str, variables: dict, objects: int) -> None:
    operation = Documents(SCHEMA, LIMITS).prepare(query).operation(None)
    assert operation.price.objects(variables, LIMITS.page_max) == objects


def test_the_cheapest_pages_are_known_before_the_variables() -> None:
    """So that no variable is needed to refuse a bomb, and evaluating a price is never more work than its limit."""
    documents = Documents(SCHEMA, Limits(cost=10))
    with pytest.raises(RequestRefused):
        documents.prepare("query($n: Int) { items(first: $n) { " + "nodes { id } " * 11 + "} }")


@pytest.mark.parametrize(
    "circle",
    [
        "{ item { ...A } } fragment A on Item { ...A }",
        "{ item { ...A } } fragment A on Item { parent { ...B } } fragment B on Item { steps { ...A } }",
    ],
)
def test_a_fragment_within_itself_is_left_for_validation_to_refuse(circle: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        Documents(SCHEMA, LIMITS).prepare(circle)
    assert {error.extensions["code"] for error in refused.value.errors} == {"GRAPHQL_VALIDATION_FAILED"}


def test_unknown_names_are_left_for_validation_to_refuse() -> None:
    for query in ("{ x { y(first: 9) { z } } }", "{ ...Nowhere }", "fragment F on Nothing { x } { ...F }", "subscription { x }"):
        with pytest.raises(RequestRefused) as refused:
            Documents(SCHEMA, LIMITS).prepare(query)
        assert refused.value.errors[0].extensions["code"] == "GRAPHQL_VALIDATION_FAILED"
