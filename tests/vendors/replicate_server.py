"""A Replicate of our own, after the published wire format, with accidents to order.

In a test: `async with running(Replicate()) as vendor`. As a process: `python -m tests.vendors.replicate_server --port 9100`; then
`POST /_fake/set {"hold": true, "creates": [{"status": 500, "made": true}]}` sets any field of `Replicate` that can be written in
JSON, `POST /_fake/release` ends what is held, and `GET /_fake` tells what happened.

https://replicate.com/docs/reference/http, …/docs/topics/predictions/lifecycle, …/docs/topics/webhooks/verify-webhook
"""

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from io import BytesIO
from typing import Any
from uuid import uuid4

import aiohttp
import av
import orjson
from aiohttp import web
from jsonschema import Draft202012Validator
from PIL import Image
from standardwebhooks import Webhook

TOKEN = "r8_a-token-for-tests-only"
WEBHOOK_SECRET = "whsec_YS1zZWNyZXQtZm9yLXRlc3RzLW9ubHktMzItYnl0ZXM="
SIGNED = "X-Amz-Signature=5161&Signature=6171"
"""What temporary addresses carry, and what must never be stored."""
FINAL = {"succeeded", "failed", "canceled", "aborted"}

_URI = {"type": "string", "pattern": "^(https?://|data:)"}
_TEXT = {"type": "string", "minLength": 1}
_SEEDREAM = {
    "prompt": _TEXT,
    "image_input": {"type": "array", "items": _URI, "maxItems": 10},
    "size": {"enum": ["1K", "2K", "4K", "custom"]},
    "aspect_ratio": {"enum": ["match_input_image", "1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"]},
    "width": {"type": "integer"},
    "height": {"type": "integer"},
    "sequential_image_generation": {"enum": ["disabled", "auto"]},
    "max_images": {"type": "integer", "minimum": 1, "maximum": 15},
}
_KLING = {
    "prompt": {**_TEXT, "maxLength": 2500},
    "negative_prompt": {"type": "string"},
    "start_image": _URI,
    "end_image": _URI,
    "duration": {"enum": [5, 10]},
}
MODELS: Mapping[str, dict[str, Any]] = {
    "bytedance/seedream-4": {"required": ["prompt"], "properties": {**_SEEDREAM, "enhance_prompt": {"type": "boolean"}}},
    "bytedance/seedream-4.5": {
        "required": ["prompt"],
        "properties": {
            **_SEEDREAM,
            "image_input": {"type": "array", "items": _URI, "maxItems": 14},
            "size": {"enum": ["2K", "4K", "custom"]},
            "disable_safety_checker": {"type": "boolean"},
        },
    },
    "kwaivgi/kling-v2.1": {
        "required": ["prompt", "start_image"],
        "properties": {**_KLING, "mode": {"enum": ["standard", "pro"]}},
        # A last frame takes mode `pro`.
        "if": {"required": ["end_image"]},
        "then": {"required": ["mode"], "properties": {"mode": {"const": "pro"}}},
    },
    "kwaivgi/kling-v2.5-turbo-pro": {
        "required": ["prompt"],
        "properties": {**_KLING, "aspect_ratio": {"enum": ["16:9", "9:16", "1:1"]}, "guidance_scale": {"type": "number"}},
    },
}
"""The published input schemas (https://replicate.com/<model>/api). Unlike the vendor, what is not in them is refused here."""


@dataclass
class Accident:
    """What goes wrong with one request.

    `made`: it is carried out all the same. `cut`: half the answer's text. `hang_up`: no answer at all. `slow`: the answer comes
    drop by drop, and never ends.
    """

    status: int = 0
    made: bool = False
    cut: bool = False
    hang_up: bool = False
    slow: bool = False
    retry_after: float | None = None
    in_body: bool = False
    location: str | None = None

    def __str__(self) -> str:
        told = (str(self.status or ""), *(name for name in ("made", "cut", "hang_up", "slow") if getattr(self, name)))
        return " ".join(word for word in told if word)


