"""Who a legacy row belongs to: the Pass ID rule (seed 002, 0.1), and a legacy customer as a row of `mega_customers`."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mina_gql.domain.backfill.values import LegacyRow, is_whole, rounded, row_id, uuid_of
from mina_gql.domain.passes import PASS_ID_CHARS

MAX_MATCHA = 1_000_000_000
EMAIL_CHARS = 320

NOBODY = frozenset({"", "0", "anon", "anonymous", "guest", "n/a", "nan", "nil", "none", "null", "undefined", "unknown"})
"""What the old studio wrote where it knew nobody, in small letters."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
_GID = re.compile(r"gid://shopify/Customer/(\d+)")
# The shapes that are proven by holding them, as in the adoption of `0001_mega_tables.sql`.
_BEARER = re.compile(
    r"pass:anon:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|pass_[0-7][0-9A-HJKMNP-TV-Z]{25}"
)

_FLAGS = (
    "marketing_opt_in",
    "product_updates_opt_in",
    "disabled",
    "verified_email",
    "verified_google",
    "verified_apple",
    "auto_topup_enabled",
)
_BLANK = {**dict.fromkeys(_FLAGS, False), "topup_default_packs": 3}

PASS = ("pass_id", "mg_pass_id", "mina_pass_id")
SHOPIFY = ("shopify_customer_id", "shopify_id")
USER = ("user_id", "auth_user_id", "supabase_user_id", "auth_id")
CUSTOMER = ("customer_id", "customer", "customer_uuid")
SESSION = ("session_id", "session")
GENERATION = ("generation_id", "generation")


@dataclass(frozen=True, slots=True)
class Refs:
    """Whom a legacy row names. Words that mean nobody (`anonymous`, `null`, …) are None; ids have one spelling each."""

    pass_id: str | None = None
    shopify_id: str | None = None
    user_id: str | None = None
    customer_id: str | None = None
    session: str | None = None
    generation: str | None = None

    @property
    def names(self) -> list[str]:
        """The names it may be known by, the surest first.

        The old studio kept any id as a customer's, and a user's as Shopify's; but two numbers may be alike and mean two people.
        """
        own = [("pass", self.pass_id), ("id", self.customer_id), ("user", self.user_id), ("shopify", self.shopify_id)]
        given = [(kind, value) for kind, value in own if value is not None]
        unmistakable = [value for kind, value in given if kind == "id" or not value.isdecimal()]
        other = [f"{kind}:{value}" for value in unmistakable for kind in ("user", "shopify", "id", "pass")]
        return list(dict.fromkeys([*(f"{kind}:{value}" for kind, value in given), *other]))

    @property
    def context(self) -> list[str]:
        """What it stands beside, where it names nobody: its generation, its session."""
        return [name for name in (self.generation, self.session) if name is not None]

    def pass_for(self, secret: bytes) -> str:
        """The Pass ID by the rule: one that was given before, else shopify > user > anonymous."""
        if self.pass_id is not None:
            return self.pass_id
        for kind, value in (("shopify", self.shopify_id), ("user", self.user_id)):
            if value is not None:
                return _token(f"pass:{kind}:{value}") or anonymous_pass_id(f"{kind}:{value}", secret)
        known = self.customer_id or self.session or self.generation
        return anonymous_pass_id(f"row:{known}" if known else "nobody", secret)


@dataclass(frozen=True, slots=True)
class Person:
    """A Pass to be made. `ids` are the Pass IDs it may have, the rule's first; `balance` (matcha) is None where none is known.

    `names` are what other rows call them; `notes` say what was odd.
    """

    key: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    user_id: str | None = None
    shopify_id: str | None = None
    balance: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def pass_id(self) -> str:
        """What the rule says."""
        return self.ids[0]

    def row(self, pass_id: str, *, merged_into: str | None, shopify_id: str | None) -> dict[str, Any]:
        """The row of `mega_customers`; its balance is 0 until its books are closed. An alias is deleted from the start."""
        deleted_at = self.values.get("deleted_at")
        linked = self.user_id is not None or shopify_id is not None or self.values.get("email") is not None
        meta = {**self.values.get("meta", {}), **({"merged_into": merged_into} if merged_into else {})}
        if _BEARER.fullmatch(pass_id) and not linked and not deleted_at and not merged_into:
            meta["minted"] = True
        return {
            **_BLANK,
            **self.values,
            "pass_id": pass_id,
            "user_id": self.user_id,
            "shopify_customer_id": shopify_id,
            "credits": 0,
            "meta": meta,
            "source_system": "legacy",
            "deleted_at": deleted_at or ("now" if merged_into else None),
        }


def refs_of(row: LegacyRow) -> Refs:
    """Whom a row names; its session and generation by the ids they have in MEGA."""
    session, generation = row.text(*SESSION), row.text(*GENERATION)
    return Refs(
        pass_id=_token(_somebody(row, PASS)),
        shopify_id=_shopify(_somebody(row, SHOPIFY)),
        user_id=_user(_somebody(row, USER)),
        customer_id=_somebody(row, CUSTOMER),
        session=row_id("session", session) if session else None,
        generation=row_id("generation", generation) if generation else None,
    )


