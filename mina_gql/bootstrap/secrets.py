"""Keys: of sign-in tokens, owner tags and upload addresses, from the settings or made once and kept in the home."""

import secrets

from pydantic import SecretStr

from mina_gql.adapters.supabase_jwt import SupabaseTokens
from mina_gql.settings import BadSetting, Settings


def tokens(settings: Settings) -> SupabaseTokens:
    """Who checks sign-in tokens: the legacy secret where set, the project's keys, or the embedded default's own secret.

    Raises BadSetting.
    """
    secret = settings.supabase_jwt_secret.get_secret_value().encode() if settings.supabase_jwt_secret else None
    jwks = f"{settings.issuer}/.well-known/jwks.json" if settings.supabase_url and secret is None else None
    if settings.embedded and secret is None and jwks is None:
        secret = development_secret(settings)
    try:
        return SupabaseTokens(
            settings.issuer,
            secret=secret,
            jwks_url=jwks,
            confirms_email=settings.supabase_confirms_email,
            admin_emails=settings.admin_emails,
        )
    except ValueError as error:
        raise BadSetting(f"MINA_SUPABASE_JWT_SECRET: {error}") from None


def development_secret(settings: Settings) -> bytes:
    """What the embedded default signs and checks its own tokens with (`mina token`)."""
    return _kept_secret(settings, "jwt_secret")


def secret_key(settings: Settings) -> bytes:
    """The key of owner tags and upload tokens: from the settings, or made once and kept in the home."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    return _kept_secret(settings, "secret_key")


def _kept_secret(settings: Settings, name: str) -> bytes:
    kept = settings.home / name
    if not kept.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32))
        fresh.rename(kept)
    return kept.read_text().strip().encode()


def text(secret: SecretStr | None) -> str:
    """A secret's text; empty where it is not set."""
    return secret.get_secret_value() if secret else ""
