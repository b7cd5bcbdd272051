"""The offline still: the product in a set that follows the prompt, in the asked ratio, labelled as offline."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from PIL import Image, ImageDraw, ImageStat

from mina_gql.adapters.ai.offline import OfflineStill, cutout, lettering, palette
from mina_gql.domain.errors import GenerationFailed, LeaseLost
from mina_gql.domain.pipeline import RATIOS
from mina_gql.domain.ports import Accepted, JsonObject, Media, MediaRequest, Picture

COFFEE = Path(__file__).parent.parent / "pictures" / "coffee.jpg"
BLUE = (30, 80, 210)


def png(image: Image.Image) -> Picture:
    file = BytesIO()
    image.save(file, "PNG")
    return Picture(file.getvalue(), "image/png", *image.size)


@pytest.fixture(scope="module")
def product() -> Picture:
    """A blue box on a white background, 300 by 400 in a 600 by 600 picture."""
    image = Image.new("RGB", (600, 600), (252, 252, 252))
    ImageDraw.Draw(image).rectangle((150, 100, 449, 499), fill=BLUE)
    return png(image)


class Ids:
    """Remembers the prediction ids it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def __call__(self, prediction_id: str) -> None:
        self.told.append(prediction_id)


@dataclass
class Painted:
    """A still as its model left it in its file, and what it told."""

    data: bytes
    media: Media

    @property
    def image(self) -> Image.Image:
        return Image.open(BytesIO(self.data))

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    @property
    def response(self) -> JsonObject:
        return self.media.response


def content(file: Path) -> bytes:
    return file.read_bytes()


async def painted(request: MediaRequest, *, prediction: str | None = None, accepted: Accepted | None = None) -> Painted:
    with TemporaryDirectory() as folder:
        file = Path(folder, "output")
        media = await OfflineStill().generate(request, file, prediction_id=prediction, accepted=accepted or Ids())
        return Painted(content(file), media)


async def made(
    prompt: str, ratio: str = "1:1", *, generation: str = "g1", prediction: str | None = None, **pictures: Picture
) -> Painted:
    return await painted(MediaRequest(generation, prompt, ratio, {}, pictures), prediction=prediction)


def image_of(still: Painted) -> Image.Image:
    return still.image.convert("RGB")


