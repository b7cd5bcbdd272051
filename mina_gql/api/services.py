"""The services that the edge speaks to, in one place; `bootstrap.py` fills it."""

from dataclasses import dataclass

from mina_gql.domain.ports import Rates
from mina_gql.services.assets import AssetService
from mina_gql.services.audits import AuditService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.events import EventService
from mina_gql.services.generations import GenerationService
from mina_gql.services.passes import PassService
from mina_gql.services.progress import ProgressService
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService


@dataclass(frozen=True, slots=True)
class Services:
    """Every use-case there is."""

    passes: PassService
    sessions: SessionService
    credits: CreditService
    checkout: CheckoutService
    audits: AuditService
    generations: GenerationService
    assets: AssetService
    events: EventService
    progress: ProgressService
    config: ConfigService
    rates: Rates