@dataclass
class Replicate:
    """The account. Accidents are used up one a request, in turn; the rest holds until it is changed."""

    creates: list[Accident] = field(default_factory=list)
    polls: list[Accident] = field(default_factory=list)
    lists: list[Accident] = field(default_factory=list)
    cancels: list[Accident] = field(default_factory=list)
    downloads: list[Accident] = field(default_factory=list)
    steps: list[str] = field(default_factory=lambda: ["starting", "processing", "succeeded"])
    """The status at each look; the last one stays."""
    hold: bool = False
    """Nothing ends before `release`."""
    output: Any = "list"
    """`list`, `text`, or the JSON itself; `{base}` in it is our origin."""
    error: str | None = None
    webhooks: list[str] = field(default_factory=lambda: ["completed"])
    """What is sent once a prediction has ended."""
    lists_inlined_as_urls: bool = False
    token: str = TOKEN
    clock: float = 0.0
    """Seconds that its clock is ahead of ours."""

    base: str = ""
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Every request, as `POST /v1/…`."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """What creates were asked with, carried out or not."""
    cancelled: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """What webhooks were answered with."""
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    """A prediction was looked at."""
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    """A slow answer has begun, or a hung-up one was read."""

    @property
    def created(self) -> int:
        """How many predictions will be billed."""
        return len(self.predictions)

    async def release(self) -> None:
        """Let what is held end as `steps` has it, and send its webhooks."""
        self.hold = False
        for prediction in list(self.predictions.values()):
            if prediction["status"] not in FINAL:
                prediction["_looks"] = len(self.steps)
                self._move(prediction)
            await self.send_webhooks(prediction)

    async def send_webhooks(self, prediction: Mapping[str, Any]) -> None:
        """Send what `webhooks` says about a prediction, if it asked for any."""
        if not prediction["_webhook"]:
            return
        for kind in self.webhooks:
            told = {**_shown(prediction), "status": "succeeded"}
            body, headers = signed(told, stale=kind == "stale", secret=_forged() if kind == "forged" else WEBHOOK_SECRET)
            async with (
                aiohttp.ClientSession() as session,
                session.post(prediction["_webhook"], data=body, headers=headers) as answer,
            ):
                self.answers.append(answer.status)

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=1 << 28)
        app.on_response_prepare.append(self._stamp)
        app.router.add_post("/v1/models/{owner}/{name}/predictions", self._create)
        app.router.add_post("/v1/predictions", self._create)
        app.router.add_get("/v1/predictions", self._list)
        app.router.add_get("/v1/predictions/{id}", self._get)
        app.router.add_post("/v1/predictions/{id}/cancel", self._cancel)
        app.router.add_get("/v1/account", self._account)
        app.router.add_get("/files/{id}/{name}", self._download)
        app.router.add_get("/_fake", self._report)
        app.router.add_post("/_fake/set", self._set)
        app.router.add_post("/_fake/release", self._release)
        return app

    # ------------------------------------------------------------ the published routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        body = await request.json()
        self.bodies.append(body)
        model = f"{request.match_info['owner']}/{request.match_info['name']}" if "owner" in request.match_info else "pinned/model"
        if model not in MODELS and "version" not in body:
            return _problem(404, "Not found", "The requested resource could not be found.")
        faults = [fault.message for fault in Draft202012Validator(_schema(model)).iter_errors(body["input"])]
        if faults:
            return _problem(422, "Input validation failed", f"- input: {faults[0]}")
        accident = self.creates.pop(0) if self.creates else None
        if accident is not None and not accident.made:
            return await self._mishap(request, accident, b"{}")
        return await self._answer(request, accident, self._make(model, body), status=201)

    def _make(self, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
        name = uuid4().hex[:26]
        self.predictions[name] = {
            "id": name,
            "model": model,
            "version": body.get("version", "hidden"),
            "status": "starting",
            "input": body["input"],
            "output": None,
            "error": None,
            "logs": "",
            "metrics": {},
            "created_at": self._now().isoformat().replace("+00:00", "Z"),
            "started_at": None,
            "completed_at": None,
            "data_removed": False,
            "urls": {"get": f"{self.base}/v1/predictions/{name}", "cancel": f"{self.base}/v1/predictions/{name}/cancel"},
            "_webhook": body.get("webhook"),
            "_looks": 0,
        }
        return self.predictions[name]

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock)

    async def _stamp(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(self._now(), usegmt=True)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        self.looked.set()
        prediction = self.predictions.get(request.match_info["id"])
        if self.polls:
            return await self._answer(request, self.polls.pop(0), prediction or {})
        if prediction is None:
            return _problem(404, "Not found", "Prediction not found.")
        if prediction["status"] not in FINAL:
            self._move(prediction)
        return await self._answer(request, None, prediction)

    def _move(self, prediction: dict[str, Any]) -> None:
        """One look further on its way."""
        status = self.steps[min(prediction["_looks"], len(self.steps) - 1)]
        prediction["_looks"] += 1
        if self.hold and status in FINAL:
            return
        prediction["status"] = status
        if status == "succeeded":
            prediction |= {"output": self._output(prediction), "metrics": {"predict_time": 8.25, "image_count": 1}}
        if status in {"failed", "canceled", "aborted"}:
            prediction["error"] = self.error

    def _output(self, prediction: Mapping[str, Any]) -> Any:
        name = "out.mp4" if "kling" in prediction["model"] else "out.png"
        url = f"{self.base}/files/{prediction['id']}/{name}?{SIGNED}"
        shapes = {"list": [url], "text": url}
        if isinstance(self.output, str) and self.output in shapes:
            return shapes[self.output]
        return orjson.loads(orjson.dumps(self.output).replace(b"{base}", self.base.encode()))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        accident = self.lists.pop(0) if self.lists else None
        newest = [_shown(each) for each in reversed(self.predictions.values())][:100]
        if self.lists_inlined_as_urls:
            newest = [{**each, "input": _uploaded(each["input"])} for each in newest]
        return await self._answer(request, accident, {"next": None, "previous": None, "results": newest})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        if self.cancels:
            return await self._mishap(request, self.cancels.pop(0), b"{}")
        prediction = self.predictions.get(request.match_info["id"])
        if prediction is None:
            return _problem(404, "Not found", "Prediction not found.")
        self.cancelled.append(prediction["id"])
        if prediction["status"] not in FINAL:
            prediction["status"] = "canceled"
        return await self._answer(request, None, prediction)

    async def _account(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request)) is not None:
            return refused
        return web.json_response({"type": "organization", "username": "mina", "name": "Mina", "github_url": None})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"GET {request.path}")
        assert "Authorization" not in request.headers  # the delivery hosts are not to know the token
        data = clip_bytes() if request.path.endswith("mp4") else still_bytes()
        if self.downloads:
            return await self._mishap(request, self.downloads.pop(0), data)
        return web.Response(body=data, content_type="video/mp4" if request.path.endswith("mp4") else "image/png")

    # ------------------------------------------------------------ answers

    def _refused(self, request: web.Request) -> web.Response | None:
        self.asked.append(f"{request.method} {request.path}")
        if request.headers.get("Authorization") == f"Bearer {self.token}":
            return None
        return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")

    async def _answer(
        self, request: web.Request, accident: Accident | None, told: Mapping[str, Any], status: int = 200
    ) -> web.StreamResponse:
        body = orjson.dumps(_shown(told))
        if accident is not None:
            return await self._mishap(request, accident, body)
        return web.Response(body=body, status=status, content_type="application/json")

    async def _mishap(self, request: web.Request, accident: Accident, body: bytes) -> web.StreamResponse:
        """The answer with its accident."""
        headers = {} if accident.location is None else {"Location": accident.location.replace("{base}", self.base)}
        if accident.hang_up:
            self.stalled.set()
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if accident.slow:
            return await self._drip(request, body)
        if accident.cut:
            return web.Response(body=body[: len(body) // 2], content_type="application/json")
        problem = {"title": "Oops", "detail": "Something went wrong.", "status": accident.status}
        if accident.retry_after is not None and accident.in_body:
            problem["retry_after"] = accident.retry_after
        elif accident.retry_after is not None:
            headers["Retry-After"] = str(accident.retry_after)
        return web.Response(
            body=orjson.dumps(problem), status=accident.status, headers=headers, content_type="application/problem+json"
        )

    async def _drip(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Half the answer, and then nothing until the caller goes."""
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        self.stalled.set()
        await asyncio.Event().wait()
        return response

    # ------------------------------------------------------------ for who plays with it

    async def _report(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "created": self.created,
                "cancelled": self.cancelled,
                "asked": self.asked,
                "statuses": {name: each["status"] for name, each in self.predictions.items()},
                "webhooks_answered": self.answers,
            }
        )

    async def _set(self, request: web.Request) -> web.Response:
        accidents = {"creates", "polls", "lists", "cancels", "downloads"}
        for name, value in (await request.json()).items():
            assert name in {each.name for each in fields(self)}, name
            setattr(self, name, [Accident(**each) for each in value] if name in accidents else value)
        return web.json_response({"ok": True})

    async def _release(self, _: web.Request) -> web.Response:
        await self.release()
        return web.json_response({"ok": True})


