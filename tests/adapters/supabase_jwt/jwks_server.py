"""A JWKS endpoint on 127.0.0.1 that answers as it is told and counts who asks."""

import asyncio
import json
from typing import Any, Self


class JwksServer:
    """`requests` are the request lines so far. While `gate` is cleared, answers wait; `asked` is set at each request.

    `dripping` makes answers never end: a byte now and then.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.dripping = False
        self.answer(b"")

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}/auth/v1/.well-known/jwks.json"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        self.dripping = False
        self._server.close()
        await self._server.wait_closed()

    def publish(self, *keys: dict[str, Any]) -> None:
        """Answer with these keys from now on."""
        self.answer(json.dumps({"keys": keys}).encode())

    def answer(self, body: bytes, *, status: int = 200, content_type: str = "application/json", **headers: str) -> None:
        """Answer with this from now on."""
        fields = {"content-type": content_type, "content-length": str(len(body)), "connection": "close", **headers}
        lines = [f"HTTP/1.1 {status} Status", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
        self._response = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.partition(b"\r\n")[0].decode())
            self.asked.set()
            await self.gate.wait()
            writer.write(self._response)
            await writer.drain()
            while self.dripping:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # they hung up, as a client with a cap or a timeout does
        finally:
            writer.close()
