"""Promises about addresses that people give: a public picture comes, and no connection reaches anything inside (FEATURES E2)."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.adapters import remote_fetch
from mina_gql.adapters.remote_fetch import (
    ADDRESSES_TRIED,
    ASTRAY,
    BAD_URL,
    NO_PICTURE,
    NO_WAY,
    REDIRECTS,
    TOO_LARGE,
    TOO_SLOW,
    SystemResolver,
    is_public,
    target_of,
)
from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import RemoteFetchRefused
from tests.adapters.remote_world import HOST, PUBLIC, PUBLIC_6, Internet, answer, internet
from tests.studio import PNG

URL = f"https://{HOST}/p.png"


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[Internet]:
    async with internet(tmp_path) as made:
        yield made


async def refusal(world: Internet, url: str = URL, seconds: float = 20.0) -> str:
    with pytest.raises(RemoteFetchRefused) as refused:
        await world.fetcher(seconds).fetch(url)
    return refused.value.message


async def refused_body(world: Internet, said: object) -> str:
    world.answers["/p.png"] = said  # type: ignore[assignment]
    return await refusal(world)


# ---------------------------------------------------------------- what comes


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"HTTPS://{HOST.upper()}/p.png",
        f"https://{HOST}:443/p.png",
        f"https://{HOST}/p.png#part",
        f"https://www.{HOST}/p.png",
    ],
)
async def test_a_public_picture_comes(world, url):
    world.names[f"www.{HOST}"] = [PUBLIC]
    fetched = await world.fetcher().fetch(url)
    assert (fetched.data, fetched.content_type) == (PNG, "image/png")
    assert world.connected == [(PUBLIC, 443)]


async def test_the_path_goes_as_it_was_given(world):
    world.answers["/a%20b/%C3%BC.png?x=1&y=%2F"] = answer(PNG)
    assert (await world.fetcher().fetch(f"https://{HOST}/a%20b/ü.png?x=1&y=%2F")).data == PNG


async def test_a_request_tells_nothing_of_us(world, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    world.answers["/p.png"] = answer(PNG, set_cookie="a=b; Path=/")
    fetcher = world.fetcher()
    for _ in range(2):
        await fetcher.fetch(URL)
    names = [sorted(line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line) for head in world.asked]
    assert names == [[b"accept", b"accept-encoding", b"connection", b"host", b"user-agent"]] * 2
    assert b"identity" in world.asked[0]


@pytest.mark.parametrize("address", [PUBLIC_6, "1.1.1.1"])
async def test_the_address_that_was_checked_is_the_one_connected_to(world, address):
    world.names[HOST] = [[address], ["127.0.0.1"]]  # a second look-up would lead inside
    await world.fetcher().fetch(URL)
    assert (world.looked_up, world.connected) == ([HOST], [(address, 443)])


async def test_another_address_is_tried_where_one_is_down(world):
    world.names[HOST], world.down = ["1.1.1.1", "1.0.0.1", PUBLIC], {"1.1.1.1", "1.0.0.1"}
    assert (await world.fetcher().fetch(URL)).data == PNG
    assert world.connected == [("1.1.1.1", 443), ("1.0.0.1", 443), (PUBLIC, 443)]


async def test_many_addresses_are_not_many_connections(world):
    world.names[HOST] = [f"1.1.1.{n}" for n in range(1, 100)]
    world.down = set(world.names[HOST])
    assert await refusal(world) == NO_WAY
    assert len(world.connected) == ADDRESSES_TRIED


async def test_chunks_are_put_together(world):
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (PNG[:10], PNG[10:])) + b"0\r\n\r\n"
    world.answers["/p.png"] = answer(content_length=None, transfer_encoding="chunked") + body
    assert (await world.fetcher().fetch(URL)).data == PNG


async def test_the_largest_picture_allowed_comes(world):
    world.answers["/p.png"] = answer(bytes(MAX_UPLOAD_BYTES))
    assert len((await world.fetcher().fetch(URL)).data) == MAX_UPLOAD_BYTES


# ---------------------------------------------------------------- addresses

INNER = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1",
    "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255",
    "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "::127.0.0.1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.215.14", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::5db8:d70e", "64:ff9b:1::a00:1", "100::1", "100:0:0:1::1", "2001::1", "2001:0:7f00:1::",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:db8::1", "2002:7f00:1::", "2002:5db8:d70e::1", "3fff::1", "4000::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1", "2606:4700::1%eth0",
]  # fmt: skip
NO_ADDRESSES = [
    "",
    "localhost",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "1.1.1.1 ",
    "1.1.1.1\n",
    "[::1]",
    "1.1.1",
    "01.1.1.1",
    "1.1.1.1/8",
]


async def test_zero_connections_reach_an_inner_address(world):
    for address in INNER:
        world.names[HOST] = [address]
        assert await refusal(world) == NO_WAY
        assert world.connected == [], address


async def test_one_inner_address_among_public_ones_damns_them_all(world):
    for address in INNER:
        for found in ([address, PUBLIC], [PUBLIC, PUBLIC_6, "1.1.1.1", "1.0.0.1", address]):
            world.names[HOST] = found
            assert await refusal(world) == NO_WAY
            assert world.connected == [], found


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_not_public(text):
    assert not is_public(text)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, PUBLIC_6, "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2400:cb00::1", "2a00:1450::1"],
)
def test_servers_on_the_internet_are_public(address):
    assert is_public(address)


@given(st.ip_addresses())
def test_what_python_does_not_call_global_is_refused(ip):
    assert ip.is_global or not is_public(str(ip))
    assert not (is_public(str(ip)) and (ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local))


@given(st.ip_addresses(v=4))
def test_no_way_to_write_an_inner_ipv4_address_as_ipv6_is_public(inner: IPv4Address):
    four = int(inner)
    embedded = [
        four,  # compatible, ::a.b.c.d
        (0xFFFF << 32) | four,  # mapped
        (0xFFFF << 48) | four,  # translated, ::ffff:0:a.b.c.d
        (0x64FF9B << 96) | four,  # NAT64
        (0x64FF9B0001 << 80) | four,  # NAT64 of one's own
        (0x2002 << 112) | (four << 80),  # 6to4
        (0x20010000 << 96) | (four << 64),  # Teredo's server
        (0x20010000 << 96) | (four ^ 0xFFFF_FFFF),  # Teredo's client
        (0x2606_4700 << 96) | (0x5EFE << 32) | four,  # ISATAP
        (0x2606_4700 << 96) | (0x0200_5EFE << 32) | four,
    ]
    assert not [str(IPv6Address(each)) for each in embedded if is_public(str(IPv6Address(each)))]


@given(st.one_of(st.ip_addresses(), st.text(max_size=40)))
def test_deciding_never_fails(text):
    assert is_public(str(text)) in {True, False}


def test_the_tables_of_python_and_ours_agree_on_the_edges():
    """Just outside each block of ours lies something Python calls global, so none is wider than it should be by one."""
    for block in remote_fetch._INNER_IPV4:
        for edge in (int(block[0]) - 1, int(block[-1]) + 1):
            if 0 <= edge < 2**32 and ip_address(edge).is_global and not ip_address(edge).is_multicast:
                assert is_public(str(ip_address(edge))), ip_address(edge)


# ---------------------------------------------------------------- spellings

BAD = [
    "", "p.png", "//pictures.example/p.png", "http://pictures.example/p.png", "ftp://pictures.example/p.png",
    "file:///etc/passwd", "gopher://pictures.example/", "data:image/png;base64,AAAA", "javascript:alert(1)", "https:", "https://",
    "https:///p.png", "https:pictures.example/p.png", "https://pictures.example:80/p.png", "https://pictures.example:8443/p.png",
    "https://pictures.example:0/", "https://pictures.example:443443/", "https://pictures.example:x/", "https://a@pictures.example/p.png",
    "https://a:b@pictures.example/p.png", "https://:@pictures.example/p.png", "https://127.0.0.1\\@pictures.example/",
    "https://pictures.example\\.inner.example/", "https://pictures.example\t/p.png", "https://pictures.exam\nple/p.png",
    " https://pictures.example/p.png", "https://pictures.example/p.png\x00", "https://pictures.example/a b", "https://pictures.example./p.png",
    "https://.pictures.example/", "https://pictures..example/", "https://-/", "https://x/", "https://localhost/", "https://LOCALHOST/",
    "https://localhost./", "https://a.localhost/", "https://a.local/", "https://metadata.google.internal/", "https://a.INTERNAL/",
    "https://router.lan/", "https://nas.home.arpa/", "https://1.0.0.127.in-addr.arpa/", "https://a.onion/", "https://vault/",
    "https://127.0.0.1/", "https://93.184.215.14/", "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0x7f.1/", "https://0x7f.0x0.0x0.0x1/", "https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1.5/",
    "https://1.2.3.0x4/", "https://a.b.0x/", "https://a.b.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1]/", "https://[::1/", "https://[v1.a]/", "https://①②⑦.⓪.⓪.①/", "https://１２７.0.0.1/", "https://127。0。0。1/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "https://a。ⓛⓞⓒⓐⓛ/", "https://pictures.example%2f/", "https://pictures.example%00.a.example/",
    "https://a\u200b.example@x/", "https://\u212a.\u2100.example/", "https://" + "a" * 64 + ".example/", "https://" + "a." * 130 + "example/",
    "https://" + "ü" * 80 + ".example/", "https://pictures.example/" + "a" * 2048, "https://pictures.example/\ud800",
]  # fmt: skip


async def test_what_is_not_the_https_address_of_a_public_name_is_never_looked_up(world):
    for url in BAD:
        assert await refusal(world, url) == BAD_URL, url
        assert (world.looked_up, world.connected) == ([], []), url


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://BÜCHER.example/", "xn--bcher-kva.example"),
        ("https://ｐictures.example/", "pictures.example"),
        ("https://pictures。example/", "pictures.example"),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://a_b.pictures.example?x", "a_b.pictures.example"),
        ("https://127.0.0.1.nip.io/", "127.0.0.1.nip.io"),  # a name like others; its address is what is refused
    ],
)
def test_a_name_is_asked_for_as_dns_has_it(url, host):
    assert target_of(url).host == host


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_is_refused(text):
    for url in (text, f"https://{text}", f"https://pictures.example/{text}"):
        try:
            target = target_of(url)
        except ValueError:
            continue
        assert target.host.isascii()
        assert target.path.isascii()
        assert not set(target.host) & set("@/?%:[]")
        assert not set(target.host + target.path) & set(" \r\n\t\0\\#")


async def test_a_name_without_an_address_or_that_leads_inside_looks_the_same(world):
    """Nobody learns here which names exist inside."""
    world.names |= {"inner.example": ["10.0.0.1"], "none.example": [], "down.example": ["1.1.1.1"]}
    world.down = {"1.1.1.1"}
    told = {
        await refusal(world, f"https://{name}/") for name in ("inner.example", "none.example", "unknown.example", "down.example")
    }
    assert told == {NO_WAY}


async def test_the_system_s_resolver_is_asked_for_the_whole_name_only(monkeypatch):
    asked = []

    def getaddrinfo(*given, **named):
        asked.append((given, named))
        return [(2, 1, 6, "", (PUBLIC, 443)), (10, 1, 6, "", (PUBLIC_6, 443, 0, 0))]

    monkeypatch.setattr(remote_fetch.socket, "getaddrinfo", getaddrinfo)
    assert await SystemResolver()(HOST) == [PUBLIC, PUBLIC_6]
    assert asked[0][0][0] == b"pictures.example."  # with the dot no search domain is tried


# ---------------------------------------------------------------- who answers


async def test_the_certificate_must_be_the_name_s(world):
    world.names["other.example"] = [PUBLIC]
    assert await refusal(world, "https://other.example/p.png") == NO_WAY
    assert world.asked == []


async def test_the_certificate_must_be_signed_by_somebody_known(world):
    world.tls = ssl.create_default_context()
    assert await refusal(world) == NO_WAY
    assert world.asked == []


# ---------------------------------------------------------------- redirects


def leads(to: str, status: str = "302 Found") -> bytes:
    return answer(b"elsewhere", status, location=to)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("to", ["/p.png", "p.png", f"//{HOST}/p.png", f"https://{HOST}:443/p.png", f"https://cdn.{HOST}/p.png"])
async def test_a_redirect_is_followed(world, status, to):
    world.names[f"cdn.{HOST}"] = [PUBLIC]
    world.answers["/r"] = leads(to, status)
    assert (await world.fetcher().fetch(f"https://{HOST}/r")).data == PNG
    assert len(world.looked_up) == 2


@pytest.mark.parametrize(
    "to",
    [
        "http://pictures.example/p.png", "https://pictures.example:8443/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/",
        "https://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "gopher://pictures.example/", "https://a@pictures.example/",
        "//2130706433/", "https://metadata.google.internal/", "javascript:alert(1)", "https://x/\\", "https://[", "https://\xff\xfe/",
        "https://pictures.example/" + "a" * 3000,
    ],
)  # fmt: skip
async def test_a_redirect_that_leads_astray_is_not_followed(world, to):
    world.answers["/p.png"] = leads("X").replace(b"X", to.encode("latin-1"))
    assert await refusal(world) == ASTRAY
    assert world.connected == [(PUBLIC, 443)]


async def test_a_redirect_to_a_name_that_leads_inside_is_not_followed(world):
    world.answers["/p.png"] = leads(f"https://inner.{HOST}/")
    for address in INNER:
        world.names[f"inner.{HOST}"] = [address]
        world.connected.clear()
        assert await refusal(world) == NO_WAY
        assert world.connected == [(PUBLIC, 443)], address


async def test_a_name_that_turns_inside_between_two_requests_is_caught(world):
    world.names[HOST] = [[PUBLIC], ["127.0.0.1"]]
    world.answers["/p.png"] = leads("/again")
    assert await refusal(world) == NO_WAY
    assert world.connected == [(PUBLIC, 443)]


async def test_redirects_end(world):
    world.answers |= {f"/{n}": leads(f"/{n + 1}") for n in range(REDIRECTS)} | {
        f"/{REDIRECTS}": answer(PNG),
        "/loop": leads("/loop"),
    }
    assert (await world.fetcher().fetch(f"https://{HOST}/0")).data == PNG
    world.connected.clear()
    assert await refusal(world, f"https://{HOST}/loop") == ASTRAY
    assert len(world.connected) == REDIRECTS + 1


# ---------------------------------------------------------------- what answers say


@pytest.mark.parametrize(
    "said",
    [
        answer(b"no", "404 Not Found"),
        answer(PNG, "206 Partial Content"),
        answer(PNG, "500 Oops"),
        answer(b"", "204 No Content", content_length=None),
        answer(b"", "304 Not Modified", content_length=None),
        answer(b"", "302 Found"),
        answer(b""),
        answer(b"", content_length=None),
        answer(b"<html></html>", content_type="text/html; charset=utf-8"),
        answer(b"<svg/>", content_type="TEXT/XML"),
        answer(gzip.compress(PNG), content_encoding="gzip"),
        answer(PNG, content_encoding="br"),
        answer(gzip.compress(gzip.compress(bytes(10_000_000))), content_encoding="gzip, gzip"),
    ],
    ids=["404", "206", "500", "204", "304", "nowhere", "empty", "closed", "page", "xml", "gzip", "br", "bomb"],
)
async def test_an_answer_without_a_plain_body_is_no_picture(world, said):
    assert await refused_body(world, said) == NO_PICTURE


async def test_a_page_that_is_called_a_picture_comes_as_its_bytes(world):
    """What it is, the decoder says: see the service's tests."""
    world.answers["/p.png"] = answer(b"<html></html>")
    assert (await world.fetcher().fetch(URL)).data == b"<html></html>"


