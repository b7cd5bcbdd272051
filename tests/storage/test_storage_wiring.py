"""Promises of `bootstrap` and the app about stores: which one it is, and what each has around it."""

from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from starlette.applications import Starlette

from mina_gql import asgi, bootstrap
from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.adapters.storage_r2 import R2Store
from mina_gql.settings import Settings
from tests.storage.keys import KEY

R2 = {
    "r2_endpoint_url": "https://account.r2.cloudflarestorage.com",
    "r2_bucket": "mina",
    "r2_access_key_id": "id",
    "r2_secret_access_key": "secret",
    "r2_public_url": "https://pictures.studio.example",
}


class NoCookie:
    """Nobody has signed in."""

    async def visitor(self, _: object) -> None:
        return None


DATABASE = {"database_url": "postgresql://mina@127.0.0.1/mina", "secret_key": "s" * 32}
APP = {"public_url": "https://api.studio.example"}


def settings_of(home: Path, **given: str) -> Settings:
    return Settings(_env_file=None, home=home, **{**APP, **given})


@pytest.mark.parametrize("mode", [{}, DATABASE], ids=["embedded", "own database"])
async def test_a_bucket_where_one_is_set_up_and_the_disk_otherwise(tmp_path: Path, mode: dict[str, str]):
    """In every mode."""
    async with bootstrap.store_of(settings_of(tmp_path, **mode), b"s" * 32) as store:
        assert isinstance(store, DiskStore)
        assert store.public_url(KEY) == f"https://api.studio.example/assets/{KEY}"
    async with bootstrap.store_of(settings_of(tmp_path, **mode, **R2), b"s" * 32) as store:
        assert isinstance(store, R2Store)
        assert store.public_url(KEY) == f"https://pictures.studio.example/{KEY}"
        assert store.download_url(KEY, "a.png") == f"https://api.studio.example/downloads/{KEY}?name=a.png"
        signed = await store.sign_upload(KEY, "image/png", 5)
        assert signed.url.startswith(f"https://account.r2.cloudflarestorage.com/mina/staging/{KEY}?")


@pytest.mark.parametrize(("store", "may_send_to"), [({}, ""), (R2, " https://account.r2.cloudflarestorage.com:443")])
async def test_graphiql_may_send_pictures_to_the_store(tmp_path: Path, store: dict[str, str], may_send_to: str):
    """E1: its policy lets the page connect to us, and to the bucket where there is one."""
    mina = SimpleNamespace(settings=settings_of(tmp_path, **store), admin_cookie=NoCookie())
    app = Starlette(routes=asgi._ide(mina))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as browser:
        page = await browser.get("/graphql", headers={"Accept": "text/html"})
    policy = [rule.strip() for rule in page.headers["content-security-policy"].split(";")]
    assert f"connect-src 'self' ws: wss:{may_send_to}" in policy
