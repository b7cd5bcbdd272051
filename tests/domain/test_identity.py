"""Pass IDs: minting, reading what clients present, and the names that stand for a Pass elsewhere."""

import re
import socket
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.passes import PASS_ID_CHARS, PassState, log_name, new_pass_id, owner_tag, presented_pass_id, row_name

SECRET, OTHER = b"s" * 32, b"t" * 32
PASS = "pass:anon:9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa"
NAMES = (owner_tag, log_name, row_name)


def test_sockets_are_closed_here():
    with pytest.raises(AssertionError, match="network"), socket.socket() as probe:
        probe.connect(("127.0.0.1", 9))


def test_a_new_id_is_anonymous_and_random():
    made = {new_pass_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert {UUID(pass_id.removeprefix("pass:anon:")).version for pass_id in made} == {4}


@pytest.mark.parametrize(
    "shape",
    [
        PASS,
        "pass:user:9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa",
        "pass:shopify:77",
        "pass_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "legacy~1",
        "x" * 200,
    ],
)
def test_ids_are_opaque_text(shape):
    assert presented_pass_id(shape) == shape
    assert presented_pass_id(f"  {shape}\t") == shape


@pytest.mark.parametrize(
    "header", [None, "", "  ", "null", "undefined", " null ", "a b", "a\nb", "é", "a\x00", "x" * 201, "\u2028"]
)
def test_what_cannot_be_an_id_is_no_id(header):
    assert presented_pass_id(header) is None


@given(st.text(max_size=PASS_ID_CHARS + 10))
def test_a_presented_id_is_printable_and_short_whatever_came(header):
    found = presented_pass_id(header)
    assert found is None or re.fullmatch(r"[\x21-\x7e]{1,200}", found)


def test_names_of_a_pass_are_keyed_and_differ_by_use():
    names = [name(PASS, SECRET) for name in NAMES]
    assert len({*names, *(name(PASS, OTHER) for name in NAMES), *(name(PASS + "b", SECRET) for name in NAMES)}) == 9
    assert names == [name(PASS, SECRET) for name in NAMES]
    assert all(re.fullmatch(r"(p_)?[0-9a-f]{12,32}", name) for name in names)


@given(st.text(alphabet=[chr(code) for code in range(0x21, 0x7F)], min_size=8, max_size=PASS_ID_CHARS))
def test_names_never_tell_the_id(pass_id):
    assert all(pass_id not in name(pass_id, SECRET) for name in NAMES)


def test_an_owner_tag_has_128_bits():
    assert len(owner_tag(PASS, SECRET)) == 32


def test_states_are_what_the_design_names():
    assert [state.name for state in PassState] == ["BEARER", "CLAIMED", "UNCLAIMED"]
