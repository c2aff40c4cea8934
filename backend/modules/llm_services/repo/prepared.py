"""Statements as their driver takes them: compiled once for a connection, not for each execution.

`Connection.execute` finds its compiled statement and what converts the values anew each time, which
takes longer than one row. Here the same converters, the columns' types', are found once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Connection, Insert, Update
from sqlalchemy.exc import StatementError
from sqlalchemy.sql.compiler import SQLCompiler

Row: TypeAlias = Mapping[str, Any]


class _Slot(NamedTuple):
    """One parameter of a statement: a value of the row, or, where ``of_row`` is false, always the
    same.
    """

    name: str
    of_row: bool
    convert: Callable[[Any], Any] | None
    constant: Any = None


class Prepared:
    """One statement in one dialect. ``names`` are the columns that an INSERT's rows have."""

    def __init__(
        self, connection: Connection, statement: Insert | Update, names: Sequence[str] | None = None
    ) -> None:
        compiled: Any = statement.compile(dialect=connection.dialect, column_keys=names)
        self._text = str(compiled)
        self._positional = compiled.positional
        self._slots = list(_slots(statement, compiled))

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Raises what `Connection.execute` does."""
        taken = [self._taken(row) for row in rows]
        connection.exec_driver_sql(self._text, taken if len(taken) > 1 else taken[0])

    def _taken(self, row: Row) -> Any:
        try:
            values = [
                constant if not of_row else convert(row[name]) if convert else row[name]
                for name, of_row, convert, constant in self._slots
            ]
        except Exception as error:
            raise StatementError("no value for the database", self._text, None, error) from error
        if self._positional:
            return tuple(values)
        return {slot.name: value for slot, value in zip(self._slots, values, strict=True)}


def prepared(
    connection: Connection, statement: Insert | Update, names: tuple[str, ...] | None = None
) -> Prepared:
    """The statement, prepared; kept beside the driver's connection, as its own are."""
    kept = connection.info.setdefault(Prepared, {})
    found = kept.get((statement, names))
    if found is None:
        found = kept[statement, names] = Prepared(connection, statement, names)
    return found  # type: ignore[no-any-return]  # what connections keep has no types


def _slots(statement: Insert | Update, compiled: SQLCompiler) -> Iterator[_Slot]:
    """The parameters in the statement's order."""
    for name in compiled.positiontup or compiled.params:
        bound = compiled.binds[name]
        convert = bound.type.dialect_impl(compiled.dialect).bind_processor(compiled.dialect)
        if bound.required:
            yield _Slot(name, of_row=True, convert=convert)
        else:
            said = _default(statement, name) if bound.value is None else bound.value
            constant = convert(said) if convert else said
            yield _Slot(name, of_row=False, convert=None, constant=constant)


def _default(statement: Insert | Update, column: str) -> Any:
    """What the model says of a column that the rows do not have."""
    default: Any = statement.table.columns[column].default
    return default.arg
