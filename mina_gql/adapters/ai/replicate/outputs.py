"""Outputs: where they may be fetched from, and how they get into a file."""

import asyncio
import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from mina_gql.adapters.ai.retries import FaultKind, VendorFault, with_retries

DELIVERY = re.compile(r"([a-z0-9-]+\.)*replicate\.delivery")
CHUNK_BYTES = 1 << 20
MAX_BYTES = {"still": 50 * 1024 * 1024, "video": 300 * 1024 * 1024}
FETCH_SECONDS = 300.0
REDIRECTS = 3
_REDIRECTING = frozenset({301, 302, 303, 307, 308})


class Origin(NamedTuple):
    """Scheme, host and port of a URL as the client reads it; the port is None where it is the scheme's own."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: httpx2.URL) -> "Origin":
        """The origin of a URL."""
        return cls(url.scheme, url.raw_host.decode(), url.port)


class Outputs:
    """Fetches outputs from the vendor's delivery hosts, or the origin of `base_url` where that is set, and from nowhere else."""

    def __init__(self, base_url: str = "") -> None:
        self._own = Origin.of(httpx2.URL(base_url)) if base_url else None
        # A transport of our own leaves out the proxies of the environment, as the vendor's client does.
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(),
            timeout=httpx2.Timeout(30.0, connect=10.0),
            headers={"Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    def is_allowed(self, url: str) -> bool:
        """Whether an output may be fetched from there."""
        try:
            read = httpx2.URL(url)
        except httpx2.InvalidURL:
            return False
        scheme, host, port = origin = Origin.of(read)
        if read.userinfo:
            return False
        return origin == self._own or (scheme == "https" and port is None and DELIVERY.fullmatch(host) is not None)

    async def fetch(self, url: str, into: Path, max_bytes: int) -> int:
        """Write an output to a file, which is begun anew at each try; gives its bytes. Raises GenerationFailed."""
        return await with_retries(lambda: self._fetch(url, into, max_bytes))

    async def _fetch(self, url: str, into: Path, max_bytes: int) -> int:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                for _ in range(REDIRECTS + 1):
                    if not self.is_allowed(url):
                        raise _unusable("off_host")
                    async with self._client.stream("GET", url) as response:
                        if response.status_code not in _REDIRECTING:
                            return await _write(response, into, max_bytes)
                        url = str(response.url.join(response.headers.get("location", "")))
                raise _unusable("too_many_redirects")
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise VendorFault(FaultKind.UNREACHABLE) from None
        except (httpx2.TimeoutException, TimeoutError):
            raise VendorFault(FaultKind.TIMEOUT) from None
        except httpx2.InvalidURL:
            raise _unusable("off_host") from None
        except httpx2.HTTPError:
            raise VendorFault(FaultKind.CUT) from None


def output_url(output: Any) -> str:
    """The address of a prediction's output: a text, or the first of a list. Raises VendorFault for any other shape, or none."""
    if isinstance(output, list) and output:
        output = output[0]
    if not isinstance(output, str) or not output:
        raise _unusable("unknown_output" if output else "empty_output")
    return output


async def _write(response: httpx2.Response, into: Path, max_bytes: int) -> int:
    if response.status_code != 200:
        raise VendorFault(FaultKind.STATUS, status=response.status_code, headers=dict(response.headers))
    written = 0
    file = await asyncio.to_thread(into.open, "wb")
    try:
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            written += len(chunk)
            if written > max_bytes:
                raise _unusable("too_large")
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
    if not written:
        raise _unusable("empty_output")
    return written


def _unusable(reason: str) -> VendorFault:
    return VendorFault(FaultKind.BAD_OUTPUT, reason=reason)
