"""The fake: the module itself, with a vendor that says what a test wants."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self, Unpack

from pydantic import BaseModel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from sqlalchemy import Engine, Table, create_engine, event
from sqlalchemy.orm import Session

from modules.llm_services.config import LLMConfig
from modules.llm_services.models import LLMRequest
from modules.llm_services.protocols import LLMServicesAdminProvider
from modules.llm_services.providers.base import Heard, LLMProvider
from modules.llm_services.repo import LLMRequestRepo
from modules.llm_services.service import LLMAdminService, LLMService
from modules.llm_services.types import GeneratedImage, ToolCall
from modules.llm_services.types.audio import Transcript
from modules.llm_services.wiring import Runtime
from modules.shared.db import Base

from .adapter import ScriptedAdapter
from .asserting import Assertions
from .cassettes import Cassette, Redact
from .conversing import spoken
from .gate import ForgetfulGate
from .media import Vectors, checked_pages, picture
from .prices import ScriptedPrices
from .script import ErrorSource, Gate, Script, Terms, is_function, rule_of

_CONVERSATIONS = ("chat", "structured", "tools", "batch")
_DEFAULTS: Mapping[str, Any] = {
    "max_retries": 0,
    "write_timeout": 60.0,
    "openai_api_key": "fake",  # what needs no key must not look as if it lacked one
}
_MODULE = LLMRequest.__module__.partition(".models")[0]  # siblings' tables are none of ours
_PICTURES = ("image", "image_edit")


class FakeLLMServices(Assertions, LLMService):
    """Satisfies `LLMServicesProvider`. Whatever is called, it answers; a test may say what.

    It is the real module up to the vendor: the same arguments are refused, the same errors come
    out, and each call is a row, in a database of its own that is gone with it. It reads no
    environment and reaches no network. Nothing is tried again unless ``max_retries`` says so, in
    ``settings`` (fields of the configuration by name) or in a call.

    Rules are made with `answers`, `fails_with`, `hangs` and their like, each for the calls that
    its conditions fit (see `Conditions`) and to the terms that it is given (see `Terms`). Rules
    with ``times`` are used up first, in their order; of the others the last one that fits answers.

    With ``real_time`` latencies and pauses between attempts are waited for. ``batch_looks`` is how
    often a batch is found still at work; ``script`` is `from_cassette`'s. The attribute
    ``admin`` is the operators' door to the same ledger.
    """

    def __init__(
        self,
        *,
        real_time: bool = False,
        batch_looks: int = 0,
        script: Script | None = None,
        **settings: Any,
    ) -> None:
        self._script = script or Script()
        folder = Path(tempfile.mkdtemp(prefix="fake-llm-"))
        self._engine = _ledger(folder)

        def make_adapter(_config: LLMConfig, name: str, _heard: Heard) -> LLMProvider:
            return ScriptedAdapter(name, self._script, real_time=real_time, batch_looks=batch_looks)

        runtime = Runtime(
            _Settings(**{**_DEFAULTS, "spool_dir": folder / "spool", **settings}),
            self._engine,
            make_adapter=make_adapter,
            prices=ScriptedPrices(),
            pause=asyncio.sleep if real_time else _no_pause,
            gate=None if real_time else ForgetfulGate(),
        )
        repo = LLMRequestRepo(Session(self._engine))
        super().__init__(repo, runtime=runtime, owns_session=True)
        self.admin: LLMServicesAdminProvider = LLMAdminService(
            repo, runtime=runtime, owns_session=True
        )
        self._folder: Path | None = folder
        atexit.register(self.close)

    @classmethod
    def from_cassette(
        cls, path: str | Path, *, redact: Redact | None = None, **settings: Any
    ) -> Self:
        """A fake that answers what a cassette holds, to the very requests that it was made of.

        See `cassette_from`. Any other request is an `UnscriptedError` that says what differs.
        """
        return cls(script=Cassette.read(Path(path)).script(redact), **settings)

    def answers(self, answer: Any, **terms: Unpack[Terms]) -> None:
        """Say something in conversations, streamed ones and batches, too.

        ``answer`` is text; a list of its pieces, as a stream brings them; an instance of a
        ``response_model``, which answers the calls that ask for it; a dict, as JSON; one or more
        `ToolCall`; or a function, async or not, that makes one of these of the `RecordedCall`.
        """
        said = answer if is_function(answer) else spoken(answer)
        if said is not answer and _is_object(answer):
            terms.setdefault("response_model", type(answer))
        self._script.add(rule_of(terms, operations=_CONVERSATIONS, answer=said))

    def pictures(self, made: bytes | GeneratedImage | str, **terms: Unpack[Terms]) -> None:
        """Make this picture: PNG, JPEG, WebP or GIF bytes, or a URL of the provider's own."""
        self._script.add(rule_of(terms, operations=_PICTURES, answer=picture(made)))

    def vectors(self, made: Vectors, **terms: Unpack[Terms]) -> None:
        """Embed texts so: a dict of vectors by text, a list in the texts' order, or a function."""
        self._script.add(rule_of(terms, operations=("embedding",), answer=made))

    def speaks(self, sound: bytes, **terms: Unpack[Terms]) -> None:
        """Speak texts as this sound, a file in the format that is asked for."""
        self._script.add(rule_of(terms, operations=("speech",), answer=sound))

    def hears(self, said: str | Transcript, **terms: Unpack[Terms]) -> None:
        """Hear this in recordings. The prompt is that of ``transcribe_audio``."""
        self._script.add(rule_of(terms, operations=("transcription",), answer=said))

    def finds(self, *pages: Mapping[str, str], **terms: Unpack[Terms]) -> None:
        """Find these pages on the web: dicts with ``url``, ``title`` and ``snippet``; or none.

        Each query of a search is asked for itself.
        """
        found = checked_pages(pages)
        self._script.add(rule_of(terms, operations=("search",), answer=found))

    def fails_with(
        self, error: ErrorSource, *, after: Sequence[str] = (), **terms: Unpack[Terms]
    ) -> None:
        """Fail instead of answering: an `LLMError`, a class of one, or a function that makes one.

        Of a stream the pieces ``after`` which it fails come first.
        """
        self._script.add(rule_of(terms, error=error, pieces=tuple(after)))

    def hangs(self, **terms: Unpack[Terms]) -> Gate:
        """Wait until the gate that this returns is opened, for ever by default.

        ``await gate.reached.wait()`` tells that a call waits, ``gate.open()`` lets it be answered
        as if nobody had scripted it.
        """
        gate = Gate()
        self._script.add(rule_of(terms, gate=gate))
        return gate

    def close(self) -> None:
        """Stop the ledger's threads and remove its database: the fake cannot be used any more.

        A fake that nobody closes is closed when the process ends.
        """
        folder, self._folder = self._folder, None
        if folder is not None:
            atexit.unregister(self.close)
            self._runtime.shut_ledger()
            self._engine.dispose()
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Settings(LLMConfig):
    """The configuration without the environment: a test means the same everywhere."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is said here."""
        return (init_settings,)


def _is_object(answer: object) -> bool:
    return isinstance(answer, BaseModel) and not isinstance(answer, ToolCall)


async def _no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def _ledger(folder: Path) -> Engine:
    """An empty ledger that promises nothing about power cuts."""
    path = folder / "ledger.db"
    path.write_bytes(_empty_ledger())
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))
    return engine


@cache
def _empty_ledger() -> bytes:
    """A database with the ledger's tables, made once: a suite has many fakes."""
    engine = create_engine("sqlite://")
    declared = [one for one in Base.registry.mappers if one.class_.__module__.startswith(_MODULE)]
    names = [table.name for one in declared for table in one.tables if isinstance(table, Table)]
    Base.metadata.create_all(engine, [Base.metadata.tables[name] for name in names])
    connection = engine.raw_connection()
    made: bytes = connection.driver_connection.serialize()  # type: ignore[union-attr]
    connection.close()
    engine.dispose()
    return made
