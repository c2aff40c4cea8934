"""Reading Markdown: code blocks, links, headings."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(.*?)\s*$")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_ANCHOR = re.compile(r"<a\s+(?:id|name)=[\"']([^\"']+)")
_INLINE_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_MAKE = re.compile(r"(?:^|\s)make((?:[ \t]+[\w./=-]+)+)", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][\w-]*)\s*:(?!=)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: the words behind the fence, the code, and the line of the fence."""

    words: tuple[str, ...]
    code: str
    line: int

    def is_in(self, *languages: str) -> bool:
        """Whether the fence names one of the languages."""
        return bool(self.words) and self.words[0] in languages


def documents() -> list[Path]:
    """Every document of the repository that exists by now."""
    patterns = ("*.md", "docs/**/*.md", "backend/modules/**/README.md")
    return sorted({path for pattern in patterns for path in ROOT.glob(pattern)})


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document. Raises ``ValueError`` for a block that never ends."""
    found, fence, start, words = [], "", 0, ""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence, words, start = mark[1], mark[2], number
        elif mark and mark[1].startswith(fence) and not mark[2]:
            code = "\n".join(lines[start : number - 1]) + "\n"
            found.append(Block(words=tuple(words.split()), code=code, line=start))
            fence = ""
    if fence:
        raise ValueError(f"the block of line {start} has no end")
    return found


def prose(text: str) -> str:
    """The document without its blocks."""
    for block in blocks(text):
        text = text.replace(block.code, "", 1)
    return text


def links(text: str) -> list[str]:
    """The targets of all links, in order."""
    words = _CODE_SPAN.sub("", prose(text))
    return [*_INLINE_LINK.findall(words), *_REFERENCE.findall(words)]


def anchors(text: str) -> set[str]:
    """What a link may name behind ``#``: headings as GitHub writes them, and HTML anchors."""
    words = prose(text)
    headings = [_HEADING.match(line) for line in words.splitlines()]
    return {*_slugs(match[1] for match in headings if match), *_ANCHOR.findall(words)}


def _slugs(headings: Iterator[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for heading in headings:
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


def dead_links(path: Path) -> list[str]:
    """Relative links of a document that lead nowhere, or out of the repository."""
    here = [link for link in links(path.read_text(encoding="utf-8")) if _is_relative(link)]
    return [link for link in here if not _leads_somewhere(path, link)]


def _is_relative(link: str) -> bool:
    return not re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE)


def _leads_somewhere(path: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def make_targets_named(text: str) -> set[str]:
    """The targets of every ``make`` in shell blocks and code spans."""
    shell = [block.code for block in blocks(text) if block.is_in("console", "sh", "bash", "shell")]
    calls = _MAKE.findall("\n".join([*shell, *_CODE_SPAN.findall(prose(text))]))
    return {word for call in calls for word in call.split() if _is_target(word)}


def _is_target(word: str) -> bool:
    return "=" not in word and not word.startswith("-")


def make_targets() -> set[str]:
    """The targets that the Makefile has."""
    return set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
