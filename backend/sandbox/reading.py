"""Reading a prompt: which part of it is the source, which part says what to do with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sandbox.words import TASK_WORDS, WORD, carries

_TAGGED = re.compile(r"<([A-Za-z][\w-]*)[^<>]*>\s*(.{40,}?)\s*</\1>", re.DOTALL)
_FENCED = re.compile(r"(```|\"\"\"|~~~)[\w-]*\n?(.{40,}?)\1", re.DOTALL)
_LABEL = re.compile(
    r"(?im)^[\W_]*(?:source|text|material|content|document|article|passage|context|transcript|notes"
    r"|excerpt|chapter|lesson text)\b[^\n:]{0,40}:[ \t]*\n?(?=(.|\n){40})"
)
_ASIDE_TAGS = frozenset(
    {"instructions", "rules", "format", "schema", "task", "example", "examples"}
)
_QUOTED = r"[\"'“‘«„]\s*([^\"”»“\n]{2,120}?)\s*[\"'”’»“]"
_NAMED = re.compile(
    r"(?i)\b(?:section|part|chapter|unit|topic|heading|paragraph|slide|module|titled|entitled|called"
    r"|named|about|on)\b[ \t:]*(?:(?:titled|entitled|called|named|headed|about|on|is)[ \t:]*)*"
    + _QUOTED
)
_LINE_NAMED = re.compile(
    r"(?im)^\W*(?:section(?: title)?|topic|heading|focus)[ \t]*:[ \t]*(.{2,120})$"
)
_ORDER = re.compile(
    r"(?i)^\W*(?:please|now|then|write|create|generate|produce|make|draft|compose|summari[sz]e"
    r"|explain|describe|list|return|respond|reply|answer|give|provide|include|use|do not|don't"
    r"|never|always|you are|you will|your|output|ensure|keep|call|search|find|translate|rewrite"
    r"|extract|plan|outline|build|prepare|design|teach|suggest|show|help|compare|discuss|based on"
    r"|as an?|the following|here is|here are|can you|could you|tell|say|i want|i need|let's|correct"
    r"|erstelle|schreibe|fasse|erkläre|beschreibe|écris|crée|résume|escribe|crea|resume)\b"
)
_ABOUT_FORM = re.compile(
    r"(?i)\b(?:json|schema|multiple[- ]choice|bullet points?|markdown format)\b"
)
_CODE = re.compile(r"^\s*[\[{}\]]|\"\s*:|^\s*[\"\w]+\s*[:=]\s*[\[{]")
_SPLIT = re.compile(r"(?<=[.!?。！？…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\W_a-z])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|etc|e\.g|i\.e|approx|ca|Fig|No)|\b[A-Z])\.$"
)
_MATERIAL_LIMIT = 400_000
_MIN_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A prompt, read: the source, the orders, and the part of the source that was asked for."""

    material: str
    orders: str
    focus: str
    topic: str


@lru_cache(maxsize=256)
def read(turns: tuple[str, ...], system: str) -> Reading:
    """Read a conversation: the longest user turn holds the source, else the system text may."""
    main = max(turns, key=len, default="")[:_MATERIAL_LIMIT]
    material, rest = _split(main)
    orders = "\n".join([*(t for t in turns if len(t) < len(main) or t != main), rest])
    if not material:
        material = _marked(system[:_MATERIAL_LIMIT])[0]
    return Reading(
        material=material,
        orders=orders,
        focus=_focus(orders),
        topic=_topic(orders) or _topic(system),
    )


def split_sentences(text: str) -> list[str]:
    """The sentences of one line of prose; `Dr. Smith` stays together."""
    out: list[str] = []
    for piece in _SPLIT.split(text):
        if out and _ABBREVIATION.search(out[-1]):
            out[-1] = f"{out[-1]} {piece}"
        elif piece and piece.strip():
            out.append(piece.strip())
    return out


def _split(turn: str) -> tuple[str, str]:
    material, rest = _marked(turn)
    if material:
        return material, rest
    label = _LABEL.search(turn)
    if label and len(WORD.findall(turn[label.end() :])) >= 2 * _MIN_WORDS:
        return turn[label.end() :], turn[: label.start()]
    return _prose(turn)


def _marked(turn: str) -> tuple[str, str]:
    """What stands between tags or fences, and the rest."""
    blocks = [m for m in _TAGGED.finditer(turn) if m[1].lower() not in _ASIDE_TAGS]
    blocks = blocks or [m for m in _FENCED.finditer(turn) if not _CODE.search(m[2])]
    rest = turn
    for block in blocks:
        rest = rest.replace(block[0], "\n")
    return "\n\n".join(b[2] for b in blocks), rest


def _prose(turn: str) -> tuple[str, str]:
    """Tell the source's sentences from orders by how they begin."""
    kept: list[str] = []
    orders: list[str] = []
    for line in turn.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            kept.append(line)
            continue
        told = [(s, _is_order(s)) for s in split_sentences(line)]
        kept.append(" ".join(s for s, order in told if not order))
        orders.extend(s for s, order in told if order)
    material = "\n".join(kept).strip()
    sentences = [s for line in kept for s in split_sentences(line) if not line.startswith("#")]
    if not any(len(WORD.findall(s)) >= _MIN_WORDS for s in sentences):
        return "", turn
    return material, "\n".join(orders)


def _is_order(sentence: str) -> bool:
    return bool(
        _ORDER.match(sentence)
        or _ABOUT_FORM.search(sentence)
        or _CODE.search(sentence)
        or sentence.endswith(("?", ":"))
        or (":" in sentence and len(WORD.findall(sentence)) < _MIN_WORDS)
    )


def _focus(orders: str) -> str:
    named = _LINE_NAMED.findall(orders) or _NAMED.findall(orders)
    return str(named[-1]).strip(" \"'“”‘’«».") if named else ""


def _topic(orders: str) -> str:
    """The longest run of meaningful words that don't speak of the task itself."""
    best: list[str] = []
    for clause in re.split(r"[^\w\s'’-]+|\n", orders):
        run: list[str] = []
        for word in [*WORD.findall(clause), "the"]:
            if carries(word) and word.lower() not in TASK_WORDS:
                run.append(word)
                continue
            best, run = (run if len(run) > len(best) else best), []
    return " ".join(best[:4])
