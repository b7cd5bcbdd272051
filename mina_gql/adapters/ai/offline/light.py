"""Light: how it falls on the set (pool, window, leaves), its colours, and the grade of the finished picture."""

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from mina_gql.adapters.ai.offline.palette import Rgb, mixed
from mina_gql.adapters.ai.offline.scene import Scene

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Light:
    """A kind of light: what it does to lit and unlit places, its spread in picture widths, and what shapes it."""

    key: Rgb
    fill: Rgb
    spread: float
    window: float
    shadow: float
    vignette: float


LIGHTS: dict[str, Light] = {
    "soft": Light((255, 253, 249), (188, 186, 192), 1.0, 0.0, 0.42, 0.16),
    "bright": Light((255, 255, 255), (222, 225, 231), 1.2, 0.0, 0.32, 0.05),
    "morning": Light((255, 250, 238), (160, 163, 178), 1.0, 0.8, 0.5, 0.14),
    "golden": Light((255, 232, 190), (140, 104, 94), 1.0, 0.75, 0.55, 0.24),
    "dramatic": Light((255, 244, 228), (40, 37, 42), 0.86, 0.0, 0.75, 0.5),
    "night": Light((206, 216, 255), (34, 38, 66), 0.95, 0.0, 0.7, 0.5),
}


def fallen(rng: random.Random, size: Size, scene: Scene, side: int) -> Image.Image:
    """Where the light falls, L: 255 fully lit. `side` is -1 where it comes from the left, 1 from the right."""
    light = LIGHTS[scene.light]
    width, height = size
    centre = (width * (0.5 + 0.2 * side), height * 0.36)
    pool = _pool(size, centre, light.spread * max(width, height * 0.9))
    if light.window:
        panes = _window(size, side).filter(ImageFilter.GaussianBlur(min(size) * 0.007 * (1 + max(-0.7, scene.softness))))
        pool = Image.blend(pool.point([round(value * 0.72) for value in range(256)]), panes, 0.5 * light.window)
        pool = ImageOps.autocontrast(pool)
    if scene.leaves:
        shade = _leaves(rng, size, side).filter(ImageFilter.GaussianBlur(min(size) * 0.011 * (1 + max(0.0, scene.softness))))
        pool = ImageChops.subtract(pool, shade.point([round(value * 0.5) for value in range(256)]))
    return pool


def lit(image: Image.Image, mask: Image.Image, light: Light, strength: float = 1.0) -> Image.Image:
    """The set under its light: the key's colour where `mask` is set, the fill's where it is not."""
    key, fill = (mixed((255, 255, 255), colour, strength) for colour in (light.key, light.fill))
    return ImageChops.multiply(image, ImageOps.colorize(mask, fill, key))


def graded(rng: random.Random, image: Image.Image, scene: Scene) -> Image.Image:
    """Exposure, warmth, the mood's saturation, vignette and a fine grain."""
    light = LIGHTS[scene.light]
    gain = 1 + scene.exposure
    red, blue = 1 + 0.10 * scene.warmth, 1 - 0.14 * scene.warmth
    image = image.point([_curve(value, gain * band) for band in (red, 1.0, blue) for value in range(256)])
    saturation = 0.0 if "monochrome" in scene.moods else 1.22 if "vibrant" in scene.moods else 1.0
    if saturation != 1.0:
        image = Image.blend(image.convert("L").convert("RGB"), image, saturation)
    corner = _pool(image.size, (image.width / 2, image.height * 0.48), 1.05 * max(image.size))
    image = ImageChops.multiply(image, ImageOps.colorize(corner, *(_grey(1 - light.vignette), _grey(1.0))))
    return _grained(rng, image)


def _pool(size: Size, centre: tuple[float, float], reach: float) -> Image.Image:
    """A round fall-off, 255 at the centre, smooth to 0 at `reach` pixels."""
    # Pillow's gradient is 181 at the middle of its edges and 255 in its corners only.
    disc = Image.radial_gradient("L").point(
        [round(255 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, v / 180)))) for v in range(256)]
    )
    scale = 128 / reach
    data = (scale, 0.0, 128 - centre[0] * scale, 0.0, scale, 128 - centre[1] * scale)
    return disc.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC, fillcolor=0)


def _window(size: Size, side: int) -> Image.Image:
    """Light through a window of two by three panes, slanting down and away from the light."""
    width, height = size
    unit = min(size)
    panes = Image.new("L", size, 0)
    draw = ImageDraw.Draw(panes)
    for column in range(2):
        for row in range(3):
            x = width * 0.5 + side * unit * 0.46 - side * column * unit * 0.36
            y = height * 0.02 + row * unit * 0.30 + column * unit * 0.12
            right, down = -side * unit * 0.33, unit * 0.27
            drop, lean = unit * 0.11, -side * unit * 0.1
            draw.polygon([(x, y), (x + right, y + drop), (x + right + lean, y + drop + down), (x + lean, y + down)], fill=255)
    return panes


def _leaves(rng: random.Random, size: Size, side: int) -> Image.Image:
    """The shadow of a few fronds that reach in from the light's side."""
    unit = min(size)
    shade = Image.new("L", size, 0)
    draw = ImageDraw.Draw(shade)
    for _ in range(4):
        x, y = size[0] * (0.5 + side * rng.uniform(0.42, 0.6)), size[1] * rng.uniform(-0.05, 0.42)
        heading = math.pi / 2 + side * rng.uniform(0.7, 1.25)
        for leaflet in range(11):
            along = unit * (0.06 + 0.048 * leaflet)
            stem = (x + along * math.cos(heading), y + along * math.sin(heading))
            length = unit * 0.17 * math.sin(math.pi * (leaflet + 2) / 14)
            for turn in (-0.75, 0.75):
                draw.polygon(_leaflet(stem, heading + turn, length), fill=255)
    return shade


def _leaflet(stem: tuple[float, float], heading: float, length: float) -> list[tuple[float, float]]:
    tip = (stem[0] + length * math.cos(heading), stem[1] + length * math.sin(heading))
    half = (stem[0] + 0.45 * length * math.cos(heading), stem[1] + 0.45 * length * math.sin(heading))
    across = (-math.sin(heading) * length * 0.11, math.cos(heading) * length * 0.11)
    return [stem, (half[0] + across[0], half[1] + across[1]), tip, (half[0] - across[0], half[1] - across[1])]


def _grained(rng: random.Random, image: Image.Image) -> Image.Image:
    """Fine grain: it also hides the steps of slow gradients."""
    tile = Image.frombytes("L", (256, 256), bytes(round(128 + (value - 127.5) * 0.036) for value in rng.randbytes(65_536)))
    grain = Image.new("L", image.size)
    for top in range(0, image.height, 256):
        for left in range(0, image.width, 256):
            grain.paste(tile, (left, top))
    return ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)), offset=-128)


def _curve(value: int, gain: float) -> int:
    """Gain with a soft shoulder, so that bright places keep their shape."""
    bright = value / 255 * gain
    return max(0, min(255, round(255 * (bright if bright < 0.9 else 0.9 + 0.1 * math.tanh((bright - 0.9) / 0.1)))))


def _grey(level: float) -> Rgb:
    value = round(255 * level)
    return (value, value, value)
