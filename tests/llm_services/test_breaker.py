"""The circuit breaker: what is down is left in peace, what is up is not suspected for long."""

import asyncio
from typing import Any

import pytest

from modules.llm_services.breaker import Breaker, Circuit, Trial
from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMCircuitOpenError,
    LLMConnectionError,
    LLMError,
    LLMInputError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMTimeoutError,
)
from modules.llm_services.public import LLMMessageDTO, LLMServicesProvider, open_llm_services
from modules.llm_services.wiring import runtime_of
from modules.shared.db import get_engine
from sandbox import Sandbox
from tests.llm_services.test_recording import until
from tests.support.ledger import rows

HELLO = [LLMMessageDTO(role="user", content="Rivers carry sand to the sea.")]
DOWN = "openai:sandbox-fault:status=503"
MODEL = ("openai", "m")


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of these tests."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """Three failures open a circuit for ten seconds."""
    return Breaker(3, 10, clock)


def fail(breaker: Breaker, clock: Clock, times: int = 1, error: LLMError | None = None) -> None:
    """Requests one after the other that fail, by default for want of a connection."""
    for _ in range(times):
        clock.now += 0.001
        breaker.failed(breaker.begin(*MODEL), error or LLMConnectionError("no"))


def test_failures_in_a_row_open_a_circuit(breaker: Breaker, clock: Clock) -> None:
    """From then on nothing passes, for that model of that provider alone."""
    fail(breaker, clock, 2)
    assert breaker.circuits() == (
        Circuit(provider="openai", model="m", state="closed", failures=2, seconds=0),
    )
    breaker.check(*MODEL)
    fail(breaker, clock)
    with pytest.raises(LLMCircuitOpenError):
        breaker.check(*MODEL)
    with pytest.raises(LLMCircuitOpenError) as caught:
        breaker.begin(*MODEL)
    assert caught.value.retry_after == pytest.approx(10)
    assert (caught.value.retryable, caught.value.error_type) == (True, "CircuitOpen")
    breaker.begin("openai", "other")
    breaker.begin("azure_openai", "m")
    [circuit] = breaker.circuits()
    assert circuit.state == "open"
    assert circuit.seconds == pytest.approx(10)


def test_an_answer_in_between_starts_the_count_again(breaker: Breaker, clock: Clock) -> None:
    """Two failures, an answer, two failures: the provider is up."""
    for _ in range(4):
        fail(breaker, clock, 2)
        breaker.answered(breaker.begin(*MODEL))
        assert breaker.circuits() == ()


@pytest.mark.parametrize(
    "error",
    [
        LLMAuthenticationError("no", status_code=401),
        LLMQuotaExceededError("no", status_code=402),
        LLMRateLimitError("no", status_code=429),
        LLMBadRequestError("no", status_code=400),
        LLMProviderError("no", status_code=408),
        LLMInputError("nothing was sent"),
        LLMTimeoutError("the caller waited for no time at all"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_open_a_circuit(breaker: Breaker, clock: Clock, error: LLMError) -> None:
    """The client's own errors say nothing about the provider, or that it is up."""
    fail(breaker, clock, 20, error)
    breaker.begin(*MODEL)
    fail(breaker, clock, 2)
    fail(breaker, clock, 1, error)
    fail(breaker, clock)
    assert [circuit.state for circuit in breaker.circuits()] == [
        "closed" if error.status_code else "open"
    ]


@pytest.mark.parametrize("status", [500, 502, 529])
def test_server_errors_open_a_circuit(breaker: Breaker, clock: Clock, status: int) -> None:
    """Any 5xx speaks of the provider."""
    fail(breaker, clock, 3, LLMProviderError("no", status_code=status))
    with pytest.raises(LLMCircuitOpenError):
        breaker.begin(*MODEL)


