"""The services that the edge speaks to, in one place; `bootstrap.py` fills it."""

from dataclasses import dataclass

from mina_gql.domain.ports import Rates
from mina_gql.services.accounts import AccountService
from mina_gql.services.admin import AdminService
from mina_gql.services.admin_sessions import AdminSessionService
from mina_gql.services.archive import ArchiveService
from mina_gql.services.assets import AssetService
from mina_gql.services.audits import AuditService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.estimates import EstimateService
from mina_gql.services.events import EventService
from mina_gql.services.generations import GenerationService, OrderService, SuggestionService
from mina_gql.services.pass_acts import PassActService
from mina_gql.services.passes import PassService
from mina_gql.services.profiles import ProfileService
from mina_gql.services.progress import ProgressService
from mina_gql.services.publishing import PublishingService
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService
from mina_gql.services.signals import SignalService
from mina_gql.services.taste import TasteService


@dataclass(frozen=True, slots=True)
class Services:
    """Every use-case there is."""

    passes: PassService
    profiles: ProfileService
    accounts: AccountService
    sessions: SessionService
    credits: CreditService
    checkout: CheckoutService
    audits: AuditService
    admin_sessions: AdminSessionService
    admin: AdminService
    pass_acts: PassActService
    publishing: PublishingService
    generations: GenerationService
    orders: OrderService
    suggestions: SuggestionService
    archive: ArchiveService
    assets: AssetService
    events: EventService
    signals: SignalService
    taste: TasteService
    progress: ProgressService
    estimates: EstimateService
    config: ConfigService
    rates: Rates