def mean(image: Image.Image, box: tuple[int, int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(value) for value in ImageStat.Stat(image.crop(box)).mean)
    return red, green, blue


@pytest.mark.parametrize("ratio", RATIOS)
async def test_every_ratio_is_kept(ratio: str) -> None:
    media = await made("a vase on stone", ratio)
    across, down = (int(part) for part in ratio.split(":"))
    assert max(media.width, media.height) == 1024
    assert abs(media.width - media.height * across / down) < 1
    assert media.image.format == "JPEG"


async def test_a_larger_size_is_larger_but_bounded() -> None:
    request = MediaRequest("g1", "a vase", "16:9", {"size": "4K"})
    media = await painted(request)
    assert (media.width, media.height) == (1536, 864)


async def test_the_same_request_gives_the_same_bytes_also_when_resumed(product: Picture) -> None:
    first = await made("on marble", product=product)
    again = await made("on marble", product=product, prediction="offline-1")
    other = await made("on marble", product=product, generation="g2")
    assert first.data == again.data
    assert first.data != other.data


async def test_the_product_stands_where_it_says_in_its_own_colours(product: Picture) -> None:
    media = await made("on white marble, blush wall, soft light", product=product)
    assert media.response["product"]["framed"] is False
    left, top, width, height = media.response["product"]["box"]
    assert 0 < left < left + width < media.width
    assert 0 < top < top + height < media.height
    assert width / height == pytest.approx(300 / 400, abs=0.03)
    image = image_of(media)
    inside = mean(image, (left + width // 4, top + height // 4, left + 3 * width // 4, top + 3 * height // 4))
    assert palette.distance(inside, BLUE) < 0.12
    for x in (left - 14, left + width + 14):
        beside = mean(image, (x - 2, top + height // 4, x + 2, top + height // 2))
        assert palette.distance(beside, BLUE) > 0.25, "the product's white background was not cut away"
        assert palette.lightness(beside) < 0.93


async def test_a_photograph_with_a_busy_background_becomes_a_print() -> None:
    photo = Picture(COFFEE.read_bytes(), "image/jpeg", 600, 400)
    media = await made("coffee on linen", "4:3", product=photo)
    assert media.response["product"]["framed"] is True
    left, top, width, height = media.response["product"]["box"]
    inset = round(height * 0.08)
    shown = image_of(media).crop((left + inset, top + inset, left + width - inset, top + height - inset))
    original = palette.character(palette.dominant(Image.open(COFFEE).convert("RGB")))
    shown_character = palette.character(palette.dominant(shown))
    assert original
    assert shown_character
    assert palette.distance(original, shown_character) < 0.12


@pytest.mark.parametrize(("word", "least"), [("teal", 0.02), ("lavender", 0.02), ("terracotta", 0.04), ("navy", 0.02)])
async def test_a_colour_named_in_the_prompt_colours_the_set(word: str, least: float) -> None:
    asked = palette.COLOUR_WORDS[word]
    named = mean(image_of(await made(f"a vase, {word} backdrop")), (620, 120, 940, 420))
    unnamed = mean(image_of(await made("a vase, cream backdrop")), (620, 120, 940, 420))
    assert palette.distance(named, asked) < palette.distance(unnamed, asked) - 0.05
    assert palette.chroma(named) > least


async def test_dark_words_make_a_darker_picture_and_a_tweak_darkens_it_further(product: Picture) -> None:
    def level(media: Painted) -> float:
        return ImageStat.Stat(image_of(media).convert("L")).mean[0]

    soft = level(await made("on walnut wood, soft light", product=product))
    dark = level(await made("on walnut wood, dark moody light", product=product))
    tweaked = level(await made("on walnut wood, soft light. Change: darker.", product=product))
    assert dark < 0.5 * soft
    assert tweaked < 0.85 * soft


async def test_what_the_prompt_avoids_is_not_painted() -> None:
    media = await made("a vase on marble with a teal wall. Avoid: marble. Avoid: teal.")
    assert media.response["surface"] == "studio"
    assert palette.COLOUR_WORDS["teal"] != tuple(int(media.response["palette"][0][at : at + 2], 16) for at in (1, 3, 5))


async def test_it_is_labelled_as_offline_on_the_picture_and_in_the_file() -> None:
    media = await made("a vase")
    assert media.response["label"] == "offline preview"
    file = media.image
    assert file.info["comment"] == b"offline preview"
    box = lettering.label_box(file.size)
    bare = (box[0], box[1] - 2 * (box[3] - box[1]), box[2], box[1] - (box[3] - box[1]))
    grey = file.convert("L")
    lettered, plain = (ImageStat.Stat(grey.crop(area)).stddev[0] for area in (box, bare))
    assert lettered > 3 * plain


async def test_a_logo_is_shown(product: Picture) -> None:
    logo = Image.new("RGBA", (300, 120), (0, 0, 0, 0))
    ImageDraw.Draw(logo).rectangle((0, 0, 299, 119), fill=(230, 20, 30, 255))
    logo.putpixel((0, 0), (0, 0, 0, 0))
    signed = image_of(await made("sage wall", product=product, logo=png(logo))).crop((0, 0, 256, 160))
    unsigned = image_of(await made("sage wall", product=product)).crop((0, 0, 256, 160))
    assert any(palette.name_of(swatch.rgb) == "red" for swatch in palette.dominant(signed))
    assert not any(palette.name_of(swatch.rgb) == "red" for swatch in palette.dominant(unsigned))


async def test_an_inspiration_lends_its_colours() -> None:
    plum = png(Image.new("RGB", (80, 80), (110, 40, 96)))
    wall = mean(image_of(await made("a vase", inspiration_0=plum)), (620, 120, 940, 420))
    assert wall[1] < wall[0]
    assert wall[1] < wall[2]


async def test_the_id_is_told_once_before_anything_is_made_and_is_always_the_same() -> None:
    ids, request = Ids(), MediaRequest("g1", "a vase", "1:1", {})
    await painted(request, accepted=ids)
    await painted(request, accepted=ids)
    assert len(ids.told) == 2
    assert ids.told[0] == ids.told[1]
    assert ids.told[0].startswith("offline-")
    await painted(request, prediction=ids.told[0], accepted=ids)
    assert len(ids.told) == 2


async def test_an_id_that_cannot_be_kept_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(prediction_id: str) -> None:
        raise LeaseLost

    monkeypatch.setattr("mina_gql.adapters.ai.offline.still._painted", lambda *_: pytest.fail("painted after the lease was lost"))
    with pytest.raises(LeaseLost):
        await painted(MediaRequest("g1", "a vase", "1:1", {}), accepted=lost)


async def test_request_and_response_are_kept_as_facts_without_pictures_or_urls(product: Picture) -> None:
    request = MediaRequest("g1", "on sand", "1:1", {"size": "1K"}, {"product": product}, {"product": "https://tmp.test/x"})
    media = (await painted(request)).media
    assert media.request == {"prompt": "on sand", "ratio": "1:1", "settings": {"size": "1K"}, "pictures": ["product"]}
    assert media.response["surface"] == "sand"
    assert "tmp.test" not in str(media.request) + str(media.response)


async def test_what_cannot_be_made_fails_with_its_code() -> None:
    with pytest.raises(GenerationFailed) as failed:
        await made("a vase", "1:9")
    assert failed.value.code == "PROVIDER_ERROR"
    with pytest.raises(GenerationFailed) as failed:
        await made("a vase", product=Picture(b"no picture", "image/png", 1, 1))
    assert failed.value.code == "ASSET_UNREADABLE"


async def test_any_prompt_is_painted(product: Picture) -> None:
    for prompt in ("", "日本の静物 ☕ 🍵", "'; drop table", "no no no without", "Avoid: " + "x" * 3000, "on " * 900):
        assert (await made(prompt, "9:16", product=product)).width == 576


def test_a_hollow_of_the_backgrounds_colour_stays_part_of_the_subject() -> None:
    image = Image.new("RGBA", (600, 600), (250, 250, 250, 255))
    draw = ImageDraw.Draw(image)
    draw.rectangle((150, 100, 449, 499), fill=(30, 80, 210, 255))
    draw.rectangle((250, 250, 349, 349), fill=(250, 250, 250, 255))
    subject = cutout.subject_of(image)
    assert subject is not None
    assert subject.mask.getpixel((300, 300)) == 255
    assert subject.mask.getpixel((60, 300)) == 0
