"""Generation rows as people read them: the archive, one by id, many by id."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute

from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import Generation, LedgerRow
from mina_gql.mega.pages import Pages
from mina_gql.mega.phrases import json_at, text_at


class GenerationRow(NamedTuple):
    """A generation. `vars` is the canonical map without its internals; `FROM_VARS` are None where a list did not ask for them.

    `content_type` is the output's MIME type; `width` and `height` are pixels; `latency_ms` counts from accept to the end;
    `poster_url` is what to show before a clip plays.
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
    poster_url: str | None
    failure: orjson.Fragment | None
    created_at: Timestamp
    updated_at: Timestamp
    vars: orjson.Fragment | None = None


_g = LedgerRow


def _var(*path: str) -> ColumnElement[str]:
    """The text at a path of the variable map, or NULL."""
    return text_at(_g.mma_vars, *path)


# Rows from before MMA have a type and a status, and no mode or pipeline status. Indexes are matched by these words, too.
_KIND = func.coalesce(
    _g.mma_mode,
    case(
        (_g.type.in_((literal_column("'motion'"), literal_column("'video'"))), literal_column("'video'")),
        else_=literal_column("'still'"),
    ),
)
STATUS = func.coalesce(
    _g.mma_status, case((_g.status == literal_column("'failed'"), literal_column("'error'")), else_=literal_column("'done'"))
)
COLUMNS: Mapping[str, ColumnElement[Any] | InstrumentedAttribute[Any]] = {
    "id": _g.id,
    "generation_id": func.substr(_g.id, literal_column(str(len("generation:") + 1))),
    "pass_id": _g.pass_id,
    "kind": _KIND,
    "status": STATUS,
    "prompt": func.coalesce(_g.prompt, _var("prompts", "clean_prompt")),
    "output_url": _g.output_url,
    "output_key": _g.output_key,
    "provider": _g.provider,
    "model": _g.model,
    "latency_ms": _g.latency_ms,
    "error": _g.error,
    "parent_id": _g.parent_id,
    "session_id": _g.session_id,
    "brief": _var("inputs", "brief"),
    "style": func.nullif(_var("inputs", "style"), literal_column("'None'")),
    "ratio": _var("inputs", "ratio"),
    "movement_style": _var("inputs", "movement_style"),
    "feedback": _var("feedback", "text"),
    "content_type": _var("outputs", "content_type"),
    "width": _var("outputs", "width").cast(Integer),
    "height": _var("outputs", "height").cast(Integer),
    "cost": func.coalesce(text_at(_g.meta, "cost").cast(Integer), literal_column("0")),
    "poster_url": case(
        (literal_column("'video'") == _KIND, func.coalesce(_var("outputs", "poster_url"), _var("assets", "input_still_url")))
    ),
    "failure": json_at(_g.meta, "failure"),
    "created_at": _g.created_at,
    "updated_at": _g.updated_at,
    "vars": _g.mma_vars.op("-")(literal_column("'meta'")),
}
FROM_VARS = frozenset(
    {"brief", "style", "ratio", "movement_style", "feedback", "content_type", "width", "height", "poster_url", "vars"}
)
"""What is dug out of the variable map: a list reads only what it was asked for."""


def visible(wanted: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """Every generation that was not deleted, with what is wanted of `FROM_VARS`."""
    columns = [column if name not in FROM_VARS or name in wanted else literal_column("null") for name, column in COLUMNS.items()]
    return select(*columns).where(recorded_as(Generation), _g.deleted_at.is_(None))


@cache
def of_session(wanted: frozenset[str]) -> Pages[GenerationRow]:
    """What was made in one visit."""
    mine = visible(wanted).where(_g.pass_id == bindparam("pass_id"), _g.session_id == bindparam("session_id"))
    return Pages(mine, GenerationRow, _g.created_at, _g.id)


BY_IDS = Query(visible(FROM_VARS).where(_g.id == func.any(bindparam("ids"))))
BY_OUTPUT_KEY = Query(
    visible(FROM_VARS)
    .where(_g.pass_id == bindparam("pass_id"), _g.output_key == bindparam("key"), _g.output_key.is_not(None))
    .order_by(_g.created_at.desc())
    .limit(literal_column("1"))
)