@asynccontextmanager
async def running(vendor: Replicate, port: int = 0) -> AsyncIterator[Replicate]:
    """The vendor, listening on 127.0.0.1 for as long as the block; `vendor.base` is its address."""
    runner = web.AppRunner(vendor.app(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    vendor.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield vendor
    finally:
        await runner.cleanup()


def signed(told: Any, *, secret: str = WEBHOOK_SECRET, stale: bool = False) -> tuple[bytes, dict[str, str]]:
    """A webhook's body and headers (https://www.standardwebhooks.com)."""
    body, name = told if isinstance(told, bytes) else orjson.dumps(told), f"msg_{uuid4().hex}"
    when = datetime.fromtimestamp(datetime.now(UTC).timestamp() - (301 if stale else 0), UTC)
    return body, {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, when, body.decode()),
    }


@cache
def still_bytes() -> bytes:
    """A still as a model may make it."""
    buffer = BytesIO()
    Image.new("RGB", (64, 48), (180, 60, 40)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def clip_bytes() -> bytes:
    """A clip of a quarter of a second."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(6):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (shade * 40, 60, 40)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _forged() -> str:
    return "whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LW9mLTMyLWJ5dGVz"


def _schema(model: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, **MODELS[model]} if model in MODELS else {}


def _shown(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if not name.startswith("_")}


def _uploaded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _uploaded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_uploaded(each) for each in value]
    return "https://replicate.delivery/uploads/1.png" if isinstance(value, str) and value.startswith("data:") else value


def _problem(status: int, title: str, detail: str) -> web.Response:
    return web.json_response({"title": title, "detail": detail, "status": status}, status=status)


async def _serve(port: int) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with running(Replicate(), port) as vendor:
        print(vendor.base, flush=True)  # noqa: T201 -- tells whoever started it where it is
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(_serve(parser.parse_args().port))
