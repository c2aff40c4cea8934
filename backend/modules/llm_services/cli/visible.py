"""Text of others, made safe for a terminal: what would act there is shown instead."""

import re

# C0 without tab and newline, DEL, C1, marks that turn the direction of writing, separators that
# some terminals take for new lines, and halves of characters.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_BREAKING = re.compile("[\t\n]")


def visible(text: str) -> str:
    """The text with nothing in it that a terminal would obey; lines and tabs stay."""
    return _ACTING.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same as a single line, for tables and messages."""
    return _BREAKING.sub(_escaped, visible(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
