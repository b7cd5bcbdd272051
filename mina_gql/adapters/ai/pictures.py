"""Pictures as they go to a language model: inlined, and no larger than it looks at."""

import asyncio
from base64 import b64encode

from mina_gql.adapters.sandbox.glance import glance
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.errors import AssetRejected, GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import Picture

LARGEST_BYTES = 4 * 1024 * 1024


async def data_url(picture: Picture, longest_side: int, sandbox: Sandbox | None = None) -> str:
    """The picture as a data URL (RFC 2397), at most `longest_side` pixels wide and high.

    As it is where that is small; anew as a JPEG, transparency on white, where it is not. That happens in the sandbox, where
    there is one: a picture may come from a model. Raises GenerationFailed ASSET_UNREADABLE.
    """
    data, content_type = picture.data, picture.content_type
    if max(picture.width, picture.height) > longest_side or len(data) > LARGEST_BYTES:
        try:
            decode = (
                sandbox.run(glance, data, longest_side=longest_side) if sandbox else asyncio.to_thread(glance, data, longest_side)
            )
            _, data = await decode
        except AssetRejected as error:
            raise GenerationFailed(
                FailureCode.ASSET_UNREADABLE, "One of the pictures could not be read.", detail=str(error)
            ) from error
        content_type = "image/jpeg"
    return f"data:{content_type};base64,{b64encode(data).decode()}"
