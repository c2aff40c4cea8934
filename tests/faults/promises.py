"""What holds for every call, whatever was done to it: the rules P1-P10 of a fault as checks."""

import asyncio
import base64
import gc
import json
import logging
import pickle
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from modules.llm_services.public import LLMError, LLMServicesProvider, open_llm_services
from tests.faults.kinds import Kind
from tests.faults.proxy import FaultProxy, wait_for
from tests.support.ledger import rows

SENTINEL = "SENTINEL+key/7f3a9c41d2e8b650="
"""The API key of these tests: of no vendor's shape, so that no pattern can find and mask it."""

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one call ended: the id of its row or its error, and the row."""

    kind: Kind
    row: dict[str, Any]
    error: LLMError | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def story(self) -> tuple[Any, ...]:
        """What a table of expectations says: error, its column, requests, perhaps paid."""
        name = type(self.error).__name__ if self.error else "answer"
        paid = bool(self.row["maybe_paid"])
        return name, self.row["error_type"], len(self.attempts), paid


async def run_all(kinds: Sequence[Kind], proxy: FaultProxy) -> dict[str, Ended]:
    """Make a call of each kind, all at once, and check everything that holds for any of them."""
    before = {str(row["id"]) for row in rows()}
    async with open_llm_services() as llm:
        outcomes = await asyncio.wait_for(_ask_all(llm, kinds), _PATIENCE)
    kept = {_id(row): row for row in rows() if str(row["id"]) not in before}
    ended = {
        kind.name: _ended(kind, outcome, kept, proxy)
        for kind, outcome in zip(kinds, outcomes, strict=True)
    }
    assert len(kept) == len(kinds), "one row for each call"
    if proxy.fault.at_accept:
        assert sum(len(end.attempts) for end in ended.values()) == proxy.asked
    await _check_nothing_is_left(proxy)
    return ended


async def _ask_all(llm: LLMServicesProvider, kinds: Sequence[Kind]) -> list[UUID | BaseException]:
    return await asyncio.gather(*(kind.ask(llm) for kind in kinds), return_exceptions=True)


def _ended(
    kind: Kind, outcome: UUID | BaseException, kept: dict[UUID, dict[str, Any]], proxy: FaultProxy
) -> Ended:
    if isinstance(outcome, UUID):
        call_id, error = outcome, None
    else:
        assert isinstance(outcome, LLMError), f"{kind.name}: {outcome!r} left the module"
        assert outcome.request_id is not None, f"{kind.name}: {outcome!r} names no row"
        call_id, error = outcome.request_id, outcome
    row = kept[call_id]
    attempts = json_of(row["attempts"]) or []
    ended = Ended(
        kind=kind,
        row=row,
        error=error,
        attempts=attempts,
    )
    sent = 0 if proxy.fault.at_accept else sum(map(_was_sent, attempts))
    assert len(proxy.requests_of(call_id)) == sent, f"{kind.name}: {attempts}"
    _check(ended)
    return ended


def _was_sent(attempt: dict[str, Any]) -> bool:
    """Whether there was a connection: on a busy machine it may take too long to come about."""
    return attempt["outcome"] != "Connection" or bool(attempt["maybe_paid"])


def _check(ended: Ended) -> None:
    """One final row, whose attempts are the requests, with the same story as the error tells."""
    row, error = ended.row, ended.error
    name = f"{ended.kind.name}: {ended.story}, {row['status']}, {error!r}, {ended.attempts}"
    assert row["status"] == ("failed" if error else "completed"), name
    assert row["retry_attempt"] == len(ended.attempts), name
    assert bool(row["maybe_paid"]) is any(a["maybe_paid"] for a in ended.attempts), name
    assert all(a["ms"] is not None and a["outcome"] != "pending" for a in ended.attempts), name
    if error is None:
        assert (row["error_type"], row["error_message"]) == (None, None), name
        return
    assert row["error_type"] == error.error_type, name
    assert error.maybe_billed is bool(row["maybe_paid"]), name
    assert len(row["error_message"]) <= 4_000, name
    assert len(str(error)) <= 4_000, name
    if error.usage is None:
        assert (row["tokens_used"], row["cost_estimate"]) == (None, None), name
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert vars(again) == vars(error), name
    assert (type(again), str(again)) == (type(error), str(error)), name
    hunt(error)


async def _check_nothing_is_left(proxy: FaultProxy) -> None:
    """No connection, no task that waits; and every row is final and holds no key."""
    gc.collect(1)  # what this run has made; all of it would take longer than the run
    wait_for(lambda: proxy.open_connections == 0, "the module's connections to be closed")
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait_for(task, _PATIENCE)  # the ends of generators; they wait for nothing
    for row in rows():
        assert row["status"] in {"completed", "failed", "cancelled"}
        assert_no_key(json.dumps(row, default=str), "a row")


def hunt(error: BaseException) -> None:
    """The key is in nothing that an error leads to: its words, its facts, its causes, theirs."""
    assert_no_key("".join(traceback.format_exception(error)), "a traceback")
    for member in _chain(error):
        assert_no_key(f"{member} {member!r} {member.args!r} {vars(member)!r}", "an error")
        for holder in (member, getattr(member, "response", None)):
            headers = getattr(getattr(holder, "request", None), "headers", {})
            assert_no_key(str(dict(headers)), f"the headers behind {member!r}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set()
    while waiting:
        member = waiting.pop()
        if id(member) in seen:
            continue
        seen.add(id(member))
        yield member
        waiting += [e for e in (member.__cause__, member.__context__) if e is not None]


def assert_no_key(text: str, where: str) -> None:
    """The key is not there, in no form in which it could be used or found again."""
    for form in key_forms():
        assert form not in text, f"the key is in {where}"


def key_forms() -> set[str]:
    """The key as it is, as URLs and base64 hold it, and its beginning."""
    raw = SENTINEL.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {SENTINEL, SENTINEL[:8], quote(SENTINEL, safe=""), *(e.rstrip("=") for e in encoded)}


def assert_logs_hold_no_key(records: Sequence[logging.LogRecord]) -> None:
    """No record of any logger, with its arguments and its traceback, holds the key."""
    formatter = logging.Formatter("%(name)s %(message)s")
    for record in records:
        assert_no_key(formatter.format(record) + repr(record.args), f"a record of {record.name}")


def json_of(value: Any) -> Any:
    """A JSON column, which SQLite gives as text."""
    return json.loads(value) if isinstance(value, str) else value


def _id(row: dict[str, Any]) -> UUID:
    return UUID(str(row["id"]))
