"""A bucket's objects over S3's API, by aioboto3: what every call needs, and its faults as StorageError.

https://developers.cloudflare.com/r2/api/s3/api/ says what R2 has of it.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any, Self

import aioboto3
from aiohttp import ClientError as TransportError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.ports import StorageError

CACHE_CONTROL = "public, max-age=31536000, immutable"
"""A key is random and its bytes never change."""
CHUNK_BYTES = 256 * 1024
PAGE = 100
CONNECTIONS = 64
STREAMS = 48
"""How many of the connections may be streaming to people at once."""

_CLIENT = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},  # three faults in a row are survived, by 7 s of waiting at most
    max_pool_connections=CONNECTIONS,
    # Checksums in trailers are AWS's own; elsewhere they break uploads. What we write carries its MD5 instead.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
_MISSING = frozenset({"404", "NoSuchKey"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where files are kept, and who we are there. `public_url` is where everybody reads them, without a slash at the end."""

    endpoint_url: str
    name: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    public_url: str


class StorageRefused(StorageError):
    """The store answered, and did not do it. `code` is S3's name for why, such as NoSuchBucket."""

    def __init__(self, code: str, status: int | None) -> None:
        super().__init__(f"the object store refused: {code} (HTTP {status})")
        self.code = code


class Objects:
    """The objects of one bucket, by name. Every method raises StorageError; StorageRefused where the store answered."""

    def __init__(self, bucket: str, client: Any) -> None:
        self._bucket = bucket
        self._client = client
        # People on slow lines hold a connection for minutes; the work must always find one.
        self._streams = asyncio.Semaphore(STREAMS)

    @classmethod
    @asynccontextmanager
    async def opened(cls, bucket: Bucket) -> AsyncIterator[Self]:
        """The objects, with connections that are kept for as long as the block runs; asks for nothing yet."""
        session = aioboto3.Session(aws_access_key_id=bucket.access_key_id, aws_secret_access_key=bucket.secret_access_key)
        async with session.client("s3", endpoint_url=bucket.endpoint_url, region_name="auto", config=_CLIENT) as client:
            yield cls(bucket.name, client)

    async def sign_put(self, name: str, content_type: str, size: int, seconds: int) -> str:
        """An address that takes exactly `size` bytes of this type, for so many seconds."""
        signed = {"Bucket": self._bucket, "Key": name, "ContentType": content_type, "ContentLength": size}
        url: str = await self._client.generate_presigned_url("put_object", Params=signed, ExpiresIn=seconds)
        return url

    async def size(self, name: str) -> int | None:
        """How many bytes there are; None where there is no such object."""
        with _told():
            try:
                found = await self._client.head_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        size: int = found["ContentLength"]
        return size

    async def read(self, name: str, *, capped: bool = False) -> bytes | None:
        """The bytes; None where there is no such object. `capped`: raises AssetRejected for more than an upload may have."""
        with _told():
            try:
                found = await self._client.get_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
            body = found["Body"]
            async with body:
                if capped and found["ContentLength"] > MAX_UPLOAD_BYTES:
                    raise AssetRejected("A picture has at most 25 MB. Ask for a new upload with a smaller one.")
                data: bytes = await body.read()
                return data

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        """The bytes as they come."""
        async with self._streams:
            with _told():
                body = (await self._client.get_object(Bucket=self._bucket, Key=name))["Body"]
                async with body:
                    async for chunk in body.iter_chunks(CHUNK_BYTES):
                        yield chunk

    async def put(self, name: str, body: bytes | BufferedReader, content_type: str) -> None:
        """Write the bytes, or a file from where it stands; the store checks that they arrived as they were."""
        md5 = await asyncio.to_thread(_md5, body)
        with _told():
            await self._client.put_object(
                Bucket=self._bucket,
                Key=name,
                Body=body,
                ContentType=content_type,
                ContentMD5=base64.b64encode(md5).decode(),
                CacheControl=CACHE_CONTROL,
            )

    async def delete(self, name: str) -> None:
        """Remove an object; fine when there is none."""
        with _told():
            await self._client.delete_object(Bucket=self._bucket, Key=name)

    async def names_below(self, prefix: str) -> AsyncIterator[list[str]]:
        """The names that begin with `prefix`, PAGE at a time."""
        with _told():
            pages = self._client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE}):
                yield [found["Key"] for found in page.get("Contents", ())]

    async def rules(self) -> list[dict[str, Any]]:
        """The bucket's lifecycle rules."""
        with _told():
            found = await self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket)
        rules: list[dict[str, Any]] = found.get("Rules", [])
        return rules


@contextmanager
def _told() -> Iterator[None]:
    """Faults of the store as StorageError, in few words: the library's own may quote addresses and key ids."""
    try:
        yield
    except ClientError as error:
        raise StorageRefused(_code(error), error.response["ResponseMetadata"].get("HTTPStatusCode")) from None
    except (BotoCoreError, TransportError, TimeoutError) as error:
        raise StorageError(f"the object store cannot be reached ({type(error).__name__})") from None


def _code(error: ClientError) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _md5(body: bytes | BufferedReader) -> bytes:
    if isinstance(body, bytes):
        return hashlib.md5(body, usedforsecurity=False).digest()
    start = body.tell()
    digest = hashlib.file_digest(body, lambda: hashlib.md5(usedforsecurity=False)).digest()
    body.seek(start)
    return digest
