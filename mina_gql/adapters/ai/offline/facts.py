"""What can truly be said of a picture by measuring it: size, colours, light, background, where the subject stands."""

from dataclasses import dataclass

from PIL import Image, ImageStat

from mina_gql.adapters.ai.offline import cutout, palette
from mina_gql.domain.ports import Picture


@dataclass(frozen=True, slots=True)
class Facts:
    """Measured facts. Shares are 0 to 1; `backdrop` is None where it is busy, `place` where no subject stands out."""

    width: int
    height: int
    orientation: str
    colours: tuple[tuple[str, float], ...]
    brightness: str
    contrast: str
    temperature: str
    backdrop: str | None
    place: str | None


def measured(picture: Picture) -> Facts:
    """Measure a picture. Raises GenerationFailed ASSET_UNREADABLE."""
    image = cutout.opened(picture, longest=480)
    flat = cutout.flattened(image)
    backdrop = cutout.backdrop_of(image)
    subject = cutout.subject_of(image)
    grey = ImageStat.Stat(flat.convert("L"))
    red, _, blue = ImageStat.Stat(flat).mean
    shares = [(name, share) for name, share in palette.named_shares(flat) if share >= 0.03]
    return Facts(
        width=picture.width,
        height=picture.height,
        orientation=_orientation(picture.width, picture.height),
        colours=tuple(shares[:3]),
        brightness="dark" if grey.mean[0] < 75 else "evenly lit" if grey.mean[0] < 160 else "bright",
        contrast="low" if grey.stddev[0] < 25 else "medium" if grey.stddev[0] < 60 else "strong",
        temperature="warm" if red - blue > 16 else "cool" if blue - red > 16 else "neutral",
        backdrop=_named(backdrop) if backdrop else "transparent" if subject else None,
        place=_place(subject.box) if subject else None,
    )


def _named(backdrop: Image.Image) -> str:
    red, green, blue = (round(value) for value in ImageStat.Stat(backdrop).mean)
    return palette.name_of((red, green, blue))


def _orientation(width: int, height: int) -> str:
    if abs(width - height) <= 0.03 * max(width, height):
        return "square"
    return "landscape" if width > height else "portrait"


def _place(box: tuple[float, float, float, float]) -> str:
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    column = "left" if across < 0.4 else "right" if across > 0.6 else ""
    row = "upper" if down < 0.36 else "lower" if down > 0.64 else ""
    if row and column:
        return f"in the {row} {column}"
    if column:
        return f"{column} of the centre"
    return f"in the {row} half" if row else "in the centre"
