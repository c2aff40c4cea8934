"""How the module is doing."""

from typing import Protocol

from modules.llm_services.types.health import HealthReport


class TellsHealth(Protocol):
    """Says how the module is doing, for a readiness probe."""

    async def health(self, *, probe: bool = False) -> HealthReport:
        """Configuration, database, spool, providers and models that retire.

        Nothing is sent to a provider: what is said of them is what this process remembers. With
        ``probe`` the models of text roles are each asked for one word, which costs money and is a
        row of the feature ``health``. The database is asked for at most ``LLM_WRITE_TIMEOUT``.
        Never raises for what is not well: it is in the report.
        """
        ...