def legacy_person(row: LegacyRow, secret: bytes) -> Person:
    """A legacy customer as a Pass."""
    named = refs_of(row)
    own_id = _somebody(row, ("id",)) or named.customer_id
    if named.pass_id is None and own_id is not None and re.match("pass[:_]", own_id):
        named = Refs(_token(own_id), named.shopify_id, named.user_id)
    refs = Refs(named.pass_id, named.shopify_id, named.user_id, row.key)
    pass_id = refs.pass_for(secret)
    known_by = [("id", own_id), ("id", named.customer_id), ("id", row.key), ("user", refs.user_id), ("shopify", refs.shopify_id)]
    balance, notes = _balance(row)
    email = row.text("email", "customer_email")
    if email is not None and ("@" not in email or len(email) > EMAIL_CHARS):
        email, notes = None, [*notes, "e-mail not usable"]
    if named.pass_id is None and _somebody(row, PASS) is not None:
        notes.append("Pass ID not usable, another one given")
    return Person(
        key=row.key,
        ids=(pass_id, *_user_ids(refs), anonymous_pass_id(f"customer:{row.key}", secret)),
        names=tuple(dict.fromkeys(f"{kind}:{value}" for kind, value in [*known_by, ("pass", pass_id)] if value is not None)),
        user_id=uuid_of(refs.user_id),
        shopify_id=refs.shopify_id,
        balance=balance,
        values={**_profile(row), "email": email},
        notes=tuple(notes),
    )


def nobody_known(refs: Refs, secret: bytes) -> Person:
    """The Pass of rows whose customer is not there: by what they name, or else by the visit they were made in."""
    pass_id = refs.pass_for(secret)
    return Person(
        key=f"orphan:{pass_id}",
        ids=(pass_id, *_user_ids(refs), anonymous_pass_id(f"orphan:{pass_id}", secret)),
        names=tuple({f"pass:{pass_id}": None, **dict.fromkeys(refs.names or refs.context[-1:] or ["nobody"])}),
        user_id=uuid_of(refs.user_id),
        shopify_id=refs.shopify_id,
        values={"meta": {"legacy": {"table": None, "key": f"orphan:{hashlib.sha256(pass_id.encode()).hexdigest()}"}}},
    )


def anonymous_pass_id(name: str, secret: bytes) -> str:
    """An anonymous Pass ID that a backfill gives to the same name each time, and nobody can guess without the key."""
    digest = hmac.new(secret, b"backfill\n" + name.encode(), hashlib.sha256).digest()
    return f"pass:anon:{UUID(bytes=digest[:16], version=4)}"


def _user_ids(refs: Refs) -> tuple[str, ...]:
    """What a signed-in person may be called where the rule's id is somebody else's."""
    found = _token(f"pass:user:{refs.user_id}") if refs.user_id else None
    return (found,) if found else ()


def _balance(row: LegacyRow) -> tuple[int, list[str]]:
    given = row.first(("credits", "credit_balance", "credits_balance", "balance"))
    matcha = rounded(given)
    if given is None:
        return 0, []
    if matcha is None or abs(matcha) > MAX_MATCHA:
        return 0, ["balance not usable, taken as 0"]
    notes = [] if is_whole(given) else ["balance rounded to whole matcha"]
    return matcha, [*notes, "negative balance raised to 0"] if matcha < 0 else notes


def _profile(row: LegacyRow) -> dict[str, Any]:
    """What a customer row says beside its ids and its money."""
    created_at = row.moment("created_at", "inserted_at", "updated_at")
    packs = row.whole("topup_default_packs")
    return {
        "first_name": row.text("first_name"),
        "last_name": row.text("last_name"),
        "display_name": row.text("display_name", "full_name", "name"),
        "locale": row.text("locale"),
        "timezone": row.text("timezone"),
        "marketing_opt_in": row.flag("marketing_opt_in") or False,
        "product_updates_opt_in": row.flag("product_updates_opt_in") or False,
        "expires_at": row.moment("expires_at", "credits_expires_at", "credits_expire_at"),
        "last_active": row.moment("last_active", "last_active_at", "last_seen_at"),
        "disabled": row.flag("disabled", "is_disabled") or False,
        "verified_email": row.flag("verified_email", "email_verified") or False,
        "verified_google": row.flag("verified_google") or False,
        "verified_apple": row.flag("verified_apple") or False,
        "verification_method": row.text("verification_method"),
        "verification_at": row.moment("verification_at", "verified_at"),
        "verification_keynumber": row.text("verification_keynumber"),
        "topup_default_packs": packs if packs is not None and packs > 0 else 3,
        "auto_topup_enabled": row.flag("auto_topup_enabled") or False,
        "auto_topup_monthly_limit_packs": row.whole("auto_topup_monthly_limit_packs"),
        "last_topup_at": row.moment("last_topup_at"),
        "topup_source": row.text("topup_source"),
        "deleted_at": row.moment("deleted_at"),
        "created_at": created_at,
        "updated_at": row.moment("updated_at") or created_at,
        "meta": {"legacy": {"table": row.table, "key": row.key, "row": row.original}},
    }


def _somebody(row: LegacyRow, names: tuple[str, ...]) -> str | None:
    """The first of these columns that names somebody."""
    for name in names:
        found = row.text(name)
        if found is not None and found.casefold() not in NOBODY:
            return found
    return None


def _shopify(value: str | None) -> str | None:
    found = _GID.fullmatch(value) if value else None
    return found[1] if found else value


def _user(value: str | None) -> str | None:
    return uuid_of(value) or value


def _token(value: str | None) -> str | None:
    """An id that can be sent in a header, or None."""
    return value if value and len(value) <= PASS_ID_CHARS and _TOKEN.fullmatch(value) else None
