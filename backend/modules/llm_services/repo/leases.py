"""Leases on open rows: who has some, whether they still beat, and the end of those left behind.

A row of a batch stays open for hours and has no owner; nor has one that an older engine wrote.
Neither is looked at here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    delete,
    exists,
    insert,
    literal_column,
    select,
    true,
    update,
)

from modules.llm_services.models import LedgerOwner
from modules.llm_services.types import RequestStatus

from .budgets import release
from .writing import TABLE

_OWNERS: Table = LedgerOwner.metadata.tables[LedgerOwner.__tablename__]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process as the database shows it. ``beat`` is ``None`` when it never said that it lives,
    or no longer does; ``has_rows`` says whether it has rows open.
    """

    id: UUID
    beat: int | None
    has_rows: bool
    host: str | None = None
    pid: int | None = None


def _open_rows() -> tuple[ColumnElement[bool], ...]:
    """The status is written into the SQL, for a partial index is of no use to a parameter."""
    pending: ColumnElement[str] = literal_column(f"'{RequestStatus.PENDING}'")
    return TABLE.c.status == pending, TABLE.c.batch_id.is_(None)


HOLDERS = select(TABLE.c.owner_id).where(*_open_rows(), TABLE.c.owner_id.is_not(None)).distinct()
"""Who has rows open."""


def owners(connection: Connection) -> list[Owner]:
    """Everybody who has rows open or has ever beaten and not been forgotten."""
    # Rows before beats: of somebody who is just beginning or ending, the newer beat is seen.
    holders = set(connection.execute(HOLDERS).scalars())
    known: Mapping[UUID, Any] = {row.id: row for row in connection.execute(select(_OWNERS))}
    unknown = [Owner(id=id_, beat=None, has_rows=True) for id_ in holders - known.keys()]
    return unknown + [
        Owner(id=id_, beat=row.beat, has_rows=id_ in holders, host=row.host, pid=row.pid)
        for id_, row in known.items()
    ]


def beat(connection: Connection, owner_id: UUID, *, host: str, pid: int) -> None:
    """Say that an owner lives; the first time, and after others forgot it, who it is."""
    mine = _OWNERS.c.id == owner_id
    if connection.execute(update(_OWNERS).where(mine).values(beat=_OWNERS.c.beat + 1)).rowcount:
        return
    values = {"id": owner_id, "beat": 0, "host": host, "pid": pid, "started_at": datetime.now(UTC)}
    connection.execute(insert(_OWNERS).values(values))


def interrupt(connection: Connection, owner: Owner, message: str, limit: int) -> int:
    """End up to ``limit`` open rows of an owner that has not beaten since it was looked at.

    Returns how many were ended. Any number of processes may do this at once: rows that another
    one is ending are passed over, and none is ended twice.
    """
    abandoned = (*_rows_of(owner), _is_unchanged(owner))
    # Two statements: as a subquery, PostgreSQL would look for the rows anew for each row it finds.
    some = select(TABLE.c.id).where(*abandoned).limit(limit).with_for_update(skip_locked=True)
    ids = connection.execute(some).scalars().all()
    statement = (
        update(TABLE)
        .where(TABLE.c.id.in_(ids), *abandoned)
        .values(
            status=RequestStatus.FAILED,
            error_type="Interrupted",
            error_message=message,
            completed_at=datetime.now(UTC),
            maybe_paid=true(),
        )
    )
    ended = connection.execute(statement.returning(TABLE.c.reservation)).scalars().all()
    release(connection, [held for held in ended if held is not None])
    return len(ended)


def forget(connection: Connection, owner: Owner) -> None:
    """Delete an owner that has no rows open and has not beaten since it was looked at."""
    idle = ~exists().where(*_rows_of(owner))
    unchanged = (_OWNERS.c.id == owner.id) & (_OWNERS.c.beat == owner.beat)
    connection.execute(delete(_OWNERS).where(unchanged, idle))


def _rows_of(owner: Owner) -> tuple[ColumnElement[bool], ...]:
    return (*_open_rows(), TABLE.c.owner_id == owner.id)


def _is_unchanged(owner: Owner) -> ColumnElement[bool]:
    current = select(_OWNERS.c.beat).where(_OWNERS.c.id == owner.id).scalar_subquery()
    return current.is_not_distinct_from(owner.beat)
