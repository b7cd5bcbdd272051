"""What an archive can be asked for: the parts of a filter, checked."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus, bare_id, plain_text, session_id

SEARCH_CHARS = 200


@dataclass(frozen=True, slots=True)
class ArchiveFilter:
    """What a listing of generations is narrowed to; None, no status and blank words ask nothing.

    `session_id` is global, prefixed or bare. `created_after` is the first moment and `created_before` the first one behind the
    last, so that spans lie side by side; RFC 3339 with an offset. `search` is words, "phrases in quotes", -words, or `or`.
    """

    kind: GenerationKind | None = None
    status: tuple[GenerationStatus, ...] = ()
    liked: bool | None = None
    session_id: str | None = None
    ratio: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    search: str | None = None

    def asked(self) -> dict[str, Any]:
        """The values of the parts that ask something, by part. Raises InvalidInput."""
        since, until = _moment("createdAfter", self.created_after), _moment("createdBefore", self.created_before)
        if since is not None and until is not None and since >= until:
            raise InvalidInput("`createdAfter` must be earlier than `createdBefore`.", ["filter", "createdAfter"])
        parts = {
            "kind": self.kind,
            "status": list(self.status) or None,
            "liked": self.liked,
            "session_id": None if self.session_id is None else session_id(self.session_id) or bare_id("session", self.session_id),
            "ratio": self.ratio,
            "created_after": since and since.isoformat(),
            "created_before": until and until.isoformat(),
            "search": self._words(),
        }
        return {part: value for part, value in parts.items() if value is not None}

    def _words(self) -> str | None:
        words = plain_text(self.search or "")
        if len(words) > SEARCH_CHARS:
            raise InvalidInput(f"Search for at most {SEARCH_CHARS} characters; these are {len(words):,}.", ["filter", "search"])
        return words or None


def _moment(name: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    raise InvalidInput(f"`{name}` is no moment that I can read: RFC 3339, such as 2026-11-21T09:10:40Z.", ["filter", name])
