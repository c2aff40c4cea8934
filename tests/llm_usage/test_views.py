"""What pages are made of: numbers as people read them, charts, tables, and odd rows."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from modules.llm_services.public import ErrorRow, LatencyRow, LLMRequestDTO, UsageRow
from modules.llm_usage import charts, formats, request_view, tables
from modules.llm_usage.windows import Window, window_of

DAY = date(2026, 11, 22)
WINDOW = Window(DAY, DAY, {})
_COUNTS = dict.fromkeys(
    (
        *("requests", "completed", "failed", "cancelled", "pending", "cached", "unpriced"),
        *("attempts", "prompt_tokens", "completion_tokens", "cache_read_tokens"),
        *("cache_write_tokens", "reasoning_tokens"),
    ),
    0,
)
_NEEDED = {name: None for name, field in LLMRequestDTO.model_fields.items() if field.is_required()}


def _usage(**values: Any) -> UsageRow:
    return UsageRow(**{**_COUNTS, "cost": None, "day": DAY, **values})


def _row(**values: Any) -> LLMRequestDTO:
    created = datetime(2026, 11, 22, tzinfo=UTC)
    return LLMRequestDTO.model_construct(**{**_NEEDED, "created_at": created, **values})


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "–"),
        (0, "$0"),
        (1234.5, "$1,234.50"),
        (Decimal("0.926"), "$0.93"),
        (0.0312, "$0.0312"),
        (0.00010, "$0.0001"),
        (0.000000000004, "$0"),
        (-0.05, "$-0.05"),
    ],
)
def test_money(amount: Decimal | float | None, shown: str) -> None:
    """Unknown is a dash and nothing is $0; small amounts keep three digits that count."""
    assert formats.money(amount) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "–"), (0, "0"), (999, "999"), (1_234, "1.23k"), (999_999, "1000k"), (2.5e9, "2.5B")],
)
def test_compact_numbers(count: float | None, shown: str) -> None:
    """Three digits that count."""
    assert formats.compact(count) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(None, "–"), (0, "0 ms"), (999, "999 ms"), (1_210, "1.21 s"), (61_000, "1 min 1 s")],
)
def test_durations(ms: float | None, shown: str) -> None:
    """In the unit that people would say."""
    assert formats.duration(ms) == shown


def test_shares_and_changes() -> None:
    """Of nothing there is no share, and with nothing there is no comparison."""
    assert formats.percent(1, 0) == "–"
    assert formats.percent(1, 200) == "0.5\u202f%"
    assert formats.percent(1, 3) == "33\u202f%"
    assert formats.change(1, 0) is None
    assert formats.change(None, 1) is None
    assert formats.change(Decimal(3), Decimal(2)) == "▲ 50\u202f%"
    assert formats.change(1, 2) == "▼ 50\u202f%"
    assert formats.change(2, 2) == "as before"
    assert formats.number(None) == formats.moment(None) == "–"


def test_controls_are_seen_and_obeyed_by_nobody() -> None:
    """Escapes and letters that turn others round become pictures; line ends stay."""
    assert formats.visible("a\x1b[1m\u202eb\nc") == "a␛[1m[U+202E]b\nc"


def test_the_dearest_models_have_names() -> None:
    """Six by name, the others together; unknown costs are no zero bars of their own."""
    rows = [_usage(model=f"m{n}", cost=Decimal(10 - n)) for n in range(8)] + [_usage(model="free")]
    chart = charts.cost_by_model(WINDOW, rows)
    assert [one.name for one in chart.series] == ["m0", "m1", "m2", "m3", "m4", "m5", "others"]
    assert chart.series[-1].total == 4 + 3
    assert chart.as_data()["days"] == ["2026-11-22"]
    assert charts.cost_by_model(WINDOW, []).is_empty


def test_each_token_is_counted_once() -> None:
    """Classes contain each other in the ledger, and not in the chart."""
    row = _usage(prompt_tokens=100, cache_read_tokens=60, completion_tokens=50, reasoning_tokens=20)
    chart = charts.tokens_by_class(WINDOW, [row, _usage(day=None, prompt_tokens=9)])
    assert {one.name: one.total for one in chart.series} == {
        "prompt": 40,
        "read from cache": 60,
        "answer": 30,
        "reasoning": 20,
    }


def test_rare_outcomes_are_shown_when_they_are_there() -> None:
    """Completed and failed always, the others only then."""
    names = [one.name for one in charts.requests_by_outcome(WINDOW, [_usage(pending=1)]).series]
    assert names == ["completed", "failed", "pending"]


def test_rankings_link_to_what_they_count() -> None:
    """What has no name is in the ranking, and leads nowhere."""
    user = UUID(int=5)
    lines = tables.by_user([_usage(user_id=user, cost=Decimal(4)), _usage(cost=Decimal(1))])
    assert [(line.name, line.link, line.share) for line in lines] == [
        (str(user), {"user_id": str(user)}, 1.0),
        ("nobody", {}, 0.25),
    ]
    assert tables.by_feature([_usage(feature="quiz")])[0].share == 0


def _error(kind: str | None, requests: int, minute: int, message: str) -> ErrorRow:
    return ErrorRow(
        error_type=kind,
        provider="openai",
        model=f"m{minute}",
        requests=requests,
        last_day=DAY,
        last_at=datetime(2026, 11, 22, 10, minute, tzinfo=UTC),
        last_request_id=UUID(int=minute),
        last_message=message,
    )


def test_errors_of_one_type_are_one_line() -> None:
    """With the last of all examples, most frequent type first."""
    rows = [_error(None, 5, 3, "c"), _error("Timeout", 4, 1, "a"), _error("Timeout", 3, 2, "b")]
    lines = tables.by_error_type(rows)
    assert [(line.error_type, line.requests) for line in lines] == [("Timeout", 7), ("unknown", 5)]
    assert (lines[0].last.last_message, lines[0].last.last_request_id) == ("b", UUID(int=2))


def _latency(p50: float, p95: float, p99: float) -> LatencyRow:
    return LatencyRow(
        provider="openai",
        model="gpt-5",
        requests=1,
        mean_ms=p50,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        first_token_requests=0,
        first_token_mean_ms=None,
        first_token_p50_ms=None,
        first_token_p95_ms=None,
        exact=True,
    )


def test_latencies_lie_on_one_scale() -> None:
    """The slowest reaches the end, and order is kept; one model alone has a scale as well."""
    line = tables.on_one_scale([_latency(10, 100, 1_000)])[0]
    assert 0 < line.p50 < line.p95 < line.p99 == 100
    assert tables.on_one_scale([_latency(0, 0, 0)])[0].p99 == 0
    assert tables.on_one_scale([]) == []


def test_any_stored_message_can_be_shown() -> None:
    """Rows of older engines and withheld ones hold other shapes; none of them fails."""
    row = _row(
        messages=["bare", {}, {"role": "user", "omitted": True, "characters": 9}, {"content": 7}]
    )
    bare, empty, withheld, odd = request_view.messages_of(row)
    assert (bare.role, bare.texts[0].shown) == ("unknown", "bare")
    assert empty.texts == []
    assert '"characters": 9' in withheld.texts[0].shown
    assert odd.texts[0].shown == "7"
    assert request_view.messages_of(_row(messages=None)) == []


def test_long_texts_are_cut() -> None:
    """A page stays a page, and says how much is missing."""
    text = request_view.text_of("x" * (request_view.LONGEST + 3))
    assert (len(text.shown), text.more) == (request_view.LONGEST, 3)
    many = _row(messages=[{"role": "user", "content": "x"}] * 1_000)
    assert len(request_view.messages_of(many)) == request_view.MOST_MESSAGES


def test_any_stored_attempt_can_be_shown() -> None:
    """What is missing or no number of an attempt leaves its place on the line of time."""
    row = _row(attempts=["odd", {}, {"started_at": "then", "ms": "long", "usage": {"a": 1}}])
    lines = request_view.attempts_of(row)
    assert [(line.outcome, line.start, line.ms) for line in lines] == [("unknown", 0, None)] * 2
    assert all(0 <= line.start <= line.start + line.width <= 100 for line in lines)
    naive = request_view.attempts_of(
        _row(attempts=[{"started_at": "2026-11-22T10:00:00", "ms": 5}])
    )
    assert naive[0].width == 100


def test_costs_that_are_no_money_are_left_out() -> None:
    """Dearest first."""
    row = _row(cost_details={"input": "0.1", "output": "0.2", "odd": "x", "wild": "NaN"})
    assert request_view.costs_of(row) == [("output", Decimal("0.2")), ("input", Decimal("0.1"))]
    assert request_view.costs_of(_row()) == []


def test_a_window_is_compared_with_as_much_time_before() -> None:
    """A past window with all of the days before it, a current one up to the same time of day."""
    past = window_of({"from": "2026-01-11", "to": "2026-01-20"})
    assert past.previous == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 11, tzinfo=UTC),
    )
    current = window_of({"days": "7"})
    since, until = current.previous
    assert (current.since - since).days == 7
    assert until <= datetime.now(UTC) - (current.since - since)
