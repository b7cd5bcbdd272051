"""The tour in a real browser, on the real embedded server, as a newcomer walks through it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.journeys.server import Server
from tests.journeys.visitor import COFFEE

CHROMIUM = shutil.which("chromium")  # the system's where there is one, else the one playwright installed
STILL_MS = 60_000

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window."""
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        await chromium.close()


@asynccontextmanager
async def opened(browser: Browser, origin: str) -> AsyncIterator[Page]:
    """The page; at the end it must have asked no other host for anything, and have complained of nothing."""
    faults: list[str] = []
    asked: set[str] = set()
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    page.on("websocket", lambda socket: asked.add(socket.url.replace("ws:", "http:")))
    await page.goto(f"{origin}/graphql")
    await expect(page.get_by_role("tab", name="StartHere")).to_be_visible()
    yield page
    await context.close()
    assert faults == []
    assert {url for url in asked if not url.startswith((origin, "data:", "blob:"))} == set()


async def run(page: Page, tab: str) -> Locator:
    """Open a tab of the tour and press play; gives where the answer is shown."""
    await page.get_by_title(tab, exact=True).click()
    await page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()
    return page.locator(".result-window .CodeMirror-code")


async def answered(page: Page, tab: str) -> str:
    """The whole answer of a tab, also what does not fit the window."""
    await expect(await run(page, tab)).to_contain_text('"data"')
    text: str = await page.evaluate("document.querySelector('.result-window .CodeMirror').CodeMirror.getValue()")
    return text


async def thumbnail_is_drawn(page: Page) -> None:
    """The first picture in the bar has loaded, and stands on the screen."""
    picture = page.locator("#pictures img").first
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("complete", True)
    assert await picture.evaluate("picture => picture.naturalWidth") > 0


async def test_the_tour_leads_from_nothing_to_a_still(studio: Server, browser: Browser) -> None:
    """P10 and the newcomer's promise: play is pressed in tab after tab, nothing is typed, and there is a picture in the bar."""
    async with opened(browser, studio.origin) as page:
        await expect(page.locator("#pass")).to_have_text("no Pass yet")
        await expect(await run(page, "StartHere")).to_contain_text("pass:anon:")
        await expect(page.locator("#matcha")).to_have_text("10 matcha")

        await expect(await run(page, "Create")).to_contain_text('"status": "QUEUED"')
        await expect(page.locator("#matcha")).to_have_text("9 matcha")

        watched = await run(page, "Watch")
        await expect(watched).to_contain_text("GenerationCompleted", timeout=STILL_MS)
        await expect(watched).to_contain_text("seq")
        await expect(page.locator("#line")).not_to_be_empty()
        await thumbnail_is_drawn(page)

        assert '"status": "DONE"' in await answered(page, "See")
        assert '"totalCount": 1' in await answered(page, "Archive")
        matcha = await answered(page, "Matcha")
        assert '"reason": "charge"' in matcha
        assert '"reason": "grant"' in matcha


async def test_a_picture_goes_from_the_bar_into_the_next_still(studio: Server, browser: Browser) -> None:
    """E1 in a browser: the button uploads, shows it, and puts it into Create; a Pass is made on the way."""
    async with opened(browser, studio.origin) as page:
        await page.locator("#file").set_input_files({"name": "coffee.jpg", "mimeType": "image/jpeg", "buffer": COFFEE})
        await page.get_by_role("button", name="Use in Create").click()
        await expect(page.locator("#matcha")).to_have_text("10 matcha")
        await thumbnail_is_drawn(page)
        await page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()
        await expect(page.locator("#matcha")).to_have_text("9 matcha")
        await expect(await run(page, "Watch")).to_contain_text("GenerationCompleted", timeout=STILL_MS)
        assert '"stepType": "scan_product"' in await answered(page, "See")
