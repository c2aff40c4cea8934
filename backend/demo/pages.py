"""What the demo shows, as plain text: the lesson, then the ledger."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from modules.content_creation.public import (
    GlossaryEntryDTO,
    PartDTO,
    PartStatus,
    QuestionDTO,
    SectionDTO,
    TopicDTO,
)
from modules.llm_services.public import LLMRequestDTO

WIDTH = 96
UNKNOWN = "unknown"
Number = TypeVar("Number", int, float)
_LETTERS = "ABCDEFGHIJ"
_MODEL_WIDTH = 20
_COLUMNS = "{:<8}  {:<11} {:<20} {:>7} {:>7} {:>10} {:>7} {:>8}  {}"
_HEADS = ("time UTC", "part", "model", "in", "out", "cost USD", "ms", "attempts", "status")


def opening(path: Path, source: str, database: Path, address: str, *, live: bool) -> str:
    """What is about to happen, and who will answer."""
    who = (
        "The real API answers, and its price is real."
        if live
        else "The SANDBOX on this machine answers, with sentences taken from the source: no key, "
        "no network, no cost. Costs below are what the named model would have cost."
    )
    facts = [
        f"source    {_shown(path)}, {len(source.split()):,} words",
        f"database  {_shown(database)}",
        f"backend   http://{address}",
    ]
    return "\n".join([*facts, "", _wrapped(who)])


def lesson(topic: TopicDTO) -> str:
    """The lesson, and what is missing of it."""
    blocks = [
        _banner(topic.title or "Untitled"),
        *_list("What you will learn", (_wrapped(t, "  • ") for t in topic.learning_objectives)),
        *(_section(number, section) for number, section in enumerate(topic.sections, 1)),
        *_list("Glossary", map(_term, topic.glossary)),
        *_list("Questions", (_question(n, q) for n, q in enumerate(topic.questions, 1))),
        *_missing(topic),
    ]
    return "\n".join(blocks).rstrip()


def problem(found: Mapping[str, Any]) -> str:
    """Why there is no lesson, as the backend reported it."""
    facts = (f"  {name:<10} {value}" for name, value in found.items() if value is not None)
    return "\n".join([_banner("No lesson"), *facts])


def ledger(rows: Sequence[LLMRequestDTO], *, live: bool) -> str:
    """One line for each request, and what they took together."""
    title = "Ledger: every request is a row" + ("" if live else " (sandbox: nothing was paid)")
    rule = "─" * WIDTH
    return "\n".join(
        [_banner(title), _COLUMNS.format(*_HEADS), rule, *map(_row, rows), rule, _total(rows)]
    )


def check(seen: int, attempts: int) -> str:
    """Do the two sides agree about how often a model was asked?"""
    verdict = "they agree" if seen == attempts else "THEY DISAGREE"
    return f"check: the sandbox saw {seen} requests, the ledger has {attempts} attempts: {verdict}"


def _section(number: int, section: SectionDTO) -> str:
    text = section.text or f"(This section is missing. It is about: {section.summary})"
    paragraphs = [_wrapped(p) for p in text.split("\n\n") if p.strip()]
    points = [_wrapped(point, "  → ") for point in section.key_points]
    return "\n".join([_heading(f"{number}. {section.title}"), "\n\n".join(paragraphs), "", *points])


def _term(entry: GlossaryEntryDTO) -> str:
    return _wrapped(entry.definition, f"  {entry.term}: ", "      ")


def _question(number: int, question: QuestionDTO) -> str:
    lines = [_wrapped(question.question, f"{number}. ", "   ")]
    for index, option in enumerate(question.options):
        mark = "✓" if index == question.correct_index else " "
        lines.append(_wrapped(option, f"   {mark} {_LETTERS[index]}) ", "        "))
    return "\n".join([*lines, _wrapped(question.explanation, "     Because: "), ""])


def _list(title: str, items: Iterable[str]) -> list[str]:
    found = list(items)
    return [_heading(title), *found] if found else []


def _missing(topic: TopicDTO) -> list[str]:
    missing = [part for part in topic.parts if part.status is not PartStatus.COMPLETED]
    resume = f"To resume: POST /api/v1/content_creation/topics/{topic.id}/resume"
    return [*_list("Missing", map(_failure, missing)), "", resume] if missing else []


def _failure(part: PartDTO) -> str:
    name = f"{part.kind} “{part.title}”" if part.title else part.kind
    why = f"{part.error_type}: {part.error_message}" if part.error_type else "not asked yet"
    return _wrapped(f"{name}: {why} (request {part.request_id})", "  • ")


def _row(row: LLMRequestDTO) -> str:
    return _COLUMNS.format(
        f"{row.created_at:%H:%M:%S}",
        _part_of(row),
        _clipped(row.model),
        _count(row.prompt_tokens),
        _count(row.completion_tokens),
        _usd(row.cost_estimate),
        _count(row.execution_time_ms),
        row.retry_attempt,
        f"{row.status} ({row.error_type})" if row.error_type else row.status,
    )


def _part_of(row: LLMRequestDTO) -> str:
    context = row.context_data or {}
    part = str(context.get("part", row.operation))
    return f"{part} {context.get('position')}" if part == "section" else part


def _total(rows: Sequence[LLMRequestDTO]) -> str:
    """The sums of what is known, and how many requests have no known price."""
    costs = [row.cost_estimate for row in rows]
    sums = _COLUMNS.format(
        "total",
        f"{len(rows)} request{'s'[: len(rows) != 1]}",
        "",
        _count(_sum(row.prompt_tokens for row in rows)),
        _count(_sum(row.completion_tokens for row in rows)),
        _usd(_sum(costs)),
        "",
        sum(row.retry_attempt for row in rows),
        "",
    ).rstrip()
    unpriced = costs.count(None)
    return f"{sums}\nwithout a known price, hence not in the sum: {unpriced}" if unpriced else sums


def _sum(numbers: Iterable[Number | None]) -> Number | None:
    """The sum of the known numbers; of none at all it is unknown."""
    known = [number for number in numbers if number is not None]
    return sum(known[1:], known[0]) if known else None


def _usd(cost: float | None) -> str:
    return UNKNOWN if cost is None else f"{cost:.6f}"


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _banner(title: str) -> str:
    return "\n".join(["", "═" * WIDTH, _wrapped(title), "═" * WIDTH])


def _heading(title: str) -> str:
    return f"\n{_wrapped(title)}\n{'─' * min(len(title), WIDTH)}"


def _wrapped(text: str, first: str = "", rest: str | None = None) -> str:
    """``text`` in lines of the page's width, after ``first``; by default hung under its start."""
    hang = " " * len(first) if rest is None else rest
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=hang, break_on_hyphens=False
    )


def _clipped(text: str) -> str:
    return text if len(text) <= _MODEL_WIDTH else f"{text[: _MODEL_WIDTH - 1]}…"


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
