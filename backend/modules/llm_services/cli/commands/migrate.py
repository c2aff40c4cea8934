"""``llm-services migrate``: the database, brought to this version."""

from typing import Annotated

import typer

from modules.llm_services.cli.options import AsJson
from modules.llm_services.cli.output import show_json, write
from modules.llm_services.cli.running import run


def migrate(
    *,
    version_table: Annotated[
        str, typer.Option(help="Where Alembic notes the revision; another one beside yours.")
    ] = "alembic_version",
    as_json: AsJson = False,
) -> None:
    """Make or upgrade the tables in the database of DATABASE_URL.

    Safe to repeat, to interrupt, and beside processes of the version before.

    \b
    llm-services migrate
    DATABASE_URL=sqlite:///trial.db llm-services migrate
    llm-services migrate --version-table llm_services_version
    """
    run(lambda: _migrate(version_table, as_json=as_json), as_json=as_json)


async def _migrate(version_table: str, *, as_json: bool) -> None:
    from modules.llm_services.cli.migrations import revision, upgrade
    from modules.llm_services.cli.schema_check import where

    before = revision(version_table)
    upgrade(version_table)
    after = revision(version_table)
    if as_json:
        show_json("migrate", {"database": where(), "before": before, "after": after})
    else:
        write(f"{where()} {'was' if before == after else 'is'} at {after}")
