"""What stands on the set beside photographs: plinths, arches, spheres and vessels, and pictures as framed prints."""

from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageOps

from mina_gql.adapters.ai.offline.palette import Rgb, lightness, toned

_OVER = 2
"""Shapes are drawn this much larger and reduced, for smooth edges."""

PROFILES: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {
    "vase": (
        0.66,
        (
            (0.17, 0.0),
            (0.13, 0.05),
            (0.12, 0.18),
            (0.26, 0.33),
            (0.44, 0.47),
            (0.5, 0.62),
            (0.47, 0.76),
            (0.36, 0.91),
            (0.26, 1.0),
        ),
    ),
    "bottle": (
        0.34,
        ((0.3, 0.0), (0.3, 0.1), (0.2, 0.115), (0.2, 0.26), (0.3, 0.33), (0.45, 0.39), (0.5, 0.46), (0.5, 1.0)),
    ),
    "jar": (0.95, ((0.48, 0.0), (0.48, 0.27), (0.45, 0.29), (0.45, 0.32), (0.5, 0.37), (0.5, 1.0))),
    "flacon": (0.72, ((0.17, 0.0), (0.17, 0.22), (0.1, 0.23), (0.1, 0.29), (0.45, 0.31), (0.5, 0.36), (0.5, 1.0))),
}
"""Width over height, and the outline as (radius, height from the top), both in shares."""
_CAPS = {"bottle": 0.1, "jar": 0.27, "flacon": 0.22}
"""How far down the cap reaches, where there is one."""
_TILT = 0.13
"""How round a foot or a lid looks from the camera: its depth over its width."""


@dataclass(frozen=True, slots=True)
class Plinth:
    """A plinth, RGBA; `top` is how far below its upper edge a thing stands on it, in pixels."""

    image: Image.Image
    top: int


def turned(width: int, height: int, colour: Rgb, side: int, *, gloss: float = 0.3) -> Image.Image:
    """The shading of an upright cylinder, RGB: lit from `side`, dark away from it, with a thin highlight."""
    level = lightness(colour)
    lit, dark = toned(colour, light=min(0.98, level + 0.09)), toned(colour, light=max(0.04, level * 0.52))
    shades = []
    for x in range(256):
        across = (x / 255 * 2 - 1) * -side
        body = max(0.0, 1 - ((across + 0.42) / 1.45) ** 2)
        rim = 0.16 * max(0.0, across - 0.72) / 0.28
        shine = gloss * max(0.0, 1 - ((across + 0.5) / 0.26) ** 2) ** 3
        shades.append(max(0, min(255, round(255 * min(1.0, body * 0.86 + rim + shine)))))
    row = Image.frombytes("L", (256, 1), bytes(shades)).resize((width, height), Image.Resampling.BICUBIC)
    return ImageOps.colorize(row, dark, lit, mid=colour, midpoint=150)


