"""The map from the checklist to its tests leads somewhere: every test it names exists, every row of the built groups is in it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MAP = (TESTS.parent / "docs" / "checklist.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", MAP)))
COUNTS = "A20 B5 C16 D14 E13 F12 G6 H7 I5 J8 K8 L10 M8 N10 O9 P11 Q6 R5 DB16 T7"
"""How many rows each group of the checklist has."""


@cache
def defined_in(file: str) -> set[str]:
    """The tests that a file defines; nothing is imported."""
    found = ast.parse((TESTS / file).read_text(encoding="utf-8")).body
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in defined_in(file)


def test_every_row_is_there_once_with_a_test_or_the_reason_why_not() -> None:
    rows: list[str] = []
    for group, first, last, rest in re.findall(r"^\| ([A-Z]+)(\d+)(?:-[A-Z]+(\d+))? \|(.*)$", MAP, re.MULTILINE):
        assert "::test_" in rest or "*left:*" in rest, f"{group}{first}"
        rows += [f"{group}{number}" for number in range(int(first), int(last or first) + 1)]
    counted = re.findall(r"([A-Z]+)(\d+)", COUNTS)
    assert sorted(rows) == sorted(f"{group}{number}" for group, count in counted for number in range(1, int(count) + 1))


def test_the_map_is_short() -> None:
    assert len(MAP.splitlines()) < 250
