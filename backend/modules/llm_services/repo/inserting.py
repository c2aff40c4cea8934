"""An INSERT that leaves alone what is there already."""

from functools import lru_cache
from importlib import import_module

from sqlalchemy import Insert, Table


@lru_cache
def insert_unless_there(table: Table, dialect: str) -> Insert:
    """Each database spells "unless it is there already" through a module of its own."""
    module = import_module(f"sqlalchemy.dialects.{dialect}")
    statement: Insert = module.insert(table).on_conflict_do_nothing()
    return statement
