"""``llm-services models``: what roles stand for."""

from modules.llm_services.cli.options import AsJson
from modules.llm_services.cli.output import note, show_json, show_table
from modules.llm_services.cli.running import run

_COLUMNS = ("role", "model", "in USD/M", "out USD/M", "context", "retires")


def models(*, as_json: AsJson = False) -> None:
    """The models of all roles: what a million tokens costs, how long a prompt may be, their ends.

    \b
    llm-services models
    llm-services models --json
    """
    run(lambda: _models(as_json=as_json), as_json=as_json)


async def _models(*, as_json: bool) -> None:
    from modules.llm_services.cli.model_list import listed_models
    from modules.llm_services.wiring import held
    from modules.shared.db import get_engine

    async with held(get_engine()) as runtime:
        found = listed_models(runtime)
    if as_json:
        show_json("models", found)
        return
    lines = [
        (
            one.role,
            f"{one.provider}:{one.model}",
            None if one.input_cost is None else f"{one.input_cost:f}",
            None if one.output_cost is None else f"{one.output_cost:f}",
            one.context_window,
            one.retires_on,
        )
        for one in found
    ]
    show_table(_COLUMNS, lines)
    for provider, problem in {one.provider: one.problem for one in found if one.problem}.items():
        note(f"{provider}: {problem}")
