"""Fetches a picture from an address that a person gives, and reaches nothing inside (DESIGN section 8)."""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import httpcore2
import httpx2
import idna
import structlog

from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import RemoteFetchRefused
from mina_gql.domain.ports import Fetched

SECONDS = 20.0
"""In all: look-ups, redirects and the last byte."""
REDIRECTS = 3
AT_ONCE = 8
"""So many fetches go on at a time; each may hold 25 MB."""
CONNECT_SECONDS = 5.0
ADDRESSES_TRIED = 3
URL_CHARS = 2_048
_REDIRECTED = {301, 302, 303, 307, 308}
_HEADERS = [
    ("User-Agent", "Mina"),
    ("Accept", "image/jpeg, image/png, image/webp"),
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
]

BAD_URL = "This is not the address of a picture. It begins with https:// and has a name in it, but no password and no port."
NO_WAY = "This address cannot be reached. Check it, or save the picture and upload it here."
ASTRAY = "This address leads on to one that pictures are not fetched from. Save the picture and upload it here."
NO_PICTURE = "There is no picture at this address. Open it in a browser and copy the address of the picture itself."
TOO_LARGE = "The picture has more than 25 MB. Make it smaller, or take another."
TOO_SLOW = "The picture took longer than 20 seconds. Try again, or save the picture and upload it here."

log = structlog.get_logger(__name__)

Resolve = Callable[[str], Awaitable[list[str]]]
"""The addresses of a name. Raises OSError where there are none."""


# ---------------------------------------------------------------- addresses

# https://www.iana.org/assignments/iana-ipv4-special-registry, and what else is not somebody's server on the internet.
_INNER_IPV4 = [
    IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # looks public; inside Azure it is the host that speaks to its machines
    )
]  # fmt: skip
# All that is given to anybody is in here (https://www.iana.org/assignments/ipv6-unicast-address-assignments): what maps, embeds
# or translates an IPv4 address, and ::1, fc00::/7, fe80::/10, ff00::/8, 5f00::/16 …, are outside, but for those below.
_GIVEN_OUT_IPV6 = IPv6Network("2000::/3")
_INNER_IPV6 = [
    IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")  # Teredo, ORCHID …; 6to4
]
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}
"""Before an IPv4 address in the lower half: a machine with such a tunnel sends it there (RFC 5214)."""


def is_public(address: str) -> bool:
    """Whether an IP address is that of a server on the internet; anything odd is not."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return not any(ip in block for block in _INNER_IPV4)
    if ip.scope_id is not None or (int(ip) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return ip in _GIVEN_OUT_IPV6 and not any(ip in block for block in _INNER_IPV6)


# ---------------------------------------------------------------- names

# The last label has a letter and is not a number, so nothing that some resolver takes for an IPv4 address (0x7f.1) gets through.
_NAME = re.compile(r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?!0x|\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])")
_INNER_NAMES = re.compile(r"(?:^|\.)(?:localhost|localdomain|local|internal|intranet|private|lan|home|corp|arpa|onion)$")


class Target(NamedTuple):
    """Where a request goes: an https server's name as DNS has it, and the path with its query."""

    host: str
    path: str


def target_of(url: str) -> Target:
    """Read an address. Raises ValueError for any but https on port 443 to a public-looking name."""
    if len(url) > URL_CHARS or re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError("too long, or with characters that do not belong there")
    parts = urlsplit(url)
    if parts.scheme != "https" or "@" in parts.netloc or parts.port not in {None, 443}:
        raise ValueError("not https on port 443, or with a password")
    host = (parts.hostname or "").lower()
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    if not _NAME.fullmatch(host) or _INNER_NAMES.search(host):
        raise ValueError("not a public name")
    path, query = (quote(part, safe="/%:@!$&'()*+,;=~?") for part in (parts.path or "/", parts.query))
    return Target(host, f"{path}?{query}" if query else path)


class SystemResolver:
    """Asks the system, on threads of its own: a name that takes long must not keep a file from being served."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "resolve")

    async def __call__(self, host: str) -> list[str]:
        # With the dot it is the whole name: no search domain of ours (`.svc.cluster.local`) is put behind it.
        look_up = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(f"{host}.".encode(), 443, type=socket.SOCK_STREAM)
        )
        return [str(found[4][0]) for found in await look_up]


# ---------------------------------------------------------------- fetching


class _Stop(Exception):
    """Ends a fetch: what the person is told, and what the log says."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(reason)
        self.message = message


