"""A lesson as models write it, for tests."""

from contextlib import ExitStack

from modules.content_creation.lesson import Outline, SectionPlan, SectionText
from modules.llm_services.testing import FakeLLMServices

OUTLINE = Outline(
    title="How Tides Work",
    learning_objectives=["Explain what causes tides", "Tell spring tides from neap tides"],
    sections=[
        SectionPlan(title="The Moon", summary="Why the Moon pulls."),
        SectionPlan(title="The Sun", summary="Why the Sun counts, too."),
    ],
)


open_models = ExitStack()
"""Closes the models of a test when it is over."""


def lesson_models() -> FakeLLMServices:
    """Models that plan two sections and write them; glossary and questions are made up."""
    fake = open_models.enter_context(FakeLLMServices())
    fake.answers(OUTLINE)
    fake.answers(SectionText(text="The Moon pulls.", key_points=["The Moon pulls."]))
    return fake
