"""Makes a picture small enough to be looked at by a language model, in a child of the sandbox."""

from io import BytesIO

from PIL import Image

from mina_gql.adapters.sandbox.pictures import Decoded, reading


def glance(data: bytes, longest_side: int) -> Decoded:
    """The picture as a JPEG, at most `longest_side` pixels wide and high, transparency on white. Raises AssetRejected."""
    with reading(BytesIO(data)) as opened:
        seen = _on_white(opened)
        seen.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
        out = BytesIO()
        seen.save(out, "JPEG", quality=90)
    return {}, out.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    """The picture in plain RGB."""
    if image.mode.startswith("I"):  # 16 bits of grey, of which `convert` would keep the lowest eight
        return image.point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")
