"""The directory of Passes, newest first: all of them, and those whose id, e-mail, name or Shopify id begins with a text."""

from sqlalchemy import ColumnElement, Text, and_, bindparam, func, literal_column, or_
from sqlalchemy.sql.elements import SQLColumnExpression

from mina_gql.mega.customers import PASSES, PassRow
from mina_gql.mega.models import Customer
from mina_gql.mega.pages import Pages

_LAST = "\U0010ffff"
"""Sorts after everything that can follow a prefix."""


_SOUGHT = bindparam("sought", type_=Text()), bindparam("sought_end", type_=Text())


def _begins(place: SQLColumnExpression[str] | SQLColumnExpression[str | None]) -> ColumnElement[bool]:
    """Whether a text begins with what is sought, byte by byte: a range of a `text_pattern_ops` index, also in a generic plan."""
    first, last = _SOUGHT
    return and_(place.bool_op("~>=~")(first), place.bool_op("~<~")(last))


def _begins_whatever_case(place: SQLColumnExpression[str | None]) -> ColumnElement[bool]:
    first, last = _SOUGHT
    lowered = func.lower(place)
    return and_(lowered.bool_op("~>=~")(func.lower(first)), lowered.bool_op("~<~")(func.lower(last)))


_FULL_NAME = Customer.first_name + literal_column("' '") + func.coalesce(Customer.last_name, literal_column("''"))
_FOUND = or_(
    _begins(Customer.pass_id),
    _begins(Customer.shopify_customer_id),
    *(_begins_whatever_case(place) for place in (Customer.email, Customer.display_name, _FULL_NAME, Customer.last_name)),
)

EVERYBODY = Pages(PASSES, PassRow, Customer.created_at, Customer.pass_id)
FOUND = Pages(PASSES.where(_FOUND), PassRow, Customer.created_at, Customer.pass_id)


def sought(search: str) -> dict[str, str]:
    """The parameters of `FOUND`. Ids are sought as they are written, e-mails and names in any case."""
    return {"sought": search, "sought_end": search + _LAST}
