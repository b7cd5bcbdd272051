"""Matcha by REST: `GET /credits/balance`."""

from mina_gql.api.rest.passes import moment
from mina_gql.api.rest.table import Call, Moment, Nothing, Operation, Tells


class Balance(Tells):
    """Matcha at hand (seed 003, 3.1); what has expired counts 0."""

    credits: int
    expires_at: Moment | None


async def balance(call: Call[Nothing]) -> Balance:
    """The balance as of now."""
    return Balance(credits=call.own.balance, expires_at=moment(call.own.expires_at))


OPERATIONS = (Operation("GET", "/credits/balance", "How much matcha there is.", Nothing, balance, {200: Balance}),)
