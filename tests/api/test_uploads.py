"""Promises of the disk store's routes: what a browser is answered, and how public files are served."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette

from mina_gql.api.uploads import asset_routes, routes
from mina_gql.domain.errors import AssetRejected, Forbidden

FILE = bytes(range(256))
MEGABYTE = 1024 * 1024


class Receiver:
    """Takes all but what is refused on purpose; has one public file of each type."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.taken: list[tuple[str, str, int | None, int]] = []
        for suffix in ("jpg", "png", "webp", "mp4"):
            (root / f"a.{suffix}").write_bytes(FILE)

    async def accept_upload(self, token: str, content_type: str, length: int | None, body: AsyncIterator[bytes]) -> None:
        if token == "expired":
            raise Forbidden("This upload address has expired.")
        if content_type != "image/png":
            raise AssetRejected("This upload is for image/png.")
        size = 0
        async for chunk in body:
            size += len(chunk)
        self.taken.append((token, content_type, length, size))

    def path_of(self, key: str) -> Path | None:
        path = self.root / key.removeprefix("generations/")
        return path if key.startswith("generations/") and path.is_file() else None


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path)


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])

    @property
    def error(self) -> tuple[str, str]:
        answer = orjson.loads(self.body)
        assert answer["ok"] is False
        return answer["error"]["code"], answer["error"]["message"]


async def ask(
    receiver: Receiver, method: str, path: str, body: Iterable[bytes | None] = (), query: str = "", **headers: str
) -> Answer:
    """One request over ASGI, its body in chunks that are made as they are asked for; None in `body` hangs up."""
    chunks = iter(body)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        chunk = next(chunks, b"")
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    await Starlette(routes=[*routes(receiver), *asset_routes(receiver)])(scope, receive, send)
    return Answer(sent)


async def test_upload_is_taken(receiver: Receiver):
    answer = await ask(receiver, "PUT", "/uploads/t.o-k", [b"one", b"two"], content_type="image/png", content_length="6")
    assert (answer.status, answer.body) == (204, b"")
    assert receiver.taken == [("t.o-k", "image/png", 6, 6)]


async def test_upload_of_unknown_length_is_taken(receiver: Receiver):
    assert (await ask(receiver, "PUT", "/uploads/token", [b"one"], content_type="image/png")).status == 204
    assert receiver.taken == [("token", "image/png", None, 3)]


async def test_bad_token_is_forbidden_and_bad_bytes_are_a_bad_request(receiver: Receiver):
    answer = await ask(receiver, "PUT", "/uploads/expired", [b"one"], content_type="image/png")
    assert (answer.status, answer.error) == (403, ("FORBIDDEN", "This upload address has expired."))
    answer = await ask(receiver, "PUT", "/uploads/token", [b"one"])
    assert (answer.status, answer.error) == (400, ("ASSET_REJECTED", "This upload is for image/png."))


@pytest.mark.parametrize("announced", [25 * MEGABYTE + 1, "9" * 5000])
async def test_too_large_an_upload_is_refused_before_it_is_read(receiver: Receiver, announced: object):
    def never() -> Iterable[bytes]:
        pytest.fail("the body was read")
        yield b""

    answer = await ask(receiver, "PUT", "/uploads/token", never(), content_type="image/png", content_length=str(announced))
    assert (answer.status, answer.error) == (413, ("LIMIT_EXCEEDED", "A picture has at most 25 MB."))


async def test_reading_stops_at_25_megabytes(receiver: Receiver):
    read = 0

    def endless() -> Iterable[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(MEGABYTE)

    answer = await ask(receiver, "PUT", "/uploads/token", endless(), content_type="image/png")
    assert (answer.status, read) == (413, 26)
    assert receiver.taken == []


async def test_25_megabytes_are_taken(receiver: Receiver):
    body = [bytes(MEGABYTE)] * 25
    answer = await ask(receiver, "PUT", "/uploads/token", body, content_type="image/png", content_length=str(25 * MEGABYTE))
    assert answer.status == 204


@pytest.mark.parametrize("announced", ["-1", "six", "+6", "²"])
async def test_length_that_is_no_number_is_a_bad_request(receiver: Receiver, announced: str):
    answer = await ask(receiver, "PUT", "/uploads/token", content_type="image/png", content_length=announced)
    assert (answer.status, answer.error[0]) == (400, "INVALID_INPUT")


async def test_client_that_hangs_up_is_no_error_of_ours(receiver: Receiver):
    await ask(receiver, "PUT", "/uploads/token", [b"one", None], content_type="image/png")
    assert receiver.taken == []


@pytest.mark.parametrize(
    ("suffix", "content_type"), [("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp"), ("mp4", "video/mp4")]
)
async def test_file_is_served_as_what_it_is_and_nothing_else(receiver: Receiver, suffix: str, content_type: str):
    answer = await ask(receiver, "GET", f"/assets/generations/a.{suffix}")
    assert (answer.status, answer.body) == (200, FILE)
    assert answer.headers["content-type"] == content_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    policy = [rule.strip() for rule in answer.headers["content-security-policy"].split(";")]
    assert {"default-src 'none'", "sandbox"} <= set(policy)
    assert "content-disposition" not in answer.headers


async def test_head_tells_the_size_without_the_bytes(receiver: Receiver):
    answer = await ask(receiver, "HEAD", "/assets/generations/a.png")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "256")


async def test_part_of_a_clip_is_served(receiver: Receiver):
    answer = await ask(receiver, "GET", "/assets/generations/a.mp4", range="bytes=10-19")
    assert (answer.status, answer.body) == (206, FILE[10:20])
    assert answer.headers["content-range"] == "bytes 10-19/256"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("still.png", "still.png"),
        ("R%C3%A9sum%C3%A9%20%221%22.png", "R%C3%A9sum%C3%A9%20_1_.png"),
        ("..%2F..%2Fetc%2Fpasswd", "_.._etc_passwd"),
        ("a%0D%0AX-Evil:%201", "a__X-Evil_%201"),
        ("", "a.png"),
        ("...", "download"),
        ("x" * 300, "x" * 255),
    ],
)
async def test_download_is_an_attachment_with_a_tame_name(receiver: Receiver, asked: str, name: str):
    answer = await ask(receiver, "GET", "/assets/generations/a.png", query=f"download={asked}")
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert answer.body == FILE


@pytest.mark.parametrize("key", ["generations/b.png", "secret", "", "../a.png"])
async def test_anything_else_is_not_found(receiver: Receiver, key: str):
    answer = await ask(receiver, "GET", f"/assets/{key}")
    assert (answer.status, answer.error) == (404, ("NOT_FOUND", "There is no such file."))


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/uploads/t"), ("GET", "/uploads/t"), ("PUT", "/assets/generations/a.png")]
)
async def test_other_methods_are_not_allowed(receiver: Receiver, method: str, path: str):
    assert (await ask(receiver, method, path)).status == 405
