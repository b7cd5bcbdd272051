"""Accounts: everything that is kept of the caller, to have and to delete."""

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.scalars import JSON
from mina_gql.api.graphql.user_errors import UserError, answered


@strawberry.type
class ExportPayload:
    """Everything of the caller's Pass, or why not."""

    data: JSON | None = strawberry.field(
        default=None,
        description=(
            "`exportedAt`, `profile`, `preferences`, `credits { balance expiresAt transactions }`, `sessions`, `generations`, "
            "`events`, `feedback`; lists newest first. `truncated` names what was too long for one document; `me` has it."
        ),
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class DeleteAccountPayload:
    """Whether the account is gone, or why not."""

    deleted: bool = False
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class AccountMutations:
    """Mutations of accounts."""

    @strawberry.mutation
    async def export_my_data(self, info: Info) -> ExportPayload | None:
        """Everything that is kept of the caller, as one JSON document. Twice a minute at most."""
        context = info.context

        async def export() -> ExportPayload:
            runtime = await context.services.config.runtime()
            who = context.caller.pass_id or context.caller.address
            await context.services.rates.hit("export", who, runtime.per_minute("export"))
            return ExportPayload(data=JSON(await context.services.accounts.export(context.caller)))

        return await answered(ExportPayload, export)

    @strawberry.mutation
    async def delete_my_account(self, info: Info, confirm: str) -> DeleteAccountPayload | None:
        """Delete the caller's account for good: pictures, texts, e-mail, matcha. `confirm` is the word DELETE.

        What is unfinished is cancelled. The Pass proves nothing any more; a later login begins a new one.
        """

        async def delete() -> DeleteAccountPayload:
            await info.context.services.accounts.delete(info.context.caller, confirm)
            return DeleteAccountPayload(deleted=True)

        return await answered(DeleteAccountPayload, delete)
