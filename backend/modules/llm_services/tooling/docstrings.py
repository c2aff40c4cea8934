"""What a docstring says of a function and of its parameters: Google's, NumPy's or Sphinx's way."""

import inspect
import re
from collections.abc import Iterator

_SECTION = re.compile(
    r"(?:args|arguments|parameters|params|returns?|raises?|yields?|examples?|notes?|attributes"
    r"|keyword args|other parameters|warnings?|see also|references):?\s*",
    re.IGNORECASE,
)
_OF_PARAMETERS = re.compile(
    r"(?:args|arguments|parameters|params|keyword args):?\s*", re.IGNORECASE
)
_FIELD = re.compile(r":(\w+)([^:]*):\s*(.*)")
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_UNDERLINE = re.compile(r"-{3,}\s*")


def summary_of(docstring: str | None) -> str:
    """The text before the first section."""
    kept: list[str] = []
    for line in inspect.cleandoc(docstring or "").splitlines():
        if _SECTION.fullmatch(line) or _FIELD.match(line):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def parameters_of(docstring: str | None) -> dict[str, str]:
    """What is said of each parameter, by its name."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    typed = any(_UNDERLINE.fullmatch(line) for line in lines)  # NumPy's: a type behind the colon
    return {**_fields(lines), **_entries(_section(lines), typed=typed)}


def _fields(lines: list[str]) -> dict[str, str]:
    """``:param name: text``, with or without a type."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        match = _FIELD.match(line)
        if match:
            name = match[2].split()[-1] if match[1] == "param" and match[2].split() else ""
            found |= {name: match[3]} if name else {}
        elif name and line.startswith(" "):
            found[name] = f"{found[name]} {line.strip()}".strip()
        else:
            name = ""
    return found


def _section(lines: list[str]) -> Iterator[str]:
    """The lines of the section on parameters, without its head."""
    inside = False
    for line in lines:
        if _SECTION.fullmatch(line):
            inside = _OF_PARAMETERS.fullmatch(line) is not None
        elif inside and line.strip() and not _UNDERLINE.fullmatch(line):
            yield line


def _entries(lines: Iterator[str], *, typed: bool) -> dict[str, str]:
    """``name: text`` and deeper lines that go on, or NumPy's ``name : type`` above its text."""
    found: dict[str, str] = {}
    name, depth = "", None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        depth = indent if depth is None else depth
        match = _ENTRY.match(line.strip())
        if indent > depth or match is None:
            found |= {name: f"{found[name]} {line.strip()}".strip()} if name else {}
            continue
        name = match[1]
        found[name] = "" if typed else match[2]
    return found
