"""The pictures an order names: the caller's own, confirmed, and what is known of them."""

from typing import Any, NamedTuple

from mina_gql.domain.errors import AssetRejected, InvalidInput
from mina_gql.domain.generations import MotionOrder, StillOrder
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import GenerationKind
from mina_gql.domain.ports import StorageError
from mina_gql.mega.database import decode
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.services.assets import AssetService
from mina_gql.services.generations.reading import GenerationService


class StillToAnimate(NamedTuple):
    """The still of a clip. `generation_id` (mg_id) and `caption` are there where it was made here; sizes are pixels."""

    url: str
    end_url: str | None
    width: int
    height: int
    generation_id: str | None
    caption: str | None


async def still_assets(assets: AssetService, caller: Caller, order: StillOrder) -> dict[str, Any]:
    """The pictures of a still. Raises AssetNotOurs and AssetRejected."""
    field = ["input", "assets"]
    product, logo = order.product_image_url, order.logo_image_url
    return {
        "product_image_url": await assets.own_picture(caller, product, [*field, "productImageUrl"]) if product else None,
        "logo_image_url": await assets.own_picture(caller, logo, [*field, "logoImageUrl"]) if logo else None,
        "inspiration_image_urls": [
            await assets.own_picture(caller, url, [*field, "inspirationImageUrls", str(index)])
            for index, url in enumerate(order.inspiration_image_urls)
        ],
        "input_still_url": None,
        "end_still_url": None,
    }


async def still_to_animate(
    assets: AssetService, generations: GenerationService, caller: Caller, order: MotionOrder, parent: GenerationRow | None
) -> StillToAnimate:
    """The still of a clip, and its end frame where there is one. Raises InvalidInput, AssetNotOurs and AssetRejected."""
    field = ["input", "inputStillUrl"]
    if parent is not None:
        field = ["input", "generationId"]
        if parent.kind == GenerationKind.VIDEO:
            raise InvalidInput("This is a clip already. Choose a still to animate.", field)
        url = str(parent.output_url)
    else:
        url = await assets.own_picture(caller, str(order.input_still_url), field)
        parent = await _made_here(assets, generations, caller, url)
    end = order.end_still_url
    end_url = await assets.own_picture(caller, end, ["input", "endStillUrl"]) if end else None
    try:
        picture = await assets.read(url)
    except (AssetRejected, StorageError):
        raise AssetRejected("The still cannot be read. Upload it again.", field) from None
    known = (decode(parent.vars) or {}).get("scans", {}).get("output_still_crt") if parent else None
    return StillToAnimate(url, end_url, picture.width, picture.height, parent.id if parent else None, known)


async def _made_here(assets: AssetService, generations: GenerationService, caller: Caller, url: str) -> GenerationRow | None:
    """The generation whose output a URL shows, where the person gave its address instead of its id."""
    key = assets.key_of(url)
    return await generations.of_output(str(caller.pass_id), key) if key else None
