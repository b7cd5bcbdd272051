"""The offline still: the product's picture composed into a painted set that follows the prompt."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image, ImageChops, ImageOps

from mina_gql.adapters.ai.offline import cutout, design, easel, figures, lettering, light, palette, stage, textures
from mina_gql.adapters.ai.offline import scene as scenes
from mina_gql.domain.ports import Accepted, JsonObject, Media, MediaRequest, Picture

LONG_SIDES = {"1K": 1024, "2K": 1536, "4K": 1536}
"""The long side in pixels by the setting `size`; 1536 is the most, to stay quick. Without the setting, 1024."""
_QUIET = frozenset({"marble", "wood", "linen"})


class OfflineStill:
    """A `MediaModel` that paints with Pillow. No account, no network, nothing to pay, and it says so on the picture."""

    name = "offline"
    model = "offline-still-1"

    def __init__(self, easels: easel.Easels | None = None) -> None:
        self._easels = easels or easel.Easels()

    async def generate(self, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted) -> Media:
        """Compose a JPEG; the same request always gives the same bytes, so a resumed run simply paints again.

        Raises GenerationFailed: ASSET_UNREADABLE for a picture that is none, PROVIDER_ERROR for an unknown ratio.
        """
        size = easel.frame(request.ratio, LONG_SIDES.get(str(request.settings.get("size", "1K")), 1024))
        await easel.announce(request, prediction_id, accepted)
        return await self._easels.paint(partial(_painted, request, into, size))

    async def cancel(self, prediction_id: str) -> None:
        """Nothing runs elsewhere, so there is nothing to stop."""


@dataclass(frozen=True, slots=True)
class _Cast:
    """The pictures that take part: the product, cut out or whole, its colours, the logo, the inspirations' colours."""

    product: Image.Image | None
    framed: bool
    colours: list[palette.Swatch]
    logo: Image.Image | None
    inspirations: list[palette.Swatch]


def _painted(request: MediaRequest, into: Path, size: tuple[int, int], _: easel.Stopped) -> Media:
    scene = scenes.read(request.prompt)
    cast = _cast_of(request.pictures)
    # A tweak ("Change: …") keeps the composition of what it changes; only the textures are new.
    layout = easel.dice(request.prompt.split(" Change:")[0].split(" Avoid:")[0])
    rng = easel.dice(request.generation, str(request.settings.get("seed", "")))
    colours = design.decided(layout, scene, cast.colours, cast.inspirations)
    side = layout.choice((-1, -1, 1))
    set_ = stage.built(rng, size, scene, colours, side=side, backdrop=_backdrop(layout, size, scene, colours))
    if cast.product is not None:
        box = _stand_product(rng, set_, scene, colours, cast)
    else:
        box = _stand_still_life(layout, set_, scene, colours)
    if cast.logo is not None:
        _sign(set_.image, cast.logo)
    picture = lettering.lettered(light.graded(rng, set_.image, scene), scene)
    picture.save(into, "JPEG", quality=90, subsampling=0, comment=lettering.LABEL)
    told: JsonObject = {"surface": scene.surface, "light": scene.light, "palette": colours.colours}
    told["product"] = {"box": list(box), "framed": cast.framed} if cast.product is not None else None
    return easel.media(request, told)


def _cast_of(pictures: Mapping[str, Picture]) -> _Cast:
    product, framed, colours = None, False, list[palette.Swatch]()
    if "product" in pictures:
        image = cutout.opened(pictures["product"])
        subject = cutout.subject_of(image)
        flat = cutout.flattened(image)
        colours = palette.dominant(flat, subject.mask if subject else None)
        product, framed = (cutout.cut(image, subject), False) if subject else (flat, True)
    inspirations = [
        swatch
        for slot in sorted(pictures)
        if slot.startswith("inspiration")
        for swatch in palette.dominant(cutout.flattened(cutout.opened(pictures[slot], 480)))
    ]
    return _Cast(product, framed, colours, _logo(pictures.get("logo")), inspirations)


def _logo(picture: Picture | None) -> Image.Image | None:
    if picture is None:
        return None
    image = cutout.opened(picture, 600)
    subject = cutout.subject_of(image)
    return cutout.cut(image, subject) if subject else image


def _backdrop(layout: random.Random, size: tuple[int, int], scene: scenes.Scene, colours: design.Design) -> Image.Image | None:
    """An arch or a paper sun against the wall, where the set is not busy already."""
    chance, kind = layout.random(), layout.choice(("arch", "arch", "sun"))
    if (
        scene.leaves
        or scene.light in {"dramatic", "night", "morning", "golden"}
        or chance > (0.3 if scene.surface in _QUIET else 0.8)
    ):
        return None
    width, height = size
    unit = min(size)
    tone = palette.mixed(colours.wall, colours.accent, 0.55)
    if kind == "sun" or scene.surface in {"sand", "water"}:
        disc = figures.disc(round(unit * 0.56), tone)
        raised = Image.new("RGBA", (disc.width, disc.height + round(height * 0.1)), (0, 0, 0, 0))
        raised.paste(disc, (0, 0))
        return raised
    across = round(min(width * 0.66, unit * 0.7))
    return figures.arch(across, round(min(height * 0.58, across * 1.35)), tone)


