"""Text as data: cleaned of what could be taken for structure, counted, and worded for people."""

import re
import unicodedata
from collections.abc import Sequence

from mina_gql.domain.pipeline import plain_text
from mina_gql.domain.ports import Usage

_URL = re.compile(r"(?:\b[a-z][a-z0-9+.-]*://|\bwww\.)\S+", re.IGNORECASE)
_COLON = re.compile(r":(?!\d)")
_MARKUP = re.compile(r"[<>{}\[\]`|#*_\\\"“”]+")
_PIECE = re.compile(r"\w{1,4}|[^\w\s]")


def subject_words(text: str, limit: int) -> str:
    """One line of plain words: no URLs, control characters, quotes, markup or colons, at most `limit` characters.

    What is left can stand inside a quotation without ending it, and cannot open a rule of ours such as "Avoid:".
    """
    text = "".join(char if unicodedata.category(char)[0] != "C" or char in "\n\t" else " " for char in plain_text(text))
    text = _COLON.sub(",", _MARKUP.sub(" ", _URL.sub(" ", text)))
    return shortened(re.sub(r"\s+([,.;!?])", r"\1", " ".join(text.split())).strip(" ,;"), limit)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, ended at a word."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;.") + "…"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def pieces(text: str) -> int:
    """An estimate of tokens: one for each four characters of a word begun, and one for each sign."""
    return len(_PIECE.findall(text))


def usage(model: str, asked: str, answered: str) -> Usage:
    """What a call used: characters exactly, tokens by `pieces`. Pictures are not counted."""
    return Usage(model, len(asked), len(answered), pieces(asked), pieces(answered))
