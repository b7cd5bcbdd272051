"""Words on the picture: the label that says it was made offline, and a few words of the prompt as a caption."""

import re
import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont, ImageStat

from mina_gql.adapters.ai.offline.scene import Scene

LABEL = "offline preview"
_PALE, _DARK = (255, 253, 248), (38, 34, 34)
_DULL = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be by for from in into is it its of on or our that the their this to with your you we me my
        editorial product photograph photo photography picture image still life shot style look styled make please want
        need keep true change ratio frame composed composition like liked less more light lit surface background set
        scene very some few can would create generate show words customer""",
    )
)
"""Words that tell nothing in a caption."""


def label_box(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the label stands: left, top, right, bottom in pixels."""
    unit = _unit(size)
    font = _font(round(unit * 0.0165))
    width, height = round(_spaced_length(font, LABEL, unit * 0.0018) + unit * 0.034), round(unit * 0.036)
    margin = round(unit * 0.032)
    return size[0] - margin - width, size[1] - margin - height, size[0] - margin, size[1] - margin


def lettered(image: Image.Image, scene: Scene) -> Image.Image:
    """The picture with its label, lower right, and its caption, lower left."""
    unit = _unit(image.size)
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    box = label_box(image.size)
    middle = (box[1] + box[3]) / 2
    _label(draw, box, unit, _ink(image, box))
    words = caption(scene)
    if words:
        left = round(unit * 0.032)
        ink = _ink(image, (left, box[1], left + round(unit / 3), box[3]))
        _spaced(draw, (left, middle), words, font=_font(round(unit * 0.0185)), ink=(*ink, 205), gap=unit * 0.0042)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def badge(size: tuple[int, int]) -> Image.Image:
    """The label alone, pale on a dark chip, for a frame of `size` whose picture moves beneath it: stands at `label_box(size)`."""
    left, top, right, bottom = label_box(size)
    layer = Image.new("RGBA", (right - left + 1, bottom - top + 1), (*_DARK, 0))
    _label(ImageDraw.Draw(layer), (0, 0, right - left, bottom - top), _unit(size), _PALE, fill=(*_DARK, 170))
    return layer


def caption(scene: Scene, limit: int = 30) -> str:
    """The first telling words of the prompt, in capitals, at most `limit` characters."""
    chosen: list[str] = []
    for word in scene.words:
        if word in _DULL or len(word) < 3 or word.upper() in chosen:
            continue
        if len(" ".join([*chosen, word])) > limit or len(chosen) == 4:
            break
        chosen.append(word.upper())
    return " ".join(chosen)


def _unit(size: tuple[int, int]) -> float:
    """What sizes are measured by: the short side, or most of the long one where the picture is slim."""
    return max(min(size), 0.8 * max(size))


def _label(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    unit: float,
    ink: tuple[int, int, int],
    fill: tuple[int, int, int, int] | None = None,
) -> None:
    radius = (box[3] - box[1]) // 2
    draw.rounded_rectangle(box, radius=radius, fill=fill, outline=(*ink, 150), width=max(1, round(unit / 700)))
    at = box[0] + unit * 0.017, (box[1] + box[3]) / 2
    _spaced(draw, at, LABEL, font=_font(round(unit * 0.0165)), ink=(*ink, 225), gap=unit * 0.0018)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font."""
    font = ImageFont.load_default(max(9, size))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType")
    return font


def _spaced(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    *,
    font: ImageFont.FreeTypeFont,
    ink: tuple[int, int, int, int],
    gap: float,
) -> None:
    """Letter-spaced text, centred on `at`'s height."""
    x = at[0]
    for letter in unicodedata.normalize("NFC", text):
        draw.text((x, at[1] + font.size * 0.34), letter, font=font, fill=ink, anchor="ls")
        x += font.getlength(letter) + gap


def _spaced_length(font: ImageFont.FreeTypeFont, text: str, gap: float) -> float:
    return sum(font.getlength(letter) + gap for letter in text) - gap


def _ink(image: Image.Image, box: tuple[int, int, int, int]) -> tuple[int, int, int]:
    """Pale on dark, dark on pale."""
    return _PALE if ImageStat.Stat(image.crop(box).convert("L")).mean[0] < 140 else _DARK
