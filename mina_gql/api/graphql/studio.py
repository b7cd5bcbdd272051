"""What a studio offers: choices and limits."""

import strawberry

from mina_gql.domain.assets import MAX_UPLOAD_BYTES, PICTURE_EXTENSIONS, UPLOAD_TIMEOUT_SECONDS
from mina_gql.domain.pipeline import INSPIRATIONS, MOVEMENT_STYLES, RATIOS, STYLES


@strawberry.type
class StudioOptions:
    """Choices and limits a studio offers."""

    styles: list[str]
    ratios: list[str]
    movement_styles: list[str]
    max_inspiration_images: int
    max_upload_bytes: int
    upload_content_types: list[str]
    upload_timeout_seconds: int


@strawberry.type
class StudioQueries:
    """Queries about the studio itself."""

    @strawberry.field(description="Choices and limits a studio offers: styles, ratios, movement styles, upload limits.")
    def studio(self) -> StudioOptions:
        return StudioOptions(
            styles=list(STYLES),
            ratios=list(RATIOS),
            movement_styles=list(MOVEMENT_STYLES),
            max_inspiration_images=INSPIRATIONS,
            max_upload_bytes=MAX_UPLOAD_BYTES,
            upload_content_types=list(PICTURE_EXTENSIONS),
            upload_timeout_seconds=UPLOAD_TIMEOUT_SECONDS,
        )
