"""What a prompt asks of a set: surface, colours, light, mood, and what to leave out."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mina_gql.adapters.ai.offline.palette import COLOUR_WORDS, Rgb, lightness, toned

SURFACES: dict[str, tuple[str, ...]] = {
    "marble": ("marble", "onyx", "quartz"),
    "wood": ("wood", "wooden", "oak", "walnut", "timber", "plank", "planks", "bamboo", "table", "bar"),
    "linen": ("linen", "cotton", "fabric", "cloth", "textile", "canvas", "wool", "napkin"),
    "sand": ("sand", "sandy", "desert", "dune", "dunes", "beach"),
    "water": ("water", "pool", "ripples", "rippling", "ocean", "sea", "river", "lake"),
    "stone": ("stone", "concrete", "slate", "rock", "rocks", "granite", "terrazzo", "travertine", "plaster", "cement"),
    "silk": ("silk", "satin", "velvet", "drapery", "draped"),
    "plinth": ("plinth", "podium", "pedestal", "column", "pillar", "block", "cube"),
    "gloss": ("mirror", "mirrored", "glossy", "acrylic", "lacquer", "reflective"),
}
LIGHTS: dict[str, tuple[str, ...]] = {
    "golden": ("golden", "sunset", "dusk", "candlelight", "candlelit", "honeyed"),
    "morning": ("morning", "sunny", "sunlight", "sunlit", "sunbeam", "daylight", "window", "dawn", "summer"),
    "dramatic": ("dramatic", "moody", "dark", "noir", "spotlight", "chiaroscuro", "shadowy", "smoky", "mysterious"),
    "night": ("night", "midnight", "neon", "evening", "moonlight", "nocturnal"),
    "bright": ("bright", "airy", "fresh", "clean", "crisp", "sparkling"),
    "soft": ("soft", "gentle", "diffused", "calm", "overcast"),
}
_LEAVES = frozenset({"leaf", "leaves", "botanical", "tropical", "palm", "natural", "garden", "plant", "plants", "forest", "fern"})
_MOODS = frozenset({"pastel", "vibrant", "monochrome", "minimal", "luxury", "luxurious"})
_GOODS = frozenset(
    re.findall(
        r"\w+",
        """bottle perfume whisky whiskey jar cream candle watch cup mug can tin box tube lipstick serum shoe sneaker bag
        flacon gin wine beer rum vodka liquid glass label packaging product soap lotion scarf dress chair lamp ring cap
        lid logo""",
    )
)
"""Nouns of products: a colour or material right before one is the product's, not the set's."""
_VESSELS = {
    "flacon": ("perfume", "fragrance", "flacon", "cologne", "parfum"),
    "bottle": ("bottle", "whisky", "whiskey", "wine", "gin", "oil", "serum", "rum", "vodka", "champagne"),
    "jar": ("jar", "cream", "candle", "pot", "balm", "mask", "honey", "jam", "cosmetics", "skincare"),
}
_ABOUT_PICTURES = ("keep the product", "take the mood", "show the logo")
_FORBIDDING = re.compile(r"^\W*(?:avoid|less of)\b:?\s*(.*)$", re.IGNORECASE | re.DOTALL)
_NEGATED = re.compile(
    r"\b(?:no|without|not|remove|avoid|never|free of)\s+(?:(?:any|the|a|an)\s+)?([\w-]+(?:\s+[\w-]+)?)", re.IGNORECASE
)
_STEPS: dict[str, tuple[str, float]] = {
    "darker": ("exposure", -0.28),
    "dimmer": ("exposure", -0.2),
    "brighter": ("exposure", 0.25),
    "lighter": ("exposure", 0.2),
    "warmer": ("warmth", 0.6),
    "cooler": ("warmth", -0.6),
    "colder": ("warmth", -0.6),
    "softer": ("softness", 1.0),
    "gentler": ("softness", 0.7),
    "harder": ("softness", -0.8),
    "closer": ("distance", -0.25),
    "bigger": ("distance", -0.25),
    "larger": ("distance", -0.25),
    "wider": ("distance", 0.3),
    "farther": ("distance", 0.3),
    "further": ("distance", 0.3),
    "smaller": ("distance", 0.3),
}
_SHADES = {"dark": -0.18, "deep": -0.12, "pale": 0.12, "light": 0.12, "pastel": 0.1, "dusty": 0.03}


_SHADED = frozenset(COLOUR_WORDS) | frozenset(name for names in SURFACES.values() for name in names)
"""What "dark", "soft" or "bright" right before it describes, instead of the light."""
_LIGHTING = frozenset({"light", "lighting", "lights", "sunlight", "shadow", "shadows", "window"})
_CHANGE = re.compile(r"^\s*Change:")
_QUOTED_FEEDBACK = re.compile(r"in the person's words, “[^”]*”")


@dataclass(frozen=True, slots=True)
class Scene:
    """A set as asked for. `walls` are colours in the order named; `exposure` to `distance` are 0 as asked."""

    surface: str = "studio"
    surface_colour: Rgb | None = None
    walls: tuple[Rgb, ...] = ()
    goods_colour: Rgb | None = None
    light: str = "soft"
    leaves: bool = False
    moods: frozenset[str] = frozenset()
    vessel: str = "vase"
    exposure: float = 0.0
    warmth: float = 0.0
    softness: float = 0.0
    distance: float = 0.0
    words: tuple[str, ...] = field(default=())


def read(prompt: str) -> Scene:
    """Understand a prompt's words; what it forbids, and what it tells of the pictures themselves, is left out.

    Changes (`Change: …`, from tweaks) go before what they change, the latest first.
    """
    wanted, unwanted = _sentences(prompt)
    changes = _words(". ".join(text for text in reversed(wanted) if _CHANGE.match(text)), unwanted)
    body = _words(". ".join(text for text in wanted if not _CHANGE.match(text)), unwanted)
    words = [*changes, ".", *body]
    present = frozenset(words)
    light = _light(changes) or _light(body) or "soft"
    if unwanted & _LIGHTING:
        light = "soft"
    scene = Scene(
        surface=_first(changes, SURFACES) or _first(body, SURFACES) or "studio",
        light=light,
        leaves=bool(present & _LEAVES) and not unwanted & _LIGHTING,
        moods=present & _MOODS,
        vessel=_first(words, _VESSELS, of_goods=True) or "vase",
        words=tuple(word for word in body if word.isalpha()),
    )
    return _adjusted(_coloured(scene, words), changes + body)


def _words(text: str, unwanted: frozenset[str]) -> list[str]:
    """Lower-case words without accents; signs stay as words, for what they part does not belong together."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))
    return [word for word in re.findall(r"[a-z]+|[^\w\s-]", bare) if word not in unwanted]


