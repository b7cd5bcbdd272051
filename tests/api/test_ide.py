"""GraphiQL: our own files only, a tour that fits the schema, and a page that works in a browser."""

import asyncio
import hashlib
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from graphql import (
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_variable_values,
    parse,
    print_ast,
    validate,
)
from playwright.async_api import Browser, Page, async_playwright, expect

from mina_gql.api import ide as ide_module
from mina_gql.api.ide import tour
from tests.api import ide_stub

REPOSITORY = Path(__file__).parents[2]
SCHEMA = REPOSITORY / "schema.graphql"
VENDOR = Path(ide_module.__file__).parent / "graphiql/static/vendor"
CHROMIUM = shutil.which("chromium")  # the system's where there is one, else the one playwright installed
TABS = ["StartHere", "Upload", "Create", "Watch", "See", "Tweak", "Animate", "Taste", "Archive", "Matcha"]


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, ide_stub.Studio]]:
    """The stub on a free port of 127.0.0.1: its origin and what it remembers."""
    app = ide_stub.app()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app.state.studio.origin = origin
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="websockets-sansio", lifespan="off"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield origin, app.state.studio
        finally:
            server.should_exit = True
            await serving


# ---------------------------------------------------------------- the tour


def operations(text: str) -> list[OperationDefinitionNode]:
    return [node for node in parse(text).definitions if isinstance(node, OperationDefinitionNode)]


def test_tour_opens_in_its_order() -> None:
    assert [operations(tab["query"])[0].name.value for tab in tour()] == TABS


@pytest.mark.parametrize("tab", tour(), ids=TABS)
def test_every_operation_of_the_tour_fits_the_schema(tab: dict[str, str | None]) -> None:
    schema: GraphQLSchema = build_schema(SCHEMA.read_text())
    variables = json.loads(tab["variables"] or "{}")
    for operation in operations(tab["query"]):
        assert validate(schema, parse(print_ast(operation))) == []
        values = get_variable_values(schema, operation.variable_definitions or (), variables)
        assert not isinstance(values, list), values


# ---------------------------------------------------------------- what is served


async def test_page_is_for_browsers_only(server: tuple[str, ide_stub.Studio]) -> None:
    origin, _ = server
    query = {"query": "{ __typename }"}
    async with aiohttp.ClientSession(origin) as http:
        async with http.get("/graphql", headers={"Accept": "text/html,*/*;q=0.8"}) as page:
            assert (page.status, page.content_type) == (200, "text/html")
        async with http.get("/graphql", headers={"Accept": "application/json"}) as other:
            assert other.content_type != "text/html"
        async with http.post("/graphql", json=query, headers={"Accept": "text/html, application/json"}) as answer:
            assert (await answer.json())["data"] == {"__typename": "Query"}


async def test_page_may_not_be_framed_nor_run_foreign_code(server: tuple[str, ide_stub.Studio]) -> None:
    origin, _ = server
    async with aiohttp.ClientSession(origin) as http, http.get("/graphql", headers={"Accept": "text/html"}) as page:
        policy = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'self'"
        assert "script-src" not in policy
        assert policy["frame-ancestors"] == "'none'"
        assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_uploads_may_go_to_the_store_that_is_named() -> None:
    page_route, _ = ide_module.ide(upload_origins=["https://store.example"])
    page = await page_route.endpoint(None)
    assert "connect-src 'self' ws: wss: https://store.example;" in page.headers["Content-Security-Policy"]


async def test_files_are_kept_for_ever_by_their_hash_only(server: tuple[str, ide_stub.Studio]) -> None:
    origin, _ = server
    async with aiohttp.ClientSession(origin) as http:
        async with http.get("/graphql", headers={"Accept": "text/html"}) as page:
            addresses = re.findall(r'(?:src|href)="(/graphiql/[^"]+)"', await page.text())
        assert len(addresses) == 9
        for address in addresses:
            async with http.get(address) as file:
                assert (file.status, file.headers["X-Content-Type-Options"]) == (200, "nosniff")
                assert "immutable" in file.headers["Cache-Control"]
        async with http.get("/graphiql/mina.js", params={"v": "old"}) as file:
            assert file.headers["Cache-Control"] == "no-cache"
            etag = file.headers["ETag"]
        async with http.get("/graphiql/mina.js", headers={"If-None-Match": etag}) as unchanged:
            assert unchanged.status == 304
        async with http.get("/graphiql/../index.html") as outside:
            assert outside.status == 404


