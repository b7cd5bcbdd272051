"""Which media type an answer has: the `Accept` and `Content-Type` headers."""

from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
ANSWERS = (JSON, GRAPHQL_JSON, EVENT_STREAM)


@lru_cache(maxsize=256)
def accepted(header: str | None) -> tuple[str, ...]:
    """The media types a client takes, of those that there are, best first; without a header plain JSON.

    `*/*` stands for JSON: a client that wants a stream must name it.
    """
    if header is None or not header.strip():
        return (JSON,)
    ranges = sorted(_ranges(header), key=lambda each: -each[1])
    refused = {media for media, quality in ranges if quality == 0}
    found: dict[str, None] = {}
    for media, quality in ranges:
        if quality == 0:
            continue
        wanted = (JSON, GRAPHQL_JSON) if media in {"*/*", "application/*"} else (media,)
        found |= dict.fromkeys(each for each in wanted if each in ANSWERS and each not in refused)
    return tuple(found)


@lru_cache(maxsize=256)
def is_json(header: str | None) -> bool:
    """Whether a body is declared as JSON in UTF-8, the default of the media type."""
    media, parameters = _split(header or "")
    return media == JSON and parameters.get("charset", "utf-8") in {"utf-8", "utf8"}


def _ranges(header: str) -> list[tuple[str, float]]:
    ranges = []
    for part in header.split(","):
        media, parameters = _split(part)
        if parameters.get("charset", "utf-8") in {"utf-8", "utf8"}:
            ranges.append((media, _quality(parameters.get("q", "1"))))
    return ranges


def _split(value: str) -> tuple[str, dict[str, str]]:
    media, *rest = value.split(";")
    pairs = (parameter.partition("=") for parameter in rest)
    return media.strip().lower(), {name.strip().lower(): text.strip(' "\t').lower() for name, _, text in pairs}


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0
