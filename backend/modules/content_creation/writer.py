"""Asks a model for one part of a lesson."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.public import GeneratesStructured

from . import prompts
from .drafts import Draft, PartTask
from .dto import PartKind
from .lesson import Glossary, Outline, QuestionSet, SectionText

FEATURE = "content_creation"
"""What the ledger's rows of this module carry in ``feature``."""


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


class LessonWriter:
    """Turns a part that is missing into an answer and the ledger's row for it."""

    def __init__(self, llm: GeneratesStructured) -> None:
        self._llm = llm

    async def write(self, draft: Draft, part: PartTask) -> tuple[BaseModel, UUID]:
        """Ask a model for ``part``. Raises ``LLMError``.

        The topic is the conversation: all that a lesson took is found in the ledger by its id.
        """
        recipe = RECIPES[part.kind]
        return await self._llm.generate_structured_response(
            prompts.lesson_messages(draft.source, draft.level, recipe.task(draft, part)),
            recipe.answer,
            user_id=draft.user_id,
            model=recipe.role,
            feature=FEATURE,
            conversation_id=str(draft.topic_id),
            context={"part": part.kind, "position": part.position},
        )
