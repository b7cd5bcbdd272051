"""Which settings bring Replicate in, and how it is wired: pictures by address or along, told by webhook or polled (R4)."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from mina_gql import asgi, bootstrap
from mina_gql.adapters.ai.replicate import ReplicateVendor
from mina_gql.adapters.progress import PostgresProgress
from mina_gql.api.replicate_webhook import REPLICATE_PATH
from mina_gql.domain.errors import ProviderNotConfigured
from mina_gql.settings import Settings
from tests.studio import SECRET, Studio, seeded, studio
from tests.vendors.replicate_server import WEBHOOK_SECRET, signed
from tests.vendors.replicate_studio import registry_role

__all__ = ["seeded", "studio"]

R2 = {
    "r2_endpoint_url": "https://account.r2.example",
    "r2_bucket": "mina",
    "r2_access_key_id": "key",
    "r2_secret_access_key": "secret",
}


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, database_url="postgresql://nobody", secret_key=SECRET, **values)


def wired(**values: Any) -> ReplicateVendor:
    """The vendor that these settings make."""
    vendor = bootstrap.shelf(settings(replicate_api_token="r8_x", **values)).vendors["replicate"]
    assert isinstance(vendor, ReplicateVendor)
    return vendor


def test_without_a_token_there_is_no_vendor_and_the_server_starts():
    """R4: told where a still is asked for, before anything is charged."""
    shelf = bootstrap.shelf(settings(offline_vendors=False))
    assert "replicate" not in shelf.vendors
    with pytest.raises(ProviderNotConfigured):
        shelf.media(registry_role("still"))


def test_with_a_token_it_makes_stills_and_clips():
    shelf = bootstrap.shelf(settings(replicate_api_token="r8_x"))
    assert shelf.media(registry_role("still")).name == "seedream"
    assert shelf.media(registry_role("video")).name == "kling"


@pytest.mark.parametrize(
    ("values", "webhook"),
    [
        ({"public_url": "https://mina.example"}, f"https://mina.example{REPLICATE_PATH}"),
        ({"public_url": "http://mina.example"}, None),
        ({}, None),
    ],
)
def test_the_vendor_is_told_of_a_webhook_only_where_it_can_call_and_be_checked(values, webhook):
    assert wired(replicate_webhook_secret=WEBHOOK_SECRET, **values)._orders._webhook == webhook
    assert wired(**values)._orders._webhook is None


@pytest.mark.parametrize(
    ("values", "inline"),
    [
        ({}, True),
        ({"public_url": "http://192.168.1.20:8000"}, True),
        ({"public_url": "http://studio.local"}, True),
        ({"public_url": "http://[::1]:8000"}, True),
        ({"public_url": "https://mina.example"}, False),
        ({"public_url": "https://mina.example", **R2, "r2_public_url": "http://127.0.0.1:9000"}, True),
        ({**R2, "r2_public_url": "https://files.mina.example"}, False),
    ],
)
def test_pictures_are_sent_along_only_where_their_addresses_lead_nowhere_outside(values, inline):
    assert wired(**values)._inline is inline


async def test_the_route_is_served_and_wakes_over_the_bus_of_all_processes(studio: Studio):
    """A webhook may come to another process than the one whose run waits."""
    settings = studio.mina.settings.model_copy(update={"replicate_webhook_secret": SecretStr(WEBHOOK_SECRET)})
    served = asgi.Application(settings)._routes(replace(studio.mina, settings=settings))
    app = Starlette(routes=[route for route in served if getattr(route, "path", "") == REPLICATE_PATH])
    another = PostgresProgress(studio.mina.dsn)
    await another.open()
    body, headers = signed({"id": "abc"})
    try:
        async with another.watch("prediction:abc") as wakeups:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://mina.example") as client:
                assert (await client.post(REPLICATE_PATH, content=body, headers=headers)).status_code == 200
            async with asyncio.timeout(60):
                await wakeups.wait(3600)
    finally:
        await another.close()
