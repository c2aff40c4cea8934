"""The one way of content into any sink: a row's columns, cleaned as the call's mode wants it.

Whatever is written down, to the database, to the spool or to a log, is a row that has been
through `PayloadPolicy.stored`. A column that is not known to hold facts counts as content.
"""

import logging
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modules.llm_services.exceptions import LLMError
from modules.llm_services.redaction import (
    Redactor,
    beginning_without_files,
    is_plain,
    load_redactors,
    preview,
    storable_text,
    traces_of,
    without_known_keys,
    without_personal_data,
    without_secrets,
)
from modules.llm_services.types import PayloadMode, stricter

from .withheld import FACTS, without_content

if TYPE_CHECKING:
    from modules.llm_services.config import LLMConfig

logger = logging.getLogger(__name__)

_MARGIN = 1_000  # characters beyond the cap that are looked at, so that no key is cut in two
_RAW_SHARE = 4  # a vendor's own JSON may have this many times what one text may have
_PREVIEWS = {"messages": "input_preview", "response_content": "output_preview"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadPolicy:
    """What becomes of content before it is stored: as ``mode`` says, or stricter when a call asks
    for that. ``keys`` are those that calls are made with.
    """

    mode: PayloadMode = "full"
    max_chars: int = 65_536
    redactors: Sequence[Redactor] = ()
    keys: Sequence[str] = field(default=(), repr=False)
    traces: Sequence[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "traces", traces_of(self.keys))

    def stored(
        self,
        row: Mapping[str, Any],
        mode: PayloadMode,
        error: LLMError | None = None,
        *,
        size: int = 0,
    ) -> dict[str, Any]:
        """The row as it may leave this process' memory, with its ``payload_state``. ``size`` is
        how long its texts are, as far as the caller knows.

        A redactor that fails withholds the content: nothing is stored that nobody has looked at.
        """
        mode = stricter(self.mode, mode)
        if mode == "none":
            return without_content(row, error)
        try:
            return self._cleaned(row, mode, size)
        except Exception as failure:  # noqa: BLE001 - redactors may raise anything
            _tell_once(failure)
            return without_content(row, error)

    def _cleaned(self, row: Mapping[str, Any], mode: PayloadMode, size: int) -> dict[str, Any]:
        clean = _Cleaner(self, redact=mode == "redacted")
        kept = dict(row)
        content = {name: row[name] for name in row.keys() - FACTS}
        is_long = size > self.max_chars  # JSON of megabytes holds up all other threads
        if clean.redact or is_long or not is_plain(content, self.max_chars, self.traces):
            kept.update((name, clean.column(name, value)) for name, value in content.items())
        for name, shown in _PREVIEWS.items():
            if name in kept:
                kept[shown] = preview(_words(kept[name]))
        state = "truncated" if clean.cut else "full"
        return {**kept, "payload_state": mode if clean.redact else state}


def configured_policy(config: "LLMConfig", providers: Iterable[str]) -> PayloadPolicy:
    """What the settings want; the keys are those of the providers."""
    keys = [config.provider(name).api_key for name in providers]
    return PayloadPolicy(
        mode=config.payload_mode,
        max_chars=config.payload_max_chars,
        redactors=load_redactors(config.redactors),
        keys=tuple({key.get_secret_value() for key in keys if key is not None}),
    )


class _Cleaner:
    """Cleans the values of one row. ``cut`` says that something was too long."""

    def __init__(self, policy: PayloadPolicy, *, redact: bool) -> None:
        self._policy = policy
        self.redact = redact
        self.cut = False
        self._seen = 0

    def column(self, name: str, value: Any) -> Any:
        """A column's value. A vendor's JSON is kept whole or not at all."""
        self._seen = 0
        cleaned = self.value(value)
        if name == "response_raw" and self._seen > _RAW_SHARE * self._policy.max_chars:
            self.cut = True
            return {"omitted": True, "characters": self._seen}
        return cleaned

    def value(self, value: Any) -> Any:
        """JSON with each of its texts cleaned, the names in it, too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if value is None or isinstance(value, int | float) or not isinstance(value, Mapping):
            return value
        return {self.text(str(name)): self.value(item) for name, item in value.items()}

    def text(self, text: str) -> str:
        """One text without files, keys and what is too long; redacted when that is wanted."""
        longest, size = self._policy.max_chars, len(text)
        text = beginning_without_files(text, longest + _MARGIN)
        known = storable_text(text[: longest + _MARGIN])
        kept = without_known_keys(known, self._policy.keys)
        if self.redact:
            kept = self._redacted(kept)
        self._seen += len(kept)
        if len(text) <= longest:
            return kept
        self.cut = True
        return f"{kept[:longest]}… [{size} characters]"

    def _redacted(self, text: str) -> str:
        text = without_personal_data(without_secrets(text))
        for redactor in self._policy.redactors:
            text = redactor(text)
            if not isinstance(text, str):
                raise TypeError(f"{redactor!r} gave no text")
        return text


def _words(kept: Any) -> str:
    """What a preview shows: the answer, or the words of the last message."""
    if not isinstance(kept, list):
        return kept or ""
    content = kept[-1].get("content", "") if kept else ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


_told: set[str] = set()


def _tell_once(failure: Exception) -> None:
    """The failure's own words may quote the content: its class and place are enough."""
    place = traceback.extract_tb(failure.__traceback__)[-1]
    where = f"{type(failure).__name__} at {place.filename}:{place.lineno}"
    if where not in _told:
        _told.add(where)
        logger.error(
            "content is withheld from the ledger, because cleaning it failed with %s; this is "
            "said once",
            where,
        )
