"""The shop's Admin API over GraphQL (`domain.shopify.ShopifyAdmin`): tags, and orders in the shape of the webhooks' payload.

https://shopify.dev/docs/api/admin-graphql; the token needs the scopes read_orders, read_customers and write_customers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import structlog

from mina_gql.domain.shopify import ShopAway, ShopRefused

API_VERSION = "2026-07"
"""Supported for a year at least; Shopify serves its oldest version to those who name one that is gone."""
TIMEOUT_SECONDS = 10.0
TRIES = 4
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0

# Both queries stay below the 1,000 points that one may cost.
_ORDER = """
  legacyResourceId createdAt processedAt updatedAt cancelledAt test displayFinancialStatus email
  customer { legacyResourceId }
  customAttributes { key value }
"""
_ORDERS = f"""
query MinaOrders($after: String, $search: String!) {{
  orders(first: 25, after: $after, query: $search, sortKey: UPDATED_AT) {{
    nodes {{ id {_ORDER} lineItems(first: 20) {{ nodes {{ id sku quantity }} pageInfo {{ hasNextPage }} }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
_WHOLE_ORDER = f"""
query MinaOrder($id: ID!) {{
  order(id: $id) {{
    {_ORDER}
    lineItems(first: 200) {{ nodes {{ id sku quantity }} pageInfo {{ hasNextPage }} }}
    refunds(first: 15) {{
      legacyResourceId
      refundLineItems(first: 20) {{ nodes {{ quantity lineItem {{ id sku }} }} pageInfo {{ hasNextPage }} }}
    }}
  }}
}}
"""
_TAGS_ADD = """
mutation MinaTag($id: ID!, $tags: [String!]!) {
  tagsAdd(id: $id, tags: $tags) { userErrors { field message } }
}
"""

log = structlog.get_logger(__name__)


class ShopifyApi:
    """Speaks to `url` (the shop's origin) with an Admin token. What fails for a moment is tried again, `TRIES` times in all."""

    def __init__(self, url: str, token: str, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._path = f"{url.rstrip('/')}/admin/api/{API_VERSION}/graphql.json"
        self._client = httpx2.AsyncClient(headers={"X-Shopify-Access-Token": token}, timeout=TIMEOUT_SECONDS)
        self._pause = pause

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def add_tag(self, customer_id: str, tag: str) -> None:
        """Add a tag to a customer, beside those there are. Raises ShopAway and ShopRefused."""
        data = await self._ask(_TAGS_ADD, {"id": f"gid://shopify/Customer/{customer_id}", "tags": [tag]})
        errors = _at(data, "tagsAdd", "userErrors")
        if errors:
            raise ShopRefused("; ".join(str(error.get("message")) for error in errors))

    async def orders_since(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every order that changed since then, in the shape of the webhooks' payload, the longest unchanged first.

        Raises ShopAway.
        """
        search, after = f"updated_at:>='{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'", None
        while True:
            page = _at(await self._ask(_ORDERS, {"after": after, "search": search}), "orders")
            for node in _at(page, "nodes"):
                yield _as_webhook(node if _is_plain(node) else await self._whole(node))
            if not _at(page, "pageInfo", "hasNextPage"):
                return
            after = _at(page, "pageInfo", "endCursor")

    async def _whole(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """An order with its refunds and all its lines."""
        whole: Mapping[str, Any] = _at(await self._ask(_WHOLE_ORDER, {"id": _at(node, "id")}), "order")
        parts = [_at(whole, "lineItems"), *(_at(refund, "refundLineItems") for refund in _at(whole, "refunds"))]
        if any(_at(part, "pageInfo", "hasNextPage") for part in parts):
            log.error("shopify: an order too long to be read whole", order=whole.get("legacyResourceId"))
        return whole

    async def _ask(self, query: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        fault, pause = "", FIRST_PAUSE
        for attempt in range(TRIES):
            if attempt:
                await self._pause(min(pause, LONGEST_PAUSE))
                pause *= 2
            try:
                response = await self._client.post(self._path, json={"query": query, "variables": variables})
            except httpx2.TransportError as error:
                fault = type(error).__name__
                continue
            if response.status_code == 429 or response.status_code >= 500:
                fault = f"HTTP {response.status_code}"
                pause = max(pause, _retry_after(response))
                continue
            body = _json(response)
            codes = _error_codes(body)
            if "THROTTLED" in codes:
                fault = "THROTTLED"
                continue
            if response.status_code != 200 or codes:
                raise ShopAway(f"HTTP {response.status_code} {' '.join(codes)}".strip())
            data: Mapping[str, Any] = _at(body, "data")
            return data
        raise ShopAway(fault)


def _is_plain(node: Mapping[str, Any]) -> bool:
    """Whether the page says all of an order: it is paid, whole, and nothing of it goes back."""
    return (
        node.get("displayFinancialStatus") == "PAID"
        and node.get("cancelledAt") is None
        and not _at(node, "lineItems", "pageInfo", "hasNextPage")
    )


def _as_webhook(node: Mapping[str, Any]) -> dict[str, Any]:
    """An order of the Admin API as the webhooks would tell it."""
    customer = node.get("customer")
    return {
        "id": node.get("legacyResourceId"),
        "created_at": node.get("createdAt"),
        "processed_at": node.get("processedAt"),
        "updated_at": node.get("updatedAt"),
        "cancelled_at": node.get("cancelledAt"),
        "test": node.get("test"),
        "financial_status": str(node.get("displayFinancialStatus") or "").lower(),
        "email": node.get("email"),
        "customer": {"id": customer.get("legacyResourceId")} if isinstance(customer, dict) else None,
        "note_attributes": [{"name": each.get("key"), "value": each.get("value")} for each in node.get("customAttributes") or []],
        "line_items": _at(node, "lineItems", "nodes"),
        "refunds": [_refund_as_webhook(refund) for refund in node.get("refunds") or []],
    }


def _refund_as_webhook(refund: Mapping[str, Any]) -> dict[str, Any]:
    lines = [
        {"line_item_id": _at(line, "lineItem", "id"), "quantity": line.get("quantity"), "line_item": line.get("lineItem")}
        for line in _at(refund, "refundLineItems", "nodes")
    ]
    return {"id": refund.get("legacyResourceId"), "refund_line_items": lines}


def _at(value: Any, *path: str) -> Any:
    """What stands at a path of an answer. Raises ShopAway where the answer has another shape."""
    for name in path:
        if not isinstance(value, dict) or name not in value:
            raise ShopAway(f"an answer without {'.'.join(path)}")
        value = value[name]
    return value


def _error_codes(body: Any) -> list[str]:
    """The codes of an answer's errors. Shopify tells some in words only, as one text: those have none but are errors too."""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not errors:
        return []
    if not isinstance(errors, list):
        return ["ERROR"]
    return [str((error.get("extensions") or {}).get("code", "ERROR")) if isinstance(error, dict) else "ERROR" for error in errors]


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _retry_after(response: httpx2.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0
