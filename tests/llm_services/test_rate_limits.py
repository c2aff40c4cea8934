"""Limits of a model: exact in any minute, fair, bounded, and given back whatever happens."""

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from modules.llm_services.breaker import Breaker
from modules.llm_services.config import create_llm_config_from_env
from modules.llm_services.exceptions import (
    LLMCircuitOpenError,
    LLMConfigurationError,
    LLMConnectionError,
    LLMError,
    LLMOverloadedError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
)
from modules.llm_services.gate import Gate
from modules.llm_services.limits import Limits, Line, demand, heard_in
from modules.llm_services.limits.allowance import Allowance
from modules.llm_services.limits.headers import Heard, Meter
from modules.llm_services.limits.rules import rule_for
from modules.llm_services.limits.window import Window
from modules.llm_services.public import LLMMessageDTO
from modules.llm_services.setting_types import LimitSettings
from modules.llm_services.types import ImagePart, TextPart, Usage
from tests.llm_services.test_breaker import Clock
from tests.llm_services.test_recording import a_call, until

HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]


@pytest.fixture
def clock() -> Clock:
    """The time of these tests."""
    return Clock()


def a_line(clock: Callable[[], float], queue: int = 100, **rule: int) -> Line:
    """A model's line."""
    return Line("openai:m", LimitSettings(**rule), queue, clock)


def most_in_a_minute(moments: Sequence[tuple[float, int]]) -> int:
    """The most that arrived in any 60 seconds; each moment with what arrived."""
    ordered = sorted(moments)
    sums = [
        sum(amount for at, amount in ordered if start <= at < start + 60) for start, _ in ordered
    ]
    return max(sums)


@pytest.mark.parametrize("seed", range(5))
def test_no_minute_has_more_than_the_limit(seed: int) -> None:
    """Whatever comes, from the first second on: requests and tokens, also as they arrive, up to
    a second later than they leave.
    """
    chance = random.Random(seed)  # noqa: S311
    window, now, rpm, tpm = Window(), 0.0, 50, 2_000
    arrived: list[tuple[float, int]] = []
    for _ in range(1_000):
        tokens = chance.randrange(1, 120)
        now += chance.choice((0.0, 0.0, 0.01, 2.0))
        now += window.wait(now, tokens, rpm, tpm)
        assert window.wait(now, tokens, rpm, tpm) == 0
        window.add(now, tokens)
        arrived.append((now + chance.random(), tokens))
    assert most_in_a_minute([(at, 1) for at, _ in arrived]) <= rpm
    assert most_in_a_minute(arrived) <= tpm
    assert arrived[-1][0] < 1_000 * 65 * 61 / 2_000 * 1.1  # nor is it idle


def test_a_wait_is_known_before_it_begins() -> None:
    """Those who go ahead are counted: the last of 25 leaves in the third minute."""
    window = Window()
    for second in range(10):
        window.add(second, 1)
    assert window.wait(10, 1, 10, None) == 51
    assert window.wait(10, 1, 10, None, ahead=9) == 60
    assert window.wait(10, 1, 10, None, ahead=10) == 51 + 61
    assert window.wait(10, 1, 12, None, ahead=11) == 60
    assert window.wait(10, 1, 12, None, ahead=12) == 61


def test_more_than_the_limit_is_taken_for_the_limit() -> None:
    """A request larger than a minute's tokens goes when the minute is empty, not never."""
    window = Window()
    assert window.wait(0, 5_000, None, 100) == 0
    window.add(0, 100)
    assert window.wait(1, 5_000, None, 100) == 60
    assert window.wait(61, 5_000, None, 100) == 0


def test_reported_tokens_take_the_place_of_estimated_ones() -> None:
    """What an answer did not take is free at once; one that is long forgotten changes nothing."""
    window = Window()
    sent = window.add(0, 90)
    assert window.wait(1, 50, None, 100) == 60
    window.correct(sent, 10)
    assert window.wait(1, 50, None, 100) == 0
    window.add(1, 50)
    assert window.wait(61.5, 100, None, 100) == 0.5
    window.correct(sent, 1_000)
    assert window.wait(61.5, 100, None, 100) == 0.5


def test_what_a_request_takes() -> None:
    """Four bytes of prompt are a token, and the answer is as long as it may be."""
    parts = [TextPart(text="a" * 40), ImagePart(url="https://x.org/a.png")]
    messages = (
        LLMMessageDTO(role="user", content="a" * 400),
        LLMMessageDTO(role="user", content="水" * 400),
        LLMMessageDTO(role="user", content=parts),
    )
    plain = demand(a_call(messages=messages[:1]))
    assert plain == 101 + 500
    assert demand(a_call(messages=messages[:1], parameters={"max_tokens": 7})) == 101 + 7
    assert demand(a_call(messages=messages[:2])) == plain + 301
    assert demand(a_call(messages=messages)) > plain + 301 + 11


