"""Options that several commands have, and what their texts mean."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, TypeAlias
from uuid import UUID

import typer

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}


def moment(text: str) -> datetime:
    """A time as people write it: ``7d`` ago, ``today``, ``2026-11-01``, ``2026-11-01T12:00Z``."""
    now = datetime.now(UTC)
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if text in _DAYS:
        day = now.date() - timedelta(days=_DAYS[text])
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: 30m, 24h, 7d or 2w (ago), today, yesterday, 2026-11-01, "
            "2026-11-01T12:00Z (UTC unless it says otherwise)"
        ) from None
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def day(text: str) -> date:
    """A day in UTC, in the same words."""
    return moment(text).date()


AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Answer as one line of JSON (money as text, times in UTC).")
]
Since: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        parser=moment,
        metavar="WHEN",
        help="From then on: 24h, 7d, today, 2026-11-01, 2026-11-01T12:00Z.",
        show_default=False,
    ),
]
Until: TypeAlias = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="WHEN", help="Before then.", show_default=False),
]
User: TypeAlias = Annotated[
    UUID | None, typer.Option("--user", help="Of this user (an UUID).", show_default=False)
]
Feature: TypeAlias = Annotated[
    str | None, typer.Option("--feature", help="Of this feature.", show_default=False)
]
Tenant: TypeAlias = Annotated[
    str | None, typer.Option("--tenant", help="Of this tenant.", show_default=False)
]
Model: TypeAlias = Annotated[
    str | None, typer.Option("--model", "-m", help="Of this model.", show_default=False)
]