def test_silence_opens_a_circuit(breaker: Breaker, clock: Clock) -> None:
    """A request that was waited for in vain counts."""
    for _ in range(3):
        trial = breaker.begin(*MODEL)
        clock.now += 5
        breaker.failed(trial, LLMTimeoutError("no"))
    with pytest.raises(LLMCircuitOpenError):
        breaker.begin(*MODEL)


def test_failures_together_count_once(breaker: Breaker, clock: Clock) -> None:
    """What breaks many connections in a moment is no outage; what goes on for seconds is."""
    trials = [breaker.begin(*MODEL) for _ in range(100)]
    for trial in trials[:50]:
        breaker.failed(trial, LLMConnectionError("no"))
    assert [circuit.failures for circuit in breaker.circuits()] == [1]
    for trial in trials[50:52]:
        clock.now += 1
        breaker.failed(trial, LLMConnectionError("no"))
    assert [circuit.state for circuit in breaker.circuits()] == ["open"]


def open_circuit(breaker: Breaker, clock: Clock) -> Trial:
    """Open the circuit, let it cool down and begin the probe."""
    fail(breaker, clock, 3)
    clock.now += 10
    assert [circuit.state for circuit in breaker.circuits()] == ["half-open"]
    return breaker.begin(*MODEL)


def test_one_probe_closes_a_circuit(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """While it is under way the others fail; when it is answered all pass, and the log says so."""
    probe = open_circuit(breaker, clock)
    for _ in range(99):
        with pytest.raises(LLMCircuitOpenError) as caught:
            breaker.begin(*MODEL)
        assert caught.value.retry_after == 1
    breaker.answered(probe)
    breaker.begin(*MODEL)
    breaker.check(*MODEL)
    assert breaker.circuits() == ()
    assert [record.getMessage() for record in caplog.records] == [
        "openai:m failed 3 times in a row, at last with Connection: nothing is sent to it for 10 s",
        "openai:m answers again: its circuit is closed",
    ]


def test_a_probe_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    """The next one comes after another cool-down."""
    breaker.failed(open_circuit(breaker, clock), LLMProviderError("no", status_code=500))
    clock.now += 9
    with pytest.raises(LLMCircuitOpenError):
        breaker.begin(*MODEL)
    clock.now += 1
    breaker.begin(*MODEL)


def test_a_refused_probe_closes_it(breaker: Breaker, clock: Clock) -> None:
    """Who says no is there."""
    breaker.failed(open_circuit(breaker, clock), LLMBadRequestError("no", status_code=400))
    assert breaker.circuits() == ()


def test_a_probe_that_goes_away_makes_room(breaker: Breaker, clock: Clock) -> None:
    """A cancelled probe is nobody's answer: the next request is the probe."""
    gone = open_circuit(breaker, clock)
    breaker.left(gone)
    probe = breaker.begin(*MODEL)
    breaker.left(gone)
    with pytest.raises(LLMCircuitOpenError):
        breaker.begin(*MODEL)
    breaker.failed(probe, LLMTimeoutError("the caller waited for no time at all"))
    breaker.begin(*MODEL)


def test_latecomers_do_not_speak_for_the_probe(breaker: Breaker, clock: Clock) -> None:
    """Requests sent before a circuit opened neither close it nor keep it open for longer."""
    early = [breaker.begin(*MODEL) for _ in range(2)]
    fail(breaker, clock, 3)
    clock.now += 5
    breaker.failed(early[0], LLMConnectionError("no"))
    breaker.answered(early[1])
    with pytest.raises(LLMCircuitOpenError) as caught:
        breaker.begin(*MODEL)
    assert caught.value.retry_after == pytest.approx(5)
    clock.now += 5
    breaker.begin(*MODEL)


def test_no_failures_no_breaker(clock: Clock) -> None:
    """Zero switches it off."""
    breaker = Breaker(0, 10, clock)
    fail(breaker, clock, 50)
    assert breaker.circuits() == ()


async def ask(llm: LLMServicesProvider, model: str = DOWN, **options: Any) -> LLMError | None:
    """One call; its error, if it has one."""
    try:
        await llm.generate_response(HELLO, model=model, **{"max_retries": 0, **options})
    except LLMError as error:
        return error
    return None


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three failures open a circuit for as long as a test lasts."""
    monkeypatch.setenv("LLM_CIRCUIT_FAILURES", "3")
    monkeypatch.setenv("LLM_CIRCUIT_SECONDS", "300")


@pytest.mark.usefixtures("quick")
async def test_a_dead_provider_is_left_in_peace(database_url: str, vendor: Sandbox) -> None:
    """Calls of every kind fail at once, each with its row; other models go on."""
    async with open_llm_services() as llm:
        for _ in range(3):
            await ask(llm)
        sent = len(vendor.journal())
        errors = await asyncio.gather(*(ask(llm) for _ in range(20)))
        with pytest.raises(LLMCircuitOpenError):
            async with llm.stream_response(HELLO, model=DOWN):
                raise AssertionError
        with pytest.raises(LLMCircuitOpenError):
            await llm.generate_embeddings(["a", "b"], model=DOWN)
        with pytest.raises(LLMCircuitOpenError):
            await llm.search_web(["a", "b"], model=DOWN)
        assert len(vendor.journal()) == sent
        assert await ask(llm, "gpt-6-luna") is None
        assert [circuit.state for circuit in runtime_of(get_engine()).circuits()] == ["open"]
    assert {type(error) for error in errors} == {LLMCircuitOpenError}
    refused = rows("error_type = 'CircuitOpen'")
    assert len(refused) == 23
    for row in refused:
        assert (row["status"], bool(row["maybe_paid"])) == ("failed", False)
        assert row["attempts"] in ([], "[]")
        assert row["retry_attempt"] == 0


@pytest.mark.usefixtures("quick")
async def test_an_open_circuit_ends_the_retries(database_url: str, vendor: Sandbox) -> None:
    """A call that has sent something fails with what it met, not with what it was spared."""
    async with open_llm_services() as llm:
        error = await ask(llm, "openai:sandbox-fault:status=503,retry_after_ms=1", max_retries=9)
    assert isinstance(error, LLMProviderError)
    assert len(vendor.journal()) == 3
    [row] = rows()
    assert (row["error_type"], row["retry_attempt"]) == ("ProviderError", 3)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_of_a_hundred_tries(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it has cooled down one request reaches the provider, and its answer closes it."""
    monkeypatch.setenv("LLM_CIRCUIT_FAILURES", "1")
    model = "sandbox-fault:slow=1"
    async with open_llm_services() as llm:
        breaker = runtime_of(get_engine()).gate._breaker
        clock = Clock()
        monkeypatch.setattr(breaker, "_clock", clock)
        breaker.failed(breaker.begin("openai", model), LLMConnectionError("no"))
        clock.now += 10
        errors = await asyncio.gather(*(ask(llm, f"openai:{model}") for _ in range(100)))
        assert len(vendor.journal()) == 1
        assert [error for error in errors if not isinstance(error, LLMCircuitOpenError)] == [None]
        assert await ask(llm, f"openai:{model}") is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_cancelled_probe_lets_the_next_one_try(
    database_url: str, vendor: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller of the probe goes away, and nobody is locked out by that."""
    monkeypatch.setenv("LLM_CIRCUIT_FAILURES", "1")
    model = "sandbox-fault:slow=30,times=1"
    async with open_llm_services() as llm:
        breaker = runtime_of(get_engine()).gate._breaker
        clock = Clock()
        monkeypatch.setattr(breaker, "_clock", clock)
        breaker.failed(breaker.begin("openai", model), LLMConnectionError("no"))
        clock.now += 10
        probe = asyncio.create_task(ask(llm, f"openai:{model}"))
        await until(lambda: len(vendor.journal()) == 1)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert await ask(llm, "gpt-6-luna") is None
        breaker.begin("openai", model)
