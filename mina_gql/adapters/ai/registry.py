"""Which adapter fills which role: from the keys at hand and the offline vendors (DESIGN section 9)."""

from collections.abc import Mapping

from mina_gql.domain.errors import ProviderNotConfigured
from mina_gql.domain.ports import StillModel, Vision, Writer


class ModelShelf:
    """`domain.ports.Models`: one adapter a role, or none.

    `stills` maps a provider's name in the registry to its adapter; `any_still` stands in for every provider (the offline one).
    """

    def __init__(
        self,
        vision: Vision | None = None,
        writer: Writer | None = None,
        stills: Mapping[str, StillModel] | None = None,
        any_still: StillModel | None = None,
    ) -> None:
        self._vision = vision
        self._writer = writer
        self._stills = dict(stills or {})
        self._any_still = any_still

    def require(self, provider: str) -> None:
        """Check that every role a still needs is filled. Raises ProviderNotConfigured."""
        self.vision()
        self.writer()
        self.still(provider)

    def vision(self) -> Vision:
        """Who describes pictures. Raises ProviderNotConfigured."""
        if self._vision is None:
            raise ProviderNotConfigured("No model for looking at pictures is set up here. Tell the people who run this server.")
        return self._vision

    def writer(self) -> Writer:
        """Who writes prompts. Raises ProviderNotConfigured."""
        if self._writer is None:
            raise ProviderNotConfigured("No model for writing is set up here. Tell the people who run this server.")
        return self._writer

    def still(self, provider: str) -> StillModel:
        """Who makes stills for a provider of the registry. Raises ProviderNotConfigured."""
        model = self._stills.get(provider, self._any_still)
        if model is None:
            raise ProviderNotConfigured(f"“{provider}” is not set up here. Tell the people who run this server.")
        return model

    def lines(self) -> list[str]:
        """What `mina doctor` says of the roles."""
        roles = {
            "captions": self._vision,
            "prompts": self._writer,
            "stills": self._any_still or next(iter(self._stills.values()), None),
        }
        return [f"{role}: {f'{model.name} ({model.model})' if model else 'not configured'}" for role, model in roles.items()]
