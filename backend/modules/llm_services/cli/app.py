"""The commands, put together. Nothing heavy is loaded before a command needs it."""

import typer

from .commands import batch, cache, logs
from .commands.ask import ask
from .commands.budget import budget
from .commands.doctor import doctor
from .commands.forgetting import erase_user, purge
from .commands.migrate import migrate
from .commands.models import models
from .commands.money import reconcile, recost
from .commands.replays import compare, replay
from .commands.usage import cost, usage

app = typer.Typer(
    name="llm-services",
    help="Ask models, and look after the ledger of what was asked. Settings come from the "
    "environment; DATABASE_URL says where the ledger is.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for command in (
    *(ask, usage, cost, budget, models, replay, compare),
    *(recost, reconcile, purge, erase_user, migrate, doctor),
):
    app.command()(command)
app.add_typer(logs.app, name="logs")
app.add_typer(batch.app, name="batch")
app.add_typer(cache.app, name="cache")
