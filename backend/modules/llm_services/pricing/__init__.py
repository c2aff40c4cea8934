"""What a call cost: by an override of ours, else by the table of genai-prices, else unknown.

Two rules carry everything: an unknown price is ``None`` and never 0, and every unit is priced
once (cached, image and audio tokens are part of the prompt, reasoning is part of the completion).
A unit that was used and has no price makes the whole price unknown: never too low.
"""

from .overrides import PriceOverride, load_overrides
from .prices import Price, PriceList
from .table import TABLE_REF, context_window, newest_price, warm

__all__ = [
    "TABLE_REF",
    "Price",
    "PriceList",
    "PriceOverride",
    "context_window",
    "load_overrides",
    "newest_price",
    "warm",
]
