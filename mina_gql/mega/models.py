"""The three MEGA tables as SQLAlchemy sees them: prefix-free attributes, every record type mapped.

The tables themselves are made by `alembic/versions` (what a column means stands in seeds 001 and 002, sections 1 to 3).
Columns sit on the row classes, so a select of a subclass can use them all; a subclass only names its record type.
Columns with a server default may be left out of an INSERT; `verified_any` is generated and must be.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Boolean, Computed, DateTime, FetchedValue, ForeignKey, Integer, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

JsonObject = dict[str, Any]

_NOW = text("clock_timestamp()")
_EMPTY = text("'{}'::jsonb")
_FALSE = text("false")
_BY_TRIGGER = FetchedValue(for_update=True)
_BY_RECORD_TYPE: dict[str, object] = {"polymorphic_on": "record_type", "polymorphic_abstract": True}


def _recorded_as(record_type: str) -> dict[str, object]:
    return {"polymorphic_identity": record_type}


class Base(DeclarativeBase):
    """What the three tables share: how Python types become column types."""

    type_annotation_map: ClassVar = {
        str: Text(),
        int: Integer(),
        bool: Boolean(),
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        JsonObject: JSONB(none_as_null=True),
    }


class Customer(Base):
    """A Pass: identity links, verification, balance, billing defaults and the taste snapshot (seed 002, section 1)."""

    __tablename__ = "mega_customers"

    pass_id: Mapped[str] = mapped_column("mg_pass_id", primary_key=True)
    shopify_customer_id: Mapped[str | None] = mapped_column("mg_shopify_customer_id")
    user_id: Mapped[UUID | None] = mapped_column("mg_user_id")
    email: Mapped[str | None] = mapped_column("mg_email")
    first_name: Mapped[str | None] = mapped_column("mg_first_name")
    last_name: Mapped[str | None] = mapped_column("mg_last_name")
    display_name: Mapped[str | None] = mapped_column("mg_display_name")
    locale: Mapped[str | None] = mapped_column("mg_locale")
    timezone: Mapped[str | None] = mapped_column("mg_timezone")
    marketing_opt_in: Mapped[bool] = mapped_column("mg_marketing_opt_in", server_default=_FALSE)
    product_updates_opt_in: Mapped[bool] = mapped_column("mg_product_updates_opt_in", server_default=_FALSE)
    credits: Mapped[int] = mapped_column("mg_credits", server_default=text("0"))
    expires_at: Mapped[datetime | None] = mapped_column("mg_expires_at")
    last_active: Mapped[datetime | None] = mapped_column("mg_last_active")
    disabled: Mapped[bool] = mapped_column("mg_disabled", server_default=_FALSE)
    verified_email: Mapped[bool] = mapped_column("mg_verified_email", server_default=_FALSE)
    verified_google: Mapped[bool] = mapped_column("mg_verified_google", server_default=_FALSE)
    verified_apple: Mapped[bool] = mapped_column("mg_verified_apple", server_default=_FALSE)
    verified_any: Mapped[bool | None] = mapped_column(
        "mg_verified_any",
        Computed("mg_verified_email or mg_verified_google or mg_verified_apple", persisted=True),
    )
    verification_method: Mapped[str | None] = mapped_column("mg_verification_method")
    verification_at: Mapped[datetime | None] = mapped_column("mg_verification_at")
    verification_keynumber: Mapped[str | None] = mapped_column("mg_verification_keynumber")
    topup_default_packs: Mapped[int] = mapped_column("mg_topup_default_packs", server_default=text("3"))
    auto_topup_enabled: Mapped[bool] = mapped_column("mg_auto_topup_enabled", server_default=_FALSE)
    auto_topup_monthly_limit_packs: Mapped[int | None] = mapped_column("mg_auto_topup_monthly_limit_packs")
    last_topup_at: Mapped[datetime | None] = mapped_column("mg_last_topup_at")
    topup_source: Mapped[str | None] = mapped_column("mg_topup_source")
    meta: Mapped[JsonObject] = mapped_column("mg_meta", server_default=_EMPTY)
    source_system: Mapped[str | None] = mapped_column("mg_source_system")
    deleted_at: Mapped[datetime | None] = mapped_column("mg_deleted_at")
    created_at: Mapped[datetime] = mapped_column("mg_created_at", server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column("mg_updated_at", server_default=_NOW, server_onupdate=_BY_TRIGGER)
    mma_preferences: Mapped[JsonObject] = mapped_column("mg_mma_preferences", server_default=_EMPTY)
    mma_preferences_updated_at: Mapped[datetime | None] = mapped_column("mg_mma_preferences_updated_at")


class LedgerRow(Base):
    """A row of the ledger, of any record type (seed 002, section 2)."""

    __tablename__ = "mega_generations"

    id: Mapped[str] = mapped_column("mg_id", primary_key=True)
    record_type: Mapped[str] = mapped_column("mg_record_type")
    pass_id: Mapped[str] = mapped_column("mg_pass_id", ForeignKey("mega_customers.mg_pass_id"))
    session_id: Mapped[str | None] = mapped_column("mg_session_id")
    generation_id: Mapped[str | None] = mapped_column("mg_generation_id")
    parent_id: Mapped[str | None] = mapped_column("mg_parent_id")
    step_no: Mapped[int | None] = mapped_column("mg_step_no")
    step_type: Mapped[str | None] = mapped_column("mg_step_type")
    platform: Mapped[str | None] = mapped_column("mg_platform")
    title: Mapped[str | None] = mapped_column("mg_title")
    type: Mapped[str | None] = mapped_column("mg_type")
    prompt: Mapped[str | None] = mapped_column("mg_prompt")
    output_url: Mapped[str | None] = mapped_column("mg_output_url")
    output_key: Mapped[str | None] = mapped_column("mg_output_key")
    provider: Mapped[str | None] = mapped_column("mg_provider")
    model: Mapped[str | None] = mapped_column("mg_model")
    latency_ms: Mapped[int | None] = mapped_column("mg_latency_ms")
    input_chars: Mapped[int | None] = mapped_column("mg_input_chars")
    output_chars: Mapped[int | None] = mapped_column("mg_output_chars")
    input_tokens: Mapped[int | None] = mapped_column("mg_input_tokens")
    output_tokens: Mapped[int | None] = mapped_column("mg_output_tokens")
    content_type: Mapped[str | None] = mapped_column("mg_content_type")
    status: Mapped[str | None] = mapped_column("mg_status")
    error: Mapped[str | None] = mapped_column("mg_error")
    result_type: Mapped[str | None] = mapped_column("mg_result_type")
    comment: Mapped[str | None] = mapped_column("mg_comment")
    image_url: Mapped[str | None] = mapped_column("mg_image_url")
    video_url: Mapped[str | None] = mapped_column("mg_video_url")
    delta: Mapped[int | None] = mapped_column("mg_delta")
    reason: Mapped[str | None] = mapped_column("mg_reason")
    source: Mapped[str | None] = mapped_column("mg_source")
    ref_type: Mapped[str | None] = mapped_column("mg_ref_type")
    ref_id: Mapped[str | None] = mapped_column("mg_ref_id")
    client_version: Mapped[str | None] = mapped_column("mg_client_version")
    os: Mapped[str | None] = mapped_column("mg_os")
    browser: Mapped[str | None] = mapped_column("mg_browser")
    device: Mapped[str | None] = mapped_column("mg_device")
    meta: Mapped[JsonObject] = mapped_column("mg_meta", server_default=_EMPTY)
    payload: Mapped[JsonObject | None] = mapped_column("mg_payload")
    source_system: Mapped[str | None] = mapped_column("mg_source_system")
    deleted_at: Mapped[datetime | None] = mapped_column("mg_deleted_at")
    created_at: Mapped[datetime] = mapped_column("mg_created_at", server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column("mg_updated_at", server_default=_NOW, server_onupdate=_BY_TRIGGER)
    mma_mode: Mapped[str | None] = mapped_column("mg_mma_mode")
    mma_status: Mapped[str | None] = mapped_column("mg_mma_status")
    mma_vars: Mapped[JsonObject] = mapped_column("mg_mma_vars", server_default=_EMPTY)

    __mapper_args__ = _BY_RECORD_TYPE


class Session(LedgerRow):
    """A visit to the studio."""

    __mapper_args__ = _recorded_as("session")


class Generation(LedgerRow):
    """A still or a clip, from QUEUED to DONE or ERROR; frozen from then on."""

    __mapper_args__ = _recorded_as("generation")


class Feedback(LedgerRow):
    """Words about a generation; insert-only."""

    __mapper_args__ = _recorded_as("feedback")


class CreditTransaction(LedgerRow):
    """A change of a balance; insert-only."""

    __mapper_args__ = _recorded_as("credit_transaction")


class MmaStep(LedgerRow):
    """One step of the pipeline; open while it runs, frozen from then on."""

    __mapper_args__ = _recorded_as("mma_step")


class MmaEvent(LedgerRow):
    """What a person did: like, download, create and so on; insert-only."""

    __mapper_args__ = _recorded_as("mma_event")


class AdminRow(Base):
    """A row of the admin table, of any record type (seed 002, section 3)."""

    __tablename__ = "mega_admin"

    id: Mapped[str] = mapped_column("mg_id", primary_key=True)
    record_type: Mapped[str] = mapped_column("mg_record_type")
    actor_pass_id: Mapped[str | None] = mapped_column("mg_actor_pass_id", ForeignKey("mega_customers.mg_pass_id"))
    session_hash: Mapped[str | None] = mapped_column("mg_session_hash")
    user_id: Mapped[UUID | None] = mapped_column("mg_user_id")
    email: Mapped[str | None] = mapped_column("mg_email")
    ip: Mapped[str | None] = mapped_column("mg_ip")
    user_agent: Mapped[str | None] = mapped_column("mg_user_agent")
    first_seen_at: Mapped[datetime | None] = mapped_column("mg_first_seen_at")
    last_seen_at: Mapped[datetime | None] = mapped_column("mg_last_seen_at")
    profile_id: Mapped[UUID | None] = mapped_column("mg_profile_id")
    shopify_customer_id: Mapped[str | None] = mapped_column("mg_shopify_customer_id")
    action: Mapped[str | None] = mapped_column("mg_action")
    route: Mapped[str | None] = mapped_column("mg_route")
    method: Mapped[str | None] = mapped_column("mg_method")
    status: Mapped[int | None] = mapped_column("mg_status")
    detail: Mapped[JsonObject | None] = mapped_column("mg_detail")
    runtime_id: Mapped[int | None] = mapped_column("mg_runtime_id")
    runtime_flat: Mapped[JsonObject | None] = mapped_column("mg_runtime_flat")
    key: Mapped[str | None] = mapped_column("mg_key")
    value: Mapped[Any] = mapped_column("mg_value", JSONB(none_as_null=True), nullable=True)
    meta: Mapped[JsonObject] = mapped_column("mg_meta", server_default=_EMPTY)
    payload: Mapped[JsonObject | None] = mapped_column("mg_payload")
    source_system: Mapped[str | None] = mapped_column("mg_source_system")
    deleted_at: Mapped[datetime | None] = mapped_column("mg_deleted_at")
    created_at: Mapped[datetime] = mapped_column("mg_created_at", server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column("mg_updated_at", server_default=_NOW, server_onupdate=_BY_TRIGGER)

    __mapper_args__ = _BY_RECORD_TYPE


class AdminSession(AdminRow):
    """A browser that an admin signed in with."""

    __mapper_args__ = _recorded_as("admin_session")


class AdminAudit(AdminRow):
    """One act of an admin."""

    __mapper_args__ = _recorded_as("admin_audit")


class Profile(AdminRow):
    """A legacy profile and the customer it maps to."""

    __mapper_args__ = _recorded_as("profile")


class RuntimeConfig(AdminRow):
    """The operational knobs."""

    __mapper_args__ = _recorded_as("runtime_config")


class AppConfig(AdminRow):
    """One version of one configuration key; only `meta.enabled` ever changes."""

    __mapper_args__ = _recorded_as("app_config")
