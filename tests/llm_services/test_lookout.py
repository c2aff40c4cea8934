"""Who looks after the rows that callers wait for, and what counts as waiting."""

import asyncio
import time

from modules.llm_services.public import LLMRecordingError
from modules.llm_services.recording.lookout import Lookout
from modules.llm_services.recording.writes import Write


def a_write(*, opens: bool = True) -> Write:
    loop = asyncio.get_running_loop()
    return Write(opens, {}, loop.create_future(), loop.time())


def a_lookout(patience: float) -> tuple[Lookout, list[float]]:
    """A lookout and the times at which it said that the ledger is overdue."""
    told: list[float] = []
    loop = asyncio.get_running_loop()
    return Lookout(loop, patience, lambda: patience / 2, lambda: told.append(loop.time())), told


async def test_first_the_ledger_is_overdue_then_the_caller_goes() -> None:
    """An opening row that nobody takes ends with a refusal, and nobody needs it any more."""
    lookout, told = a_lookout(0.2)
    write = a_write()
    lookout.over(write)
    refusal = await write.done
    assert isinstance(refusal, LLMRecordingError)
    assert "in 0.2 s" in str(refusal)
    assert told[0] - write.since >= 0.1
    assert not write.is_wanted


async def test_an_outcome_is_wanted_all_the_same() -> None:
    """Its caller goes on with the answer; the row is still to be written."""
    lookout, _ = a_lookout(0.1)
    write = a_write(opens=False)
    lookout.over(write)
    assert await write.done is None
    assert write.is_wanted


async def test_time_in_which_nobody_could_listen_does_not_count() -> None:
    """The loop is held up for longer than the patience: the ledger's word comes after that."""
    lookout, told = a_lookout(0.4)
    write = a_write()
    lookout.over(write)
    time.sleep(0.8)  # noqa: ASYNC251 - what holds the loop up
    await asyncio.sleep(0.05)
    assert not write.done.done()
    assert told == []
    write.done.set_result(None)


async def test_who_comes_later_waits_longer() -> None:
    """Each row has its own patience, and one that has ended is forgotten."""
    lookout, _ = a_lookout(0.2)
    first, written = a_write(), a_write()
    lookout.over(first)
    lookout.over(written)
    written.done.set_result(None)
    await asyncio.sleep(0.1)
    second = a_write()
    lookout.over(second)
    assert await first.done is not None
    assert not second.done.done()
    assert await second.done is not None