def test_vendored_files_are_those_that_vendor_md_names() -> None:
    rows = re.findall(r"^\| `(\S+)` \|.*\| `([0-9a-f]{64})` \|$", (VENDOR / "VENDOR.md").read_text(), re.MULTILINE)
    kept = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VENDOR.iterdir()}
    del kept["VENDOR.md"]
    assert dict(rows) == kept


# ---------------------------------------------------------------- in a browser


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        await chromium.close()


@asynccontextmanager
async def opened(browser: Browser, origin: str, theme: str = "light") -> AsyncIterator[Page]:
    """The page at 1280×800; at the end it must have asked no other host for anything and have logged no error."""
    faults: list[str] = []
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=theme)
    page = await context.new_page()
    page.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url) if not request.url.startswith("data:") else None)
    await page.goto(f"{origin}/graphql")
    await expect(page.get_by_role("tab", name="StartHere")).to_be_visible()
    yield page
    await context.close()
    assert faults == []
    assert {url for url in hosts if not url.startswith(origin)} == set()


async def run_tab(page: Page, name: str) -> None:
    await page.get_by_title(name, exact=True).click()
    await run(page)


async def run(page: Page) -> None:
    await page.get_by_role("button", name="Execute query (Ctrl-Enter)").click()


def response_of(page: Page):
    return page.locator(".result-window .CodeMirror-code")


@pytest.mark.browser
async def test_the_tour_runs_from_pass_to_picture(server: tuple[str, ide_stub.Studio], browser: Browser) -> None:
    origin, studio = server
    async with opened(browser, origin) as page:
        assert [text.strip() for text in await page.get_by_role("tab").all_inner_texts()] == TABS
        await expect(page.locator("#pass")).to_have_text("no Pass yet")

        await run_tab(page, "StartHere")
        await expect(response_of(page)).to_contain_text(ide_stub.PASS_ID)
        await expect(page.locator("#pass")).to_have_text("pass:anon:6f1c…7b88")
        await expect(page.locator("#matcha")).to_have_text("10 matcha")

        await run_tab(page, "Create")
        await expect(response_of(page)).to_contain_text(ide_stub.STILL_ID)
        await expect(page.locator("#matcha")).to_have_text("9 matcha")

        await run_tab(page, "Watch")
        await expect(page.locator("#line")).to_have_text("Finding the light for your cup …")
        assert studio.connection_params == {"x-mina-pass-id": ide_stub.PASS_ID}
        studio.go_on.set()
        await expect(page.locator("#pictures a")).to_have_attribute("href", f"{origin}/assets/still.svg")
        await expect(response_of(page)).to_contain_text("GenerationCompleted")
        await expect(page.locator("#line")).to_have_text("Here it is.")


@pytest.mark.browser
async def test_headers_typed_go_before_what_is_remembered(server: tuple[str, ide_stub.Studio], browser: Browser) -> None:
    origin, studio = server
    async with opened(browser, origin) as page:
        await run_tab(page, "StartHere")
        await expect(page.locator("#matcha")).to_be_visible()
        await page.get_by_title("Watch", exact=True).click()
        await page.evaluate("localStorage.setItem('mina:latest', 'generation:1')")
        await page.get_by_role("button", name="Headers").click()
        await page.locator('section[aria-label="Headers"] .graphiql-editor:not(.hidden) .CodeMirror').click()
        await page.keyboard.insert_text('{"authorization": "Bearer a.b.c", "X-Mina-Pass-Id": "pass:anon:other"}')
        await run(page)
        await expect(response_of(page)).to_contain_text("SCANNING")
        assert studio.connection_params == {"authorization": "Bearer a.b.c", "x-mina-pass-id": "pass:anon:other"}
        studio.go_on.set()


@pytest.mark.browser
async def test_an_uploaded_picture_becomes_the_product_of_create(server: tuple[str, ide_stub.Studio], browser: Browser) -> None:
    origin, studio = server
    async with opened(browser, origin) as page:
        await page.locator("#file").set_input_files({"name": "cup.jpg", "mimeType": "image/jpeg", "buffer": b"bytes"})
        await page.get_by_role("button", name="Use in Create").click()
        await expect(page.locator("#line")).to_have_text("Your picture is the product of the next still.")
        assert studio.uploaded == b"bytes"
        await run(page)
        await expect(response_of(page)).to_contain_text(ide_stub.STILL_ID)
        assert studio.created[0].assets.product_image_url == f"{origin}/assets/cup.svg"


@pytest.mark.browser
async def test_latest_without_a_generation_is_told_not_sent(server: tuple[str, ide_stub.Studio], browser: Browser) -> None:
    origin, _ = server
    async with opened(browser, origin) as page:
        await run_tab(page, "Watch")
        await expect(response_of(page)).to_contain_text("run Create first")
