"""Opening pictures, and finding what stands on a plain background."""

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat, UnidentifiedImageError

from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.ports import Picture

_SMALL = 200
"""The long side at which the outside is flooded, in pixels: the flood is plain Python, so small."""
_OUTSIDE = 128


@dataclass(frozen=True, slots=True)
class Subject:
    """What stands on the plain background. `box` is left, top, right, bottom as shares of the picture."""

    mask: Image.Image
    box: tuple[float, float, float, float]


def opened(picture: Picture, longest: int = 1600) -> Image.Image:
    """The picture as RGBA, its long side at most `longest` pixels. Raises GenerationFailed ASSET_UNREADABLE."""
    try:
        file = Image.open(BytesIO(picture.data))
        file.draft("RGB", (longest, longest))
        image = file.convert("RGBA")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise GenerationFailed("ASSET_UNREADABLE", "One of the pictures could not be read.", detail=str(error)) from error
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return image


def flattened(image: Image.Image) -> Image.Image:
    """RGB, with white behind what is transparent."""
    ground = Image.new("RGB", image.size, (255, 255, 255))
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def backdrop_of(image: Image.Image) -> Image.Image | None:
    """The plain background as it would look without the subject, RGB, or None where it is busy or transparent.

    It is blended from the corners' colours, so an uneven studio sweep is plain too.
    """
    if _transparent(image):
        return None
    flat = image.convert("RGB")
    small = flat.resize((64, 64), Image.Resampling.BOX)
    corners = [small.crop(box) for box in ((0, 0, 5, 5), (59, 0, 64, 5), (0, 59, 5, 64), (59, 59, 64, 64))]
    if any(max(ImageStat.Stat(corner).stddev) > 14 for corner in corners):
        return None
    colours = [[round(value) for value in ImageStat.Stat(corner).median] for corner in corners]
    if max(max(band) - min(band) for band in zip(*colours, strict=True)) > 60:
        return None
    blend = Image.frombytes("RGB", (2, 2), bytes(value for colour in colours for value in colour))
    backdrop = blend.resize(flat.size, Image.Resampling.BILINEAR)
    ring = Image.new("L", (64, 64), 255)
    ring.paste(0, (3, 3, 61, 61))
    off = _difference(small, backdrop.resize((64, 64), Image.Resampling.BOX)).point([0] * 30 + [255] * 226)
    return backdrop if ImageStat.Stat(off, ring).mean[0] < 255 * 0.22 else None


def subject_of(image: Image.Image) -> Subject | None:
    """What stands on a plain or transparent background, or None where it cannot be told from it with confidence."""
    if _transparent(image):
        return _subject(image.getchannel("A"))
    backdrop = backdrop_of(image)
    return _subject(_mask(_difference(image.convert("RGB"), backdrop))) if backdrop else None


def cut(image: Image.Image, subject: Subject) -> Image.Image:
    """The subject alone, RGBA, cropped to its edges."""
    alone = image.copy()
    alone.putalpha(subject.mask)
    return alone.crop(subject.mask.point([0] * 40 + [255] * 216).getbbox())


def _transparent(image: Image.Image) -> bool:
    return bool(image.getchannel("A").getextrema()[0] == 0)


def _subject(mask: Image.Image | None) -> Subject | None:
    if mask is None:
        return None
    solid = mask.point([0] * 128 + [255] * 128)
    bounds = solid.getbbox()
    covered = ImageStat.Stat(solid).mean[0] / 255
    if bounds is None or not 0.01 < covered < 0.92:
        return None
    width, height = mask.size
    left, top, right, bottom = bounds
    if left == 0 and top == 0 and right == width and bottom == height:
        return None
    return Subject(mask, (left / width, top / height, right / width, bottom / height))


def _difference(flat: Image.Image, backdrop: Image.Image) -> Image.Image:
    red, green, blue = ImageChops.difference(flat, backdrop).split()
    return ImageChops.lighter(red, ImageChops.lighter(green, blue))