def test_the_rule_that_says_most_holds() -> None:
    """Exact names go before patterns, patterns before a whole provider; each model by itself."""
    rules = {
        name: LimitSettings(rpm=n)
        for n, name in enumerate(("openai", "openai:gpt-*", "OpenAI:gpt-4o", "openai:ft:?"), 1)
    }
    found = {model: rule_for(rules, "openai", model) for model in ("o9", "gpt-4o", "gpt-4", "ft:x")}
    assert {model: rule.rpm for model, rule in found.items() if rule} == {
        "o9": 1, "gpt-4o": 3, "gpt-4": 2, "ft:x": 4,
    }  # fmt: skip
    assert rule_for(rules, "house", "gpt-4o") is None
    limits = Limits(rules)
    assert limits.line("openai", "gpt-5") is limits.line("openai", "gpt-5")
    assert limits.line("openai", "gpt-5") is not limits.line("openai", "gpt-6")


def test_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, or one by one for a whole provider; what makes no sense is named."""
    monkeypatch.setenv("LLM_LIMITS", '{"openai:gpt-*": {"concurrency": 50, "rpm": 500}}')
    assert create_llm_config_from_env().limits == {
        "openai:gpt-*": LimitSettings(concurrency=50, rpm=500)
    }
    monkeypatch.delenv("LLM_LIMITS")
    monkeypatch.setenv("LLM_LIMITS__HOUSE__TPM", "200000")
    assert create_llm_config_from_env().limits == {"house": LimitSettings(tpm=200_000)}
    monkeypatch.setenv("LLM_LIMITS", '{"openai": {"rpm": 0, "rps": 3}}')
    monkeypatch.setenv("LLM_QUEUE_LIMIT", "-1")
    with pytest.raises(LLMConfigurationError) as caught:
        create_llm_config_from_env()
    for name in ("LLM_LIMITS__OPENAI__RPM", "LLM_LIMITS__OPENAI__RPS", "LLM_QUEUE_LIMIT"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("1d", 86_400),
        ("", None), ("soon", None), ("1s later", None), ("-1s", None), ("12", None),
    ],
)  # fmt: skip
def test_headers_are_read(said: str, seconds: float | None) -> None:
    """Limit, what remains of it, and when it will be whole again; nonsense is silence."""
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": said,
    }
    assert heard_in(headers) == Heard(Meter(60, 59, seconds), None)


@pytest.mark.parametrize(
    ("limit", "remaining"),
    [("-1", "0"), ("0", "0"), ("60", "-1"), ("60", "61"), ("²", "1"), ("9" * 13, "1"), ("60", "")],
)
def test_nonsense_in_headers_is_silence(limit: str, remaining: str) -> None:
    """Some send -1 or 0 for what they do not know."""
    headers = {
        "x-ratelimit-limit-tokens": limit,
        "x-ratelimit-remaining-tokens": remaining,
    }
    assert heard_in(headers) is None


def test_what_remains_is_kept() -> None:
    """Nothing is held back until a provider has spoken, then no more leaves than remains, and it
    is refilled as the provider says.
    """
    allowance = Allowance()
    assert (allowance.known, allowance.wait(0, 10**9)) == (False, 0)
    allowance.hear(Meter(60, 10, 50), now=0, under_way=3)
    assert allowance.known
    for _ in range(7):
        assert allowance.wait(0, 1) == 0
        allowance.spend(1)
    assert allowance.wait(0, 1) == 1
    assert allowance.wait(1, 1) == 0
    assert allowance.wait(1, 1_000) == 59  # more than there can be is taken for all of it
    allowance.hear(Meter(60, 60, None), now=2, under_way=60)
    assert allowance.wait(2, 1) == 1  # without a word about it, a minute's worth in a minute


async def enter(line: Line, seconds: float = 20, tokens: int = 0) -> Any:
    """A ticket, or why there is none."""
    return await line.enter(tokens, seconds)


async def test_places_are_given_in_order() -> None:
    """Who waits longest goes first, and nobody overtakes."""
    line = a_line(Clock(), concurrency=2)
    first, second = [await enter(line) for _ in range(2)]
    order: list[int] = []

    async def wait(number: int) -> None:
        ticket = await enter(line)
        order.append(number)
        await asyncio.sleep(0)
        ticket.close()

    tasks = [asyncio.create_task(wait(number)) for number in range(20)]
    await until(lambda: line.waiting == 20)
    assert (line.held, order) == (2, [])
    first.close()
    first.close()
    second.close()
    await asyncio.gather(*tasks)
    assert order == list(range(20))
    assert (line.held, line.waiting) == (0, 0)


async def test_a_full_queue_fails_at_once() -> None:
    """One more than may wait is told so, and when to come back."""
    line = a_line(Clock(), queue=1, concurrency=1)
    ticket = await enter(line)
    waiting = asyncio.create_task(enter(line))
    await until(lambda: line.waiting == 1)
    with pytest.raises(LLMOverloadedError, match="LLM_QUEUE_LIMIT") as caught:
        await enter(line)
    assert (caught.value.retryable, caught.value.error_type) == (True, "Overloaded")
    assert caught.value.retry_after is not None
    ticket.close()
    (await waiting).close()
    assert (line.held, line.waiting) == (0, 0)


async def test_a_wait_that_cannot_end_is_not_begun(clock: Clock) -> None:
    """The minute is full for 61 seconds: who has 20 hears so at once, who has 60 waits."""
    line = a_line(clock, rpm=3)
    for _ in range(3):
        (await enter(line)).close()
    with pytest.raises(LLMOverloadedError, match="before the deadline") as caught:
        await enter(line, 20)
    assert caught.value.retry_after == 61
    clock.now += 55
    waiting = [asyncio.create_task(enter(line, 20)) for _ in range(3)]
    await until(lambda: line.waiting == 3)
    with pytest.raises(LLMOverloadedError):  # three go ahead: its turn is in the next minute
        await enter(line, 20)
    clock.now += 6
    for ticket in await asyncio.gather(*waiting):
        ticket.close()


async def test_who_becomes_first_too_late_is_told(clock: Clock) -> None:
    """The first in line looks again: a pause that came meanwhile may be longer than it has."""
    line = a_line(clock, concurrency=1)
    ticket = await enter(line)
    waiting = asyncio.create_task(enter(line, 20))
    await until(lambda: line.waiting == 1)
    line.pause(30)
    ticket.close()
    with pytest.raises(LLMOverloadedError):
        await waiting


async def test_waiting_ends_at_the_deadline() -> None:
    """A place that nobody gives back is not waited for any longer than that."""
    line = a_line(Clock(), concurrency=1)
    ticket = await enter(line)
    with pytest.raises(LLMOverloadedError) as caught:
        await enter(line, 0.05)
    assert caught.value.retry_after is None
    assert line.waiting == 0
    ticket.close()


async def test_who_goes_away_leaves_the_queue() -> None:
    """Cancelled as first, as last and in between: no place is lost and nobody waits for ever."""
    line = a_line(Clock(), concurrency=1)
    ticket = await enter(line)
    tasks = [asyncio.create_task(enter(line)) for _ in range(10)]
    await until(lambda: line.waiting == 10)
    for gone in (0, 4, 9):
        tasks[gone].cancel()
    await asyncio.gather(*(tasks[gone] for gone in (0, 4, 9)), return_exceptions=True)
    assert line.waiting == 7
    ticket.close()
    for place in (1, 2, 3, 5, 6, 7, 8):
        (await tasks[place]).close()
    assert (line.held, line.waiting) == (0, 0)


async def test_cancellations_at_any_moment_leave_nothing_behind() -> None:
    """Two hundred callers of whom half go away at random: all places come back."""
    chance = random.Random(7)  # noqa: S311
    line = a_line(Clock(), queue=1_000, concurrency=3)

    async def use() -> None:
        ticket = await enter(line)
        try:
            await asyncio.sleep(chance.random() * 0.004)
        finally:
            ticket.close()

    tasks = [asyncio.create_task(use()) for _ in range(200)]
    for _ in tasks:
        await asyncio.sleep(0)
        if chance.random() < 0.5:
            chance.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (line.held, line.waiting) == (0, 0)
    (await enter(line, 0)).close()


async def test_threads_share_a_limit() -> None:
    """Event loops of one process have one limit: a place given back in one serves another."""
    line = a_line(Clock(), concurrency=1)
    ticket = await enter(line)
    taken = threading.Event()

    def elsewhere() -> None:
        asyncio.run(enter(line)).close()
        taken.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await until(lambda: line.waiting == 1)
    ticket.close()
    await until(taken.is_set)
    thread.join()
    assert (line.held, line.waiting) == (0, 0)


async def test_an_answer_tells_what_remains(clock: Clock) -> None:
    """Without a rule the provider's word holds; with one, the rule."""
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "100",
    }
    heard = heard_in(headers)
    assert heard is not None
    learning, ruled = a_line(clock), a_line(clock, rpm=100, tpm=10_000)
    for line in (learning, ruled):
        assert line.counts_tokens == (line is ruled)
        line.hear(heard)
        assert line.counts_tokens
        (await enter(line, tokens=50)).close()
    (await enter(ruled, tokens=500)).close()
    with pytest.raises(LLMOverloadedError):
        await enter(learning, 0.9)
    clock.now += 1
    with pytest.raises(LLMOverloadedError):
        await enter(learning, 1, tokens=100)
    (await enter(learning, 1, tokens=10)).close()
    learning.hear(Heard(None, Meter(600, 600, None)))
    learning.hear(Heard(Meter(60, 60, None), None))
    (await enter(learning, 0, tokens=600)).close()


