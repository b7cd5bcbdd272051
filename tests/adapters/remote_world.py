"""A small internet for the guarded fetch: names, addresses, and a TLS server that stands behind the public ones."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpcore2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mina_gql.adapters.remote_fetch import GuardedFetcher
from tests.studio import PNG

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
HOST = "pictures.example"

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str | None) -> bytes:
    """An HTTP answer; `content_length=None` leaves that header out."""
    said = {"content-length": str(len(body)), "content-type": "image/png"}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in said.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


@dataclass
class Internet(httpcore2.AsyncNetworkBackend):
    """Resolves names, and connects what looks public to the local server; remembers who asked for what.

    `names` maps a name to its addresses, or to a list of such answers, one a look-up. `down` are addresses that refuse.
    """

    port: int
    tls: ssl.SSLContext
    answers: dict[str, bytes | Handler] = field(default_factory=lambda: {"/p.png": answer(PNG)})
    names: dict[str, list[str] | list[list[str]]] = field(default_factory=lambda: {HOST: [PUBLIC]})
    down: set[str] = field(default_factory=set)
    looked_up: list[str] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)

    def fetcher(self, seconds: float = 20.0) -> GuardedFetcher:
        return GuardedFetcher(self.resolve, self, self.tls, seconds)

    async def resolve(self, host: str) -> list[str]:
        self.looked_up.append(host)
        found = self.names.get(host)
        if found is None:
            raise OSError("no such name")
        if found and isinstance(found[0], list):
            return list(found.pop(0) if len(found) > 1 else found[0])
        return [str(address) for address in found]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.connected.append((host, port))
        if host in self.down:
            raise httpcore2.ConnectError
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", self.port, timeout)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head)
            said = self.answers.get(head.split()[1].decode(), answer(b"no", "404 Not Found"))
            if isinstance(said, bytes):
                writer.write(said)
                await writer.drain()
            else:
                await said(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has heard enough
        finally:
            writer.close()


@asynccontextmanager
async def internet(folder: Path, *names: str) -> AsyncIterator[Internet]:
    """An internet whose servers have certificates for these names."""
    inside, outside = certificates(folder, names or (HOST, f"*.{HOST}"))
    world: Internet | None = None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert world is not None
        await world.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=inside)
    world = Internet(server.sockets[0].getsockname()[1], outside)
    try:
        yield world
    finally:
        server.close()
        await server.wait_closed()


def certificates(folder: Path, names: Iterable[str]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context, with a certificate for `names`, and a client's that trusts who signed it, and nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    kept = folder / "server.pem"
    kept.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(kept)
    return inside, ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())