def _mask(difference: Image.Image) -> Image.Image | None:
    """Sharp where the colours differ, solid inside even where it has the background's colour; None when unsure.

    The outside is flooded twice from the border: up to a clear difference, which leaves soft shadows outside, and up to
    the first edge, which keeps pale goods whole. Where both agree the first is better.
    """
    scale = min(1.0, _SMALL / max(difference.size))
    size = (max(8, round(difference.width * scale)), max(8, round(difference.height * scale)))
    near = difference.resize(size, Image.Resampling.BOX).filter(ImageFilter.MedianFilter(3))
    clear = _enclosed(near.point([0] * 24 + [255] * 232)).filter(ImageFilter.MaxFilter(3))
    steps = ImageChops.subtract(near.filter(ImageFilter.MaxFilter(3)), near.filter(ImageFilter.MinFilter(3)))
    least = _noise_floor(steps)
    edges = _enclosed(ImageChops.lighter(steps.point([0] * least + [255] * (256 - least)), clear)).filter(
        ImageFilter.MedianFilter(5)
    )
    agreed = ImageStat.Stat(clear).mean[0] / max(1.0, ImageStat.Stat(edges).mean[0])
    if agreed > 0.7:
        edges = _cropped_below(edges, clear)
        agreed = ImageStat.Stat(clear).mean[0] / max(1.0, ImageStat.Stat(edges).mean[0])
    if agreed > 0.96:
        inside, first, span = clear, 16.0, 32.0
    elif _leaky(edges):
        return None
    else:
        inside, first, span = edges, least * 0.5, least * 1.2
    core = inside.filter(ImageFilter.MinFilter(5)).resize(difference.size, Image.Resampling.BICUBIC)
    reach = inside.resize(difference.size, Image.Resampling.BICUBIC)
    edge = difference.point([max(0, min(255, round((value - first) * 255 / span))) for value in range(256)])
    mask = ImageChops.lighter(core, ImageChops.multiply(edge, reach))
    return mask.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.GaussianBlur(0.8))


def _enclosed(walls: Image.Image) -> Image.Image:
    """What a flood from the border does not reach."""
    width, height = walls.size
    framed = Image.new("L", (width + 2, height + 2), 0)
    framed.paste(walls, (1, 1))
    ImageDraw.floodfill(framed, (0, 0), _OUTSIDE)
    return framed.crop((1, 1, width + 1, height + 1)).point([255] * _OUTSIDE + [0] + [255] * (255 - _OUTSIDE))


def _leaky(inside: Image.Image) -> bool:
    """Whether the flood seems to have eaten into the subject: rows or columns with much missing between their ends."""
    area = ImageStat.Stat(inside).mean[0] / 255 * inside.width * inside.height
    rows = [inside.crop((0, y, inside.width, y + 1)).getbbox() for y in range(inside.height)]
    columns = [inside.crop((x, 0, x + 1, inside.height)).getbbox() for x in range(inside.width)]
    spans = sum(box[2] - box[0] for box in rows if box), sum(box[3] - box[1] for box in columns if box)
    return area < 0.95 * max(spans)


def _cropped_below(edges: Image.Image, clear: Image.Image) -> Image.Image:
    """Without what reaches lower than the clear part, or beside its foot: that is the shadow."""
    bounds = clear.getbbox()
    if bounds is None:
        return edges
    ankle = bounds[3] - max(1, (bounds[3] - bounds[1]) // 7)
    foot = clear.crop((0, ankle, clear.width, bounds[3])).getbbox() or (0, 0, clear.width, 0)
    kept = Image.new("L", edges.size, 0)
    kept.paste(edges.crop((0, 0, edges.width, ankle)), (0, 0))
    kept.paste(edges.crop((foot[0], ankle, foot[2], bounds[3])), (foot[0], ankle))
    return kept


def _noise_floor(steps: Image.Image) -> int:
    """The least step that is an edge: above nearly all of what the picture's border shows by grain alone."""
    ring = Image.new("L", steps.size, 255)
    ring.paste(0, (4, 4, steps.width - 4, steps.height - 4))
    counts, seen = steps.histogram(ring), 0
    total = sum(counts)
    for value, count in enumerate(counts):
        seen += count
        if seen >= 0.97 * total:
            return max(7, min(20, value * 2 + 4))
    return 20
