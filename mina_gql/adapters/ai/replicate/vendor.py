"""Replicate as a vendor of the registry."""

from mina_gql.adapters.ai.registry import ModelVendor, VendorRefused
from mina_gql.adapters.ai.replicate.api import ReplicateApi
from mina_gql.adapters.ai.replicate.model import COMPOSERS, Pace, ReplicateModel
from mina_gql.adapters.ai.replicate.orders import SETTLE_SECONDS, Orders
from mina_gql.adapters.ai.replicate.outputs import Outputs
from mina_gql.adapters.ai.retries import VendorFault
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.config import Role
from mina_gql.domain.ports import MediaModel, ProgressBus

_REFUSALS = {
    401: "REPLICATE_API_TOKEN: the token is not taken. Copy it anew, or make a new one at https://replicate.com/account/api-tokens.",
    402: "REPLICATE_API_TOKEN: the account has no credit left. Add some at https://replicate.com/account/billing.",
    403: "REPLICATE_API_TOKEN: the token may not do this. Make one for this account at https://replicate.com/account/api-tokens.",
    404: "REPLICATE_BASE_URL: there is no such API at this address. Leave it unset, or set it without /v1 at its end.",
}


class ReplicateVendor(ModelVendor):
    """Stills and clips on one account.

    `webhook` is where the vendor tells that a prediction has ended (None: it is polled only). With `inline` pictures are sent
    along, for a store that the vendor cannot reach. `base_url` does not end in `/v1`.
    """

    def __init__(
        self,
        token: str,
        bus: ProgressBus,
        sandbox: Sandbox | None = None,
        *,
        base_url: str = "",
        webhook: str | None = None,
        inline: bool = False,
        pace: Pace | None = None,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._api = ReplicateApi(token, base_url)
        self._orders = Orders(self._api, webhook, settle_seconds)
        self._outputs = Outputs(base_url)
        self._bus = bus
        self._sandbox = sandbox
        self._pace = pace or Pace()
        self._inline = inline

    def media(self, role: Role) -> MediaModel:
        """Any still or clip model of the vendor, as the registry words it."""
        if role.name not in COMPOSERS:
            return super().media(role)
        return ReplicateModel(
            role, self._api, self._orders, self._outputs, self._bus, self._pace, self._sandbox, inline=self._inline
        )

    async def check(self) -> str:
        """Whose token it is. Raises VendorRefused."""
        try:
            return f"token of {await self._api.account()}"
        except VendorFault as fault:
            if fault.status in _REFUSALS:
                raise VendorRefused(_REFUSALS[fault.status]) from None
            raise VendorRefused(
                f"REPLICATE_API_TOKEN: cannot be tried now ({fault}). Check the network and REPLICATE_BASE_URL, then try again."
            ) from None

    async def close(self) -> None:
        """Give the connections back."""
        await self._api.close()
        await self._outputs.close()
