"""The contract's scalars: DateTime to the millisecond in UTC, JSON as it is kept."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from graphql import GraphQLError
from hypothesis import assume, given
from hypothesis import strategies as st

from mina_gql.api.graphql.scalars import print_datetime, read_datetime, read_json


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("2026-11-21 09:10:40+00", "2026-11-21T09:10:40.000Z"),
        ("2026-11-21 09:10:40.1+00", "2026-11-21T09:10:40.100Z"),
        ("2026-11-21 09:10:40.12+00", "2026-11-21T09:10:40.120Z"),
        ("2026-11-21 09:10:40.123+00", "2026-11-21T09:10:40.123Z"),
        ("2026-11-21 09:10:40.1239+00", "2026-11-21T09:10:40.123Z"),
        ("2026-11-21 09:10:40.12399+00", "2026-11-21T09:10:40.123Z"),
        ("2026-11-21 09:10:40.999999+00", "2026-11-21T09:10:40.999Z"),
        ("2026-11-21T09:10:40Z", "2026-11-21T09:10:40.000Z"),
        ("2026-11-21T09:10:40.5Z", "2026-11-21T09:10:40.500Z"),
        ("2026-11-21T09:10:40.123Z", "2026-11-21T09:10:40.123Z"),
        (datetime(2026, 11, 21, 9, 10, 40, 999_999, UTC), "2026-11-21T09:10:40.999Z"),
        (datetime(2026, 11, 21, 13, 10, 40, 0, timezone(timedelta(hours=4))), "2026-11-21T09:10:40.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_moment_is_printed_in_utc_cut_to_the_millisecond(value, printed):
    assert print_datetime(value) == printed


@given(st.datetimes(), st.integers(0, 6))
def test_postgresql_s_text_of_any_length_is_printed_like_the_moment_itself(moment, digits):
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    text = f"{moment.year:04}-{moment:%m-%d %H:%M:%S}{fraction}+00"
    assert print_datetime(text) == print_datetime(datetime.fromisoformat(text))


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_a_moment_in_any_zone_is_read_as_the_same_moment(moment, minutes):
    assume(1 < moment.year < 9999)
    there = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=minutes)))
    assert datetime.fromisoformat(read_datetime(there.isoformat())) == there


@pytest.mark.parametrize(
    "value",
    ["", "now", "2026-11-21", "2026-11-21T09:10:40", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", 1, None, "infinity"],
)
def test_what_is_no_moment_with_an_offset_is_refused(value):
    with pytest.raises(GraphQLError, match=r"RFC 3339|offset"):
        read_datetime(value)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "\\u0000 spelled out", [], {"a": ["ü", {"b": None}]}, 2**63])
def test_json_is_taken_as_it_is(value):
    assert read_json(value) == value


def nested(depth: int) -> list:
    return [] if depth == 0 else [nested(depth - 1)]


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, nested(300), "\x00", {"\x00": 1}, {"a": ["b\x00"]}, "\\\x00", float], ids=repr
)
def test_json_that_cannot_be_kept_is_refused(value):
    with pytest.raises(GraphQLError, match="A JSON value"):
        read_json(value)
