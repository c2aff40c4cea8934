"""Whatever is wrong with an argument is said by its name, before anything is sent or written."""

import asyncio
import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sandbox
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.public import (
    attribution,
    open_llm_services,
    open_llm_services_admin,
    read_image,
)
from modules.shared.db import engine_for
from tests.llm_services.wrong.table import ARGUMENTS, GOOD, KINDS, arguments_of, methods, wrong
from tests.support.ledger import rows

SOME = settings(max_examples=25, deadline=None, derandomize=True)
_RIGHT = (
    "must|give|known|at most|needs|did you mean|use |take|only|another|none of|1 byte to|can be|"
    "but its bytes are|not base64|is 1 to|is not auto|no type hint|not set|cannot be read|answers|"
    "is empty|nothing that is a file|say |outside|no row can"
)
_ADVICE = re.compile(_RIGHT)


class Caller:
    """Calls any method of the module with good arguments and one bad one."""

    def __init__(self, runner: asyncio.Runner, providers: list[Any]) -> None:
        self._runner = runner
        self._providers = providers

    def fault(self, method: str, argument: str, value: Any) -> str:
        """What is said about a value that an argument cannot mean."""
        call = next(getattr(p, method) for p in self._providers if hasattr(p, method))
        with pytest.raises(LLMInputError) as caught:
            self._runner.run(_called(call, {**GOOD[method], argument: value}))
        assert caught.value.request_id is None
        return caught.value.message


async def _called(call: Callable[..., Any], given_: dict[str, Any]) -> Any:
    found = call(**given_)
    if hasattr(found, "__aenter__"):
        async with found:
            return None
    if hasattr(found, "__anext__"):
        return [piece async for piece in found]
    return await found if inspect.isawaitable(found) else found


@pytest.fixture(scope="module")
def caller(
    sandbox_server: sandbox.Sandbox,
    migrated_sqlite: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Caller]:
    """A caller for all tests of this file, after whom nothing was sent and no row was written."""
    path = tmp_path_factory.mktemp("bad_input") / "backend.db"
    shutil.copyfile(migrated_sqlite, path)
    url = f"sqlite:///{path}"
    sandbox_server.reset()
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("OPENAI_API_KEY", "sk-sandbox-key")
        patch.setenv("OPENAI_BASE_URL", sandbox_server.base_url)
        stack = AsyncExitStack()
        opened = [open_llm_services(), open_llm_services_admin()]
        providers: list[Any] = [runner.run(stack.enter_async_context(one)) for one in opened]
        yield Caller(runner, providers)
        assert rows() == []
        assert sandbox_server.journal() == []
        runner.run(stack.aclose())
    engine_for(url).dispose()
    engine_for.cache_clear()


def _check(message: str, argument: str) -> None:
    assert re.search(rf"\b{argument}\b", message), message
    assert _ADVICE.search(message.removeprefix(argument)), message
    assert len(message) < 1_500, message
    assert "hands off" not in message


@pytest.mark.parametrize(("method", "argument"), ARGUMENTS)
def test_a_value_that_cannot_be_meant_is_refused_by_name(
    caller: Caller, method: str, argument: str
) -> None:
    """Every argument of every method: wrong types, ranges, NaN, huge, empty, hostile subclasses."""
    for value in wrong(method, argument).values:
        _check(caller.fault(method, argument, value), argument)


@pytest.mark.parametrize("method", GOOD)
@SOME
@given(data=st.data())
def test_any_value_that_cannot_be_meant_is_refused_by_name(
    caller: Caller, method: str, data: st.DataObject
) -> None:
    """The same for values that nobody thought of."""
    argument = data.draw(st.sampled_from(sorted(arguments_of(method))))
    _check(caller.fault(method, argument, data.draw(wrong(method, argument).any)), argument)


@pytest.mark.parametrize(
    "method", [m for m in GOOD if {"max_retries", "feature"} <= arguments_of(m).keys()]
)
def test_a_misspelt_argument_is_named_with_the_nearest_one(caller: Caller, method: str) -> None:
    """Keyword parameters are a closed set in every method."""
    assert "did you mean feature?" in caller.fault(method, "featrue", "x")
    assert "unknown keyword parameter" in caller.fault(method, "zzz", 1)


def test_a_picture_is_read_from_nowhere_else() -> None:
    """`read_image` is no method, and as strict."""
    for value in KINDS["url"].values:
        with pytest.raises(LLMInputError) as caught:
            read_image(value)
        _check(caught.value.message, "url")


def test_every_method_of_the_protocols_is_here() -> None:
    """A new method, or a new argument, brings a row of values that it cannot mean."""
    assert GOOD.keys() == methods()
    assert {argument for _, argument in ARGUMENTS} <= KINDS.keys()


@pytest.mark.parametrize("argument", ["user_id", "feature", "tenant", "conversation_id", "context"])
def test_what_is_said_around_calls_is_checked_alike(argument: str) -> None:
    """`attribution` is a door of its own, and refuses what the calls inside would."""
    for value in KINDS[argument].values:
        given_: Any = {argument: value}
        with pytest.raises(LLMInputError) as caught, attribution(**given_):
            pass
        _check(caught.value.message, argument)
