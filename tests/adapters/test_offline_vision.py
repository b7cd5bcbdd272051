"""The offline captioner tells true facts of a picture, and friendly lines that name no internals."""

import random
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from mina_gql.adapters.ai.offline import OfflineVision, facts, vision
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import friendly_line
from mina_gql.domain.ports import Caption, CaptionRequest, Picture

COFFEE = Path(__file__).parent.parent / "pictures" / "coffee.jpg"


def picture(image: Image.Image) -> Picture:
    file = BytesIO()
    image.save(file, "PNG")
    return Picture(file.getvalue(), "image/png", *image.size)


def square_on(ground: tuple[int, int, int], colour: tuple[int, int, int], box: tuple[int, int, int, int]) -> Picture:
    image = Image.new("RGB", (400, 300), ground)
    ImageDraw.Draw(image).rectangle(box, fill=colour)
    return picture(image)


async def caption(of: Picture, subject: str = "product") -> Caption:
    return await OfflineVision().caption(
        CaptionRequest(of, "https://x.test/p", subject, "You describe pictures.", "Describe it.")
    )


async def test_it_tells_size_colours_background_and_place() -> None:
    told = await caption(square_on((255, 255, 255), (255, 0, 0), (20, 90, 119, 209)))
    assert told.text.startswith("A product picture of 400 × 300 pixels (landscape), mainly white (90%) and red (10%).")
    assert "The subject stands left of the centre, on a plain white background." in told.text
    assert told.text.endswith("The picture is bright, warm in tone, with medium contrast.")
    assert 1 <= told.text.count(". ") + 1 <= 3


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((255, 0, 0), "red"),
        ((0, 0, 255), "blue"),
        ((0, 128, 0), "green"),
        ((255, 255, 0), "yellow"),
        ((255, 255, 255), "white"),
        ((0, 0, 0), "black"),
        ((128, 128, 128), "grey"),
        ((255, 165, 0), "orange"),
        ((128, 0, 128), "purple"),
        ((0, 0, 90), "navy"),
        ((255, 170, 190), "pink"),
        ((120, 75, 45), "brown"),
    ],
)
def test_plain_colours_go_by_their_everyday_name(colour: tuple[int, int, int], name: str) -> None:
    assert facts.measured(picture(Image.new("RGB", (60, 60), colour))).colours == ((name, 1.0),)


def test_dark_and_bright_warm_and_cool_are_told_apart() -> None:
    dark = facts.measured(picture(Image.new("RGB", (90, 60), (20, 22, 40))))
    bright = facts.measured(picture(Image.new("RGB", (60, 90), (255, 236, 200))))
    assert (dark.brightness, dark.temperature, dark.orientation) == ("dark", "cool", "landscape")
    assert (bright.brightness, bright.temperature, bright.orientation) == ("bright", "warm", "portrait")


def test_a_busy_background_is_not_called_plain() -> None:
    noise = Image.frombytes("RGB", (120, 120), random.Random(3).randbytes(120 * 120 * 3))
    assert facts.measured(picture(noise.resize((480, 480), Image.Resampling.NEAREST))).backdrop is None


def test_a_transparent_background_is_told() -> None:
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((60, 60, 140, 140), fill=(10, 90, 60, 255))
    assert "on a transparent background" in vision.told("logo", facts.measured(picture(image)))


async def test_a_real_photograph_is_described() -> None:
    told = await caption(Picture(COFFEE.read_bytes(), "image/jpeg", 600, 400), "output_still")
    assert told.text.startswith("A finished still of 600 × 400 pixels (landscape), mainly terracotta")
    assert "The background is busy." in told.text
    assert "warm in tone" in told.text


async def test_usage_counts_what_went_in_and_out() -> None:
    told = await caption(square_on((255, 255, 255), (255, 0, 0), (150, 100, 250, 200)))
    assert told.line is not None
    assert told.usage.model == OfflineVision.model
    assert told.usage.input_chars == len("You describe pictures." + "Describe it.")
    assert told.usage.output_chars == len(told.text) + len(told.line)
    assert told.usage.input_tokens
    assert told.usage.output_tokens


@pytest.mark.parametrize("subject", ["product", "logo", "inspiration", "input_still", "output_still"])
def test_every_line_is_friendly_and_follows_the_bytes(subject: str) -> None:
    seen = set()
    for seed in range(400):
        rng = random.Random(seed)
        colours = tuple((name, 0.3) for name in rng.sample(sorted(facts.palette.COLOURS), 3))
        backdrop = rng.choice([None, colours[0][0]])
        light = rng.choice(["dark", "evenly lit", "bright"])
        found = facts.Facts(10, 10, "square", colours, light, "low", "warm", backdrop, None)
        line = vision.friendly(subject, found, rng.randbytes(20))
        assert friendly_line(line) == line
        assert not {"step", "tool", "offline"} & set(line.lower().replace(".", "").split())
        seen.add(line)
    assert len(seen) > 10
    assert vision.friendly(subject, found, b"same") == vision.friendly(subject, found, b"same")


async def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(GenerationFailed) as failed:
        await caption(Picture(b"not a picture", "image/png", 1, 1))
    assert failed.value.code == "ASSET_UNREADABLE"
