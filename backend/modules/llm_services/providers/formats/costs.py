"""OpenAI's organization costs (``GET /organization/costs``): what a day is billed, by line item.

platform.openai.com/docs/api-reference/usage/costs, read in openai-python's types of November 2026.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import cast
from urllib.parse import quote

from pydantic import Field

from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.providers.base import CostsPage, Reply
from modules.llm_services.types import JsonObject

from .base import Request, Wire, WireFormat, read

_DAY = 86_400


class _Amount(Wire):
    value: Decimal
    currency: str


class _Result(Wire):
    amount: _Amount | None = None
    line_item: str | None = None


class _Bucket(Wire):
    start_time: int
    results: list[_Result] = Field(default_factory=list)


class _Page(Wire):
    data: list[_Bucket]
    has_more: bool = False
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class _Costs:
    """Reads a page of the day that begins at ``start`` (Unix seconds)."""

    start: int

    def reply(self, value: JsonObject) -> Reply:
        page = read(_Page, value)
        items: dict[str, Decimal] = {}
        for result in self._of_the_day(page):
            name = result.line_item or ""
            items[name] = items.get(name, Decimal(0)) + _usd(result.amount)
        following = page.next_page if page.has_more else None
        return Reply(text="", model=None, parsed=CostsPage(items=items, next=following))

    def _of_the_day(self, page: _Page) -> list[_Result]:
        buckets = (bucket for bucket in page.data if bucket.start_time == self.start)
        return [result for bucket in buckets for result in bucket.results]


def costs_of(start: int, page: str | None) -> WireFormat:
    """One page of the costs of the day that begins at ``start`` (Unix seconds, midnight in UTC)."""
    asked = {"start_time": start, "end_time": start + _DAY, "bucket_width": "1d", "limit": 1}
    query = "&".join([*(f"{name}={value}" for name, value in asked.items()), _BY_LINE_ITEM])
    following = f"&page={quote(page, safe='')}" if page else ""
    path = f"/organization/costs?{query}{following}"
    return WireFormat(path=path, body=_nothing, reply=_Costs(start).reply, looks=True)


_BY_LINE_ITEM = "group_by%5B%5D=line_item"  # arrays as openai-python writes them


def parsed_costs(reply: Reply) -> CostsPage:
    """The page that a reply holds."""
    return cast("CostsPage", reply.parsed)


def _usd(amount: _Amount | None) -> Decimal:
    if amount is None:
        return Decimal(0)
    if amount.currency.lower() != "usd":
        raise LLMBadResponseError(f"the costs are in {amount.currency[:10]!r}, not in USD")
    return amount.value


def _nothing(_request: Request) -> JsonObject:
    return {}
