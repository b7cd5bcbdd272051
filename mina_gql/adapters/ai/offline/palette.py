"""Colours: their names, the distance the eye sees between them, and the dominant ones of a picture."""

import math
from dataclasses import dataclass

from PIL import Image

Rgb = tuple[int, int, int]
Lab = tuple[float, float, float]

COLOURS: dict[str, Rgb] = {
    "black": (18, 18, 20),
    "charcoal": (54, 56, 60),
    "grey": (128, 128, 130),
    "light grey": (200, 201, 203),
    "white": (250, 250, 249),
    "cream": (245, 235, 212),
    "beige": (219, 199, 168),
    "tan": (190, 154, 110),
    "brown": (122, 78, 48),
    "dark brown": (62, 40, 28),
    "terracotta": (196, 104, 74),
    "red": (222, 26, 34),
    "dark red": (122, 16, 28),
    "coral": (245, 126, 104),
    "pink": (242, 150, 180),
    "blush": (240, 205, 200),
    "magenta": (205, 30, 130),
    "orange": (244, 132, 28),
    "amber": (214, 142, 36),
    "gold": (198, 160, 72),
    "yellow": (250, 220, 50),
    "olive": (116, 116, 52),
    "green": (48, 156, 72),
    "dark green": (22, 74, 50),
    "sage": (168, 184, 156),
    "mint": (180, 228, 204),
    "teal": (20, 124, 124),
    "turquoise": (66, 204, 200),
    "sky blue": (150, 200, 236),
    "blue": (36, 92, 208),
    "navy": (20, 34, 78),
    "lavender": (202, 188, 232),
    "purple": (116, 56, 160),
    "plum": (84, 34, 72),
}
"""The names a picture's colours are told by."""

COLOUR_WORDS: dict[str, Rgb] = COLOURS | {
    "gray": COLOURS["grey"],
    "silver": (192, 194, 198),
    "slate": (92, 100, 110),
    "ivory": (246, 240, 224),
    "oat": (226, 212, 190),
    "nude": (226, 190, 168),
    "peach": (248, 200, 166),
    "apricot": (246, 184, 130),
    "rose": (226, 146, 150),
    "burgundy": (106, 20, 40),
    "wine": (106, 24, 44),
    "crimson": (178, 20, 48),
    "scarlet": (214, 38, 30),
    "rose gold": (206, 150, 132),
    "rust": (170, 78, 42),
    "copper": (184, 112, 72),
    "bronze": (140, 102, 62),
    "caramel": (188, 128, 74),
    "chocolate": (84, 50, 34),
    "mustard": (212, 166, 48),
    "lemon": (250, 234, 120),
    "lime": (172, 214, 66),
    "emerald": (16, 122, 84),
    "forest": (32, 76, 52),
    "pistachio": (186, 208, 150),
    "aqua": (140, 218, 220),
    "cyan": (60, 196, 220),
    "cobalt": (24, 66, 176),
    "indigo": (52, 48, 128),
    "lilac": (206, 182, 220),
    "violet": (132, 84, 186),
    "mauve": (184, 150, 170),
    "fuchsia": (220, 40, 140),
}
"""The colour words understood in a prompt."""


@dataclass(frozen=True, slots=True)
class Swatch:
    """A colour and its share of the picture, 0 to 1."""

    rgb: Rgb
    share: float


def oklab(rgb: Rgb) -> Lab:
    """sRGB to OKLab, where straight distances follow the eye (https://bottosson.github.io/posts/oklab/)."""
    r, g, b = (_linear(channel / 255) for channel in rgb)
    l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)  # noqa: E741 -- the source's names
    m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    )


def from_oklab(lab: Lab) -> Rgb:
    """OKLab to the nearest sRGB colour."""
    lightness, a, b = lab
    l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3  # noqa: E741 -- the source's names
    m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _channel(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
        _channel(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
        _channel(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s),
    )


def distance(one: Rgb, other: Rgb) -> float:
    """How different two colours look: 0 the same, 1 black against white."""
    return math.dist(oklab(one), oklab(other))


def name_of(rgb: Rgb) -> str:
    """The name of the nearest colour of `COLOURS`."""
    return min(COLOURS, key=lambda name: distance(COLOURS[name], rgb))


def chroma(rgb: Rgb) -> float:
    """How colourful: 0 for greys, about 0.3 for the most vivid."""
    _, a, b = oklab(rgb)
    return math.hypot(a, b)


def lightness(rgb: Rgb) -> float:
    """How light: 0 black to 1 white."""
    return oklab(rgb)[0]


def toned(rgb: Rgb, *, light: float | None = None, colourful: float | None = None) -> Rgb:
    """The same hue at another lightness, and with its chroma capped at `colourful`."""
    value, a, b = oklab(rgb)
    strength = chroma(rgb)
    scale = 1.0 if colourful is None or strength <= colourful else colourful / strength
    return from_oklab((value if light is None else light, a * scale, b * scale))


def mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    """Between two colours: `one` at 0, `other` at 1."""
    left, right = oklab(one), oklab(other)
    low, mid, high = (x + (y - x) * share for x, y in zip(left, right, strict=True))
    return from_oklab((low, mid, high))


def dominant(image: Image.Image, mask: Image.Image | None = None, colours: int = 12) -> list[Swatch]:
    """The colours of an RGB picture (where `mask` is set), the most frequent first."""
    # Sampled, not averaged: an average of two colours is neither.
    small = image.resize((96, 96), Image.Resampling.NEAREST)
    data = small.tobytes()
    pixels = [data[i : i + 3] for i in range(0, len(data), 3)]
    if mask is not None:
        inside = mask.resize((96, 96), Image.Resampling.NEAREST).tobytes()
        pixels = [pixel for pixel, share in zip(pixels, inside, strict=True) if share > 200]
    if not pixels:
        return []
    strip = Image.frombytes("RGB", (len(pixels), 1), b"".join(pixels)).quantize(colours, Image.Quantize.MEDIANCUT)
    flat = strip.getpalette() or []
    counts = strip.histogram()
    found = [
        Swatch((flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]), count / len(pixels)) for i, count in enumerate(counts) if count
    ]
    return sorted(found, key=lambda swatch: (-swatch.share, swatch.rgb))


def named_shares(image: Image.Image) -> list[tuple[str, float]]:
    """Colour names and their shares of the picture, the largest first."""
    shares: dict[str, float] = {}
    for swatch in dominant(image, colours=16):
        name = name_of(swatch.rgb)
        shares[name] = shares.get(name, 0.0) + swatch.share
    return sorted(shares.items(), key=lambda item: (-item[1], item[0]))


def character(swatches: list[Swatch]) -> Rgb | None:
    """The colour a picture is remembered by: colourful and not rare; None when all is near grey."""
    vivid = [swatch for swatch in swatches if chroma(swatch.rgb) > 0.03 and swatch.share > 0.02]
    if not vivid:
        return None
    return max(vivid, key=lambda swatch: chroma(swatch.rgb) * swatch.share**0.5).rgb


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _channel(linear: float) -> int:
    value = linear * 12.92 if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return max(0, min(255, round(value * 255)))
