"""Which legacy tables there may be, and which of their columns names a row (seed 002, "Important" and Step 2)."""

from collections.abc import Mapping
from typing import NamedTuple


class LegacyTable(NamedTuple):
    """A legacy table: the names it may have, the columns that may name its rows, and the record type they become."""

    names: tuple[str, ...]
    keys: tuple[str, ...]
    record_type: str


TABLES: Mapping[str, LegacyTable] = {
    "customers": LegacyTable(("customers",), ("id", "customer_id", "shopify_customer_id", "user_id", "pass_id"), "customer"),
    "sessions": LegacyTable(("sessions",), ("id", "session_id"), "session"),
    "generations": LegacyTable(("generations",), ("id", "generation_id"), "generation"),
    "feedback": LegacyTable(("feedback", "feedbacks"), ("id", "feedback_id"), "feedback"),
    "credit_transactions": LegacyTable(("credit_transactions",), ("id", "transaction_id", "txn_id"), "credit_transaction"),
    "admin_sessions": LegacyTable(("admin_sessions", "admin_session"), ("session_hash", "hash", "id"), "admin_session"),
    "admin_audit": LegacyTable(
        ("admin_audit", "admin_audits", "admin_audit_log", "admin_audit_logs"), ("id", "audit_id"), "admin_audit"
    ),
    "profiles": LegacyTable(("profiles", "profile"), ("id", "profile_id", "user_id"), "profile"),
    "runtime_config": LegacyTable(("runtime_config", "runtime_configs"), ("id", "runtime_id", "key"), "runtime_config"),
    "app_config": LegacyTable(("app_config", "app_configs"), ("key", "id"), "app_config"),
}
"""By the name used in reports, in the order in which they are read. Only those that are there count."""