class _GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """The one way out: looks a name up, and connects to an address it has checked. One that is inner damns them all."""

    def __init__(self, resolve: Resolve, network: httpcore2.AsyncNetworkBackend) -> None:
        self._resolve = resolve
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 -- the interface's; ours are CONNECT_SECONDS and the fetch's own
        local_address: str | None = None,  # noqa: ARG002 -- the interface's
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002 -- the interface's
    ) -> httpcore2.AsyncNetworkStream:
        addresses = list(dict.fromkeys(await self._resolve(host)))
        if port != 443 or not addresses or not all(map(is_public, addresses)):
            # The same words as for a name that does not exist: nobody learns here what exists inside.
            raise _Stop(NO_WAY, "inner address")
        fault: Exception | None = None
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                return await self._network.connect_tcp(address, port, timeout=CONNECT_SECONDS)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                fault = error
        raise fault or httpcore2.ConnectError


class GuardedFetcher:
    """Implements `domain.ports.RemoteFetcher`. `resolve`, `network` and `tls` lead outside; tests bring their own.

    What is read is bounded (25 MB, `AT_ONCE` fetches, `seconds` in all), and never unpacked: packed answers are refused.
    There are no cookies, no passwords and no proxies: httpcore2 knows none unless told.
    """

    def __init__(
        self,
        resolve: Resolve | None = None,
        network: httpcore2.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._network = _GuardedNetwork(resolve or SystemResolver(), network or httpcore2.AnyIOBackend())
        self._tls = tls
        self._seconds = seconds
        self._room = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, url: str) -> Fetched:
        """The bytes behind a URL. Raises RemoteFetchRefused; the log has the host and the reason, never the path."""
        try:
            target = target_of(url)
        except ValueError:
            log.info("remote fetch refused", reason="not an address we fetch")
            raise RemoteFetchRefused(BAD_URL) from None
        try:
            async with asyncio.timeout(self._seconds), self._room:
                return await self._follow(target)
        except _Stop as stop:
            message, reason = stop.message, str(stop)
        except TimeoutError:
            message, reason = TOO_SLOW, "too slow"
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError) as error:
            message, reason = NO_WAY, type(error).__name__
        log.info("remote fetch refused", host=target.host, reason=reason)
        raise RemoteFetchRefused(message)

    async def _follow(self, target: Target) -> Fetched:
        for _ in range(REDIRECTS + 1):
            found = await self._get(target)
            if isinstance(found, Fetched):
                return found
            target = found
        raise _Stop(ASTRAY, "too many redirects")

    async def _get(self, target: Target) -> Fetched | Target:
        """The answer of one server: the picture, or where it sends us."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx2.create_ssl_context)  # reads a few hundred certificates
        url = httpcore2.URL(scheme="https", host=target.host, port=443, target=target.path)
        async with (
            # A pool for one request: the next one, wherever it goes, is looked up and checked anew.
            httpcore2.AsyncConnectionPool(self._tls, max_connections=1, network_backend=self._network) as pool,
            pool.stream("GET", url, headers=[("Host", target.host), *_HEADERS]) as response,
        ):
            headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTED and b"location" in headers:
                return _next(target, headers[b"location"])
            content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
            if response.status != 200:
                raise _Stop(NO_PICTURE, f"status {response.status}")
            if content_type.startswith("text/"):
                raise _Stop(NO_PICTURE, "a page")
            if headers.get(b"content-encoding", "identity").strip().lower() != "identity":
                raise _Stop(NO_PICTURE, "packed")
            return Fetched(await _read(response), content_type)


def _next(target: Target, location: str) -> Target:
    try:
        return target_of(urljoin(f"https://{target.host}{target.path}", location.encode("latin-1").decode()))
    except ValueError:
        raise _Stop(ASTRAY, "redirected astray") from None


async def _read(response: httpcore2.Response) -> bytes:
    """The body, at most 25 MB of it."""
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > MAX_UPLOAD_BYTES:
            raise _Stop(TOO_LARGE, "too large")
    if not body:
        raise _Stop(NO_PICTURE, "empty")
    return bytes(body)