@pytest.mark.parametrize(
    "said",
    [
        answer(PNG, content_length=str(len(PNG) + 1)),
        answer(PNG, content_length="10000000000000"),
        answer(PNG, content_length="-1"),
        answer(PNG, content_length="1, 2"),
        answer(PNG, content_length="x"),
        answer(content_length=None, transfer_encoding="chunked") + b"5\r\nabc",
        answer(content_length=None, transfer_encoding="chunked") + b"nonsense\r\n",
        answer(content_length=None, transfer_encoding="gzip, chunked") + b"0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=["longer", "huge", "negative", "two", "text", "chunk", "nonsense", "coded", "ssh", "nothing", "headers", "header"],
)
async def test_an_answer_that_lies_or_breaks_off_is_no_picture(world, said):
    assert await refused_body(world, said) == NO_WAY


async def test_more_than_was_announced_is_not_read(world):
    world.answers["/p.png"] = answer(PNG, content_length="8")
    assert (await world.fetcher().fetch(URL)).data == PNG[:8]


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(content_length=None))
    while True:
        writer.write(bytes(64 * 1024))
        await writer.drain()


async def test_an_endless_body_ends_at_25_megabytes(world):
    assert await refused_body(world, endless) == TOO_LARGE


async def test_one_byte_too_many_is_too_many(world):
    assert await refused_body(world, answer(bytes(MAX_UPLOAD_BYTES + 1))) == TOO_LARGE


