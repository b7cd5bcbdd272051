"""`userErrors`: refusals that belong to the request's content; the payload's own object is then null."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Protocol, TypeVar

import strawberry
from graphql import GraphQLAbstractType, GraphQLResolveInfo

from mina_gql.domain import errors
from mina_gql.domain.errors import Refusal


@strawberry.enum
class UserErrorCode(Enum):
    """Why a request was refused."""

    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    INSUFFICIENT_MATCHA = "INSUFFICIENT_MATCHA"
    IMAGE_REQUIRED = "IMAGE_REQUIRED"
    ASSET_NOT_OURS = "ASSET_NOT_OURS"
    ASSET_REJECTED = "ASSET_REJECTED"
    REMOTE_FETCH_REFUSED = "REMOTE_FETCH_REFUSED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    NOT_CANCELLABLE = "NOT_CANCELLABLE"
    VIDEO_TWEAK_DISABLED = "VIDEO_TWEAK_DISABLED"
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    VERIFICATION_REQUIRED = "VERIFICATION_REQUIRED"
    PROVIDER_NOT_CONFIGURED = "PROVIDER_NOT_CONFIGURED"
    CONFLICT = "CONFLICT"


@strawberry.interface(
    description=(
        "A refusal that belongs to the request's content; the payload's own object is then null. Faults of the request itself "
        "(syntax, no identity, limits) and of the server are top-level errors with `extensions.code` and `extensions.requestId`."
    )
)
class UserError:
    """What went wrong, and where."""

    code: UserErrorCode
    message: str
    field: list[str] = strawberry.field(description="Path into the input, outermost first.")

    @classmethod
    def resolve_type(cls, value: Any, info: GraphQLResolveInfo[Any], kind: GraphQLAbstractType) -> str:  # noqa: ARG003
        """The GraphQL type of a refusal."""
        return type(value).__name__


@strawberry.type
class InvalidInput(UserError):
    """A refusal without further facts."""


@strawberry.type
class InsufficientMatcha(UserError):
    """Too little matcha for the action."""

    required: int
    balance: int
    checkout_url: str | None


class _Payload(Protocol):
    def __init__(self, *, user_errors: list[UserError]) -> None: ...


Payload = TypeVar("Payload", bound=_Payload)


async def answered(payload: type[Payload], work: Callable[[], Awaitable[Payload]]) -> Payload:
    """The work's payload, or one with the refusal that it raised."""
    try:
        return await work()
    except Refusal as refusal:
        return payload(user_errors=[_user_error(refusal)])


def _user_error(refusal: Refusal) -> UserError:
    code = UserErrorCode(refusal.code)
    if isinstance(refusal, errors.InsufficientMatcha):
        return InsufficientMatcha(
            code=code,
            message=refusal.message,
            field=refusal.field,
            required=refusal.required,
            balance=refusal.balance,
            checkout_url=refusal.checkout_url,
        )
    return InvalidInput(code=code, message=refusal.message, field=refusal.field)
