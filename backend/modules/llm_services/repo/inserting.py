"""INSERTs that know what to do about rows that are there already."""

from functools import lru_cache
from importlib import import_module
from typing import Any

from sqlalchemy import Insert, Table


@lru_cache
def insert_unless_there(table: Table, dialect: str) -> Insert:
    """An INSERT that leaves alone what is there already."""
    statement: Insert = own_insert(table, dialect).on_conflict_do_nothing()
    return statement


def own_insert(table: Table, dialect: str) -> Any:
    """Each database spells "unless it is there already" through a module of its own."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
