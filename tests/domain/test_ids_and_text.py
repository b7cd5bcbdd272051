"""Ids of sessions and generations, and text of people and models as data."""

import unicodedata
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.pipeline import (
    LINE_CHARS,
    bare_id,
    friendly_line,
    generation_id_for,
    generation_mg_id,
    new_generation_id,
    plain_text,
    session_id,
)

OWN = UUID("9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa")
ANY_TEXT = st.text(alphabet=st.characters(), max_size=60)  # with surrogates and control characters
LINE_BREAKS_AND_TAB = "\t\n\r"

# ---------------------------------------------------------------- ids


@given(st.uuids())
def test_a_session_id_in_any_shape_is_normalised(own):
    shapes = [
        str(own),
        f"sess_{own}",
        f"session:sess_{own}",
        f"session:{own}",
        f" {own}\n",
        str(own).upper(),
        own.hex,
        f"sess_{own.hex}",
    ]
    assert {session_id(shape) for shape in shapes} == {f"sess_{own}"}


@given(st.one_of(st.none(), ANY_TEXT, st.from_regex(r"(session:)?(sess_)?[0-9a-fA-F-]{30,40}")))
def test_a_session_id_is_canonical_or_none_and_normalising_again_changes_nothing(text):
    found = session_id(text)
    if found is not None:
        assert found == f"sess_{UUID(found.removeprefix('sess_'))}"
        assert session_id(found) == found
    else:
        assert text is not None


@pytest.mark.parametrize("text", ["", "sess_", "1", f"sess_sess_{OWN}", f"generation:{OWN}", f"{OWN}x", "x" * 10_000])
def test_what_is_no_uuid_is_no_session_id(text):
    assert session_id(text) is None


def test_without_an_id_a_session_gets_a_fresh_one():
    assert session_id(None) != session_id(None)


def test_a_key_always_leads_to_the_same_generation():
    """Pinned: keys that clients hold must find their generations after an update."""
    assert generation_id_for("pass:anon:1", "create", "k") == "c102336c-9229-52ca-8b1b-ecb2b68f0deb"


@given(*[st.text(alphabet="ab:\x1f", max_size=4)] * 2, st.text(max_size=6), st.text(max_size=6))
def test_another_pass_operation_or_key_is_another_generation(one, two, key, other):
    assert (generation_id_for(one, "create", key) == generation_id_for(two, "create", other)) == ((one, key) == (two, other))
    assert generation_id_for(one, "create", key) != generation_id_for(one, "tweak", key)


def test_global_and_bare_ids_are_two_ways_to_say_the_same():
    bare = new_generation_id()
    assert bare_id("generation", generation_mg_id(bare)) == bare_id("generation", bare) == bare
    assert bare_id("generation", "session:x") == "session:x"
    assert UUID(bare).version == 4
    assert new_generation_id() != bare


# ---------------------------------------------------------------- text


@given(ANY_TEXT)
def test_plain_text_has_no_control_characters_and_no_surrogates(text):
    plain = plain_text(text)
    kinds = {unicodedata.category(char) for char in plain if char not in LINE_BREAKS_AND_TAB}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    plain.encode()  # a lone surrogate would not go


@given(ANY_TEXT)
def test_plain_text_is_normalised_trimmed_and_stays_as_it_is(text):
    plain = plain_text(text)
    assert unicodedata.is_normalized("NFC", plain)
    assert plain == plain.strip() == plain_text(plain)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  A cup\n\tof tea \n", "A cup\n\tof tea"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("e\x00\u0301", "\u00e9"),
        ("a\x00b\x07c\x7fd\x85e\u2028f\ufeffg", "abcdefg"),
        ("\ud83d!", "!"),
        ("👩‍🔬 über 北京", "👩‍🔬 über 北京"),
    ],
)
def test_plain_text_keeps_what_people_write(text, plain):
    assert plain_text(text) == plain


@pytest.mark.parametrize("line", ["Here it is.", "A soft, warm light — lovely!", "x" * LINE_CHARS, "Une tasse à café."])
def test_a_friendly_line_stays_as_it_is(line):
    assert friendly_line(line) == line


def test_a_friendly_line_is_one_line():
    assert friendly_line("  A cup\n of\ttea. ") == "A cup of tea."


@pytest.mark.parametrize(
    "line",
    [
        None,
        "",
        " \n ",
        "x" * (LINE_CHARS + 1),
        "See https://x.example",
        "Look at www.x.example",
        "OpenAI says hello",
        "Made with Seedream",
        "kling is warming up",
        "The model is thinking",
        "Writing the prompt",
        "Scanning your product",
        "GPT-4 is on it",
        "The pipeline runs",
        "Your AI picture",
        "Replicate is slow",
        "As JSON: {}",
        "MMA at work",
        "Our vendor is late",
        "Another provider",
    ],
)
def test_a_line_that_names_internals_or_is_none_is_no_friendly_line(line):
    assert friendly_line(line) is None


@pytest.mark.parametrize("line", ["A remodelled kitchen.", "Fair and airy."])
def test_innocent_words_are_no_internals(line):
    assert friendly_line(line) == line


@given(st.one_of(st.none(), ANY_TEXT, st.text(max_size=300)))
def test_a_friendly_line_is_short_and_single_whatever_came(text):
    line = friendly_line(text)
    if line is not None:
        assert 0 < len(line) <= LINE_CHARS
        assert line.splitlines() == [line]
        assert friendly_line(line) == line
