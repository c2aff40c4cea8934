"""All use cases together: arguments in, a frozen call down the road, a DTO back.

No SDK, no SQL, no ``try``: what can go wrong is decided further down.
"""

from .use_cases.admin.cache import CacheUseCases
from .use_cases.admin.money import MoneyUseCases
from .use_cases.admin.overview import OverviewUseCases
from .use_cases.admin.retention import RetentionUseCases
from .use_cases.admin.usage import UsageUseCases
from .use_cases.audio import AudioUseCases
from .use_cases.batch import BatchUseCases
from .use_cases.budgets import BudgetUseCases
from .use_cases.embeddings import EmbeddingUseCases
from .use_cases.health import HealthUseCases
from .use_cases.images import ImageUseCases
from .use_cases.ledger import LedgerUseCases
from .use_cases.replays import AdminReplayUseCases, ReplayUseCases
from .use_cases.search import SearchUseCases
from .use_cases.streams import StreamUseCases
from .use_cases.text import TextUseCases
from .use_cases.tools import ToolUseCases


class LLMService(
    ToolUseCases,
    HealthUseCases,
    TextUseCases,
    ImageUseCases,
    StreamUseCases,
    EmbeddingUseCases,
    AudioUseCases,
    SearchUseCases,
    BatchUseCases,
    BudgetUseCases,
    ReplayUseCases,
    LedgerUseCases,
):
    """Implements `LLMServicesProvider` on the ledger of the repository's session.

    ``LLMService(LLMRequestRepo(session))`` finds its runtime by the session's database.
    ``owns_session`` says that nobody else uses that session: it is then emptied after each read,
    so that no transaction stays open.
    """


class LLMAdminService(
    OverviewUseCases,
    RetentionUseCases,
    UsageUseCases,
    MoneyUseCases,
    CacheUseCases,
    AdminReplayUseCases,
):
    """Implements `LLMServicesAdminProvider` on the ledger of the repository's session."""
