"""POST and GET /v1/batches: a file of requests, answered in a thread of its own.

A fault behind a line's model name goes wrong with that line; `times=N` counts the lines of one
batch. `batch=expired`, `batch=cancelled` and `batch=failed` end the whole batch like that: lines
with such a fault are not answered (a failed batch has no results at all).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sandbox.batch_files import Files
from sandbox.fault_replies import body_of, error_of
from sandbox.faults import Counters, Fault, parse, split_model
from sandbox.params import check_required
from sandbox.wire import ApiError, Json, Reply, dumps, new_id, now

LineHandler = Callable[[Json, Fault], Reply]
_DAY = 86_400
_MOST_LINES, _MOST_BYTES = 50_000, 200_000_000
_BAD_REQUEST = 400
_UNANSWERED = {
    "expired": "This request could not be executed before the completion window expired.",
    "cancelled": "This request was not executed because the batch was cancelled.",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One line of the input: a request, its fault, and whether that fault holds for this line."""

    custom_id: str
    body: Json
    fault: Fault


@dataclass(slots=True)
class Batches:
    """The server's batches over its files."""

    files: Files
    _kept: dict[str, Json] = field(default_factory=dict)
    _counters: Counters = field(default_factory=Counters)

    def reset(self) -> None:
        """Forget all batches and their files."""
        self._kept.clear()
        self.files.reset()

    def creator(self, handlers: Mapping[str, LineHandler]) -> LineHandler:
        """POST /v1/batches; ``handlers`` answer the lines, by their url."""

        def create(body: Json, _fault: Fault) -> Reply:
            check_required(body, "input_file_id", "endpoint", "completion_window")
            if body["endpoint"] not in handlers:
                raise ApiError(400, f"Invalid value: '{body['endpoint']}'.", param="endpoint")
            content = self.files.get(body["input_file_id"]).content
            batch = _new_batch(body)
            self._kept[batch["id"]] = batch
            work = (batch, content, handlers[body["endpoint"]])
            threading.Thread(target=self._process, args=work, daemon=True).start()
            return Reply(content=dict(batch))

        return create

    def describe(self, body: Json, _fault: Fault) -> Reply:
        """GET /v1/batches/{batch_id}."""
        found = self._kept.get(str(body["batch_id"]))
        if found is None:
            raise ApiError(404, f"No batch found with id '{body['batch_id']}'.", param="batch_id")
        return Reply(content=dict(found))

    def _process(self, batch: Json, content: bytes, handler: LineHandler) -> None:
        try:
            asked = [self._asked(batch, n, line) for n, line in enumerate(_lines(content), 1)]
            ended = _end_of(asked)
        except _LineError as error:
            batch.update(status="failed", failed_at=now(), errors=error.body())
            return
        good: list[Json] = []
        bad: list[Json] = []
        for line in (_answered(one, handler) for one in asked):
            (good if _succeeded(line) else bad).append(line)
        counts = {"total": len(asked), "completed": len(good), "failed": len(bad)}
        files = {
            name: self.files.add(_jsonl(some), "batch_output")["id"]
            for name, some in (("output_file_id", good), ("error_file_id", bad))
            if some
        }
        batch.update(files, request_counts=counts, **{f"{ended}_at": now()})
        batch["status"] = ended  # last: who sees it finds the files

    def _asked(self, batch: Json, number: int, line: bytes) -> _Asked:
        try:
            said = json.loads(line)
            custom_id, body = str(said["custom_id"]), dict(said["body"])
            model, spec = split_model(str(body["model"]))
            right = (said["method"], said["url"]) == ("POST", batch["endpoint"])
            fault = self._counters.now_active(parse(spec), f"{spec}|{batch['id']}")
        except (ApiError, KeyError, TypeError, ValueError):
            raise _LineError(number, "invalid_json_line", "This line is not parseable.") from None
        if not right:
            raise _LineError(number, "mismatched_url", "The URL does not match the batch's.")
        return _Asked(custom_id, {**body, "model": model}, fault)


class _LineError(Exception):
    """The input is wrong in a line, so that nothing of it is processed."""

    def __init__(self, line: int, code: str, message: str) -> None:
        super().__init__(message)
        self._told = {"line": line, "code": code, "message": message, "param": None}

    def body(self) -> Json:
        return {"object": "list", "data": [self._told]}


def _lines(content: bytes) -> list[bytes]:
    lines = content.splitlines()
    if not 1 <= len(lines) <= _MOST_LINES or len(content) > _MOST_BYTES:
        raise _LineError(1, "token_limit_exceeded", "The batch is empty or too large.")
    return lines


def _end_of(asked: list[_Asked]) -> str:
    ended = next((one.fault.batch for one in asked if one.fault.batch), "completed")
    if ended == "failed":
        raise _LineError(1, "invalid_request", "The batch is invalid (sandbox fault).")
    return ended


def _new_batch(body: Json) -> Json:
    created = now()
    return {
        "id": new_id("batch"),
        "object": "batch",
        "endpoint": body["endpoint"],
        "errors": None,
        "input_file_id": body["input_file_id"],
        "completion_window": body["completion_window"],
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": created,
        "expires_at": created + _DAY,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata"),
    }


def _answered(asked: _Asked, handler: LineHandler) -> Json:
    line: Json = {"id": new_id("batch_req"), "custom_id": asked.custom_id, "response": None}
    if asked.fault.batch:
        code, message = f"batch_{asked.fault.batch}", _UNANSWERED[asked.fault.batch]
        return {**line, "error": {"code": code, "message": message}}
    try:
        if (error := error_of(asked.fault)) is not None:
            raise error
        reply = body_of(asked.fault) or handler(asked.body, asked.fault)
        status, content = reply.status, reply.content
    except ApiError as error:
        status, content = error.status, error.body()
    except (AttributeError, KeyError, TypeError, ValueError):
        unread = ApiError(400, "Your request could not be read.", code="invalid_type")
        status, content = unread.status, unread.body()
    shown = content if isinstance(content, dict) else None
    response = {"status_code": status, "request_id": new_id("req"), "body": shown}
    return {**line, "response": response, "error": None}


def _succeeded(line: Json) -> bool:
    return line["error"] is None and line["response"]["status_code"] < _BAD_REQUEST


def _jsonl(lines: list[Json]) -> bytes:
    return "".join(f"{dumps(line)}\n" for line in lines).encode("utf-8", "surrogatepass")
