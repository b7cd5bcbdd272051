"""Surfaces seen from above, painted from seeded noise: marble, wood, linen, sand, water, stone, silk, plain."""

import math
import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageFilter, ImageOps

from mina_gql.adapters.ai.offline.palette import Rgb, lightness, mixed, toned

Size = tuple[int, int]
Paint = Callable[[random.Random, Size, Rgb], Image.Image]


def noise(rng: random.Random, size: Size, cells: Size, octaves: int = 1) -> Image.Image:
    """Smooth noise, L, stretched over the whole range; each octave is twice as fine and half as strong."""
    field = Image.new("L", size, 128)
    for octave in range(octaves - 1, -1, -1):
        grid = (min(size[0], cells[0] << octave) + 1, min(size[1], cells[1] << octave) + 1)
        layer = Image.frombytes("L", grid, rng.randbytes(grid[0] * grid[1])).resize(size, Image.Resampling.BICUBIC)
        field = layer if octave == octaves - 1 else Image.blend(field, layer, 0.62)
    return ImageOps.autocontrast(field, cutoff=0.5)


def colored(field: Image.Image, dark: Rgb, light: Rgb, mid: Rgb | None = None) -> Image.Image:
    """An L field as colours: `dark` at 0, `light` at 255."""
    return ImageOps.colorize(field, dark, light, mid)


def curve(field: Image.Image, function: Callable[[float], float]) -> Image.Image:
    """An L field through a function of 0..1."""
    return field.point([max(0, min(255, round(255 * function(value / 255)))) for value in range(256)])


