"""Headers at the edge: whose address counts, and how much of a header is kept."""

import pytest
from starlette.requests import HTTPConnection

from mina_gql.api.auth import client_address

PROXY = "10.0.0.1"


def connection(*forwarded: str, peer: str = PROXY) -> HTTPConnection:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return HTTPConnection({"type": "http", "headers": headers, "client": (peer, 40_000)})


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], PROXY),
        (["203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
    ],
)
def test_the_address_is_the_last_one_that_no_trusted_proxy_has(forwarded: list[str], address: str):
    """However the proxy adds it: joined to what the client sent, or in a header of its own below."""
    assert client_address(connection(*forwarded), ("10.0.0.0/8",)) == address


def test_nobody_else_is_believed():
    assert client_address(connection("6.6.6.6", peer="203.0.113.7"), ("10.0.0.0/8",)) == "203.0.113.7"
