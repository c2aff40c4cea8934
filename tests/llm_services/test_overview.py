"""What operators read across users."""

from uuid import uuid4

import pytest

import sandbox
from modules.llm_services.public import (
    LLMInputError,
    LLMMessageDTO,
    llm_services_admin_provider,
    open_llm_services,
    open_llm_services_admin,
)
from modules.shared.db import session_factory

ASKED = [LLMMessageDTO(role="user", content="What is lava?")]


async def test_recent_shows_everybodys_rows(database_url: str, vendor: sandbox.Sandbox) -> None:
    """The newest rows come first, whoever's they are, without what was said."""
    async with open_llm_services() as llm:
        made = [(await llm.generate_response(ASKED, user_id=uuid4()))[1] for _ in range(3)]
    async with open_llm_services_admin() as admin:
        newest = admin.recent(limit=2)
    assert [row.id for row in newest] == made[:0:-1]
    assert newest[0].messages is None


def test_the_door_for_fastapi_reads_through_the_session(database_url: str) -> None:
    """The session that was handed in serves the reads; bad limits are refused."""
    with session_factory()() as session:
        admin = llm_services_admin_provider(session)
        assert admin.recent() == []
        with pytest.raises(LLMInputError, match="limit"):
            admin.recent(limit=201)
