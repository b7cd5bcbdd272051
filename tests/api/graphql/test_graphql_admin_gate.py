"""The gate of the admins: who is refused is written down, and cannot fill the disk by being refused."""

from dataclasses import replace

from mina_gql.adapters.rates import MemoryRates
from mina_gql.api.graphql.context import ContextFactory
from mina_gql.api.graphql.permissions import REFUSALS_KEPT

AUDITED = "select count(*) from mega_admin where mg_action = 'refused.admin' and mg_status = 403"
LOOK = "{ admin { parity { mismatches { balance } } } }"


async def test_refused_attempts_are_written_down_but_not_without_end(api):
    mina = api.studio.mina
    api.contexts = ContextFactory(replace(mina.services, rates=MemoryRates()), mina.authenticator)
    for attempt in range(1, REFUSALS_KEPT + 5):
        answer = await api.ask(None, LOOK, headers={"user_agent": "u" * 60_000})
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert await api.studio.sql.fetchval(AUDITED) == min(attempt, REFUSALS_KEPT)
    assert await api.studio.sql.fetchval("select max(length(mg_user_agent)) from mega_admin") == 500
