"""What users and tenants have used: sums of closed days, and of everything else the rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    Table,
    cast,
    delete,
    insert,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from modules.llm_services.models import DailyUserUsage

from .inserting import own_insert
from .stored_time import DAY, between, midnight
from .sums import SUM_NAMES, USAGE_OF_ROWS, or_empty, total
from .writing import TABLE

USERS: Table = DailyUserUsage.metadata.tables[DailyUserUsage.__tablename__]
_KEYS = ("user_id", "tenant")
_OF_ROWS: Mapping[str, ColumnElement[Any]] = {
    "user_id": or_empty(cast(TABLE.c.user_id, String(36))),
    "tenant": or_empty(TABLE.c.tenant),
}
_COLUMNS = {"user": "user_id", "tenant": "tenant"}
DIMENSIONS = _COLUMNS.keys()
"""What these sums can be split by."""
Days: TypeAlias = Sequence[tuple[date, date]]
Times: TypeAlias = Sequence[tuple[datetime, datetime]]


def users_usage(
    session: Session, by: Sequence[str], days: Days, times: Times, order: Sequence[str], limit: int
) -> Sequence[Row[Any]]:
    """The largest by ``order``, a sum of columns: `DIMENSIONS` as asked, then `SUM_NAMES`.

    Added up by the database as a whole: who is among the largest of both sources together may be
    so of neither.
    """
    if not days and not times:
        return []
    names = [_COLUMNS[name] for name in by]
    # Sorted by one number first: all fourteen are then added up for those alone that are shown.
    largest = _added_up(names, order, _parts(names, order, days, times), order)
    chosen = largest.with_only_columns(*largest.selected_columns[: len(names)])
    parts = _parts(names, SUM_NAMES, days, times, chosen.limit(limit).cte("largest"))
    return session.execute(_added_up(names, SUM_NAMES, parts, order)).all()


def _added_up(
    names: Sequence[str], sums: Sequence[str], parts: Iterable[Select[Any]], order: Sequence[str]
) -> Select[Any]:
    all_parts = union_all(*parts).subquery()
    keys = [all_parts.c[name] for name in names]
    added = {name: total(all_parts.c[name]) for name in sums}
    size = sum((added[name] for name in order), literal(0))
    return select(*keys, *added.values()).group_by(*keys).order_by(size.desc(), *keys)


def _parts(
    names: Sequence[str], sums: Sequence[str], days: Days, times: Times, only: CTE | None = None
) -> Iterator[Select[Any]]:
    if days:
        columns: list[ColumnElement[Any]] = [USERS.c[name] for name in names]
        of_days = select(*columns, *(USERS.c[name] for name in sums))
        closed = or_(*(USERS.c.day.between(*run) for run in days))
        yield of_days.where(closed, *_is_among(columns, only))
    if times:
        keys = [_OF_ROWS[name].label(name) for name in names]
        # PostgreSQL's sums of bigint are numeric: in a union they would make all numbers so.
        whole = {value.name: cast(value.element, BigInteger) for value in USAGE_OF_ROWS}
        of_rows = select(*keys, *(whole[name].label(name) for name in sums))
        while_open = or_(*(between(*time) for time in times))
        bare = [_OF_ROWS[name] for name in names]
        yield of_rows.where(while_open, *_is_among(bare, only)).group_by(*bare)


def _is_among(
    keys: Sequence[ColumnElement[Any]], only: CTE | None
) -> Iterator[ColumnElement[bool]]:
    if only is not None:
        yield tuple_(*keys).in_(select(*only.c))


def make_user_sums(connection: Connection, day: date) -> None:
    """Make a day's sums anew, without bringing them here: there may be as many as rows."""
    drop_user_sums(connection, day, day)
    window = between(midnight(day), midnight(day) + DAY)
    keys = [_OF_ROWS[name] for name in _KEYS]
    made = select(literal(day), *keys, *USAGE_OF_ROWS).where(window).group_by(*keys)
    connection.execute(insert(USERS).from_select(["day", *_KEYS, *SUM_NAMES], made))


def drop_user_sums(connection: Connection, first: date, last: date) -> None:
    """Forget who used what on these days, both included."""
    connection.execute(delete(USERS).where(USERS.c.day.between(first, last)))


def has_sums(connection: Connection, user_id: UUID) -> bool:
    """Whether any day's sums name the user."""
    return connection.scalar(select(USERS.c.day).where(_is(user_id)).limit(1)) is not None


def _is(user_id: UUID) -> ColumnElement[bool]:
    return USERS.c.user_id.in_([str(user_id), user_id.hex])  # an older engine left the dashes out


def give_to_nobody(connection: Connection, user_id: UUID) -> None:
    """What a user has used stays in the sums; whose it was does not."""
    his = _is(user_id)
    sums = {name: USERS.c[name] for name in SUM_NAMES}
    moved = select(USERS.c.day, literal(""), USERS.c.tenant, *sums.values()).where(his)
    insertion = own_insert(USERS, connection.dialect.name)
    added = insertion.from_select(["day", *_KEYS, *SUM_NAMES], moved)
    more = {name: column + added.excluded[name] for name, column in sums.items()}
    connection.execute(
        added.on_conflict_do_update(index_elements=list(USERS.primary_key), set_=more)
    )
    connection.execute(delete(USERS).where(his))
