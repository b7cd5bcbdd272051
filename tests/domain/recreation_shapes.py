"""A draft read as the API reads its inputs."""

from typing import Any

from mina_gql.domain.generations import MotionOrder, StillOrder
from mina_gql.domain.pipeline import GenerationKind


def order_of(kind: GenerationKind, input_: dict[str, Any]) -> StillOrder | MotionOrder:
    """The order that `create` or `animate` makes of an input."""
    if kind is GenerationKind.VIDEO:
        return MotionOrder(
            generation_id=input_["generationId"],
            input_still_url=input_["inputStillUrl"],
            end_still_url=input_["endStillUrl"],
            motion_prompt=input_["motionPrompt"],
            movement_style=input_["movementStyle"],
            type_for_me=input_["typeForMe"],
            ratio=input_["ratio"],
            settings=input_["settings"],
        )
    assets = input_["assets"]
    return StillOrder(
        brief=input_["brief"],
        style=input_["style"],
        ratio=input_["ratio"],
        product_image_url=assets["productImageUrl"],
        logo_image_url=assets["logoImageUrl"],
        inspiration_image_urls=tuple(assets["inspirationImageUrls"]),
        settings=input_["settings"],
        vision_intelligence=input_["visionIntelligence"],
    )
