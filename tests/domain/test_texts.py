"""What people read: friendly lines without internals, and the word for money is matcha (FEATURES C1, O8)."""

import ast
import re
from pathlib import Path

import pytest

import mina_gql
from mina_gql.domain import errors
from mina_gql.domain.errors import InsufficientMatcha, Refusal, RequestError
from mina_gql.domain.pipeline import GenerationStatus, friendly_line
from mina_gql.services.pipeline.lines import CLIP_LINES, CLIP_WAITING, LINES, WAITING, line_for, waiting_line

SOURCE = Path(mina_gql.__file__).parent
SPOKEN = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.MinaError)}
POOLS = (LINES, CLIP_LINES, WAITING, CLIP_WAITING)
ALL_LINES = [(topic, line) for pools in POOLS for topic, pool in pools.items() for line in pool]


def texts_of_errors() -> list[tuple[str, str]]:
    """Every text in the call of a domain error or a top-level `coded` one: where it stands, what it says."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
                *SPOKEN,
                "coded",
                "words",
            }:
                shown = [argument for argument in node.args if not isinstance(argument, ast.List)]
                shown += [keyword.value for keyword in node.keywords if keyword.arg not in {"detail", "field"}]
                found += [
                    (f"{path.relative_to(SOURCE)}:{node.lineno}", constant.value)
                    for argument in shown
                    for constant in ast.walk(argument)
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
                ]
    return found


@pytest.mark.parametrize(("topic", "line"), ALL_LINES)
def test_a_line_is_friendly_short_and_names_no_internals(topic, line):
    assert friendly_line(line) == line
    assert line[0].isupper()
    assert line[-1] in ".!?"


@pytest.mark.parametrize(("topic", "line"), ALL_LINES)
def test_a_line_speaks_of_no_money(topic, line):
    assert not re.search(r"matcha|credit|\bpay|price|cost", line, re.IGNORECASE)


def test_every_status_and_every_look_has_several_lines_and_none_stands_twice():
    topics = {status for status in GenerationStatus if status not in {"queued", "error"}}
    assert set(LINES) == topics | {"scan_product", "scan_logo", "scan_inspiration", "scan_input_still"}
    assert all(len(pool) >= 3 for pools in POOLS for pool in pools.values())
    assert len({line for _, line in ALL_LINES}) == len(ALL_LINES)


@pytest.mark.parametrize("topic", LINES)
def test_lines_vary_with_the_generation_and_stay_when_it_is_resumed(topic):
    lines = [line_for(topic, f"generation:{n}") for n in range(50)]
    assert lines == [line_for(topic, f"generation:{n}") for n in range(50)]
    assert set(lines) == set(LINES[topic])


@pytest.mark.parametrize("topic", LINES)
def test_several_looks_of_one_kind_say_different_things(topic):
    pool = LINES[topic]
    assert {line_for(topic, "generation:1", index) for index in range(len(pool))} == set(pool)


@pytest.mark.parametrize("mode", ["still", "video"])
@pytest.mark.parametrize("status", WAITING)
def test_while_a_status_lasts_no_line_comes_again_before_the_others(mode, status):
    pool = CLIP_WAITING.get(status, WAITING[status]) if mode == "video" else WAITING[status]
    told = [waiting_line(mode, status, "generation:1", n) for n in range(2 * len(pool))]
    assert told[: len(pool)] == told[len(pool) :]
    assert set(told) == set(pool)


def test_a_clip_is_spoken_of_as_one():
    told = {line_for("generating", f"generation:{n}", mode="video") for n in range(50)}
    assert told == set(CLIP_LINES["generating"])
    assert not told & set(LINES["generating"])


def test_the_errors_that_speak_to_people_are_found():
    texts = texts_of_errors()
    assert len(texts) > 50
    assert any("Say in a few words" in text for _, text in texts)


@pytest.mark.parametrize(("where", "text"), texts_of_errors())
def test_what_an_error_says_calls_money_matcha(where, text):
    assert not re.search(r"\bmatchas\b|\bcredits?\b", text, re.IGNORECASE), where


@pytest.mark.parametrize(("where", "text"), texts_of_errors())
def test_what_an_error_says_names_no_vendor_and_no_address(where, text):
    shown = text.replace('{"seedream": {"size": "2K"}}', "")  # the settings' own name, as the API documents it
    assert not re.search(r"https?://|openai|replicate|seedream|kling|postgres|asyncpg|traceback", shown, re.IGNORECASE), where


def test_too_little_matcha_says_how_much_is_missing():
    refused = InsufficientMatcha(5, 2)
    assert refused.message == "This takes 5 matcha and you have 2. Get more matcha to go on."
    assert (refused.required, refused.balance, refused.checkout_url, refused.field) == (5, 2, None, [])


def concrete(base: type) -> list[type]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, base) and kind is not base]


@pytest.mark.parametrize("base", [Refusal, RequestError])
def test_every_error_has_a_code_of_its_own(base):
    codes = [kind.code for kind in concrete(base)]
    assert len(set(codes)) == len(codes) > 5
    assert all(re.fullmatch(r"[A-Z_]+", code) for code in codes)
