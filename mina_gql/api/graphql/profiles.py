"""Profiles: what a person says of themselves."""

from dataclasses import fields
from typing import cast

import strawberry
from strawberry import UNSET

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.passes import PassPayload
from mina_gql.api.graphql.scalars import JSON
from mina_gql.api.graphql.user_errors import answered
from mina_gql.domain.profiles import ProfileChanges


@strawberry.input
class UpdateProfileInput:
    """What is left out stays as it is; null clears it, where it can be cleared."""

    display_name: str | None = UNSET
    first_name: str | None = UNSET
    last_name: str | None = UNSET
    locale: str | None = strawberry.field(default=UNSET, description="A BCP 47 language tag, such as en-AE.")
    timezone: str | None = strawberry.field(default=UNSET, description="An IANA name, such as Asia/Dubai.")
    marketing_opt_in: bool | None = UNSET
    product_updates_opt_in: bool | None = UNSET
    auto_topup_enabled: bool | None = UNSET
    auto_topup_monthly_limit_packs: int | None = strawberry.field(default=UNSET, description="1 to 1,000; null for none.")
    topup_default_packs: int | None = strawberry.field(default=UNSET, description="1 to 100.")
    settings: JSON | None = strawberry.field(
        default=UNSET, description="Preferred settings per provider: they stand between its defaults and those of an order."
    )

    def changes(self) -> ProfileChanges:
        """What was said, null included."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return cast("ProfileChanges", {name: value for name, value in said.items() if value is not UNSET})


@strawberry.type
class ProfileMutations:
    """Mutations of profiles."""

    @strawberry.mutation
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> PassPayload | None:
        """Write what a person says of themselves, all of it or nothing."""

        async def update() -> PassPayload:
            return PassPayload(pass_=shown(await info.context.services.profiles.update(info.context.caller, input.changes())))

        return await answered(PassPayload, update)
