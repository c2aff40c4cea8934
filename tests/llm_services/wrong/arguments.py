"""What is wrong with the arguments that have a form of their own: conversations, tools, files."""

import inspect
import math
from collections import UserList
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, TypeAdapter

from modules.llm_services.public import (
    AudioPart,
    BatchRequest,
    DocumentPart,
    ImagePart,
    LLMMessageDTO,
    RequestFilter,
    TextPart,
    ToolCall,
    ToolSpec,
)
from tests.contract.kinds import MESSAGES, PICTURE, SILENCE, Planet, get_weather
from tests.llm_services.wrong.shapes import (
    ALIEN,
    ALIENS,
    ANY_TEXT,
    BROKEN_TEXT,
    NO_TEXT,
    NUMBER,
    Endless,
    Hostile,
    HostileText,
    Wrong,
    listed,
)


class Words(RootModel[list[str]]):
    """A response model whose JSON is a list."""


class Unread(BaseModel):
    """A response model whose schema cannot be written."""

    inside: Callable[[], int]


def _no_hints(city):  # type: ignore[no-untyped-def]
    return city


def _splat(*cities: str) -> str:
    return str(cities)


def _hostile(**_: object) -> Any:
    raise RuntimeError("hands off")


def _these(*values: Any) -> Sequence[Any]:
    return values


def said(**fields: Any) -> LLMMessageDTO:
    """A message that nobody has checked."""
    return LLMMessageDTO(**{"role": "user", "content": "hi", **fields})


def calls(**fields: Any) -> list[LLMMessageDTO]:
    """A conversation with one call of a tool that is as bad as it is said to be."""
    call = ToolCall.model_construct(**{"id": "c", "name": "f", "arguments": {}, **fields})
    return [said(), said(role="assistant", tool_calls=[call]), said(role="tool", tool_call_id="c")]


_TEXT_5: dict[str, Any] = {"text": 5}
_UNCHECKED = cast("Any", LLMMessageDTO)
_CONTENTS: Sequence[Any] = (
    *(
        None,
        5,
        True,
        b"hi",
        {"text": "hi"},
        ["hi"],
        [None],
        [],
        said(),
        [said()],
        "\ud800",
        Hostile(),
    ),
    *([TextPart.model_construct(**_TEXT_5)], [TextPart.model_construct(text="\ud800")], Endless()),
    *([ImagePart()], [ImagePart(data=b"")], [ImagePart(data=b"text")], [ImagePart(url="x")]),
    *([ImagePart(data=PICTURE, url="https://a.test")], [ImagePart(url="http://a.test/x.png")]),
    *([ImagePart(url="file:///etc/passwd")], [ImagePart(url="javascript:alert(1)")]),
    *([ImagePart(url="data:image/png;base64,%%%")], [ImagePart(url="https://u:p@a.test/x")]),
    *([ImagePart(data=PICTURE, media_type="image/gif")], [ImagePart(data="text")]),
    *([AudioPart(url="https://a.test/x.wav")], [DocumentPart(data=PICTURE)]),
    *([ImagePart(data=PICTURE, detail="x")], [DocumentPart(data=b"%PDF-1", filename="../x")]),
    [TextPart(text="a")] * 501,
)
CONVERSATIONS = Wrong(
    (
        *(
            None,
            "",
            "hi",
            b"hi",
            bytearray(b"hi"),
            5,
            True,
            [],
            (),
            {},
            {"role": "user"},
            UserList(),
        ),
        *(said(), iter([said()]), (m for m in [said()]), {said()}, [said()] * 10_001, Endless()),
        *([None], ["hi"], [{"role": "user", "content": "hi"}], [[said()]], [said(), object()]),
        *(
            [said(role=role)]
            for role in ("wizard", "User", "", " user", 5, None, Hostile(), b"user")
        ),
        *([said(content=content)] for content in _CONTENTS),
        *([said(content=text)] for text in ("", " ", "\n\t")),
        *([said(name=name)] for name in ("", "a b", "x" * 65, "ä", 5, "a\n")),
        [said(content="x" * 10_000_001)],
        [said(content="x" * 5_000_001)] * 2_000,
        [said(content=[ImagePart(data=PICTURE)] * 51)],
        [said(role="assistant", content=[ImagePart(data=PICTURE)]), said()],
        [_UNCHECKED.model_construct(content="hi")],
        [said(tool_calls=[ToolCall(id="c", name="f")])],
        [said(role="assistant", tool_calls="f"), said()],
        [said(), said(role="tool", tool_call_id="c")],
        [said(), said(role="assistant", tool_calls=[ToolCall(id="c", name="f")])],
        *(calls(id=value) for value in ("", 5, None, "\ud800", "x" * 10**6)),
        *(calls(name=value) for value in ("", 5, None, "\ud800", "x" * 10**6)),
        *(calls(arguments=value) for value in _these(None, "{}", [], {"a": object()}, {1j: 2})),
        *(
            calls(arguments={"a": value})
            for value in (math.nan, math.inf, "\ud800", {1}, Hostile())
        ),
        [said(reasoning=["x"])],
        *ALIENS,
    ),
    ALIEN
    | NUMBER
    | ANY_TEXT
    | st.lists(ALIEN | ANY_TEXT | NUMBER, max_size=3)
    | st.builds(lambda role: [said(role=role)], NO_TEXT | ANY_TEXT.map(lambda role: f"~{role}"))
    | st.builds(lambda content: [said(content=content)], NO_TEXT | BROKEN_TEXT),
)