async def test_headers_are_read_when_they_are_news(clock: Clock) -> None:
    """Of hundreds of answers in a moment one is read, unless somebody waits for more room."""
    line = a_line(clock)
    assert line.listens
    line.hear(Heard(Meter(60, 0, None), None))
    assert not line.listens
    waiting = asyncio.create_task(enter(line))
    await until(lambda: line.waiting == 1)
    assert line.listens
    line.hear(Heard(Meter(60, 60, None), None))
    (await waiting).close()
    assert not line.listens
    clock.now += 1
    assert line.listens


async def test_news_reach_whoever_waits(clock: Clock) -> None:
    """An answer that tells of more room is heard by the first in line."""
    line = a_line(clock)
    line.hear(Heard(Meter(60, 0, None), None))
    waiting = asyncio.create_task(enter(line))
    await until(lambda: line.waiting == 1)
    line.hear(Heard(Meter(60, 60, None), None))
    (await waiting).close()


async def gate_after(error: LLMError) -> Gate:
    """A gate whose first request ended like this."""
    gate = Gate()
    (await gate.enter(a_call(), 1)).failed(error)
    return gate


async def test_all_wait_for_whom_the_provider_told_to(clock: Clock) -> None:
    """A 429 with a time holds for every call to the model, but for a minute at most; other
    failures, other models and a quota that is used up do not.
    """
    gate = await gate_after(LLMRateLimitError("no", status_code=429, retry_after=9))
    with pytest.raises(LLMOverloadedError) as caught:
        await gate.enter(a_call(), 5)
    assert caught.value.retry_after == pytest.approx(9, abs=2)
    (await gate.enter(a_call(model="other"), 5)).close()
    for error in (
        LLMRateLimitError("no", status_code=429),
        LLMQuotaExceededError("no", status_code=429, retry_after=9),
        LLMProviderError("no", status_code=503, retry_after=9),
    ):
        (await (await gate_after(error)).enter(a_call(), 5)).close()
    gate = await gate_after(LLMRateLimitError("no", status_code=429, retry_after=9_000))
    with pytest.raises(LLMOverloadedError) as caught:
        await gate.enter(a_call(), 5)
    assert caught.value.retry_after == pytest.approx(60, abs=2)


