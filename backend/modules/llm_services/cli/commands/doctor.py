"""``llm-services doctor``: is everything as it should be?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modules.llm_services.cli.options import AsJson
from modules.llm_services.cli.output import show_json, show_table
from modules.llm_services.cli.running import FAILED, run

if TYPE_CHECKING:
    from modules.llm_services.public import HealthReport

_FAULTS = re.compile(r"; (?=[A-Z][A-Z0-9_]+: )")


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is well, and what there is to say of it."""

    what: str
    status: Literal["ok", "warning", "failed"]
    detail: str


def doctor(
    *,
    probe: Annotated[
        bool, typer.Option("--probe", help="Ask the models of text roles for one word: it costs.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning is a failure, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at configuration, database, migrations, spool, providers and models that retire.

    The exit code is 0 when calls would be answered and recorded, else 1.

    \b
    llm-services doctor
    llm-services doctor --probe --json
    llm-services doctor --strict || echo "somebody should look"
    """
    checks = run(lambda: _checks(probe=probe), as_json=as_json)
    bad = {"failed", "warning"} if strict else {"failed"}
    well = not any(check.status in bad for check in checks)
    if as_json:
        show_json("doctor", {"well": well, "checks": checks})
    else:
        show_table(("check", "status", "detail"), [(c.what, c.status, c.detail) for c in checks])
    raise typer.Exit(0 if well else FAILED)


async def _checks(*, probe: bool) -> list[Check]:
    from sqlalchemy.exc import SQLAlchemyError

    from modules.llm_services.cli.schema_check import explained
    from modules.llm_services.public import LLMConfigurationError, open_llm_services

    try:
        async with open_llm_services() as llm:
            report = await llm.health(probe=probe)
    except LLMConfigurationError as error:
        faults = [Check("configuration", "failed", one) for one in _FAULTS.split(error.message)]
        return [*faults, *_schema(answers=True)]
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        return [Check("database", "failed", explained(error).message)]
    return [
        *_configuration(),
        *_database(report),
        *_spool(report),
        *_providers(report),
        *_ends(report),
    ]


def _configuration() -> Iterator[Check]:
    from modules.llm_services.config import unknown_variables

    yield Check("configuration", "ok", "every setting makes sense")
    for name, near in unknown_variables():
        meant = f"; did you mean {near}?" if near else ""
        yield Check("configuration", "warning", f"{name} is no setting{meant}")


def _database(report: "HealthReport") -> Iterator[Check]:
    from modules.llm_services.cli.schema_check import where

    found = report.database
    if found.answers:
        yield Check("database", "ok", f"{where()} answers in {found.milliseconds} ms")
    else:
        yield Check("database", "failed", f"{where()} does not answer ({found.problem})")
    yield from _schema(answers=found.answers)


def _schema(*, answers: bool) -> Iterator[Check]:
    from sqlalchemy.exc import SQLAlchemyError

    from modules.llm_services.cli.schema_check import MIGRATE, explained, listed, missing
    from modules.shared.db import get_engine

    if not answers:
        return
    try:
        lacking = missing(get_engine())
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        yield Check("database", "failed", explained(error).message)
        return
    if lacking:
        yield Check("migrations", "failed", f"{MIGRATE}: {listed(lacking)} missing")
    else:
        yield Check("migrations", "ok", "the tables are those of this version")


def _spool(report: "HealthReport") -> Iterator[Check]:
    spool = report.spool
    waits = spool.spooled + spool.unwritten
    if spool.mode == "away" or waits:
        yield Check("spool", "warning", f"{waits} rows wait for the database")
    else:
        yield Check("spool", "ok", "no row waits")
    if spool.torn or spool.rejected:
        said = f"{spool.torn} lines were torn, {spool.rejected} rows fitted no column"
        yield Check("spool", "warning", said)


def _providers(report: "HealthReport") -> Iterator[Check]:
    for place, one in enumerate(report.providers):
        name = f"provider {one.name}"
        if one.problem:  # the first is that of calls which name no model
            yield Check(name, "warning" if place else "failed", one.problem)
        elif not one.probes:
            yield Check(name, "ok", "configured; --probe asks it")
        for asked in one.probes:
            said = "answers" if asked.answers else f"does not answer ({asked.error_type})"
            yield Check(name, "ok" if asked.answers else "failed", f"{asked.model} {said}")


def _ends(report: "HealthReport") -> Iterator[Check]:
    for one in report.retiring:
        role = f"role {one.role}" + (f" of tenant {one.tenant}" if one.tenant else "")
        place = f"TENANT_ROLES__{one.tenant}" if one.tenant else "ROLES"
        variable = f"LLM_{place}__{one.role}".upper()
        instead = f"; its vendor names {one.instead}" if one.instead else ""
        said = (
            f"{one.provider}:{one.model} stops answering on {one.day}{instead}; "
            f"set {variable} to another"
        )
        yield Check(role, "warning" if one.days_left > 0 else "failed", said)
