"""Asks models for one part of a lesson: text as an object, a picture, or pages on the web."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.public import (
    GeneratesImages,
    GeneratesStructured,
    SearchesWeb,
    attribution,
)

from . import prompts
from .drafts import Draft, PartTask
from .dto import PartKind
from .lesson import Glossary, Illustration, Link, Outline, QuestionSet, Reading, SectionText


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a kind of part is asked for. ``role`` names the model; ``None`` is the default one."""

    answer: type[BaseModel]
    task: Callable[[Draft, PartTask], str]
    role: str | None = None


RECIPES: Mapping[PartKind, Recipe] = {
    PartKind.OUTLINE: Recipe(
        answer=Outline,
        task=lambda draft, _: prompts.outline_task(draft.title),
        role="smart",
    ),
    PartKind.SECTION: Recipe(
        answer=SectionText,
        task=lambda draft, part: prompts.section_task(draft.plan, part.position),
    ),
    PartKind.GLOSSARY: Recipe(
        answer=Glossary,
        task=lambda draft, _: prompts.glossary_task(draft.plan),
        role="fast",
    ),
    PartKind.QUESTIONS: Recipe(
        answer=QuestionSet,
        task=lambda draft, _: prompts.questions_task(draft.plan),
    ),
}


class LessonModels(GeneratesStructured, GeneratesImages, SearchesWeb, Protocol):
    """What this module needs of the LLM module, and nothing else."""


LINKS = 5
"""Pages to read on that a search may bring."""


class LessonWriter:
    """Turns a part that is missing into an answer and the ledger's row for it."""

    def __init__(self, llm: LessonModels) -> None:
        self._llm = llm

    async def write(self, draft: Draft, part: PartTask) -> tuple[BaseModel, UUID]:
        """Ask a model for ``part``. Raises ``LLMError``.

        The topic is the conversation: all that a lesson took is found in the ledger by its id.
        """
        with attribution(
            user_id=draft.user_id,
            conversation_id=str(part.topic_id),
            context={"part": part.kind, "position": part.position},
        ):
            return await self._ask(draft, part)

    async def _ask(self, draft: Draft, part: PartTask) -> tuple[BaseModel, UUID]:
        if part.kind is PartKind.ILLUSTRATION:
            return await self._illustrate(draft, key_of(part))
        if part.kind is PartKind.READING:
            return await self._research(draft, key_of(part))
        recipe = RECIPES[part.kind]
        return await self._llm.generate_structured_response(
            prompts.lesson_messages(draft.source, draft.level, recipe.task(draft, part)),
            recipe.answer,
            model=recipe.role,
            idempotency_key=key_of(part),
        )

    async def _illustrate(self, draft: Draft, key: str) -> tuple[BaseModel, UUID]:
        url, request_id = await self._llm.generate_image(
            prompts.picture_prompt(draft.plan), idempotency_key=key
        )
        return Illustration(url=url, description=draft.plan.title), request_id

    async def _research(self, draft: Draft, key: str) -> tuple[BaseModel, UUID]:
        found, request_id = await self._llm.search_web(
            [draft.plan.title], max_results=LINKS, idempotency_key=key
        )
        links = [
            Link(
                title=page["title"] or page["url"],
                url=page["url"],
                snippet=page["snippet"] or "",
            )
            for page in found
        ]
        return Reading(links=links), request_id


def key_of(part: PartTask) -> str:
    """A part that was paid for and not put down, because the process ended in between, has the
    same key when the lesson is resumed, and is not paid for again. One that failed has another.
    """
    words = (part.topic_id, part.kind, part.position, part.last_request_id or "first")
    return " ".join(map(str, words))
