"""P10 in a real browser, on a real server outside the embedded default: an admin comes in, asks, and leaves; a stranger sees a door."""

import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import jwt
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from mina_gql.adapters.supabase_jwt import sign_development_token
from tests.journeys.server import Server, external, running

TOKEN_SECRET = b"a secret for sign-in tokens, 32 bytes or more"
CHROMIUM = shutil.which("chromium")  # the system's where there is one, else the one playwright installed
ANN = "ann@studio.example"

pytestmark = pytest.mark.browser


@pytest.fixture
async def door(own_database: str, home: Path) -> AsyncIterator[Server]:
    """A server on a database of its own, where nobody is an admin before they sign in."""
    settings = external(own_database, MINA_SUPABASE_JWT_SECRET=TOKEN_SECRET.decode())
    async with running(home, "serve", "--no-worker", **settings) as server:
        yield server


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        await chromium.close()


@asynccontextmanager
async def opened(browser: Browser, door: Server) -> AsyncIterator[Page]:
    """A window; at the end it must have asked no other host for anything, and have complained of nothing but refusals."""
    faults: list[str] = []
    asked: set[str] = set()
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    page.on("websocket", lambda socket: asked.add(socket.url.replace("ws:", "http:")))
    yield page
    await context.close()
    assert [fault for fault in faults if "the server responded with a status of 40" not in fault] == []
    assert {url for url in asked if not url.startswith((door.origin, "data:", "blob:"))} == set()


def token(door: Server, *, admin: bool = True, ends_in: float | None = None) -> str:
    """A sign-in token for this server."""
    signed = sign_development_token(TOKEN_SECRET, f"{door.origin}/auth/v1", sub=str(uuid4()), email=ANN, admin=admin)
    if ends_in is None:
        return signed
    claims = jwt.decode(signed, options={"verify_signature": False})
    return jwt.encode({**claims, "exp": int(time.time() + ends_in)}, TOKEN_SECRET, algorithm="HS256")


async def sign_in(page: Page, pasted: str) -> None:
    await page.get_by_label("Access token").fill(pasted)
    await page.get_by_role("button", name="Sign in").click()


async def play(page: Page, tab: str) -> str:
    """Press play in a tab; the whole answer."""
    await page.get_by_title(tab, exact=True).click()
    await page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()
    answer = page.locator(".result-window .CodeMirror-code")
    await expect(answer).to_contain_text("data")
    text: str = await page.evaluate("document.querySelector('.result-window .CodeMirror').CodeMirror.getValue()")
    return text


async def test_an_admin_signs_in_asks_and_signs_out(door: Server, browser: Browser) -> None:
    async with opened(browser, door) as page:
        await page.goto(door.graphql)
        await expect(page).to_have_url(f"{door.origin}/admin/sign-in")
        await sign_in(page, token(door))
        await expect(page).to_have_url(door.graphql)
        await expect(page.locator("#admin")).to_have_text(f"{ANN} · admin")

        await expect(page.locator(".graphiql-editor-tool")).to_contain_text("generation:…")
        answer = await play(page, "WhatDidIChange")
        assert '"action": "admin.sign_in"' in answer
        assert ANN in answer
        assert json.loads(await play(page, "WhichVendorFails")).keys() == {"data"}

        await page.get_by_role("button", name="Sign out").click()
        await expect(page).to_have_url(f"{door.origin}/admin/sign-in")
        assert await page.context.cookies() == []
        assert await page.evaluate("sessionStorage.length + localStorage.length") == 0
        await page.go_back()
        await expect(page.get_by_label("Access token")).to_be_visible()


async def test_the_admin_s_graphiql_knows_the_schema(door: Server, browser: Browser) -> None:
    async with opened(browser, door) as page:
        await page.goto(door.graphql)
        await sign_in(page, token(door))
        await page.get_by_role("button", name="Show Documentation Explorer").click()
        await expect(page.locator(".graphiql-doc-explorer")).to_contain_text("Subscription")


async def test_a_stranger_sees_neither_graphiql_nor_the_schema(door: Server, browser: Browser) -> None:
    async with opened(browser, door) as page:
        await page.goto(door.graphql)
        await expect(page.get_by_label("Access token")).to_be_visible()
        assert await page.locator("#graphiql, script").count() == 0
        ask = """(query) => fetch("/graphql", {method: "POST", body: JSON.stringify({query}),
          headers: {"Content-Type": "application/json", "X-Mina-Admin": "1"}}).then((answer) => answer.json())"""
        await page.goto(f"{door.origin}/graphiql/leaf.svg")  # a page of ours without a policy of its own
        refused = await page.evaluate(ask, "{ __schema { types { name } } }")
        assert "data" not in refused
        assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_whoever_may_not_come_in_is_told_why(door: Server, browser: Browser) -> None:
    async with opened(browser, door) as page:
        await page.goto(door.graphql)
        for pasted, words in [
            ("a.b.c", "This sign-in does not hold"),
            (token(door, ends_in=-60), "Your sign-in has expired"),
            (token(door, admin=False), "it is not an admin"),
        ]:
            await sign_in(page, pasted)
            await expect(page.get_by_role("alert")).to_contain_text(words)
            await expect(page.get_by_label("Access token")).to_be_empty()
        await sign_in(page, token(door))
        await expect(page.locator("#admin")).to_be_visible()
