"""An admin at work: asking, acting, and what the audit says of it."""

from dataclasses import dataclass
from typing import Any

import orjson

from tests.identity.edge import Edge, Who
from tests.studio import Studio

AUDITS = "select * from mega_admin where mg_record_type = 'admin_audit' order by mg_created_at, mg_id"
PUBLISH = """mutation($key: String!, $value: JSON!) { publishConfig(key: $key, value: $value) {
  config { id key version enabled active value createdBy } userErrors { code message field } } }"""
ENABLE = """mutation($id: ID!, $enabled: Boolean!) { setConfigEnabled(id: $id, enabled: $enabled) {
  config { id version enabled active } userErrors { code message field } } }"""
RUNTIME = "config { values defaults overrides ignored updatedAt loadedAt } userErrors { code message field }"
SET = f"mutation($values: JSON!) {{ setRuntimeConfig(values: $values) {{ {RUNTIME} }} }}"
UNSET = f"mutation($keys: [String!]!) {{ unsetRuntimeConfig(keys: $keys) {{ {RUNTIME} }} }}"
RELOAD = f"mutation {{ reloadRuntimeConfig {{ {RUNTIME} }} }}"


@dataclass(frozen=True)
class Office:
    """A Mina and an admin of it."""

    edge: Edge
    boss: Who

    @property
    def studio(self) -> Studio:
        return self.edge.studio

    async def ask(self, query: str, /, **variables: Any) -> Any:
        """What `admin { … }` or a mutation gives the admin: the first field of an answer without errors."""
        answer = await self.edge.ask(self.boss, query, **variables)
        assert "errors" not in answer, answer
        return next(iter(answer["data"].values()))

    async def publish(self, key: str, value: Any) -> Any:
        return await self.ask(PUBLISH, key=key, value=value)

    async def enable(self, id_: str, *, enabled: bool) -> Any:
        return await self.ask(ENABLE, id=id_, enabled=enabled)

    async def audits(self) -> list[tuple[str, Any]]:
        """Action and detail of each audit row, oldest first."""
        return [(row["mg_action"], orjson.loads(row["mg_detail"])) for row in await self.studio.sql.fetch(AUDITS)]

    async def audited(self) -> Any:
        """The one audit row there is, whole: by the admin, at the edge."""
        (row,) = await self.studio.sql.fetch(AUDITS)
        assert (row["mg_email"], row["mg_ip"], row["mg_route"]) == ("boss@mina.example", "127.0.0.1", "/graphql")
        assert (row["mg_user_agent"], row["mg_status"]) == ("Tests/1.0 (of identity)", 200)
        return row