async def test_a_circuit_that_opens_meanwhile_gives_the_place_back() -> None:
    """Who waited for a place and finds the provider down has taken nothing."""
    breaker = Breaker(1, 60)
    gate = Gate(breaker, Limits({"openai": LimitSettings(concurrency=1)}))
    first = await gate.enter(a_call(), 1)
    line = gate.limits.line("openai", "gpt-4o")
    waiting = asyncio.create_task(gate.enter(a_call(), 20))
    await until(lambda: line.waiting == 1)
    first.failed(LLMConnectionError("no"))
    with pytest.raises(LLMCircuitOpenError):
        await waiting
    assert (line.held, line.waiting) == (0, 0)
    assert [circuit.state for circuit in gate.circuits()] == ["open"]


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (LLMProviderError("no", status_code=500), True),
        (LLMProviderError("lost"), False),
        (LLMProviderError("no", usage=Usage(prompt_tokens=1, completion_tokens=1)), True),
    ],
)
async def test_what_was_refused_took_no_tokens(error: LLMError, left: bool) -> None:  # noqa: FBT001
    """A refusal is free; a request of which nothing is known may have taken what was thought."""
    gate = Gate(limits=Limits({"openai": LimitSettings(tpm=600)}))
    (await gate.enter(a_call(), 1)).failed(error)
    if left:
        (await gate.enter(a_call(), 1)).close()
    else:
        with pytest.raises(LLMOverloadedError):
            await gate.enter(a_call(), 1)
