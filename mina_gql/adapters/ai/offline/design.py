"""The design of one set: which colours it is painted in, decided from the prompt first and the pictures second."""

import random
from dataclasses import dataclass

from mina_gql.adapters.ai.offline.palette import Rgb, Swatch, character, chroma, lightness, mixed, toned
from mina_gql.adapters.ai.offline.scene import Scene
from mina_gql.adapters.ai.offline.textures import BASES

_HOUSE: tuple[Rgb, ...] = (
    (222, 190, 166),
    (196, 204, 184),
    (232, 220, 200),
    (190, 204, 214),
    (232, 200, 192),
    (206, 196, 214),
)
"""Walls for a prompt and pictures without a colour: clay, sage, oat, dusty blue, blush, mauve."""
_DARK = frozenset({"dramatic", "night"})


@dataclass(frozen=True, slots=True)
class Design:
    """The colours of a set: wall, surface, props, and the goods where there is no picture of them."""

    wall: Rgb
    floor: Rgb
    accent: Rgb
    goods: Rgb

    @property
    def colours(self) -> list[str]:
        """As `#rrggbb`, for the record."""
        return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in (self.wall, self.floor, self.accent, self.goods)]


def decided(rng: random.Random, scene: Scene, product: list[Swatch], inspirations: list[Swatch]) -> Design:
    """Colours named in the prompt win, then those of the inspirations, then a quiet tint of the product's own."""
    wall = _wall(rng, scene, product, inspirations)
    floor = _floor(scene, wall)
    accent = scene.walls[1] if len(scene.walls) > 1 else character(inspirations) if scene.walls else None
    if accent is None:
        accent = toned(wall, light=max(0.2, lightness(wall) - 0.14), colourful=max(0.05, chroma(wall) * 1.3))
    goods = scene.goods_colour or _contrasting(wall)
    return Design(wall, floor, accent, goods)


def _wall(rng: random.Random, scene: Scene, product: list[Swatch], inspirations: list[Swatch]) -> Rgb:
    dark = scene.light in _DARK or bool(scene.moods & {"luxury", "luxurious"})
    house = rng.choice(_HOUSE)
    if scene.walls:
        wall = toned(scene.walls[0], light=min(0.94, max(0.2, lightness(scene.walls[0]))))
        dark = scene.light in _DARK
        wall = toned(wall, light=min(lightness(wall), 0.52)) if dark and lightness(wall) < 0.9 else wall
    else:
        lead = character(inspirations) or character(product)
        wall = toned(lead, light=0.82, colourful=0.05) if lead else house
        wall = toned(wall, light=0.36, colourful=0.045) if dark else wall
    if "pastel" in scene.moods:
        wall = toned(wall, light=max(0.86, lightness(wall)), colourful=0.07)
    return wall


def _floor(scene: Scene, wall: Rgb) -> Rgb:
    dark = scene.light in _DARK
    if scene.surface_colour:
        return toned(scene.surface_colour, light=max(0.2, lightness(scene.surface_colour)))
    base = BASES.get(scene.surface)
    if base is None:
        floor = scene.walls[1] if len(scene.walls) > 1 else toned(wall, light=min(0.95, lightness(wall) + 0.03))
    elif scene.surface in {"water", "silk", "linen", "stone"} and scene.walls:
        floor = mixed(base, scene.walls[-1], 0.6)
    else:
        floor = mixed(base, wall, 0.14)
    return toned(floor, light=lightness(floor) * 0.62) if dark else floor


def _contrasting(wall: Rgb) -> Rgb:
    """A colour for the goods of a still life: pale on a dark or strong wall, deep and warm on a light one."""
    if lightness(wall) < 0.6 or chroma(wall) > 0.1:
        return toned(wall, light=0.9, colourful=0.03)
    return mixed(toned(wall, light=0.5, colourful=0.09), (176, 92, 62), 0.4)
