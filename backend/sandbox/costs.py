"""GET /v1/organization/costs: what the requests of the journal cost, a cent each, by their path."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.faults import Fault
from sandbox.journal import Journal
from sandbox.params import check_required
from sandbox.wire import Json, Reply

CENT = 0.01
_RESULTS_A_PAGE = 2
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Costs:
    """The bill of everything that was answered with a success."""

    journal: Journal

    def describe(self, body: Json, _fault: Fault) -> Reply:
        """One day's bucket, two results a page, so that whoever reads one page reads too little."""
        check_required(body, "start_time")
        start = int(body["start_time"])
        results = [_result(*line) for line in sorted(self._counts(start).items())]
        first = int(body.get("page") or 0)
        rest = first + _RESULTS_A_PAGE
        bucket = {
            "object": "bucket",
            "start_time": start,
            "end_time": start + _DAY,
            "results": results[first:rest],
        }
        more = rest < len(results)
        page = {"object": "page", "data": [bucket], "has_more": more}
        return Reply(content={**page, "next_page": str(rest) if more else None})

    def _counts(self, start: int) -> Counter[str]:
        begin = datetime.fromtimestamp(start, UTC).isoformat()
        end = datetime.fromtimestamp(start + _DAY, UTC).isoformat()
        asked = (e for e in self.journal.entries() if e.model and e.outcome == "completed")
        return Counter(entry.path for entry in asked if begin <= entry.at < end)


def _result(path: str, count: int) -> Json:
    return {
        "object": "organization.costs.result",
        "amount": {"value": round(count * CENT, 2), "currency": "usd"},
        "line_item": path,
        "project_id": None,
    }
