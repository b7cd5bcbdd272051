"""The domain is pure: its tests run with sockets closed."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def closed_sockets() -> Iterator[None]:
    """Nothing connects, listens or looks up a name while these tests run."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the domain reached for the network")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