def spec(**fields: Any) -> ToolSpec:
    """A ready tool that nobody has checked."""
    good: dict[str, Any] = {"name": "f", "parameters": {"type": "object"}, "function": _hostile}
    return ToolSpec(**{**good, **fields})


_CIRCLE: dict[str, Any] = {"type": "object"}
_CIRCLE["properties"] = _CIRCLE
_TOOL_MEMBERS = Wrong(
    (
        *(
            "get_weather",
            5,
            True,
            b"f",
            int,
            dict,
            BaseModel,
            Words,
            object(),
            {},
            _no_hints,
            _splat,
        ),
        *(lambda: None, Planet(name="Mars")),
        *(spec(name=name) for name in ("", "a b", "x" * 65, 5, None, "auto", "ä")),
        *(spec(description=words) for words in (None, 5, "x" * 4_097, "\ud800", b"a")),
        *(
            spec(parameters=value)
            for value in _these(None, "{}", [], {}, {"type": "string"}, _CIRCLE)
        ),
        *(spec(parameters={"type": "object", "x": x}) for x in (object(), math.nan, "\ud800", {1})),
        spec(strict="yes"),
        spec(model=5),
        spec(function=5),
    ),
    ALIEN.filter(lambda value: not inspect.isbuiltin(value)) | NUMBER | ANY_TEXT,
)
TOOLS = listed(_TOOL_MEMBERS, 128, [get_weather, get_weather], get_weather)

RESPONSE_MODELS = Wrong(
    (
        *(
            "Planet",
            5,
            True,
            b"P",
            [Planet],
            {},
            dict,
            dict[str, int],
            object,
            BaseModel,
            RootModel,
        ),
        *(Words, Planet(name="Mars"), TypeAdapter(list[int]), Planet | None, Unread, *ALIENS),
    ),
    ALIEN | NUMBER | ANY_TEXT,
)


def request(**fields: Any) -> BatchRequest:
    """A request of a batch that nobody has checked."""
    return BatchRequest(**{"messages": MESSAGES, **fields})


