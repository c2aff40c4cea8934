"""Prices that go before the table's, read from a file."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError

from modules.llm_services.exceptions import LLMConfigurationError

from .table import Rates

_Usd = Annotated[Decimal, Field(ge=0)]
# Field -> the table's key, and how many of the field's units make one of the key's.
_KEYS: Mapping[str, tuple[str, int]] = {
    "input_per_mtok": ("input_mtok", 1),
    "cached_input_per_mtok": ("cache_read_mtok", 1),
    "cache_write_per_mtok": ("cache_write_mtok", 1),
    "output_per_mtok": ("output_mtok", 1),
    "image_input_per_mtok": ("input_image_mtok", 1),
    "image_output_per_mtok": ("output_image_mtok", 1),
    "audio_input_per_mtok": ("input_audio_mtok", 1),
    "audio_output_per_mtok": ("output_audio_mtok", 1),
    "per_request": ("requests_kcount", 1000),
    "per_search": ("web_searches_kcount", 1000),
    "per_mchar": ("input_mchars", 1),
    "per_audio_minute": ("audio_hours", 60),
}


class PriceOverride(BaseModel):
    """A price that goes before the table's: a contract, a local engine, a model it lacks.

    ``provider`` and ``model`` are globs, in any case; both dates are inclusive, in UTC. An entry
    holds for every service tier, or only for the ``service_tier`` it names, such as ``batch``;
    for prompts of every length, or only for those of more tokens than ``above_prompt_tokens``
    (such entries stand before the plain one: the first that matches wins).
    ``…_per_mtok`` are USD per million tokens: cached and written ones cost as input where they
    have none of their own, images that are sent likewise; other media must have theirs.
    ``per_request`` is USD per HTTP request (an image at a flat price, say), ``per_search`` per web
    search, ``per_mchar`` per million characters spoken, ``per_audio_minute`` per minute heard.
    What an entry does not price is unknown, not free.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    provider: str
    model: str
    service_tier: str | None = None
    above_prompt_tokens: Annotated[int, Field(ge=0)] | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    input_per_mtok: _Usd | None = None
    cached_input_per_mtok: _Usd | None = None
    cache_write_per_mtok: _Usd | None = None
    output_per_mtok: _Usd | None = None
    image_input_per_mtok: _Usd | None = None
    image_output_per_mtok: _Usd | None = None
    audio_input_per_mtok: _Usd | None = None
    audio_output_per_mtok: _Usd | None = None
    per_request: _Usd | None = None
    per_search: _Usd | None = None
    per_mchar: _Usd | None = None
    per_audio_minute: _Usd | None = None
    _ref: str = PrivateAttr("override")  # no field: where an entry stands is not its own to say
    _rates: Rates = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Check the entry as a whole, and take the next number of the file that is being read."""
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise ValueError("valid_until is before valid_from")
        self._rates = {
            key: usd * units
            for name, (key, units) in _KEYS.items()
            if (usd := getattr(self, name)) is not None
        }
        self._check_prices()
        if context:
            self._ref = f"override:{context['file'][-45:]}#{next(context['index'])}"

    def _check_prices(self) -> None:
        if not self._rates:
            raise ValueError(f"it has no price: give one of {', '.join(_KEYS)}")
        by_token = [name for name, (key, _) in _KEYS.items() if key.endswith("_mtok")]
        given = [name for name in by_token if getattr(self, name) is not None]
        if given and self.input_per_mtok is None:
            raise ValueError(f"{given[0]} needs input_per_mtok beside it (which may be 0)")

    @property
    def ref(self) -> str:
        """Where the entry stands: ``override:<file>#<index from 0>``, 64 characters at most."""
        return self._ref

    @property
    def rates(self) -> Rates:
        """The entry's prices by the table's keys."""
        return self._rates

    def matches(self, provider: str, model: str, day: date, tier: str, prompt: int = 0) -> bool:
        """Whether this entry prices that model on that (UTC) day in that service tier, for a
        prompt of that many tokens.
        """
        globs = ((provider, self.provider), (model, self.model))
        named = all(fnmatchcase(name.lower(), glob.lower()) for name, glob in globs)
        in_time = (self.valid_from or day) <= day <= (self.valid_until or day)
        long_enough = self.above_prompt_tokens is None or prompt > self.above_prompt_tokens
        in_tier = (self.service_tier or tier).lower() == tier.lower()
        return named and in_time and in_tier and long_enough


def load_overrides(path: str | Path) -> tuple[PriceOverride, ...]:
    """Read a JSON list of `PriceOverride` entries; of several that match, the first wins.

    Raises `LLMConfigurationError` naming the file and each fault's entry (from 0) and field.
    """
    file, entries = Path(path), TypeAdapter(tuple[PriceOverride, ...])
    context = {"file": file.name, "index": count()}
    try:
        return entries.validate_json(file.read_bytes(), strict=True, context=context)
    except ValidationError as error:
        faults = [f"{' '.join(map(str, ('entry', *e['loc'])))}: {e['msg']}" for e in error.errors()]
        raise LLMConfigurationError(f"price overrides {file}: {'; '.join(faults)}") from error
    except OSError as error:
        raise LLMConfigurationError(f"price overrides: {error}") from error
