"""What the tests of the module share: a caller's session, and the operators' provider on it."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from modules.llm_services.public import LLMServicesAdminProvider, llm_services_admin_provider
from modules.shared.db import session_factory


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """A session as a caller has it."""
    with session_factory()() as session:
        yield session


@pytest.fixture
def admin(session: Session) -> LLMServicesAdminProvider:
    """The operators' provider."""
    return llm_services_admin_provider(session)
