"""Every class of fault for every kind of call, with PostgreSQL for the ledger.

The other files of this folder look at each fault more closely, most of them on SQLite. What the
module does about a fault does not depend on the database; what it writes about it might.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.faults import answers, network
from tests.faults.kinds import KINDS, STREAMS, WHOLE, Kind
from tests.faults.promises import run_all
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.test_answers import PROVIDER
from tests.faults.test_broken_streams import CUT, ERROR, failing
from tests.faults.test_network import ANSWER, BAD, BROKEN, LATE, paid_once, stories

pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.postgresql,
]
Story = tuple[Any, ...]


class Case(NamedTuple):
    """A fault, how calls end that meet it, and whether only their first requests do."""

    fault: Fault
    ends: Callable[[Kind], Story]
    kinds: tuple[Kind, ...] = KINDS
    once: bool = False


def broken(kind: Kind) -> Story:
    """Paid perhaps, and asked for again where that is not too dear."""
    return (*BROKEN, paid_once(kind), True)


def bad(kind: Kind) -> Story:
    """No answer: the same."""
    return (*BAD, paid_once(kind), True)


def always(story: Story) -> Callable[[Kind], Story]:
    """For every kind the same end."""
    return lambda _: story


SURVIVED = always(("answer", None, 2, True))
UNPAID = tuple(kind for kind in WHOLE if not kind.costly)

CONNECTIONS = (
    Case(network.accept_close(), broken),
    Case(network.drop_reply(), broken),
    Case(network.close_in_head(), broken),
    Case(network.reset_after(0.5), broken, WHOLE),
    Case(network.chunk_cut(), broken, WHOLE),
    Case(answers.not_http(), broken),
    Case(network.reset_reply(), SURVIVED, UNPAID, once=True),
    Case(network.drip(5, 0.01), always(ANSWER)),
    Case(network.keepalive_kill(), always(ANSWER)),
)
REPLIES = (
    *(Case(answers.garbage(name), bad) for name in ("empty", "html", "deep", "error_in_200")),
    Case(answers.broken_gzip(), bad),
    Case(answers.big(2**21), always((*BAD, 1, True))),
    Case(answers.redirect(307, "http://127.0.0.1:9/v1"), always((*BAD, 1, False))),
    Case(answers.cut_status(401), always(("LLMAuthenticationError", "Authentication", 1, False))),
    Case(answers.status(404), always(("LLMNotFoundError", "NotFound", 1, False))),
    Case(answers.status(429), always(("LLMRateLimitError", "RateLimited", 2, False))),
    Case(answers.status(503), always((*PROVIDER, 2, False))),
    Case(answers.echo(500), always((*PROVIDER, 2, False))),
)
REPORTED: dict[str, object] = {"type": "error", **ERROR, "error": ERROR}
EVENTS = (
    Case(failing(REPORTED), always((*PROVIDER, 1, True)), STREAMS),
    Case(answers.events("cut", lambda events: events[:-3]), always(CUT), STREAMS),
    Case(answers.garbage("noise", "text/event-stream"), always((*CUT[:2], 2, True)), STREAMS),
    Case(answers.events("hang", lambda events: events, hang=True), always(ANSWER), STREAMS),
)


@pytest.mark.parametrize("cases", [CONNECTIONS, REPLIES, EVENTS], ids=["network", "reply", "event"])
async def test_every_kind_of_call_ends_as_its_fault_wants(
    cases: tuple[Case, ...],
    proxy: FaultProxy,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One row each, with the story that the error tells; fault after fault in one ledger."""
    monkeypatch.setenv("LLM_REPLY_MAX_MB", "1")
    for case in cases:
        proxy.arm(case.fault, times=1 if case.once else 10**9)
        ended = await run_all(case.kinds, proxy)
        expected = {kind.name: case.ends(kind) for kind in case.kinds}
        assert stories(ended) == expected, case.fault.name


@pytest.mark.parametrize(
    "fault", [network.blackhole_reply(), network.stall_after(0.5)], ids=lambda fault: fault.name
)
async def test_silence_ends_at_the_deadline(
    fault: Fault, proxy: FaultProxy, database_url: str, impatient: None
) -> None:
    """The row says that an answer may be paid for, and of a stream what was said."""
    proxy.arm(fault)
    ended = await run_all(KINDS, proxy)
    assert stories(ended) == {kind.name: (*LATE, 1, True) for kind in KINDS}


async def test_nobody_listens(proxy: FaultProxy, database_url: str) -> None:
    """Refused connections cost nothing, and the rows say so."""
    proxy.refuse()
    refused = (*BROKEN, 2, False)
    assert stories(await run_all(KINDS, proxy)) == {kind.name: refused for kind in KINDS}