def dripping(*, head: bytes) -> object:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    return drip


@pytest.mark.parametrize(
    "head", [answer(content_length="1000000"), b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + b"HTTP"]
)
async def test_what_drips_ends_at_the_deadline(world, head):
    world.answers["/p.png"] = dripping(head=head)
    assert await refusal(world, seconds=0.3) in {TOO_SLOW, NO_WAY}


async def test_a_body_that_drips_is_said_to_be_slow(world):
    world.answers["/p.png"] = dripping(head=answer(content_length="1000000"))
    assert await refusal(world, seconds=0.3) == TOO_SLOW


async def test_a_name_that_takes_for_ever_ends_at_the_deadline(world):
    asked = asyncio.Event()

    async def never(_: str) -> list[str]:
        asked.set()
        await asyncio.Event().wait()
        return []

    world.resolve = never
    assert await refusal(world, seconds=0.1) == TOO_SLOW
    assert asked.is_set()


async def test_redirects_share_one_deadline(world):
    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(leads("/p.png"))
        await writer.drain()

    world.answers["/p.png"] = slowly
    assert await refusal(world, seconds=0.5) == TOO_SLOW


# ---------------------------------------------------------------- what is left behind


async def test_the_log_has_the_host_and_no_path(world):
    world.answers["/p.png?token=SECRET"] = answer(b"", "403 No")
    with structlog.testing.capture_logs() as logs:
        await refusal(world, f"https://{HOST}/p.png?token=SECRET")
        await refusal(world, "https://user:SECRET@pictures.example/")
        await refusal(world, "https://SECRET℀.example/")
    assert [entry.get("host") for entry in logs] == [HOST, None, None]
    assert "SECRET" not in str(logs)


async def test_few_are_fetched_at_a_time(world):
    waiting, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def hold(writer: asyncio.StreamWriter) -> None:
        waiting.release()
        await go_on.wait()
        writer.write(answer(PNG))
        await writer.drain()

    world.answers["/p.png"] = hold
    fetcher = world.fetcher()
    fetches = [asyncio.create_task(fetcher.fetch(URL)) for _ in range(remote_fetch.AT_ONCE + 3)]
    for _ in range(remote_fetch.AT_ONCE):
        await waiting.acquire()
    assert len(world.connected) == remote_fetch.AT_ONCE
    go_on.set()
    assert {fetched.data for fetched in await asyncio.gather(*fetches)} == {PNG}