def marble(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Clouded stone with slanting veins, grey on light stone and pale on dark."""
    dark_stone = lightness(base) < 0.5
    vein = mixed(base, (236, 224, 200), 0.75) if dark_stone else mixed(base, (92, 90, 96), 0.8)
    clouds = curve(noise(rng, size, (3, 3), 4), lambda v: 0.25 + 0.75 * v)
    ground = colored(clouds, mixed(base, vein, 0.2), base)
    for cells, sharp, strength in (((2, 3), 16, 0.85), ((3, 4), 13, 0.4), ((5, 6), 10, 0.2)):
        ridge = curve(_slanted(rng, size, cells, 5), lambda v, k=sharp: (1 - min(1.0, abs(v - 0.5) * k)) ** 1.5)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        seen = curve(noise(rng, size, (3, 3), 2), lambda v, s=strength: s * max(0.0, min(1.0, v * 2.2 - 0.7)))  # type: ignore[misc]  # as above
        ground.paste(vein, mask=ImageChops.multiply(ridge, seen))
    return ground


def wood(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Boards that run into the depth, each with its own grain and tone."""
    width, height = size
    board = max(60, width // 5)
    ground = Image.new("RGB", size, base)
    dark, light = toned(base, light=lightness(base) - 0.13), toned(base, light=lightness(base) + 0.05)
    for left in range(-rng.randrange(board // 2), width, board):
        grain = curve(noise(rng, (board, height), (5, 2), 3), lambda v: 0.5 + 0.5 * math.sin(v * 34))
        fibre = noise(rng, (board, height), (board // 3, 5))
        tone = rng.uniform(-0.035, 0.035)
        one, other = toned(dark, light=lightness(dark) + tone), toned(light, light=lightness(light) + tone)
        plank = colored(Image.blend(grain, fibre, 0.62), one, other)
        plank.paste(toned(base, light=max(0.05, lightness(base) - 0.32)), (0, 0, 2, height))
        ground.paste(plank, (left, 0))
    return ground


def linen(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Woven threads over slow folds."""
    width, height = size
    warp, weft = noise(rng, size, (width // 3, 14)), noise(rng, size, (14, height // 2))
    threads = Image.blend(warp, weft, 0.5)
    folds = _waves(rng, size, (2, 2), 9)
    return colored(
        Image.blend(threads, folds, 0.5),
        toned(base, light=lightness(base) - 0.16),
        toned(base, light=lightness(base) + 0.05),
    )


def sand(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Wind ripples, lit from the side, and grains."""
    drifts = Image.blend(_waves(rng, size, (3, 3), 15), noise(rng, size, (6, 7), 4), 0.6)
    slopes = _relief(drifts.filter(ImageFilter.GaussianBlur(size[0] / 260)), max(2, size[0] // 150))
    grains = Image.frombytes("L", size, rng.randbytes(size[0] * size[1])).filter(ImageFilter.GaussianBlur(0.7))
    both = Image.blend(slopes, ImageOps.autocontrast(grains, cutoff=1), 0.36)
    return colored(both, toned(base, light=lightness(base) - 0.15), toned(base, light=min(0.97, lightness(base) + 0.07)))


def water(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Ripples with light caught on their crests."""
    swell = _waves(rng, size, (3, 7), 30)
    ground = colored(swell, toned(base, light=lightness(base) - 0.14), toned(base, light=min(0.93, lightness(base) + 0.05)))
    caught = curve(noise(rng, size, (7, 16), 3), lambda v: 0.75 * (1 - min(1.0, abs(v - 0.5) * 12)) ** 2)
    ground.paste(toned(base, light=0.97, colourful=0.03), mask=caught)
    return ground.filter(ImageFilter.GaussianBlur(1.2))


def stone(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Cast stone: clouded, pitted and finely speckled."""
    clouds = noise(rng, size, (4, 4), 6)
    ground = colored(clouds, toned(base, light=lightness(base) - 0.12), toned(base, light=lightness(base) + 0.04))
    pits = curve(noise(rng, size, (size[0] // 9, size[1] // 9)), lambda v: 0.5 if v < 0.09 else 0.0)
    ground.paste(toned(base, light=max(0.05, lightness(base) - 0.25)), mask=pits.filter(ImageFilter.GaussianBlur(0.7)))
    return ground


def silk(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Flowing folds with a sheen along their crests."""
    bent = _slanted(rng, size, (1, 3), 2).filter(ImageFilter.GaussianBlur(size[0] / 60))
    folds = curve(bent, lambda v: 0.5 + 0.5 * math.sin(v * 26)).filter(ImageFilter.GaussianBlur(size[0] / 120))
    slopes = ImageOps.autocontrast(_relief(folds, max(2, size[0] // 70)), cutoff=1)
    sheen = toned(base, light=min(0.98, lightness(base) + 0.09))
    return colored(slopes, toned(base, light=lightness(base) - 0.2), sheen, base)


def plain(rng: random.Random, size: Size, base: Rgb) -> Image.Image:
    """Matt paper: hardly any texture."""
    return colored(
        noise(rng, size, (6, 6), 4),
        toned(base, light=lightness(base) - 0.013),
        toned(base, light=lightness(base) + 0.009),
    )


PAINTS: dict[str, Paint] = {
    "marble": marble,
    "wood": wood,
    "linen": linen,
    "sand": sand,
    "water": water,
    "stone": stone,
    "silk": silk,
}
BASES: dict[str, Rgb] = {
    "marble": (240, 238, 235),
    "wood": (164, 116, 76),
    "linen": (228, 219, 203),
    "sand": (230, 205, 168),
    "water": (150, 188, 200),
    "stone": (190, 187, 181),
    "silk": (232, 214, 200),
}
"""The colour of a surface that the prompt names without one."""


def laid(texture: Image.Image, size: Size) -> Image.Image:
    """A texture seen from the camera: the far edge shows all of its width, the near edge a bit less than half."""
    width, height = size
    near = 2.1
    slope = (near - 1) / height
    ratio = texture.width / width
    across = (ratio, texture.width / 2 * slope, texture.width / 2 - ratio * width / 2)
    along = (0.0, texture.height * near / height, 0.0)
    data = (*across, *along, 0.0, slope)
    return texture.transform(size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC)


def _slanted(rng: random.Random, size: Size, cells: Size, octaves: int) -> Image.Image:
    wide = (size[0] + size[1] // 2, size[1])
    slant = noise(rng, wide, cells, octaves)
    return slant.transform(size, Image.Transform.AFFINE, (1, 0.5, 0, 0.12, 0.9, 0), Image.Resampling.BILINEAR)


def _waves(rng: random.Random, size: Size, cells: Size, count: float) -> Image.Image:
    """Bands that bend with noise: `count` of them over the noise's range, in radians / 2."""
    bent = Image.blend(noise(rng, size, cells, 2), Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR), 0.6)
    return curve(bent.filter(ImageFilter.GaussianBlur(2)), lambda v: 0.5 + 0.5 * math.sin(v * count * 2))


def _relief(field: Image.Image, step: int) -> Image.Image:
    """Lit from the left: a field less itself moved aside."""
    return ImageChops.subtract(field, ImageChops.offset(field, step, step), scale=0.8, offset=128)
