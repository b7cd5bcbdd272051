"""Look-ahead: a list reads only what it was asked for, and says of a generation what it says alone."""

import random

import pytest

from tests.api.graphql.graphql_world import FIELDS
from tests.studio import counted


def shapes(inner: str) -> list[str]:
    """The same fields of a listing's nodes, asked for in every way GraphQL has."""
    return [
        f"{{ me {{ generations {{ nodes {{ {inner} }} }} }} }}",
        f"{{ me {{ generations {{ nodes: edges {{ node {{ {inner} }} }} }} }} }}",
        f"{{ me {{ generations {{ edges {{ node {{ ... on Generation {{ {inner} }} }} }} }} }} }}",
        "{ me { generations { ...page } } } fragment page on GenerationConnection { nodes { ...one } }"
        f" fragment one on Generation {{ {inner} }}",
        f"{{ me {{ generations {{ ... {{ nodes {{ ... on Node {{ id }} ... @include(if: true) {{ {inner} }} }} }} }} }} }}",
        f"{{ me {{ all: generations {{ n: nodes {{ id }} }} all: generations {{ n: nodes {{ {inner} }} }} }} }}",
        f"{{ me {{ sessions(first: 2) {{ nodes {{ generations {{ nodes {{ {inner} }} }} }} }} }} }}",
        f"query($yes: Boolean = true) {{ me {{ generations {{ nodes @include(if: $yes) {{ {inner} }} }} }} }}",
    ]


def nodes_of(data) -> list:
    """The generations in any of the shapes, by id."""
    if isinstance(data, list):
        return [node for each in data for node in nodes_of(each)]
    if "id" in data:
        return [data]
    return [node for each in data.values() for node in nodes_of(each)]


@pytest.mark.parametrize("seed", range(12))
async def test_a_list_says_of_a_generation_what_it_says_alone(world, seed):
    chance = random.Random(seed)
    inner = "id " + " ".join(chance.sample(FIELDS, chance.randint(1, 6)))
    alone = {}
    for id_ in (world.done, world.failed, world.full):
        alone[id_] = (await world.data(world.owner, f"query($id: ID!) {{ generation(id: $id) {{ {inner} }} }}", id=id_))[
            "generation"
        ]
    for text in shapes(inner):
        found = nodes_of(await world.data(world.owner, text))
        assert {node["id"] for node in found} >= {world.done, world.full}
        for node in found:
            if node["id"] in alone:
                assert node == alone[node["id"]], text


@pytest.mark.parametrize("field", FIELDS)
async def test_aliases_change_names_only(world, field):
    name = field.partition(" ")[0]
    plain = (await world.data(world.owner, f"{{ me {{ generations {{ nodes {{ {field} }} }} }} }}"))["me"]["generations"]["nodes"]
    aliased = (await world.data(world.owner, f"{{ me {{ generations {{ nodes {{ x: {field} }} }} }} }}"))["me"]["generations"][
        "nodes"
    ]
    assert [node["x"] for node in aliased] == [node[name] for node in plain]


async def test_a_list_without_the_map_does_not_read_it(world):
    with counted(world.studio.mina.database) as made:
        await world.data(world.owner, "{ me { generations { nodes { id status cost outputUrl createdAt } } } }")
    assert not [query for query in made.queries if "mg_mma_vars -" in query or "'{inputs," in query]


@pytest.mark.parametrize("field", [field for field in FIELDS if not field.startswith("steps")])
async def test_what_a_list_looked_ahead_for_needs_no_second_look(world, field):
    async def reads(fields: str) -> int:
        with counted(world.studio.mina.database) as made:
            await world.data(world.owner, f"{{ me {{ generations {{ nodes {{ {fields} }} }} }} }}")
        return len(made)

    assert await reads(field) == await reads("id")


async def test_everything_that_a_map_holds_is_shown(world):
    text = f"query($id: ID!) {{ generation(id: $id) {{ {' '.join(FIELDS)} }} }}"
    shown = (await world.data(world.owner, text, id=world.full))["generation"]
    assert (shown["brief"], shown["style"], shown["ratio"], shown["movementStyle"]) == ("A cup.", "luxury", "9:16", "orbit")
    assert (shown["feedback"], shown["contentType"], shown["width"], shown["height"]) == ("warmer", "video/mp4", 720, 1280)
    assert (shown["prompt"], shown["finalMessage"]) == ("a cup, warm light", "Done.")
    assert [(line["seq"], line["stage"]) for line in shown["userMessages"]] == [(2, "SCANNING"), (3, "DONE")]
