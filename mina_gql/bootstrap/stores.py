"""Where files are kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.bootstrap.secrets import text
from mina_gql.settings import Settings

if TYPE_CHECKING:
    from mina_gql.adapters.storage_r2 import R2Store

Store: TypeAlias = "DiskStore | R2Store"
"""Where files are kept: in a bucket where one is set up, else on disk, in every mode."""


@asynccontextmanager
async def store_of(settings: Settings, secret: bytes) -> AsyncIterator[Store]:
    """The store of these settings, open for as long as the block runs; `secret` signs addresses of uploads to the app."""
    if not settings.stores_in_r2:
        yield DiskStore(settings.home / "files", settings.base_url, secret)
        return
    # Half a second of a start and 30 MB that the disk store need not pay for.
    from mina_gql.adapters.storage_r2 import Bucket, R2Store  # noqa: PLC0415 -- as the line above says

    bucket = Bucket(
        endpoint_url=settings.r2_endpoint_url,
        name=settings.r2_bucket,
        access_key_id=text(settings.r2_access_key_id),
        secret_access_key=text(settings.r2_secret_access_key),
        public_url=settings.r2_public_url,
    )
    async with R2Store.opened(bucket, settings.base_url, secret) as store:
        yield store
