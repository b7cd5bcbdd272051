"""What sign-in tokens are checked with: the legacy secret, or the keys that a project publishes."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import orjson
import structlog
from jwt.algorithms import HMACAlgorithm
from jwt.utils import base64url_encode

from mina_gql.domain.errors import Unauthenticated

log = structlog.get_logger(__name__)

SECRET_BYTES = 32

FRESH_SECONDS = 10 * 60.0
KEEP_SECONDS = 24 * 3600.0
PAUSE_SECONDS = 30.0
EMPTY_PAUSE_SECONDS = 5.0
FETCH_SECONDS = 5.0
FETCH_BYTES = 256 * 1024

REFUSED = "This sign-in does not hold. Sign in again."
UNCHECKABLE = "Sign-ins cannot be checked right now. Try again in a moment."

# The algorithm that a kind of key stands for, and its public members (RFC 7518 section 6).
_KINDS = {"EC": ("ES256", ("crv", "x", "y")), "RSA": ("RS256", ("n", "e"))}
_ALGORITHMS = frozenset(algorithm for algorithm, _ in _KINDS.values())
_RSA_BITS = range(2048, 8192 + 1)


class SecretKey:
    """The legacy secret: the one key, and HS256 the one algorithm. Raises ValueError when it is short, or a public key."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise ValueError(f"the secret of sign-in tokens must be {SECRET_BYTES} bytes or more")
        try:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        except jwt.InvalidKeyError:
            # Whoever knows the public key could sign with it (RFC 8725 section 2.1).
            raise ValueError("the secret of sign-in tokens is a public key: it must be the project's JWT secret") from None
        self._key = jwt.PyJWK({"kty": "oct", "k": base64url_encode(secret).decode()}, "HS256")

    async def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The secret, for HS256 and whatever key id. Raises Unauthenticated."""
        del key_id  # legacy tokens name one, and there is nothing to choose
        if algorithm != self._key.algorithm_name:
            raise Unauthenticated(REFUSED)
        return self._key


class PublishedKeys:
    """The keys at a project's JWKS URL (RFC 7517), kept for ten minutes, and up to a day while the URL does not answer.

    Unknown keys together cause one fetch in half a minute, and whoever needs a fetch at the same time shares it.
    """

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self._url = url
        self._now = now
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The one key of this algorithm and id, or, without an id, the only one of the algorithm. Raises Unauthenticated."""
        if algorithm not in _ALGORITHMS:
            raise Unauthenticated(REFUSED)
        key = self._fitting(algorithm, key_id, FRESH_SECONDS)
        if key is None:
            await self._refresh()
            key = self._fitting(algorithm, key_id, KEEP_SECONDS)
        if key is None:
            raise Unauthenticated(UNCHECKABLE if self._failed else REFUSED)
        return key

    def _fitting(self, algorithm: str, key_id: str | None, seconds: float) -> jwt.PyJWK | None:
        """The key, if it is the only one that fits and was fetched within these seconds."""
        if not self._within(seconds, self._fetched_at):
            return None
        fitting = [key for key in self._keys if key.algorithm_name == algorithm and key_id in (None, key.key_id)]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self) -> None:
        """Fetch the keys unless that was tried just now; join a fetch under way."""
        if self._fetching is None or self._fetching.done():
            # With no keys at all nobody can sign in, so the pause is short.
            pause = PAUSE_SECONDS if self._within(KEEP_SECONDS, self._fetched_at) else EMPTY_PAUSE_SECONDS
            if self._within(pause, self._tried_at):
                return
            self._tried_at = self._now()
            self._fetching = asyncio.create_task(self._fetch())
        await asyncio.shield(self._fetching)  # one who hangs up must not take the fetch from the others

    async def _fetch(self) -> None:
        """Replace the keys; a failure leaves them as they are."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                keys = signing_keys(await _download(self._url))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            log.warning("sign-in keys not fetched", error=error)
            self._failed = True
        else:
            self._keys, self._fetched_at, self._failed = keys, self._now(), False

    def _within(self, seconds: float, moment: float) -> bool:
        """Whether the moment lies no longer back than this. One ahead of us (a clock set back) is long ago."""
        return 0 <= self._now() - moment < seconds


async def _download(url: str) -> bytes:
    """The body, from this URL and nowhere else. Raises ValueError and what httpx2 raises."""
    client = await asyncio.to_thread(httpx2.AsyncClient, timeout=FETCH_SECONDS)  # reads certificates: tens of milliseconds
    # Taken as it is: unpacked, a small body could be a huge one.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with client, client.stream("GET", url, headers=headers, follow_redirects=False) as response:
        if response.status_code != httpx2.codes.OK:
            raise ValueError(f"the answer was {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > FETCH_BYTES:
                raise ValueError(f"the answer was longer than {FETCH_BYTES} bytes")
        return bytes(body)


def signing_keys(body: bytes) -> tuple[jwt.PyJWK, ...]:
    """The keys of a JWKS that can check tokens. Raises ValueError when there is none."""
    document = orjson.loads(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    dicts = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    keys = tuple(key for key in map(_signing_key, dicts) if key is not None)
    if not keys:
        raise ValueError("the answer had no usable key")
    return keys


def _signing_key(entry: dict[str, Any]) -> jwt.PyJWK | None:
    """A key with the one algorithm its kind stands for, or None: symmetric, weak, broken, or meant for something else."""
    kind, uses = entry.get("kty"), entry.get("key_ops", ["verify"])
    if not isinstance(kind, str) or kind not in _KINDS or not isinstance(uses, list):
        return None
    algorithm, members = _KINDS[kind]
    if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig" or "verify" not in uses:
        return None
    try:
        # Public members only: a private key that was published by mistake is read as its public half.
        key = jwt.PyJWK({name: entry.get(name) for name in ("kid", "kty", *members)}, algorithm)
    except jwt.PyJWTError:
        return None
    sound = entry["crv"] == "P-256" if kind == "EC" else key.key.key_size in _RSA_BITS
    return key if sound else None
