"""Which adapter fills which role: from the registry's vendor, the keys at hand and the offline models (DESIGN section 9)."""

from collections.abc import Mapping
from typing import NoReturn

from mina_gql.domain.config import Role
from mina_gql.domain.errors import ProviderNotConfigured
from mina_gql.domain.ports import MediaModel, Moderator, Vision, Writer


class ModelVendor:
    """What one vendor can do, as adapters for a role of the registry. A vendor overrides what it offers.

    A new vendor is one file with such a class, one line in `bootstrap.shelf`, and its name as `vendor` in the registry.
    """

    def vision(self, role: Role) -> Vision:
        """Who describes pictures. Raises ProviderNotConfigured."""
        _refuse(role)

    def writer(self, role: Role) -> Writer:
        """Who writes prompts. Raises ProviderNotConfigured."""
        _refuse(role)

    def media(self, role: Role) -> MediaModel:
        """Who makes stills or clips. Raises ProviderNotConfigured."""
        _refuse(role)

    def moderator(self, role: Role) -> Moderator | None:  # noqa: ARG002 -- a vendor without moderation has none for any role
        """Who says what must not be made; None where nobody does."""
        return None

    async def check(self) -> str:
        """One line for `mina doctor`: that the key is taken. Raises VendorRefused with what to change."""
        return "ready"

    async def close(self) -> None:
        """Give the connections back."""


class VendorRefused(Exception):
    """The vendor does not take what it is given; the message names the setting and says what to do."""


class ModelShelf:
    """`domain.ports.Models`: vendors by their name in the registry; `offline` stands in for those without a key."""

    def __init__(self, vendors: Mapping[str, ModelVendor] | None = None, offline: ModelVendor | None = None) -> None:
        self._vendors = dict(vendors or {})
        self._offline = offline

    @property
    def vendors(self) -> Mapping[str, ModelVendor]:
        """The vendors that have a key."""
        return self._vendors

    def vision(self, role: Role) -> Vision:
        """Who describes pictures. Raises ProviderNotConfigured."""
        return self._vendor(role).vision(role)

    def writer(self, role: Role) -> Writer:
        """Who writes prompts. Raises ProviderNotConfigured."""
        return self._vendor(role).writer(role)

    def media(self, role: Role) -> MediaModel:
        """Who makes stills or clips. Raises ProviderNotConfigured."""
        return self._vendor(role).media(role)

    def moderator(self, role: Role) -> Moderator | None:
        """Who says what must not be made; None where nobody does."""
        vendor = self._vendors.get(role.vendor)
        return vendor.moderator(role) if vendor else None

    async def close(self) -> None:
        """Give the vendors' connections back."""
        for vendor in self._vendors.values():
            await vendor.close()

    def _vendor(self, role: Role) -> ModelVendor:
        vendor = self._vendors.get(role.vendor, self._offline)
        if vendor is None:
            _refuse(role)
        return vendor


_TASKS = {"vision": "looking at pictures", "writer": "writing", "still": "making stills", "video": "making clips"}


def _refuse(role: Role) -> NoReturn:
    raise ProviderNotConfigured(
        f"No model for {_TASKS.get(role.name, role.name)} is set up here. Tell the people who run this server."
    )
