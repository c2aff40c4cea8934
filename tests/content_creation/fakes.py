"""Models for tests: they answer at once, fail or wait as they are told, and remember every call."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel

from modules.content_creation.lesson import (
    OPTIONS,
    Glossary,
    GlossaryEntry,
    Outline,
    Question,
    QuestionSet,
    SectionPlan,
    SectionText,
)
from modules.llm_services.attribution import attributed
from modules.llm_services.public import LLMError, LLMMessageDTO
from modules.llm_services.types import Attribution

T = TypeVar("T", bound=BaseModel)

OUTLINE = Outline(
    title="How Tides Work",
    learning_objectives=["Explain what causes tides", "Tell spring tides from neap tides"],
    sections=[
        SectionPlan(title="The Moon", summary="Why the Moon pulls."),
        SectionPlan(title="The Sun", summary="Why the Sun counts, too."),
    ],
)
_ANSWERS: dict[type[BaseModel], BaseModel] = {
    Outline: OUTLINE,
    SectionText: SectionText(text="The Moon pulls.", key_points=["The Moon pulls."]),
    Glossary: Glossary(terms=[GlossaryEntry(term="tide", definition="Water that comes and goes.")]),
    QuestionSet: QuestionSet(
        questions=[
            Question(
                question=f"Question {number}?",
                options=["Moon", "Sun", "Mars", "Venus"][:OPTIONS],
                correct_index=0,
                explanation="It is the nearest.",
            )
            for number in range(3)
        ]
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call as it came."""

    answer: type[BaseModel]
    task: str
    model: str | None
    attribution: Attribution
    request_id: UUID


@dataclass(slots=True, kw_only=True)
class FakeModels:
    """Satisfies ``GeneratesStructured``.

    ``faults`` are raised instead of an answer, ``silent`` answers never come; ``reached`` is set
    when a call comes that a silent answer was promised for.
    """

    faults: dict[type[BaseModel], type[LLMError]] = field(default_factory=dict)
    silent: set[type[BaseModel]] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def kinds(self) -> list[type[BaseModel]]:
        """What was asked for, in order."""
        return [call.answer for call in self.asked]

    async def generate_structured_response(
        self,
        messages: Sequence[LLMMessageDTO],
        response_model: type[T],
        user_id: UUID | None = None,  # noqa: ARG002
        model: str | None = None,
        temperature: float | None = None,  # noqa: ARG002 - the Protocol's signature
        max_tokens: int | None = None,  # noqa: ARG002
        **_options: Any,
    ) -> tuple[T, UUID]:
        """Answer, raise or wait."""
        request_id = uuid4()
        self.asked.append(
            Asked(
                answer=response_model,
                task=messages[-1].text,
                model=model,
                attribution=attributed({}),
                request_id=request_id,
            )
        )
        if response_model in self.silent:
            self.reached.set()
            await asyncio.Event().wait()
        if response_model in self.faults:
            raise self.faults[response_model]("told to fail", request_id=request_id)
        answer = _ANSWERS[response_model]
        assert isinstance(answer, response_model)
        return answer, request_id

    async def generate_image(self, prompt: str, *_more: Any, **_options: Any) -> tuple[str, UUID]:
        """A picture that is none."""
        return f"https://pictures.test/{len(prompt)}.png", uuid4()

    async def edit_image(self, prompt: str, *_more: Any, **_options: Any) -> tuple[str, UUID]:
        """No lesson edits pictures."""
        raise AssertionError(prompt)

    async def search_web(
        self, queries: Sequence[str], *_more: Any, **_options: Any
    ) -> tuple[list[dict[str, Any]], UUID]:
        """One page for each query."""
        page = {"title": "", "url": "https://pages.test/1", "snippet": None}
        return [page for _ in queries], uuid4()

    async def search_answers(self, queries: Sequence[str], *_more: Any, **_options: Any) -> Any:
        """No lesson reads the answers."""
        raise AssertionError(queries)
