"""The migrations of the ledger, as the package or the checkout has them."""

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from modules.llm_services.exceptions import LLMConfigurationError
from modules.shared.db import get_engine

from .output import note

_HERE = Path(__file__).resolve()
FOLDERS = (_HERE.parents[3] / "llm_services_deploy/migrations", _HERE.parents[4] / "alembic")
"""Of an installed package, and of a checkout."""

_logger = logging.getLogger("alembic.runtime.migration")
_NOISE = ("Context impl", "Will assume")


def upgrade(version_table: str) -> None:
    """Bring the database of ``DATABASE_URL`` to this version, and tell each step as it begins.

    Raises `LLMConfigurationError` where the migrations are not to be found, or are not those of
    this database.
    """
    teller, level = _Teller(), _logger.level
    _logger.addHandler(teller)
    _logger.setLevel(logging.INFO)
    try:
        command.upgrade(_config(version_table), "head")
    except CommandError as error:
        raise LLMConfigurationError(
            f"{error}: a newer version has migrated this database, or an Alembic of your own uses "
            f"the table {version_table}, too: give another one with --version-table"
        ) from None
    finally:
        _logger.removeHandler(teller)
        _logger.setLevel(level)


def revision(version_table: str) -> str | None:
    """The revision that the database is at. Raises `SQLAlchemyError`."""
    with get_engine().connect() as connection:
        found = MigrationContext.configure(connection, opts={"version_table": version_table})
        return ", ".join(sorted(found.get_current_heads())) or None


class _Teller(logging.Handler):
    """What Alembic does goes to stderr, line by line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, unless it says nothing of this database."""
        message = record.getMessage()
        if not message.startswith(_NOISE):
            note(message)


def _config(version_table: str) -> Config:
    folder = next((one for one in FOLDERS if (one / "env.py").is_file()), None)
    if folder is None:
        raise LLMConfigurationError(
            "the migrations are not beside this copy of the module: run alembic upgrade head "
            "where they are"
        )
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_table", version_table)
    return config
