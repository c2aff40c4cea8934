"""The commands, put together. Nothing heavy is loaded before a command needs it."""

import typer

from .commands import logs
from .commands.ask import ask
from .commands.doctor import doctor
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
app.command()(ask)
app.add_typer(logs.app, name="logs")
app.command()(usage)
app.command()(cost)
app.command()(doctor)