REQUESTS = listed(
    Wrong(
        (
            *("a", 5, {"messages": MESSAGES}, MESSAGES, object()),
            *(request(messages=value) for value in ([], "hi", [said(role="x")], Hostile())),
            *(request(key=value) for value in ("", 5, "x" * 201, "\ud800", "a\nb", Hostile())),
            *(request(response_model=value) for value in (dict, "Planet", Hostile(), Words)),
            *(
                request(parameters=value)
                for value in _these(5, [], None, {"x": 1}, {5: 1}, Hostile())
            ),
            *(
                request(parameters={"temperature": value})
                for value in ("hot", 3, math.nan, Hostile())
            ),
            request(parameters={"timeout": 5}),
        ),
        ALIEN | NUMBER | ANY_TEXT,
    ),
    50_000,
    [request(key="a"), request(key="a")],
)
PICTURES = Wrong(
    (
        *("", "x", b"", b"text", 5, True, [], [b"text"], [PICTURE] * 17, [5], [None], Endless()),
        *(
            "https://a.test/x.png",
            "file:///etc/passwd",
            "data:image/png;base64,%%",
            "\ud800",
            "\x00",
        ),
        *(
            Path("/etc/passwd"),
            Path("x\x00"),
            b"GIF89a" + bytes(20),
            bytearray(b"x"),
            {},
            Hostile(),
        ),
        HostileText("data:"),
    ),
    NUMBER | ALIEN | ANY_TEXT | st.binary(max_size=30) | st.lists(ANY_TEXT | NUMBER, max_size=3),
)
FILES = Wrong(
    (
        *("", "speech.mp3", b"", b"text", bytes(100), 5, True, [], {}, Path("nosuch"), Path("/")),
        *(Path("/dev/zero"), Path("x\x00"), bytearray(SILENCE), b"\x00" * (25 * 1024 * 1024 + 1)),
        *ALIENS,
    ),
    NUMBER | ALIEN | ANY_TEXT | st.binary(max_size=30),
)
SIZES = Wrong(
    (
        *(
            "",
            "1024",
            "1024×1024",
            "0x0",
            "99999x99999",
            "-1x5",
            "1024x1024\n",
            "1000x1000",
            " auto",
        ),
        *((1024, 1024), 1024, True, b"1024x1024", "x" * 10**6, *ALIENS),
    ),
    NO_TEXT | ANY_TEXT.map(lambda size: f"~{size}"),
)
BATCH_IDS = Wrong(
    (
        *(
            "",
            "batch_1",
            "nosuch:batch_1",
            "openai:",
            "openai:a b",
            "openai:\n",
            5,
            True,
            b"openai:x",
        ),
        *("openai:" + "x" * 201, "\ud800:x", *ALIENS),
    ),
    NO_TEXT | ANY_TEXT.map(lambda text: f"~{text}"),
)
LANGUAGES = Wrong(
    (*("", "english", "EN", "e", "en_US", "en\n", 5, b"en", ["en"], *ALIENS),),
    NO_TEXT | ANY_TEXT.map(lambda text: f"~{text}"),
)
DOMAINS = Wrong(
    ("", "https://example.org", "localhost", "a b.org", "ä.org", "example.org/x", 5, "a.org\n"),
    NO_TEXT | ANY_TEXT.map(lambda text: f"~{text}"),
)
NAIVE = datetime.fromisoformat("2026-01-01T00:00:00")
CURSORS = Wrong(
    (*("", "x", "x" * 10**6, "e30=", 5, True, b"x", ["x"], "\ud800", "ä", "fA==", *ALIENS),),
    NO_TEXT | ANY_TEXT,
)
MOMENTS = Wrong(
    (
        *("", "2026-01-01", 5, 1.5, True, b"x", ["x"], time(), timedelta(1), NAIVE),
        *(datetime.max.replace(tzinfo=timezone(timedelta(hours=-9))), *ALIENS),
    ),
    NO_TEXT | ANY_TEXT | st.datetimes(),
)
DAYS = Wrong(
    (*("", "2026-01-01", 5, True, b"x", ["x"], datetime.now(UTC), NAIVE, *ALIENS),),
    NO_TEXT | ANY_TEXT | st.datetimes(),
)
_PARTS: dict[str, Sequence[Any]] = {
    "status": ("", "Completed", 5, Hostile()),
    "user_id": ("me", 5),
    "tenant": ("", "x" * 65, 5, "\ud800", "a\x00"),
    "model": ("", "x" * 101, 5),
    "cached": (0, "yes"),
    "since": ("now", 5, NAIVE),
    "text": ("", "x" * 201, "\ud800", "\x00"),
}
FILTERS = Wrong(
    (
        *("", "status=failed", 5, True, {"status": "failed"}, ["failed"], RequestFilter, *ALIENS),
        *(RequestFilter(**{name: value}) for name, values in _PARTS.items() for value in values),
        RequestFilter(
            since=datetime.max.replace(tzinfo=UTC), until=datetime.min.replace(tzinfo=UTC)
        ),
    ),
    NO_TEXT | ANY_TEXT,
)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
