"""The empty set, and standing things on it: backdrop, surface, shadows, reflections."""

import random
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter

from mina_gql.adapters.ai.offline import light, textures
from mina_gql.adapters.ai.offline.design import Design
from mina_gql.adapters.ai.offline.scene import Scene

Size = tuple[int, int]
_GLOSS = {"gloss": 0.55, "water": 0.45, "marble": 0.24, "wood": 0.1, "stone": 0.06, "studio": 0.08, "plinth": 0.06}
_SHADE = (22, 18, 22)


@dataclass(frozen=True, slots=True)
class Stage:
    """A set and its geometry: `horizon` in pixels from the top, `side` where the light is (-1 left, 1 right)."""

    image: Image.Image
    horizon: int
    side: int
    shadow: float
    softness: float
    gloss: float


def built(rng: random.Random, size: Size, scene: Scene, design: Design, *, side: int, backdrop: Image.Image | None) -> Stage:
    """Paint wall and surface, stand the flat `backdrop` (RGBA, an arch or a disc) at the wall, and light it all."""
    width, height = size
    horizon = round(height * (0.70 if height > width * 1.2 else 0.665))
    wall = textures.plain(rng, (width, horizon), design.wall)
    image = Image.new("RGB", size)
    image.paste(wall, (0, 0))
    floor = _floor(rng, (width, height - horizon), scene, design)
    image.paste(floor, (0, horizon))
    if scene.surface in {"studio", "plinth"}:
        image = _seamless(image, horizon)
    if backdrop is not None:
        _lean(image, backdrop, horizon, side)
    kind = light.LIGHTS[scene.light]
    fallen = light.fallen(rng, size, scene, side)
    image = light.lit(image, fallen, kind)
    if scene.surface not in {"studio", "plinth"}:
        image.paste(_SHADE, mask=_crease(size, horizon))
    softness = max(0.35, 1 + 0.7 * scene.softness) * (0.6 if kind.window else 1.0)
    return Stage(image, horizon, side, kind.shadow, softness, _GLOSS.get(scene.surface, 0.0))


def stood(stage: Stage, figure: Image.Image, centre: int, base: int, *, reflected: bool = True) -> None:
    """Stand an RGBA figure on the set, its foot's middle at (`centre`, `base`): reflection, shadows, then itself."""
    left, top = centre - figure.width // 2, base - figure.height
    if reflected and stage.gloss:
        _reflect(stage, figure, left, base)
    _cast(stage, figure, left, base)
    _contact(stage, figure, left, base)
    stage.image.paste(figure, (left, top), figure.getchannel("A"))


def _floor(rng: random.Random, size: Size, scene: Scene, design: Design) -> Image.Image:
    """The surface in perspective, out of focus towards the far edge."""
    width, height = size
    paint = textures.PAINTS.get(scene.surface, textures.plain)
    flat = paint(rng, (width, round(height * 1.15)), design.floor)
    floor = textures.laid(flat, size)
    far = Image.linear_gradient("L").point([max(0, 255 - round(value * 2.2)) for value in range(256)]).resize(size)
    return Image.composite(floor.filter(ImageFilter.GaussianBlur(min(size[0], 2 * height) / 190)), floor, far)


def _seamless(image: Image.Image, horizon: int) -> Image.Image:
    """Paper that sweeps from wall to floor without an edge."""
    width, height = image.size
    band = round(height * 0.09)
    blurred = image.filter(ImageFilter.GaussianBlur(band * 0.55))
    mask = Image.new("L", image.size, 0)
    mask.paste(255, (0, max(0, horizon - 2 * band), width, min(height, horizon + 2 * band)))
    return Image.composite(blurred, image, mask.filter(ImageFilter.GaussianBlur(band * 0.6)))


def _crease(size: Size, horizon: int) -> Image.Image:
    """The darkness where the surface meets the wall."""
    width, height = size
    line = Image.new("L", (1, height), 0)
    reach = height * 0.05
    for y in range(height):
        away = (y - horizon) / reach
        line.putpixel((0, y), round(95 * max(0.0, 1 - abs(away) * (1.0 if away < 0 else 1.5)) ** 2.2))
    return line.resize((width, height))


