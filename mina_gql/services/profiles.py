"""Profiles: what a person says of themselves, written under their Pass's lock."""

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from mina_gql.domain.config import resolve_settings
from mina_gql.domain.errors import Conflict, InvalidInput
from mina_gql.domain.passes import Caller, PassState
from mina_gql.domain.profiles import ProfileChanges, checked
from mina_gql.mega import customers, identities
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, Transaction
from mina_gql.mega.identities import Identity
from mina_gql.services.config import ConfigService
from mina_gql.services.passes import PassService, required

_NO_PLACES = {"Factory", "localtime"}
"""What stands in a directory of time zones and names none."""


class ProfileService:
    """Writes names, locale, time zone, opt-ins and how somebody likes to buy. E-mail and verification come from logins alone."""

    def __init__(self, database: Database, config: ConfigService, passes: PassService) -> None:
        self._database = database
        self._config = config
        self._passes = passes

    async def update(self, caller: Caller, changes: ProfileChanges) -> PassRow:
        """Write the changes, all or none. Raises Unauthenticated, AccountDisabled, InvalidInput and Conflict."""
        pass_id = required(caller)
        preferred = await self._settings(changes.pop("settings")) if "settings" in changes else None
        values = checked(changes, await asyncio.to_thread(timezones))  # the first time it reads a directory
        async with self._database.begin() as session:
            await lock_own(session, caller, pass_id)
            if values:
                await customers.set_profile(session, pass_id, values)
            if preferred is not None:
                await customers.set_settings(session, pass_id, preferred)
        found = await self._passes.find(pass_id)
        if found is None:
            raise Conflict("This Pass was merged or deleted just now. Call ensurePass again.")
        return found

    async def _settings(self, asked: Any) -> dict[str, Any]:
        """Settings that a person prefers, by provider: each as an order takes it. Raises InvalidInput."""
        if asked is not None and not isinstance(asked, dict):
            raise InvalidInput(
                'Settings are an object per provider, for example {"seedream": {"size": "2K"}}.', ["input", "settings"]
            )
        roles = {role.provider: role for role in [await self._config.role(name) for name in ("still", "video")]}
        kept: dict[str, Any] = {}
        for provider, wanted in (asked or {}).items():
            role = roles.get(provider, next(iter(roles.values())))  # one that nobody knows is refused by any
            try:
                kept |= resolve_settings(role, {}, {}, {provider: wanted})
            except InvalidInput as refused:
                raise InvalidInput(refused.message, ["input", *refused.field]) from None
        return kept


@cache
def timezones() -> Mapping[str, str]:
    """Every IANA time zone by its name in lower case: no two differ in their case alone (the tz database's `theory.html`)."""
    return {name.lower(): name for name in available_timezones() - _NO_PLACES}


async def lock_own(session: Transaction, caller: Caller, pass_id: str) -> None:
    """Lock the caller's Pass. Raises Conflict where what proved it when the request came proves it no more (DESIGN section 4)."""
    row = (await identities.lock(session, [pass_id])).get(pass_id)
    if row is None or not _is_theirs(row, caller):
        raise Conflict("This Pass was signed in to, merged or deleted just now. Sign in or call ensurePass, and try again.")


def _is_theirs(row: Identity, caller: Caller) -> bool:
    if row.user_id is None:
        return row.state is PassState.BEARER
    return caller.login is not None and caller.login.user_id == str(row.user_id)
