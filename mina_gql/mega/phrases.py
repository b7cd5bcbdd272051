"""Phrases of SQL that many statements use: inside a JSON column, and a moment as RFC 3339.

Names in them are our own words and stand as literals: constants are no parameters, and indexes are matched word for word.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, literal_column
from sqlalchemy.orm import InstrumentedAttribute

JsonColumn = InstrumentedAttribute[dict[str, Any]] | InstrumentedAttribute[dict[str, Any] | None]


def text_at(column: JsonColumn, *path: str) -> ColumnElement[str]:
    """The text at a path of a JSON column, or NULL."""
    if len(path) == 1:
        return column.op("->>", return_type=Text())(literal_column(f"'{path[0]}'"))
    return column.op("#>>", return_type=Text())(literal_column("'{" + ",".join(path) + "}'"))


def json_at(column: JsonColumn, name: str) -> ColumnElement[Any]:
    """The JSON value under a name, or NULL."""
    return column.op("->")(literal_column(f"'{name}'"))


def rfc3339(moment: str) -> str:
    """A moment as RFC 3339 in UTC with milliseconds. Its colons are quoted, so that `text()` reads no parameters in them."""
    return f"""to_char({moment} at time zone 'utc', 'YYYY-MM-DD"T"HH24":"MI":"SS.MS"Z"')"""
