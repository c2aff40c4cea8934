"""Files of a batch: a request on each line in, a result on each line out, and where it stands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modules.llm_services.public import BatchRequest, LLMInputError, LLMMessageDTO

_KNOWN = frozenset(("key", "prompt", "system", "messages", "parameters"))
_FORMS = 'a line is {"prompt": …} or {"messages": [{"role": …, "content": …}]}'


def read_requests(path: Path) -> list[BatchRequest]:
    """The requests of a file. Raises `LLMInputError` with the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no UTF-8"
        raise LLMInputError(f"{path}: {said}") from None
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    return [_request(line, f"{path}:{number}", str(number)) for number, line in numbered]


def _request(line: str, where: str, number: str) -> BatchRequest:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise LLMInputError(f"{where}: no JSON: {error}") from None
    if not isinstance(said, dict) or ("prompt" in said) == ("messages" in said):
        raise LLMInputError(f"{where}: {_FORMS}")
    if unknown := sorted(said.keys() - _KNOWN):
        raise LLMInputError(f"{where}: {unknown[0]!r} is none of {', '.join(sorted(_KNOWN))}")
    parameters: Any = said.get("parameters") or {}
    messages = list(_messages(said, where))
    return BatchRequest(key=said.get("key", number), messages=messages, parameters=parameters)


def _messages(said: dict[str, Any], where: str) -> Iterator[LLMMessageDTO]:
    if "system" in said:
        yield LLMMessageDTO(role="system", content=said["system"])
    if "prompt" in said:
        yield LLMMessageDTO(role="user", content=said["prompt"])
        return
    given = said["messages"]
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise LLMInputError(f"{where}: {_FORMS}")
    for one in given:
        yield LLMMessageDTO(role=one.get("role"), content=one.get("content"))


class Progress:
    """Which batch stands for which input, kept beside the results, so that none is sent twice."""

    def __init__(self, results: Path) -> None:
        self._path = results.with_name(f"{results.name}.batch")

    def begun(self, digest: str) -> str | None:
        """The batch that was handed over for an input with this hash, if any was.

        Raises `LLMInputError` when it was another input.
        """
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise LLMInputError(f"{self._path} cannot be read: remove it to begin anew") from None
        if kept.get("input") != digest:
            said = f"{self._path} is of another input: remove it, or name other results"
            raise LLMInputError(said)
        return str(kept["id"])

    def begin(self, digest: str, batch_id: str) -> None:
        """Keep it."""
        self._path.write_text(json.dumps({"id": batch_id, "input": digest}), encoding="utf-8")

    def end(self) -> None:
        """All results are there."""
        self._path.unlink(missing_ok=True)