def _sentences(prompt: str) -> tuple[list[str], frozenset[str]]:
    """The sentences that wish for something, and the words that are not wished for."""
    wanted: list[str] = []
    unwanted: set[str] = set()
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", prompt):
        forbidding = _FORBIDDING.match(sentence)
        if forbidding:
            unwanted.update(re.findall(r"[a-z]{3,}", forbidding[1].lower()))
        elif not sentence.lower().lstrip().startswith(_ABOUT_PICTURES):
            unwanted.update(word for match in _NEGATED.findall(sentence) for word in re.findall(r"[a-z]{3,}", match.lower()))
            wanted.append(_NEGATED.sub(" ", _QUOTED_FEEDBACK.sub(_only_wishes, sentence)))
    return wanted, frozenset(unwanted)


def _only_wishes(quoted: re.Match[str]) -> str:
    """Feedback in the person's words without the steps and comparisons that stand before it, understood."""
    words = re.sub(r"\b(?:too|less|more|hate|dislike|like)\s+(?:the\s+)?\w+", " ", quoted[0], flags=re.IGNORECASE)
    return re.sub(r"\w+", lambda word: "" if word[0].lower() in _STEPS else word[0], words)


def _first(words: list[str], kinds: dict[str, tuple[str, ...]], *, of_goods: bool = False) -> str | None:
    """The kind whose word comes first, those after "on" before others; a product's own material does not count."""
    best: tuple[int, int, str] | None = None
    for place, word in enumerate(words):
        for kind, names in kinds.items():
            if word not in names or (not of_goods and place + 1 < len(words) and words[place + 1] in _GOODS):
                continue
            rank = 0 if {"on", "upon", "atop", "over"} & set(words[max(0, place - 4) : place]) else 1
            best = min(best or (rank, place, kind), (rank, place, kind))
    return best[2] if best else None


def _light(words: list[str]) -> str | None:
    """The strongest light asked for: `soft` yields to any other; before a colour or material, "dark" is no light."""
    found = [
        (name == "soft", place, name)
        for place, word in enumerate(words)
        for name, names in LIGHTS.items()
        if word in names and not (place + 1 < len(words) and words[place + 1] in _SHADED)
    ]
    return min(found)[2] if found else None


def _coloured(scene: Scene, words: list[str]) -> Scene:
    walls: list[Rgb] = []
    surface, goods = scene.surface_colour, scene.goods_colour
    for place, colour in _colours(words):
        following = words[place + 1 : place + 4]
        if following[:1] in (["light"], ["hour"], ["glow"]):
            continue
        if _GOODS & set(following[:2]):
            goods = goods or colour
        elif surface is None and _on_surface(following, scene.surface):
            surface = colour
        else:
            walls.append(colour)
    return replace(scene, walls=tuple(walls), surface_colour=surface, goods_colour=goods)


def _colours(words: list[str]) -> Iterator[tuple[int, Rgb]]:
    """Each colour word's place and colour, with the shade before it; of two in a row ("sage green") the first tells."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if before in COLOUR_WORDS and word in COLOUR_WORDS and f"{before} {word}" not in COLOUR_WORDS:
            continue
        colour = COLOUR_WORDS.get(f"{before} {word}") or COLOUR_WORDS.get(word)
        if colour is None:
            continue
        if f"{before} {word}" not in COLOUR_WORDS and before in _SHADES:
            colour = toned(colour, light=max(0.12, min(0.96, lightness(colour) + _SHADES[before])))
        yield place, colour


def _on_surface(following: list[str], surface: str) -> bool:
    return bool(set(SURFACES.get(surface, ())) & set(following[:2]))


def _adjusted(scene: Scene, words: list[str]) -> Scene:
    sums = {"exposure": 0.0, "warmth": 0.0, "softness": 0.0, "distance": 0.0}
    for word in words:
        if word in _STEPS:
            name, step = _STEPS[word]
            sums[name] += step
    return replace(
        scene,
        exposure=max(-0.7, min(0.6, sums["exposure"])),
        warmth=max(-1.0, min(1.0, sums["warmth"])),
        softness=max(-1.0, min(2.0, sums["softness"])),
        distance=max(-0.4, min(0.6, sums["distance"])),
    )