def _lean(image: Image.Image, panel: Image.Image, horizon: int, side: int) -> None:
    """A flat panel against the wall, its foot just in front of it, with a soft shadow behind."""
    left, top = (image.width - panel.width) // 2, horizon - panel.height + round(image.height * 0.012)
    unit = min(image.size)
    shade = Image.new("L", image.size, 0)
    shade.paste(
        panel.getchannel("A").point([round(value * 0.3) for value in range(256)]),
        (left - side * unit // 60, top + unit // 90),
    )
    image.paste(_SHADE, mask=shade.filter(ImageFilter.GaussianBlur(unit / 60)))
    image.paste(panel, (left, top), panel.getchannel("A"))


def _reflect(stage: Stage, figure: Image.Image, left: int, base: int) -> None:
    height = min(round(figure.height * 0.55), stage.image.height - base)
    if height < 4:
        return
    mirrored = figure.transpose(Image.Transpose.FLIP_TOP_BOTTOM).crop((0, 0, figure.width, height))
    fade = Image.linear_gradient("L").resize((figure.width, height)).point([round((255 - v) * stage.gloss) for v in range(256)])
    mirrored = mirrored.filter(ImageFilter.GaussianBlur(figure.height / 260))
    stage.image.paste(mirrored, (left, base - 1), ImageChops.multiply(mirrored.getchannel("A"), fade))


def _cast(stage: Stage, figure: Image.Image, left: int, base: int) -> None:
    """The long shadow on the surface, away from the light and back; blurrier the farther it reaches."""
    away = -stage.side
    half = (stage.image.width // 2, stage.image.height // 2)
    squash = min(0.24, max(0.05, (base - stage.horizon) * 0.85 / figure.height))
    alpha = figure.getchannel("A").resize((max(1, figure.width // 2), max(1, round(figure.height * squash / 2))))
    lean = 2.0
    width = alpha.width + round(lean * alpha.height)
    start = -lean * alpha.height if away > 0 else 0.0
    data = (1.0, away * lean, start, 0.0, 1.0, 0.0)
    slanted = alpha.transform((width, alpha.height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    shade = Image.new("L", half, 0)
    x = left // 2 if away > 0 else left // 2 - (width - alpha.width)
    shade.paste(slanted, (x, base // 2 - alpha.height))
    unit = min(stage.image.size) / 1024 * stage.softness
    near, far = shade.filter(ImageFilter.GaussianBlur(4 * unit)), shade.filter(ImageFilter.GaussianBlur(15 * unit))
    towards = Image.new("L", half, 0)
    ramp = Image.linear_gradient("L").resize((1, max(1, alpha.height))).resize((half[0], max(1, alpha.height)))
    towards.paste(ramp, (0, base // 2 - alpha.height))
    towards.paste(255, (0, base // 2, *half))
    _darken(stage, Image.composite(near, far, towards), 0.85 * stage.shadow)


def _contact(stage: Stage, figure: Image.Image, left: int, base: int) -> None:
    """The dark line right under the foot, and the soft darkness around it."""
    foot = (
        figure.getchannel("A").crop((0, round(figure.height * 0.93), figure.width, figure.height)).point([0] * 100 + [255] * 156)
    )
    bounds = foot.getbbox()
    if bounds is None:
        return
    x0, x1 = (left + bounds[0]) // 2, (left + bounds[2]) // 2
    unit = min(stage.image.size) / 1024
    half = (stage.image.width // 2, stage.image.height // 2)
    for reach, tall, blur, strength in ((0.10, 0.05, 11.0, 0.75), (0.01, 0.012, 2.6, 1.0)):
        span = x1 - x0
        grow, rise = round(span * reach), max(2, round(span * tall))
        patch = Image.new("L", (span + 2 * grow, 2 * rise), 255)
        shade = Image.new("L", half, 0)
        shade.paste(patch, (x0 - grow, base // 2 - rise))
        _darken(stage, shade.filter(ImageFilter.GaussianBlur(blur * unit)), strength * min(1.0, stage.shadow + 0.2))


def _darken(stage: Stage, shade: Image.Image, strength: float) -> None:
    full = shade.resize(stage.image.size, Image.Resampling.BILINEAR)
    stage.image.paste(_SHADE, mask=full.point([min(255, round(value * strength)) for value in range(256)]))
