"""Ids as the database spells them: on SQLite an older engine may have left the dashes out."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Dialect, String, Uuid, literal, select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator, TypeEngine


class StoredId(TypeDecorator[Any]):
    """An id exactly as it is stored: text where ids are text."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, PostgreSQL's own type there."""
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else Uuid())


def is_id(session: Session, column: ColumnElement[Any], wanted: UUID) -> ColumnElement[bool]:
    """Whether a column holds the id, however it is spelt. Either way its index is used."""
    if session.get_bind().dialect.name != "sqlite":
        return column == wanted
    return type_coerce(column, StoredId).in_([str(wanted), wanted.hex])


def has_old_spelling(session: Session, column: ColumnElement[Any], wanted: UUID) -> bool:
    """Whether any row spells the id without dashes: one look into the column's index.

    Asked before rows are listed in an order: two spellings at once would have to be sorted.
    """
    if session.get_bind().dialect.name != "sqlite":
        return False
    stored = type_coerce(column, StoredId)
    return session.scalar(select(literal(1)).where(stored == wanted.hex).limit(1)) is not None
