"""Sign-in tokens of Supabase (DESIGN section 4): `tokens` reads them, `keys` finds what they are checked with.

No token brings its own key or picks its own algorithm: keys come from the settings or from the project's JWKS URL, and each
key stands for one algorithm.
"""

from mina_gql.adapters.supabase_jwt.tokens import SupabaseTokens, sign_development_token

__all__ = ["SupabaseTokens", "sign_development_token"]
