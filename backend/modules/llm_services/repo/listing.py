"""Pages of rows without their wide columns, newest or oldest first, by offset or from a position.

Plain rows, not ORM objects: a page is read to be shown, and that is what its columns are for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, literal, or_, select
from sqlalchemy.orm import Session

from modules.llm_services.types import LLMRequestDTO
from modules.llm_services.types.paging import Position

from .stored_id import has_old_spelling, is_id
from .stored_time import CREATED, StoredTime
from .writing import TABLE

WIDE = frozenset({"messages", "response_content", "response_raw"})
ListedRow: TypeAlias = dict[str, Any]
_AT = "stored_at"
_NARROW = [TABLE.c[name] for name in LLMRequestDTO.model_fields if name not in WIDE]
_LISTED = select(*_NARROW, CREATED.label(_AT))
_NAMES = (*(column.name for column in _NARROW), _AT)
_NEWEST = (CREATED.desc(), TABLE.c.id.desc())
_OLDEST = (CREATED, TABLE.c.id)
# Made once: building and compiling 55 columns takes longer than SQLite does.
_OF_USER = (
    _LISTED.where(TABLE.c.user_id == bindparam("user_id"))
    .order_by(*_NEWEST)
    .limit(bindparam("count"))
)
_OF_USER_BY_OFFSET = _OF_USER.offset(bindparam("offset"))


class LedgerPages:
    """Lists rows through the caller's session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_user(self, user_id: UUID, limit: int, offset: int) -> list[ListedRow]:
        """A user's rows, newest first."""
        asked = {"user_id": user_id, "count": limit, "offset": offset}
        if self._is_spelt_twice(user_id):
            return self._rows(self._in_either_spelling(user_id).offset(offset), {"count": limit})
        return self._rows(_OF_USER_BY_OFFSET, asked)

    def page_of_user(
        self, user_id: UUID, limit: int, after: Position | None
    ) -> tuple[list[ListedRow], Position | None]:
        """A user's rows, newest first, from a position on; and the position behind them."""
        both = self._is_spelt_twice(user_id)
        statement = self._in_either_spelling(user_id) if both else _OF_USER
        if after is not None:
            statement = statement.where(_before(after))
        return _cut(self._rows(statement, {"user_id": user_id, "count": limit + 1}), limit)

    def newest(
        self, conditions: Sequence[ColumnElement[bool]], limit: int, after: Position | None
    ) -> tuple[list[ListedRow], Position | None]:
        """Rows that fulfil all conditions, newest first, and the position behind them."""
        place = [] if after is None else [_before(after)]
        statement = _LISTED.where(*conditions, *place).order_by(*_NEWEST)
        return _cut(self._rows(statement.limit(limit + 1)), limit)

    def oldest(
        self, conditions: Sequence[ColumnElement[bool]], limit: int, after: Position | None
    ) -> tuple[list[ListedRow], Position | None]:
        """Rows that fulfil all conditions, oldest first, and the position behind them."""
        place = [] if after is None else [_behind(after)]
        statement = _LISTED.where(*conditions, *place).order_by(*_OLDEST)
        return _cut(self._rows(statement.limit(limit + 1)), limit)

    def _is_spelt_twice(self, user_id: UUID) -> bool:
        return has_old_spelling(self._session, TABLE.c.user_id, user_id)

    def _in_either_spelling(self, user_id: UUID) -> Select[Any]:
        """Such rows have to be sorted: it is the way for those who have them, alone."""
        of_user = _LISTED.where(is_id(self._session, TABLE.c.user_id, user_id))
        return of_user.order_by(*_NEWEST).limit(bindparam("count"))

    def _rows(
        self, statement: Select[Any], asked: Mapping[str, object] | None = None
    ) -> list[ListedRow]:
        rows = self._session.execute(statement, asked)
        return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def _cut(rows: list[ListedRow], limit: int) -> tuple[list[ListedRow], Position | None]:
    """One row more than asked for says that there is more."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], Position(last[_AT], last["id"])


def _before(position: Position) -> ColumnElement[bool]:
    """Spelt so that every planner sees the range of times: a comparison of pairs hides it."""
    at, row_id = literal(position.at, StoredTime), position.id
    return and_(at >= CREATED, or_(at > CREATED, TABLE.c.id < row_id))


def _behind(position: Position) -> ColumnElement[bool]:
    at, row_id = literal(position.at, StoredTime), position.id
    return and_(at <= CREATED, or_(at < CREATED, TABLE.c.id > row_id))
