"""The typed environment. Read only by the entry points and `bootstrap.py`; every name stands in the README.

A bad or missing setting stops the start with its name and what is wrong, never its value.
"""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class BadSetting(Exception):
    """The environment cannot be used; the message names each setting and what is wrong with it."""


class Settings(BaseSettings):
    """What the environment says. Unset `database_url` means the embedded default."""

    model_config = SettingsConfigDict(env_prefix="MINA_", env_file=".env", extra="ignore", populate_by_name=True)

    home: Path = Path(".mina")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    public_url: str = ""
    database_url: SecretStr | None = None
    database_direct_url: SecretStr | None = None
    offline_vendors: bool | None = None
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    secret_key: SecretStr | None = None
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    rate_limits: Literal["on", "off"] = "on"
    supabase_url: str = ""
    supabase_jwt_secret: SecretStr | None = None
    supabase_confirms_email: bool = False
    admin_emails: Annotated[tuple[str, ...], NoDecode] = ()
    shopify_shop: str = ""
    shopify_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    shopify_admin_token: SecretStr | None = None
    shopify_api_url: str = ""
    r2_endpoint_url: str = ""
    r2_bucket: str = ""
    r2_access_key_id: SecretStr | None = None
    r2_secret_access_key: SecretStr | None = None
    r2_public_url: str = ""
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str = Field("", validation_alias="OPENAI_BASE_URL")
    replicate_api_token: SecretStr | None = Field(None, validation_alias="REPLICATE_API_TOKEN")
    replicate_base_url: str = Field("", validation_alias="REPLICATE_BASE_URL")
    replicate_webhook_secret: SecretStr | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_token: SecretStr | None = None
    metrics_port: int | None = Field(None, ge=1, le=65535)

    @field_validator("trusted_proxies", "allowed_origins", "admin_emails", "shopify_webhook_secrets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("database_url", "database_direct_url", mode="before")
    @classmethod
    def _postgresql(cls, value: object) -> object:
        if value in {"", None}:
            return None
        if not str(value).startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = _parts(origin)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
                raise ValueError("must be origins such as https://studio.example, separated by commas")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            try:
                ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError("must be addresses or networks such as 10.0.0.0/8, separated by commas") from None
        return value

    @field_validator("shopify_shop")
    @classmethod
    def _domain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", value.lower()):
            raise ValueError("must be the shop's domain alone, such as studio.myshopify.com")
        return value.lower()

    @field_validator("secret_key", "supabase_jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError("must be 32 bytes or more; make one with: python -c 'import secrets; print(secrets.token_hex(32))'")
        return value

    @field_validator(
        "r2_access_key_id",
        "r2_secret_access_key",
        "openai_api_key",
        "replicate_api_token",
        "replicate_webhook_secret",
        "metrics_token",
        "metrics_port",
        mode="before",
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("metrics_token")
    @classmethod
    def _unguessable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{16,}", value.get_secret_value()):
            raise ValueError("must be 16 characters or more, without spaces")
        return value

    @field_validator("replicate_webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        base64 = r"([A-Za-z0-9+/]{4}){4,}([A-Za-z0-9+/]{2,3})?={0,2}"
        if value is not None and not re.fullmatch(f"whsec_{base64}", value.get_secret_value()):
            raise ValueError("must be the account's signing secret, whsec_ and what follows it")
        return value

    @field_validator(
        "public_url",
        "supabase_url",
        "shopify_api_url",
        "r2_endpoint_url",
        "r2_public_url",
        "openai_base_url",
        "replicate_base_url",
    )
    @classmethod
    def _absolute(cls, value: str) -> str:
        parts = _parts(value)
        try:
            parts.port  # noqa: B018 -- raises for a port that is none
        except ValueError:
            raise ValueError("must have a port between 0 and 65535, or none") from None
        if value and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment):
            raise ValueError("must be an absolute http or https URL such as https://api.example")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.embedded and self.secret_key is None:
            raise ValueError("MINA_SECRET_KEY must be set (32 bytes or more) when MINA_DATABASE_URL is")
        missing = [name for name, value in self._r2.items() if not value]
        if 0 < len(missing) < len(self._r2):
            raise ValueError(f"{', '.join(missing)} must be set when the other MINA_R2_ settings are")
        return self

    @property
    def _r2(self) -> dict[str, object]:
        return {
            "MINA_R2_ENDPOINT_URL": self.r2_endpoint_url,
            "MINA_R2_BUCKET": self.r2_bucket,
            "MINA_R2_ACCESS_KEY_ID": self.r2_access_key_id,
            "MINA_R2_SECRET_ACCESS_KEY": self.r2_secret_access_key,
            "MINA_R2_PUBLIC_URL": self.r2_public_url,
        }

    @property
    def stores_in_r2(self) -> bool:
        """Whether files are kept in R2; on disk otherwise."""
        return bool(self.r2_endpoint_url)

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded default: our own PostgreSQL below `home`."""
        return self.database_url is None

    @property
    def issuer(self) -> str:
        """Whose tokens count."""
        return f"{self.supabase_url or self.base_url}/auth/v1"

    @property
    def base_url(self) -> str:
        """Where clients reach this server, without a slash at the end."""
        if self.public_url:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether the server listens on this machine only."""
        return self.host in LOOPBACK

    @property
    def private(self) -> bool:
        """Whether this machine alone reaches the server: it listens here only, and no proxy publishes it under another name."""
        return self.loopback and _parts(self.base_url).hostname in LOOPBACK


def load(**overrides: object) -> Settings:
    """Read the environment and `.env`; `overrides` (from the command line) win. Raises BadSetting."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]  # typed by pydantic
    except ValidationError as error:
        raise BadSetting("\n".join(_explain(fault["loc"], fault["msg"]) for fault in error.errors())) from None


def _parts(url: str) -> SplitResult:
    """The parts of a URL; of one that cannot be read, none: urllib's own error would quote it."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _explain(location: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    name = str(location[0])
    known = name if name.isupper() else f"MINA_{name.upper()}"
    return f"{known}: {message[0].lower()}{message[1:]}"
