"""The books of budgets: reserved with a row, spent or given back with its outcome.

The database decides: a reservation is an UPDATE that matches only while there is room, so that any
number of processes together stay within a limit. Books are always taken in the same order, so that
no two transactions wait for each other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from modules.llm_services.models import BudgetAccount
from modules.llm_services.types.budgets import Account, Reservation

from .inserting import insert_unless_there

_BOOKS: Table = BudgetAccount.metadata.tables[BudgetAccount.__tablename__]
_SUMS = ("reserved_nano_usd", "spent_nano_usd", "reserved_tokens", "spent_tokens")


def reserve(connection: Connection, reservation: Reservation) -> tuple[Account, Row[Any]] | None:
    """Reserve of all budgets of a call; the one that has no room for it with its books, if any.

    Whoever is told of one must roll back: the others may have been reserved by then.
    """
    for account in sorted(reservation.accounts):
        if not _reserved(connection, account, reservation):
            return account, connection.execute(_books(account)).one()
    return None


def _reserved(connection: Connection, account: Account, wanted: Reservation) -> bool:
    c = _BOOKS.c
    usd, tokens = c.reserved_nano_usd + wanted.nano_usd, c.reserved_tokens + wanted.tokens
    room = (
        _room(c.spent_nano_usd + usd, account.limit_nano_usd),
        _room(c.spent_tokens + tokens, account.limit_tokens),
    )
    statement = (
        update(_BOOKS)
        .where(_is(account), *room)
        .values(reserved_nano_usd=usd, reserved_tokens=tokens)
    )
    if connection.execute(statement).rowcount:
        return True
    _open_books(connection, account)  # the first call of a period finds none
    return bool(connection.execute(statement).rowcount)


def _room(used: ColumnElement[int], limit: int | None) -> ColumnElement[bool]:
    return true() if limit is None else used <= limit


def _is(account: Account) -> ColumnElement[bool]:
    c = _BOOKS.c
    return and_(
        c.scope == account.scope,
        c.key == account.key,
        c.period == account.period,
        c.starts_on == account.starts_on,
    )


def _open_books(connection: Connection, account: Account) -> None:
    named = {name: getattr(account, name) for name in ("scope", "key", "period", "starts_on")}
    values = {**named, **dict.fromkeys(_SUMS, 0), "warned_percent": 0}
    connection.execute(insert_unless_there(_BOOKS, connection.dialect.name), values)


def book(connection: Connection, settled: Iterable[tuple[Reservation, bool]]) -> None:
    """Write what calls have spent; what one still held of its reservation is given back."""
    sums: dict[Account, list[int]] = defaultdict(lambda: [0] * len(_SUMS))
    for one, held in settled:
        usd, tokens = (one.nano_usd, one.tokens) if held else (0, 0)
        amounts = (-usd, one.spent_nano_usd, -tokens, one.spent_tokens)
        for account in one.accounts:
            sums[account] = [a + b for a, b in zip(sums[account], amounts, strict=True)]
    for account, amounts_ in sorted(sums.items()):
        changes = {name: _BOOKS.c[name] + n for name, n in zip(_SUMS, amounts_, strict=True)}
        connection.execute(update(_BOOKS).where(_is(account)).values(changes))


def release(connection: Connection, reservations: Iterable[Mapping[str, Any]]) -> None:
    """Give back what rows have reserved whose callers are gone, as their columns hold it."""
    book(connection, ((Reservation.of_json(one), True) for one in reservations))


def state(connection: Connection | Session, account: Account) -> Row[Any] | None:
    """What is reserved and spent; ``None`` when nothing has been in this period."""
    return connection.execute(_books(account)).one_or_none()


def _books(account: Account) -> Select[Any]:
    return select(_BOOKS).where(_is(account))


def warn_once(connection: Connection, account: Account, percent: int) -> bool:
    """Whether nobody has told of this threshold in this period."""
    quiet = _BOOKS.c.warned_percent < percent
    statement = update(_BOOKS).where(_is(account), quiet).values(warned_percent=percent)
    return bool(connection.execute(statement).rowcount)


def states(session: Session, accounts: Sequence[Account]) -> list[tuple[Account, Row[Any] | None]]:
    """How several budgets stand."""
    return [(account, state(session, account)) for account in accounts]
