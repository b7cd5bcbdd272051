"""The models at hand, by the keys that are set."""

from mina_gql.adapters.ai.offline import OfflineVendor
from mina_gql.adapters.ai.openai import OpenAIVendor
from mina_gql.adapters.ai.registry import ModelShelf, ModelVendor
from mina_gql.adapters.progress import PostgresProgress
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.api.replicate_webhook import REPLICATE_PATH
from mina_gql.bootstrap.secrets import text
from mina_gql.domain.assets import is_reachable
from mina_gql.domain.ports import ProgressBus
from mina_gql.settings import Settings


def shelf(settings: Settings, bus: ProgressBus | None = None, sandbox: Sandbox | None = None) -> ModelShelf:
    """The models at hand: those with a key, and the offline ones for the rest where they are allowed.

    Without a bus they can be looked at and asked, and no webhook wakes them; without a sandbox they get one of their own.
    """
    offline = settings.embedded if settings.offline_vendors is None else settings.offline_vendors
    vendors: dict[str, ModelVendor] = {}
    if settings.openai_api_key is not None:
        vendors["openai"] = OpenAIVendor(text(settings.openai_api_key), sandbox or Sandbox(), settings.openai_base_url)
    if settings.replicate_api_token is not None:
        vendors["replicate"] = _replicate(settings, bus or PostgresProgress(dsn=""), sandbox)
    return ModelShelf(vendors, OfflineVendor() if offline else None)


def _replicate(settings: Settings, bus: ProgressBus, sandbox: Sandbox | None) -> ModelVendor:
    # Most of a second of a start that nobody without a token need pay for.
    from mina_gql.adapters.ai.replicate import ReplicateVendor  # noqa: PLC0415 -- as the line above says

    is_told = settings.replicate_webhook_secret is not None and settings.public_url.startswith("https://")
    files = settings.r2_public_url if settings.stores_in_r2 else settings.base_url
    return ReplicateVendor(
        text(settings.replicate_api_token),
        bus,
        sandbox,
        base_url=settings.replicate_base_url,
        webhook=f"{settings.public_url}{REPLICATE_PATH}" if is_told else None,
        inline=not is_reachable(files),
    )
