"""Profiles: what a person says of themselves, written under their Pass's lock."""

import asyncio
from collections.abc import Mapping
from functools import cache
from zoneinfo import available_timezones

from mina_gql.domain.errors import Conflict
from mina_gql.domain.passes import Caller, PassState
from mina_gql.domain.profiles import ProfileChanges, checked
from mina_gql.mega import customers, identities
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, Transaction
from mina_gql.mega.identities import Identity
from mina_gql.services.passes import PassService, required

_NO_PLACES = {"Factory", "localtime"}
"""What stands in a directory of time zones and names none."""


class ProfileService:
    """Writes names, locale, time zone, opt-ins and how somebody likes to buy. E-mail and verification come from logins alone."""

    def __init__(self, database: Database, passes: PassService) -> None:
        self._database = database
        self._passes = passes

    async def update(self, caller: Caller, changes: ProfileChanges) -> PassRow:
        """Write the changes, all or none. Raises Unauthenticated, AccountDisabled, InvalidInput and Conflict."""
        pass_id = required(caller)
        values = checked(changes, await asyncio.to_thread(timezones))  # the first time it reads a directory
        async with self._database.begin() as session:
            await lock_own(session, caller, pass_id)
            if values:
                await customers.set_profile(session, pass_id, values)
        found = await self._passes.find(pass_id)
        if found is None:
            raise Conflict("This Pass was merged or deleted just now. Call ensurePass again.")
        return found


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
