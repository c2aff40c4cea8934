"""The spool's records: one line each, with a checksum before its JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID
from zlib import crc32

from modules.llm_services import repo
from modules.llm_services.models import LLMRequest
from modules.llm_services.redaction import storable_json
from modules.shared.db import Guid, UtcDateTime


class Entry(Protocol):
    """A row on its way to the ledger: the opening one, or an outcome with its ``row_id``."""

    @property
    def opens(self) -> bool:
        """Whether it is an opening row."""
        ...

    @property
    def row(self) -> Mapping[str, Any]:
        """Its columns."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SpooledRow:
    """An entry as it was read from the spool."""

    opens: bool
    row: Mapping[str, Any]


def line_of(entry: Entry) -> bytes:
    """The entry as a line. Raises ValueError or TypeError for what JSON cannot say."""
    row = {name: _plain(value) for name, value in entry.row.items()}
    text = storable_json({"opens": entry.opens, "row": row}).encode()
    return b"%08x %s\n" % (crc32(text), text)


def entry_of(line: bytes) -> SpooledRow | None:
    """The entry of a line; ``None`` when it is torn, or was never one."""
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % crc32(text):
        return None
    try:
        record = json.loads(text)
        row = _typed(record["row"])
        return SpooledRow(opens=True, row=row) if record["opens"] else _outcome(row)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Values as their columns take them; columns that this version does not know are left out."""
    return {
        name: value if value is None else _READERS[name](value)
        for name, value in row.items()
        if name in _READERS
    }


def _outcome(row: dict[str, Any]) -> SpooledRow:
    return SpooledRow(opens=False, row={**_NOTHING, **row})


def _reader(column_type: Any) -> Callable[[Any], Any]:
    if isinstance(column_type, Guid):
        return UUID
    return datetime.fromisoformat if isinstance(column_type, UtcDateTime) else lambda value: value


# An older version's outcome has fewer columns.
_NOTHING = {**dict.fromkeys(repo.SETTLED_COLUMNS), "cached": False}
_READERS = {column.name: _reader(column.type) for column in LLMRequest.__table__.columns}
_READERS["row_id"] = UUID  # an outcome's name for the row that it belongs to
