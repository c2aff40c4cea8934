"""``llm-services ask``: one prompt, and the answer as it comes."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer

from modules.llm_services.cli.options import AsJson
from modules.llm_services.cli.output import note, show_json, show_text, write
from modules.llm_services.cli.running import misuse, run
from modules.llm_services.cli.visible import visible

if TYPE_CHECKING:
    from modules.llm_services.public import LLMMessageDTO, LLMResponseDTO

_STDIN = "-"
T = TypeVar("T")


def ask(
    prompt: Annotated[
        str, typer.Argument(help="What to ask; without it, or as -, what stdin holds.")
    ] = _STDIN,
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model, or provider:model.")
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", "-r", help="fast, smart, or a role of yours.")
    ] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="How to answer.")] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", "-i", help="A picture to look at; may be there several times."),
    ] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="A JSON Schema that the answer has to fit.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="0 to 2.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Cap on the answer's tokens.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for the whole call.")] = None,
    user: Annotated[UUID | None, typer.Option("--user", help="For whom; on the row.")] = None,
    feature: Annotated[str, typer.Option(help="For what; on the row.")] = "cli",
    tenant: Annotated[str | None, typer.Option(help="For which tenant; on the row.")] = None,
    cache: Annotated[
        bool | None, typer.Option("--cache/--no-cache", help="May the answer be an earlier one?")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost; send nothing.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="The answer alone, no line about it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a model; its answer streams to stdout, a line about it goes to stderr.

    \b
    llm-services ask "Why is the sky blue?"
    llm-services ask --role smart --system "In one sentence." "What is lava?"
    git diff | llm-services ask --system "Write a commit message." > message.txt
    llm-services ask --image photo.png "What is this?" --json
    """
    if model and role:
        raise misuse("--model and --role say two things: give one")
    text = sys.stdin.read() if prompt == _STDIN else prompt
    said: dict[str, Any] = {
        "user_id": user,
        "model": role or model,
        "temperature": temperature,
        "max_tokens": max_tokens,
        **_given(timeout=timeout, feature=feature, tenant=tenant, cache=cache),
    }
    pictures = [_bytes(path) for path in image or ()]
    fits = None if schema is None else _bytes(schema)
    work = _Asking(text, system, pictures, said, as_json=as_json, quiet=quiet or as_json)
    way = work.answer if as_json else work.stream
    if estimate:
        way = work.estimate
    elif fits is not None:
        way = partial(work.fill, fits)
    run(lambda: _of_a_role(role, tenant, way), as_json=as_json)


async def _of_a_role(role: str | None, tenant: str | None, way: Callable[[], Awaitable[T]]) -> T:
    """A role that nobody knows would be asked for as a model."""
    from modules.llm_services.config import create_llm_config_from_env
    from modules.llm_services.roles import DEFAULT_ROLES

    if role is not None:
        known = {*DEFAULT_ROLES, *create_llm_config_from_env().for_tenant(tenant).roles}
        if role not in known:
            raise misuse(f"--role {role}: roles are {', '.join(sorted(known))}")
    return await way()


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise misuse(f"{path}: {error.strerror}") from None


class _Asking:
    """One question, in the ways in which it may be asked."""

    def __init__(
        self,
        text: str,
        system: str | None,
        pictures: list[bytes],
        said: dict[str, Any],
        *,
        as_json: bool,
        quiet: bool,
    ) -> None:
        self._text, self._system, self._pictures, self._said = text, system, pictures, said
        self._as_json, self._quiet = as_json, quiet

    async def stream(self) -> None:
        """The answer, piece by piece."""
        from modules.llm_services.public import open_llm_services

        async with open_llm_services() as llm:
            async with llm.stream_response(self._messages(), **self._said) as stream:
                async for piece in stream.text():
                    sys.stdout.write(visible(piece))
                    sys.stdout.flush()
                write("")
            self._about(stream.response, stream.request_id)

    async def answer(self) -> None:
        """The whole answer, with everything that is known of it."""
        from modules.llm_services.public import open_llm_services

        async with open_llm_services() as llm:
            response, request_id = await llm.generate_response(self._messages(), **self._said)
        show_json("answer", {"request_id": request_id, **response.model_dump()})

    async def fill(self, schema: bytes) -> None:
        """An object that fits a schema."""
        from modules.llm_services.cli.schemas import model_of
        from modules.llm_services.public import open_llm_services

        wanted = model_of(schema)
        async with open_llm_services() as llm:
            messages = self._messages()
            found, row = await llm.generate_structured_response(messages, wanted, **self._said)
        made = found.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if self._as_json:
            show_json("object", {"request_id": row, "object": made})
        else:
            show_text(_pretty(made))
            self._note(f"row {row}")

    async def estimate(self) -> None:
        """What the answer would cost."""
        from modules.llm_services.cli.as_json import usd
        from modules.llm_services.public import open_llm_services

        async with open_llm_services() as llm:
            cost = llm.estimate_cost(self._messages(), self._said["model"])
        if self._as_json:
            show_json("estimate", {"cost_usd": cost})
        else:
            write(f"about {usd(cost)} USD; nothing was sent")

    def _messages(self) -> "list[LLMMessageDTO]":
        from modules.llm_services.public import ImagePart, LLMMessageDTO, TextPart

        parts = [TextPart(text=self._text), *(ImagePart(data=one) for one in self._pictures)]
        content = parts if self._pictures else self._text
        asked = LLMMessageDTO(role="user", content=content)
        if self._system is None:
            return [asked]
        return [LLMMessageDTO(role="system", content=self._system), asked]

    def _about(self, response: "LLMResponseDTO", request_id: UUID) -> None:
        from modules.llm_services.cli.as_json import usd

        cost = response.cost_estimate
        facts = (
            f"{response.provider}:{response.model}",
            f"{response.tokens_used} tokens" if response.tokens_used is not None else None,
            "cost unknown" if cost is None else f"{usd(cost)} USD",
            "from the cache" if response.cached else None,
            f"{response.execution_time_ms} ms",
            f"row {request_id}",
        )
        self._note(", ".join(filter(None, facts)))

    def _note(self, text: str) -> None:
        if not self._quiet:
            note(text)


def _pretty(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)
