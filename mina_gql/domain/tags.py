"""Tags: the few words that say how a picture looks, read from its captions, its style and its prompt."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import NO_STYLE, GenerationKind

TAG_CHARS = 60
WORD_CHARS = 24
WORDS = 8
"""So many words of a picture count at most, beside its style and its movement style."""

_WORD = re.compile(r"[^\W\d_]{3,}(?:[-'’][^\W\d_]{2,})*")
_SENTENCE = re.compile(r"[.!?…؟。！？\n](?=\s|$)")
_ASIDE = re.compile(r"\([^()]*\)")
_POSSESSIVE = re.compile(r"['’]s$")
_MARKS = re.compile(r"^[\W_]+|[\W_]+$")
# From one of these to the end of its sentence stands what should not be there, or what we knew of the person before.
_UNTOLD = re.compile(
    r"\b(?:no|not|never|without|avoid|less|remove|except|instead|don['’]?t|taste)\b.*", re.IGNORECASE | re.DOTALL
)

_SMALL = """
a about above across after all along also an and any are around as at be behind below beneath beside between both but by can
each for from get gives has have her here his how i in into is it its just like made make makes more most much my near of off
on one only onto or other our out over per please same set she should so some such than that the their them then there these
they this those through to too toward towards two under until up upon very was way we were what when where which while who
will with within you your
"""
# Words of the craft: they stand in every prompt and caption, so they tell nothing of a taste.
_CRAFT = """
adds angle animate animated arranged background bathed bokeh bottom brand brief camera captured captures center centre change
clip close-up color colors colour colours composed composition contrast create depth detail detailed edge edges editorial
evenly feature features featuring few field fine finished focus focused foreground frame framed full generous half hero high
high-quality illuminated image inspiration item keep keeping label landscape left lens lit logo lower lying macro magazine
mainly medium mood motion object orientation page person photo photograph photographed photography photorealistic picture
pictured pixels place placed plain portrait positioned product quality realistic remain remains render rendering resolution
resting right scene setting shallow shape sharp shoot shot show showing shown shows sitting square stable standing stands stay
stays steady still still-life studio style styled subject surrounded take tall text things top true ultra unchanged upper
upright using video view wide word words
"""
# These say something only beside another word: "soft light", "deep green".
_LEANING = """
backdrop big bright cold cool dark deep feel gentle glow hard harsh light lighting little low natural pale palette rich shade
shadow shadows slow small soft subtle surface tone tones warm
"""
_MOTION = "motion."
_NOTHING = frozenset(_SMALL.split()) | frozenset(_CRAFT.split())
_LEANS = frozenset(_LEANING.split())


def tag_name(given: str, field: Sequence[str]) -> str:
    """A tag as it is kept: small letters, single spaces. Raises InvalidInput for what is no short name."""
    tag = _folded(given)
    if not _is_name(tag):
        raise InvalidInput(
            f"A tag is a few words of letters and digits, such as “soft light”, with at most {TAG_CHARS} characters.", field
        )
    return tag


def tags_of(vars_: Mapping[str, Any], prompt: str | None) -> list[str]:
    """The tags of a generation by its variable map and prompt: always the same for the same, at most `WORDS` and its styles.

    What the product's and the logo's own pictures show is no taste, so those words are left out where others are left. What the
    prompt of a clip says is about motion (`motion.slow orbit`), and teaches stills nothing.
    """
    inputs, scans = _object(vars_.get("inputs")), _object(vars_.get("scans"))
    chosen = {
        kind: _folded(value)
        for kind, value in (("style", inputs.get("style")), ("motion", inputs.get("movement_style")))
        if isinstance(value, str) and value != NO_STYLE and _is_name(f"{kind}.{_folded(value)}") and _folded(value)
    }
    captions = [scans.get("output_still_crt"), *_list(scans.get("inspiration_crt")), scans.get("input_still_crt")]
    texts = [list(_told(text)) for text in captions if isinstance(text, str)]
    moves = _MOTION if vars_.get("mode") == GenerationKind.VIDEO else ""
    texts.insert(0, [f"{moves}{word}" for word in _told(prompt or "")])
    shown = {word for text in (scans.get("product_crt"), scans.get("logo_crt")) if isinstance(text, str) for word in _told(text)}
    told = [word for word in _ranked(texts) if word not in chosen.values()]
    words = [word for word in told if word.removeprefix(_MOTION) not in shown] or told
    return [f"{kind}.{name}" for kind, name in chosen.items()] + words[:WORDS]


def _ranked(texts: list[list[str]]) -> list[str]:
    """Words by how many of the texts say them, then how often, then which came first."""
    often = Counter(word for text in texts for word in text)
    widely = Counter(word for text in texts for word in set(text))
    return sorted(often, key=lambda word: (-widely[word], -often[word]))  # stable, and a Counter keeps the order of arrival


def _told(text: str) -> Iterator[str]:
    """The words of a text that tell of its look, in their order; a leaning word comes with its neighbour or not at all."""
    for sentence in _SENTENCE.split(_ASIDE.sub(". ", unicodedata.normalize("NFKC", text))):
        for run in _runs(_UNTOLD.sub("", sentence).split()):
            yield from _leant(run)


def _runs(tokens: Iterable[str]) -> Iterator[list[str]]:
    """Stretches of meaningful words; a mark between two ends one, and so does an id, an address, a number, a small word."""
    run: list[str] = []
    for token in map(_folded, tokens):
        word = _MARKS.sub("", token) if len(token) <= TAG_CHARS else ""
        meant = len(word) <= WORD_CHARS and _WORD.fullmatch(word) is not None and _POSSESSIVE.sub("", word) not in _NOTHING
        if not meant or not token.startswith(word):
            yield run
            run = []
        if meant:
            run.append(word.replace("’", "'"))
        if not token.endswith(word):
            yield run
            run = []
    yield run


def _leant(run: list[str]) -> list[str]:
    """The words of a stretch, pairs made where one of the two leans on the other; from the end, where the noun stands."""
    found: list[str] = []
    rest = list(run)
    while rest:
        word = rest.pop()
        if rest and (word in _LEANS or rest[-1] in _LEANS):
            found.append(f"{rest.pop()} {word}")
        elif word not in _LEANS:
            found.append(word)
    return found[::-1]


def _folded(text: str) -> str:
    """Small letters, compatible forms made one, single spaces; folding twice changes nothing."""
    while True:
        folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        if folded == text:
            return text
        text = folded


def _is_name(tag: str) -> bool:
    short = 0 < len(tag) <= TAG_CHARS and any(sign.isalnum() for sign in tag)
    return short and all(sign in " ._-&'" or unicodedata.category(sign)[0] in "LMN" for sign in tag)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
