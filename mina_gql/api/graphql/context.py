"""The context of one operation: who speaks, the services, the loaders."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, partial
from typing import Self

import strawberry
from starlette.requests import HTTPConnection

from mina_gql.api.auth import Authenticator
from mina_gql.api.graphql.loaders import Loaders
from mina_gql.api.graphql.websocket import Admission
from mina_gql.api.services import Services
from mina_gql.domain.passes import Caller, Login
from mina_gql.mega.customers import PassRow
from mina_gql.mega.generations.steps import StepRow


class Context:
    """`info.context`. `owner` is the proven Pass as it was when the operation began."""

    def __init__(self, services: Services, caller: Caller, owner: PassRow | None) -> None:
        self.services = services
        self.caller = caller
        self.owner = owner
        self.response_headers: dict[str, str] = {}
        self.steps_ahead: dict[str, list[StepRow]] = {}  # read for a whole page, before its nodes ask one by one

    @property
    def expires_at(self) -> float | None:
        """When the caller's token ends, in seconds since 1970; None where there is none."""
        return None if self.caller.login is None else self.caller.login.expires_at

    @property
    def revoked(self) -> Callable[[], Awaitable[None]] | None:
        """Returns when the caller's admin session is ended; None for who has none."""
        return _revoked(self.services, self.caller.login)

    @cached_property
    def loaders(self) -> Loaders:
        """Made when first asked for: many operations need none."""
        return Loaders(self.services)

    def forget(self) -> None:
        """What was read before a mutation may not hold after it: the next look-up reads again."""
        self.__dict__.pop("loaders", None)

    def for_event(self) -> Self:
        """The same caller with fresh loaders, for one event of a stream."""
        return type(self)(self.services, self.caller, self.owner)


Info = strawberry.Info[Context, None]


class ContextFactory:
    """Makes contexts (`engine.ContextFactory`), and lets sockets in (`websocket.Authorise`)."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, object] | None, request_id: str) -> Context:
        """Find out who speaks. Raises Unauthenticated."""
        del request_id  # errors carry it already
        caller, owner = await self._authenticator.caller(connection, params)
        return Context(self._services, caller, owner)

    async def authorise(self, connection: HTTPConnection, params: Mapping[str, object]) -> Admission:
        """A socket's `connection_init`: it lives as long as its token. Raises Unauthenticated."""
        login = await self._authenticator.login(connection, params)
        return Admission(None if login is None else login.expires_at, _revoked(self._services, login))

    async def sees_schema(self, connection: HTTPConnection, params: Mapping[str, object] | None) -> bool:
        """Whether an admin asks (`engine.SeesSchema`). Raises Unauthenticated."""
        login = await self._authenticator.login(connection, params)
        return login is not None and login.admin


def _revoked(services: Services, login: Login | None) -> Callable[[], Awaitable[None]] | None:
    if login is None or login.session is None:
        return None
    return partial(services.admin_sessions.ended, login.session)
