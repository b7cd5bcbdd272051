"""The way to the shop: a cart link that credits the caller's Pass and reveals nothing of it."""

from typing import Any

from mina_gql.domain import shopify
from mina_gql.domain.errors import InvalidInput, ProviderNotConfigured
from mina_gql.domain.passes import Caller
from mina_gql.domain.shopify import MAX_QUANTITY, ShopifyPayloadError
from mina_gql.mega import buyers
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database
from mina_gql.services.config import ConfigService
from mina_gql.services.passes import required


class CheckoutService:
    """Makes cart links. `shop` is the shop's domain, empty where none is set; `secret` keys the deposit references."""

    def __init__(self, database: Database, config: ConfigService, shop: str, secret: bytes) -> None:
        self._database = database
        self._config = config
        self._shop = shop
        self._secret = secret

    async def url(self, caller: Caller, sku: str, quantity: int) -> str:
        """A link to a cart with `quantity` packs for the caller.

        Raises Unauthenticated, AccountDisabled, ProviderNotConfigured (no shop) and InvalidInput.
        """
        pass_id = required(caller)
        if not self._shop:
            raise ProviderNotConfigured("There is no shop to buy matcha from: MINA_SHOPIFY_SHOP is not set.")
        packs = await self._packs()
        if sku not in packs:
            raise InvalidInput(f"There is no such pack. On sale: {', '.join(sorted(packs)) or 'none'}.", ["sku"])
        variant = _variant(packs[sku])
        if variant is None:
            raise InvalidInput(
                f"{sku} cannot be bought by a link yet: its variantId is missing in the setting shopify.sku_map.", ["sku"]
            )
        if not 1 <= quantity <= MAX_QUANTITY:
            raise InvalidInput(f"A quantity is a whole number from 1 to {MAX_QUANTITY}.", ["quantity"])
        return await self._link(pass_id, variant, quantity)

    async def default_url(self, owner: PassRow) -> str | None:
        """A link to the smallest pack, as often as the owner likes to buy; None where nothing can be bought by a link."""
        if not self._shop:
            return None
        packs = await self._packs()
        on_sale = [(pack["matcha"], variant) for pack in packs.values() if (variant := _variant(pack)) is not None]
        if not on_sale:
            return None
        return await self._link(owner.id, min(on_sale)[1], min(max(owner.topup_default_packs, 1), MAX_QUANTITY))

    async def _packs(self) -> dict[str, Any]:
        """The packs on sale by their SKU: those of the map that give matcha."""
        skus: dict[str, Any] = (await self._config.runtime()).values["shopify.sku_map"]
        return {sku: pack for sku, pack in skus.items() if shopify.matcha_of(sku, skus)}

    async def _link(self, pass_id: str, variant: str, quantity: int) -> str:
        reference = shopify.deposit_ref(pass_id, self._secret)
        async with self._database.begin() as session:
            await buyers.keep_deposit_ref(session, pass_id, shopify.fingerprint(reference))
        return shopify.cart_url(self._shop, variant, quantity, reference)


def _variant(pack: dict[str, Any]) -> str | None:
    """The number of a pack's variant, None where it has none that could be one."""
    try:
        return shopify.resource_id(pack.get("variantId"), "variantId")
    except ShopifyPayloadError:
        return None