def _stand_product(
    rng: random.Random, set_: stage.Stage, scene: scenes.Scene, colours: design.Design, cast: _Cast
) -> tuple[int, int, int, int]:
    """Stand the product on the surface or its plinth; answers its left, top, width and height in pixels."""
    width, height = set_.image.size
    raised = scene.surface in {"plinth", "water"} and not cast.framed
    base = set_.horizon + round((height - set_.horizon) * (0.30 if raised else 0.48))
    scale = 1 / (1 + scene.distance)
    room = (min(0.92, 0.66 * scale) * width, min(0.9, 0.98 * scale) * (base - height * 0.12))
    if cast.product is None:
        raise ValueError("no product to stand")
    figure = figures.framed(cast.product, round(room[0]), round(room[1])) if cast.framed else _fitted(cast.product, room)
    if raised:
        _stand_plinth(rng, set_, scene, colours, across=figure.width, base=base)
    figure = _toned(figure, set_, scene, gentle=cast.framed)
    stage.stood(set_, figure, width // 2, base, reflected=not raised)
    return width // 2 - figure.width // 2, base - figure.height, figure.width, figure.height


def _stand_plinth(
    rng: random.Random, set_: stage.Stage, scene: scenes.Scene, colours: design.Design, *, across: int, base: int
) -> None:
    width, height = set_.image.size
    wide = round(min(width * 0.86, max(across * 1.45, min(width, height) * 0.36)))
    tall = round((height - set_.horizon) * 0.30)
    tone = palette.mixed(colours.wall, colours.accent, 0.35) if scene.surface == "plinth" else textures.BASES["stone"]
    skin = textures.noise(rng, (wide, tall + wide // 5), (10, 8), 4).point(
        [232 + round(value * 23 / 255) for value in range(256)]
    )
    block = figures.plinth(wide, tall, tone, set_.side, Image.merge("RGB", (skin, skin, skin)))
    figure = _toned(block.image, set_, scene)
    stage.stood(set_, figure, width // 2, base - block.top + figure.height)


def _stand_still_life(
    layout: random.Random, set_: stage.Stage, scene: scenes.Scene, colours: design.Design
) -> tuple[int, int, int, int]:
    """Without a product: a vessel, a ball and a small block in the set's colours."""
    width, height = set_.image.size
    unit = min(width, height * 0.8)
    depth = height - set_.horizon
    aside = layout.choice((-1, 1))
    base = set_.horizon + round(depth * 0.44)
    tall = round(min(unit * 0.52, base - height * 0.16) / (1 + scene.distance))
    if scene.vessel == "jar":
        tall = round(tall * 0.62)
    block = figures.plinth(round(unit * 0.3), round(unit * 0.1), palette.mixed(colours.wall, colours.accent, 0.6), set_.side)
    stage.stood(
        set_,
        _toned(block.image, set_, scene),
        width // 2 + aside * round(unit * 0.25),
        set_.horizon + round(depth * 0.33),
    )
    metal = (206, 176, 112) if palette.chroma(colours.goods) < 0.12 else palette.toned(colours.goods, light=0.28)
    pot = figures.vessel(scene.vessel, tall, colours.goods, metal, set_.side)
    x = width // 2 - aside * round(unit * 0.1)
    stage.stood(set_, _toned(pot, set_, scene), x, base)
    ball = figures.sphere(round(unit * 0.15), colours.accent, set_.side)
    stage.stood(set_, _toned(ball, set_, scene), width // 2 + aside * round(unit * 0.16), set_.horizon + round(depth * 0.58))
    return x - pot.width // 2, base - pot.height, pot.width, pot.height


def _fitted(figure: Image.Image, room: tuple[float, float]) -> Image.Image:
    return ImageOps.contain(figure, (max(8, round(room[0])), max(8, round(room[1]))), Image.Resampling.LANCZOS)


def _toned(figure: Image.Image, set_: stage.Stage, scene: scenes.Scene, *, gentle: bool = False) -> Image.Image:
    """A figure under the set's light: lit on the light's side, in shade on the other."""
    across = Image.linear_gradient("L").rotate(90).resize(figure.size)
    fall = across if set_.side > 0 else ImageOps.invert(across)
    alpha = figure.getchannel("A")
    dark = scene.light in {"dramatic", "night"}
    lit = light.lit(figure.convert("RGB"), fall, light.LIGHTS[scene.light], 0.5 if dark else 0.25 if gentle else 0.4)
    lit.putalpha(alpha)
    return lit


def _sign(image: Image.Image, logo: Image.Image) -> None:
    """The logo, small, in the upper left; on a pale chip where it would not be seen on the wall."""
    unit = min(image.size)
    mark = ImageOps.contain(logo, (round(unit * 0.14), round(unit * 0.06)), Image.Resampling.LANCZOS)
    at = (round(unit * 0.05), round(unit * 0.05))
    behind = palette.dominant(image.crop((*at, at[0] + mark.width, at[1] + mark.height)))[0].rgb
    inks = palette.dominant(cutout.flattened(mark), mark.getchannel("A"))
    alpha = mark.getchannel("A")
    if inks and palette.distance(inks[0].rgb, behind) < 0.2:
        pad = round(unit * 0.018)
        chip = figures.framed(Image.new("RGB", (4, 4), (250, 248, 244)), 4, 4).resize(
            (mark.width + 2 * pad, mark.height + 2 * pad)
        )
        paper = (250, 248, 244) if palette.lightness(inks[0].rgb) < 0.7 else (40, 38, 40)
        image.paste(paper, (at[0] - pad, at[1] - pad), ImageChops.lighter(chip.getchannel("A"), Image.new("L", chip.size, 230)))
    image.paste(mark, at, alpha)
