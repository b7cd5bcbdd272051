"""Generation rows as people read them: the archive, one by id, many by id."""

from typing import NamedTuple

import orjson
from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, case, func, literal_column, select

from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import Generation, LedgerRow
from mina_gql.mega.pages import Pages


class GenerationRow(NamedTuple):
    """A generation. `vars` is the canonical map without its internals, or None where a list did not ask for it.

    `content_type` is the output's MIME type; `width` and `height` are pixels; `latency_ms` counts from accept to the end.
    """

    id: str
    generation_id: str
    pass_id: str
    kind: str
    status: str
    prompt: str | None
    output_url: str | None
    output_key: str | None
    provider: str | None
    model: str | None
    latency_ms: int | None
    error: str | None
    parent_id: str | None
    session_id: str | None
    brief: str | None
    style: str | None
    ratio: str | None
    movement_style: str | None
    feedback: str | None
    content_type: str | None
    width: int | None
    height: int | None
    cost: int
    failure: orjson.Fragment | None
    created_at: Timestamp
    updated_at: Timestamp
    vars: orjson.Fragment | None = None


_g = LedgerRow


def _var(*path: str) -> ColumnElement[str]:
    """The text at a path of the variable map, or NULL. The path is a literal: constants are no parameters."""
    return _g.mma_vars.op("#>>", return_type=Text())(literal_column("'{" + ",".join(path) + "}'"))


# Rows from before MMA have a type and a status, and no mode or pipeline status.
_MODE = func.coalesce(
    _g.mma_mode,
    case(
        (_g.type.in_((literal_column("'motion'"), literal_column("'video'"))), literal_column("'video'")),
        else_=literal_column("'still'"),
    ),
)
_STATUS = func.coalesce(
    _g.mma_status, case((_g.status == literal_column("'failed'"), literal_column("'error'")), else_=literal_column("'done'"))
)
_COLUMNS = (
    _g.id,
    func.substr(_g.id, literal_column("12")),
    _g.pass_id,
    _MODE,
    _STATUS,
    func.coalesce(_g.prompt, _var("prompts", "clean_prompt")),
    _g.output_url,
    _g.output_key,
    _g.provider,
    _g.model,
    _g.latency_ms,
    _g.error,
    _g.parent_id,
    _g.session_id,
    _var("inputs", "brief"),
    func.nullif(_var("inputs", "style"), literal_column("'None'")),
    _var("inputs", "ratio"),
    _var("inputs", "movement_style"),
    _var("feedback", "text"),
    _var("outputs", "content_type"),
    _var("outputs", "width").cast(Integer),
    _var("outputs", "height").cast(Integer),
    func.coalesce(_g.meta.op("->>", return_type=Text())(literal_column("'cost'")).cast(Integer), literal_column("0")),
    _g.meta.op("->")(literal_column("'failure'")),
    _g.created_at,
    _g.updated_at,
)
_VARS = _g.mma_vars.op("-")(literal_column("'meta'"))


def _visible(*, with_vars: bool) -> Select[tuple[object, ...]]:
    columns = (*_COLUMNS, _VARS) if with_vars else _COLUMNS
    return select(*columns).where(recorded_as(Generation), _g.deleted_at.is_(None))


def _of_pass(*, with_vars: bool) -> Pages[GenerationRow]:
    statement = _visible(with_vars=with_vars).where(_g.pass_id == bindparam("pass_id"))
    return Pages(statement, GenerationRow, _g.created_at, _g.id)


def _of_session(*, with_vars: bool) -> Pages[GenerationRow]:
    statement = _visible(with_vars=with_vars).where(_g.pass_id == bindparam("pass_id"), _g.session_id == bindparam("session_id"))
    return Pages(statement, GenerationRow, _g.created_at, _g.id)


OF_PASS = {with_vars: _of_pass(with_vars=with_vars) for with_vars in (False, True)}
OF_SESSION = {with_vars: _of_session(with_vars=with_vars) for with_vars in (False, True)}
BY_IDS = Query(_visible(with_vars=True).where(_g.id == func.any(bindparam("ids"))))