def vessel(kind: str, height: int, colour: Rgb, accent: Rgb, side: int) -> Image.Image:
    """A vessel of one of `PROFILES`, RGBA, `height` pixels high; `accent` colours its cap, an open one is dark."""
    ratio, outline = PROFILES[kind]
    width = max(8, round(height * ratio))
    lip, foot = (2 * outline[at][0] * width * _TILT for at in (0, -1))
    tall = height - (lip + foot) / 2
    body = turned(width, height, colour, side, gloss=0.4 if kind in _CAPS else 0.1)
    top = (
        turned(width, height, accent, side, gloss=0.6) if kind in _CAPS else body.point([value // 4 for value in range(256)] * 3)
    )
    cap, lid = _blank(width, height), _blank(width, height)
    if kind in _CAPS:
        half, down = outline[0][0] * width, lip / 2 + _CAPS[kind] * tall
        _draw(cap, "rectangle", (width / 2 - half, 0, width / 2 + half, down))
        _draw(cap, "ellipse", (width / 2 - half, down - lip / 2, width / 2 + half, down + lip / 2))
        body.paste(top, mask=_reduced(cap))
        top = Image.new("RGB", body.size, toned(accent, light=min(0.97, lightness(accent) + 0.06)))
    rim = outline[0][0] * width
    _draw(lid, "ellipse", (width / 2 - rim, 0, width / 2 + rim, lip))
    body.paste(top, mask=_reduced(lid))
    shape = _blank(width, height)
    points = _smooth(outline, kind)
    right = [((0.5 + radius) * width, lip / 2 + down * tall) for radius, down in points]
    left = [((0.5 - radius) * width, lip / 2 + down * tall) for radius, down in reversed(points)]
    ImageDraw.Draw(shape).polygon([(x * _OVER, y * _OVER) for x, y in right + left], fill=255)
    base = outline[-1][0] * width
    _draw(shape, "ellipse", (width / 2 - rim, 0, width / 2 + rim, lip))
    _draw(shape, "ellipse", (width / 2 - base, height - foot, width / 2 + base, height))
    body.putalpha(_reduced(shape))
    return body


def sphere(size: int, colour: Rgb, side: int) -> Image.Image:
    """A matt ball, RGBA."""
    level = lightness(colour)
    ball = Image.radial_gradient("L").transform(
        (size, size),
        Image.Transform.AFFINE,
        (200 / size, 0, 28 - 34 * side, 0, 200 / size, 62),
        Image.Resampling.BICUBIC,
        fillcolor=255,
    )
    shaded = ImageOps.colorize(
        ball, toned(colour, light=min(0.98, level + 0.1)), toned(colour, light=level * 0.45), mid=colour, midpoint=105
    )
    disc = Image.new("L", (size * _OVER, size * _OVER), 0)
    ImageDraw.Draw(disc).ellipse((1, 1, disc.width - 2, disc.height - 2), fill=255)
    shaded.putalpha(disc.resize((size, size), Image.Resampling.LANCZOS))
    return shaded


def arch(width: int, height: int, colour: Rgb) -> Image.Image:
    """A panel with a round top, RGBA, a little darker towards its foot."""
    shade = Image.linear_gradient("L").resize((width, height), Image.Resampling.BICUBIC)
    level = lightness(colour)
    panel = ImageOps.colorize(shade, toned(colour, light=min(0.97, level + 0.025)), toned(colour, light=level - 0.06))
    shape = Image.new("L", (width * _OVER, height * _OVER), 0)
    draw = ImageDraw.Draw(shape)
    draw.ellipse((0, 0, shape.width - 1, shape.width - 1), fill=255)
    draw.rectangle((0, shape.width // 2, shape.width - 1, shape.height), fill=255)
    panel.putalpha(shape.resize((width, height), Image.Resampling.LANCZOS))
    return panel


def disc(size: int, colour: Rgb) -> Image.Image:
    """A flat round panel, RGBA: a paper sun."""
    shape = Image.new("L", (size * _OVER, size * _OVER), 0)
    ImageDraw.Draw(shape).ellipse((0, 0, shape.width - 1, shape.height - 1), fill=255)
    sun = Image.new("RGB", (size, size), colour)
    sun.putalpha(shape.resize((size, size), Image.Resampling.LANCZOS))
    return sun


def plinth(width: int, height: int, colour: Rgb, side: int, skin: Image.Image | None = None) -> Plinth:
    """A round plinth; `skin` is laid over it, multiplied, where its material has a grain."""
    rise = round(width * 0.2)
    total = height + rise
    body = turned(width, total, colour, side, gloss=0.0)
    shape = Image.new("L", (width * _OVER, total * _OVER), 0)
    draw = ImageDraw.Draw(shape)
    lid_box = (0, 0, shape.width - 1, rise * _OVER)
    draw.ellipse(lid_box, fill=255)
    draw.rectangle((0, rise * _OVER // 2, shape.width - 1, shape.height - rise * _OVER // 2), fill=255)
    draw.ellipse((0, shape.height - rise * _OVER, shape.width - 1, shape.height - 1), fill=255)
    lid = Image.new("L", shape.size, 0)
    ImageDraw.Draw(lid).ellipse(lid_box, fill=255)
    body.paste(
        toned(colour, light=min(0.98, lightness(colour) + 0.07)),
        mask=lid.resize((width, total), Image.Resampling.LANCZOS),
    )
    if skin is not None:
        body = ImageChops.multiply(body, skin.resize((width, total), Image.Resampling.BICUBIC))
    body.putalpha(shape.resize((width, total), Image.Resampling.LANCZOS))
    return Plinth(body, rise // 2)


def framed(picture: Image.Image, width: int, height: int) -> Image.Image:
    """A photograph as a print with a white border and soft corners, RGBA, within `width` by `height`."""
    border = round(min(width, height) * 0.035)
    photo = ImageOps.contain(picture, (width - 2 * border, height - 2 * border), Image.Resampling.LANCZOS)
    size = (photo.width + 2 * border, photo.height + 2 * border)
    card = Image.new("RGB", size, (250, 248, 244))
    card.paste(photo, (border, border))
    line = ImageDraw.Draw(card)
    line.rectangle((border - 1, border - 1, border + photo.width, border + photo.height), outline=(226, 222, 214))
    shape = Image.new("L", (size[0] * _OVER, size[1] * _OVER), 0)
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, shape.width - 1, shape.height - 1), round(border * 0.55) * _OVER, fill=255)
    card.putalpha(shape.resize(size, Image.Resampling.LANCZOS))
    return card


def _blank(width: int, height: int) -> Image.Image:
    return Image.new("L", (width * _OVER, height * _OVER), 0)


def _draw(mask: Image.Image, shape: Literal["ellipse", "rectangle"], box: tuple[float, float, float, float]) -> None:
    """Fill a shape whose box is given at the size the mask is reduced to."""
    draw = ImageDraw.Draw(mask)
    scaled = (box[0] * _OVER, box[1] * _OVER, box[2] * _OVER - 1, box[3] * _OVER - 1)
    (draw.ellipse if shape == "ellipse" else draw.rectangle)(scaled, fill=255)


def _reduced(mask: Image.Image) -> Image.Image:
    return mask.resize((mask.width // _OVER, mask.height // _OVER), Image.Resampling.LANCZOS)


def _smooth(outline: tuple[tuple[float, float], ...], kind: str) -> list[tuple[float, float]]:
    """Round a vase's outline with Catmull-Rom curves; the others keep their corners."""
    if kind != "vase":
        return list(outline)
    points = [outline[0], *outline, outline[-1]]
    curve: list[tuple[float, float]] = []
    for before, start, end, after in zip(points, points[1:], points[2:], points[3:], strict=False):
        for step in range(8):
            t = step / 8
            curve.append((_spline(before[0], start[0], end[0], after[0], t), _spline(before[1], start[1], end[1], after[1], t)))
    return [*curve, outline[-1]]


def _spline(before: float, start: float, end: float, after: float, t: float) -> float:
    return 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t * t
        + (3 * start - before - 3 * end + after) * t**3
    )
