"""Bad arguments are found before anything is sent; the error says which one and what is right."""

import json
import math
from collections import UserList
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Generic, TypeVar, cast, get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, TypeAdapter

from modules.llm_services import arguments
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import (
    GenerationOptions,
    LLMMessageDTO,
    MessageRole,
    ReasoningEffort,
    ServiceTier,
    ToolSpec,
    Verbosity,
)

T = TypeVar("T")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.decimals(),
        st.fractions(),
        st.binary(max_size=20),
        st.datetimes(),
        st.uuids(),
        ANY_TEXT,
        st.sampled_from([object(), object, ..., len, math, BaseModel, range(3), bytearray(b"x")]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner),
        st.dictionaries(ANY_TEXT, inner, max_size=5),
        st.lists(inner, max_size=3).map(iter),
    ),
    max_leaves=8,
)
MANY = settings(max_examples=150, deadline=None)


class Word(BaseModel):
    """A plain response model."""

    word: str


class Words(RootModel[list[str]]):
    """A response model whose JSON is a list."""


class Box(BaseModel, Generic[T]):
    """A generic response model."""

    inside: T


@dataclass
class Plain:
    """Looks like a model and is none."""

    word: str


def said(**fields: Any) -> LLMMessageDTO:
    """A message that nobody has checked."""
    return LLMMessageDTO(**{"role": "user", "content": "hi", **fields})


def fault(check: Callable[..., object], *given: Any) -> str:
    """The message of the error that the check must raise."""
    with pytest.raises(LLMInputError) as caught:
        check(*given)
    assert caught.value.error_type == "BadRequest"
    assert not caught.value.retryable
    return caught.value.message


def refusal(check: Callable[..., object], *given: Any) -> str | None:
    """The message of the error that the check may raise; anything else it raises is a failure."""
    try:
        check(*given)
    except LLMInputError as error:
        return error.message
    return None


def option(name: str, value: Any) -> Any:
    """What goes on when one keyword parameter is given."""
    return arguments.options({name: value})[name]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(None, "not None", id="none"),
        pytest.param("hi", "not str", id="text"),
        pytest.param(b"hi", "not bytes", id="bytes"),
        pytest.param({"role": "user"}, "not dict", id="dict"),
        pytest.param(iter([said()]), "not list_iterator", id="iterator"),
        pytest.param((message for message in [said()]), "not generator", id="generator"),
        pytest.param({said()}, "not set", id="set"),
        pytest.param(said(), "not LLMMessageDTO", id="one-message"),
        pytest.param([], "messages is empty", id="empty-list"),
        pytest.param((), "messages is empty", id="empty-tuple"),
        pytest.param([said()] * 10_001, "10001 entries; at most 10000", id="too-many"),
        pytest.param([said(content="x" * 10_000_001)], "at most 10000000", id="too-long"),
    ],
)
def test_a_conversation_that_is_none_is_refused_by_its_kind(value: Any, words: str) -> None:
    """Whatever is no list of messages, is empty or too large is refused and named."""
    message = fault(arguments.messages, value)
    assert message.startswith("messages")
    assert words in message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        pytest.param("hi", "messages[1] must be an LLMMessageDTO, not str", id="text"),
        pytest.param({"role": "user", "content": "hi"}, "LLMMessageDTO, not dict", id="dict"),
        pytest.param(None, "messages[1] must be an LLMMessageDTO, not None", id="none"),
        pytest.param(said(role="wizard"), "messages[1].role is 'wizard'", id="role"),
        pytest.param(said(role="User"), "known roles are system, developer", id="role-case"),
        pytest.param(said(role=1), "messages[1].role is", id="role-number"),
        pytest.param(said(role=None), "messages[1].role is None", id="role-none"),
        pytest.param(said(role=["user"]), "messages[1].role is", id="role-list"),
        pytest.param(said(content=None), "messages[1].content must be a str, not None", id="none"),
        pytest.param(said(content=5), "messages[1].content must be a str, not int", id="number"),
        pytest.param(said(content=b"hi"), "content must be a str, not bytes", id="bytes"),
        pytest.param(said(content=[{"type": "sound"}]), "[0] must be a TextPart", id="parts"),
        pytest.param(said(content=Word(word="hi")), "a str, not Word", id="model"),
        pytest.param(said(content="ab\ud800"), "lone surrogate at position 2", id="surrogate"),
        pytest.param(said(name=""), "messages[1].name must be 1 to 64", id="name-empty"),
        pytest.param(said(name="a b"), "messages[1].name must be 1 to 64", id="name-space"),
        pytest.param(said(name="ann\n"), "messages[1].name must be 1 to 64", id="name-newline"),
        pytest.param(said(name="x" * 65), "messages[1].name must be 1 to 64", id="name-long"),
        pytest.param(said(name="ä"), "messages[1].name must be 1 to 64", id="name-accent"),
        pytest.param(said(name=7), "messages[1].name must be 1 to 64", id="name-number"),
    ],
)
def test_a_bad_message_is_named_by_its_index(message: Any, words: str) -> None:
    """The error says which message of the list is wrong, and what is wrong with it."""
    assert words in fault(arguments.messages, [said(), message])


@pytest.mark.parametrize("content", ["", " ", "\n\t", "\u3000"])
def test_a_user_who_says_nothing_is_refused(content: str) -> None:
    """A lone user message needs some text; white space is none."""
    conversation = [said(role="system", content="Be kind."), said(content=content)]
    assert "the user says nothing" in fault(arguments.messages, conversation)


@pytest.mark.parametrize(
    "conversation",
    [
        pytest.param([said(role=role) for role in MessageRole if role != "tool"], id="every-role"),
        pytest.param([said(role="system", content=""), said()], id="empty-system"),
        pytest.param([said(), said(role="assistant", content="")], id="empty-assistant"),
        pytest.param([said(content=""), said()], id="user-spoke-once"),
        pytest.param([said(role="system", content="go")], id="system-alone"),
        pytest.param((said(name="Ann-Lee_1"),), id="named-in-a-tuple"),
        pytest.param(UserList([said()]), id="any-sequence"),
        pytest.param([said(content="\x00👩‍👩‍👧‍👦 é \u202e \u2028 \ufeff 𠮷")], id="odd-text"),
        pytest.param([said(content="x" * 10_000_000)], id="longest"),
    ],
)
def test_a_good_conversation_goes_on_unchanged(conversation: Any) -> None:
    """Messages that can be sent are sent exactly as they are, and can no longer change."""
    assert arguments.messages(conversation) == tuple(conversation)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("temperature", v) for v in (math.nan, math.inf, -math.inf, -1, -0.01, 2.01, 3)],
        *[("temperature", v) for v in ("hot", "1", True, [1], Decimal(1), Fraction(1), 1j)],
        *[("max_tokens", v) for v in (0, -1, 2**31, 1.5, 1.0, "10", True, math.nan, ())],
        *[("timeout", v) for v in (0, -1, math.nan, math.inf, "5", True, 86_401, 0.0)],
    ],
    ids=repr,
)
def test_a_number_outside_its_limits_is_refused(name: str, value: Any) -> None:
    """Numbers are finite, of the right kind and inside their limits; the error shows the value."""
    message = fault(getattr(arguments, name), name, value)
    assert message.startswith(f"{name} must be a ")
    assert f"({type(value).__name__})" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("temperature", v) for v in (0, 0.0, 0.7, 1, 2, 2.0)],
        *[("max_tokens", v) for v in (1, 4096, 2**31 - 1)],
        *[("timeout", v) for v in (1e-3, 1, 86_400)],
    ],
)
def test_a_number_inside_its_limits_goes_on(name: str, value: float) -> None:
    """Limits belong to what is allowed."""
    assert getattr(arguments, name)(name, value) == value


_NO_TOOLS: list[Any] = [[], "abs", 5, ["abs"], [5], [int], [abs] * 129, {"a": abs}]
REFUSED_OPTIONS: list[tuple[str, Any]] = [
    *[("top_p", v) for v in (-0.1, 1.1, math.nan, "1", False)],
    *[("frequency_penalty", v) for v in (-2.1, 2.1, math.inf, "0")],
    *[("presence_penalty", v) for v in (-3, 3, True)],
    *[("stop", v) for v in ("", [], ["a", ""], ["a"] * 5, [1], b"a", {"a"}, 5)],
    *[("seed", v) for v in (1.0, "1", True, 2**63, -(2**63) - 1)],
    *[
        ("logit_bias", v)
        for v in ([("a", 1)], "a", {"a": 101}, {"1": math.nan}, {1: "1"}, {1: 0.5}, {1: 101.0})
    ],
    *[("reasoning_effort", v) for v in ("", "High", "extreme", 1, ["high"])],
    *[("verbosity", v) for v in ("none", "LOW", 2)],
    *[("service_tier", v) for v in ("cheap", "", object())],
    *[("prompt_cache_key", v) for v in ("", "  ", "x" * 65, 5, "\ud800", b"k")],
    *[
        ("metadata", v)
        for v in ("a", {"a": 1}, {1: "a"}, {"": "a"}, {"a": "x" * 513}, [("a", "b")])
    ],
    ("metadata", {str(number): "" for number in range(17)}),
    ("metadata", {"k" * 65: "a"}),
    *(("tools", value) for value in _NO_TOOLS),
    *[("tool_choice", v) for v in ("", "a b", 5, ["abs"], "x" * 65)],
    *[("parallel_tool_calls", v) for v in (0, 1, "yes", ["no"])],
    *[("timeout", v) for v in (0, -1, math.nan, math.inf, "5", True)],
    *[("max_retries", v) for v in (-1, 21, 1.0, "2", True)],
    *[("cache", v) for v in (0, -1, "yes", math.nan, 31_536_001)],
    *[("cache_scope", v) for v in ("", "all", 1)],
    *[("feature", v) for v in ("", "\t", "x" * 65, 5)],
    *[("tenant", v) for v in ("", "x" * 65, uuid4())],
    *[("conversation_id", v) for v in ("", "x" * 65, uuid4())],
    *[("context", v) for v in (5, "a", {"a": math.nan}, {"a": object()}, {(1,): 2}, {"a": {1}})],
    ("context", {"a": "x" * 8_200}),
    *[("payload_mode", v) for v in ("some", "FULL", 1, ["none"])],
    *[("idempotency_key", v) for v in ("", "x" * 201, 5, "a\nb")],
    *[("fallback", v) for v in ("fast", 5, [5], [""], ["x" * 151], ["fast"] * 21)],
    *[("fallback_on", v) for v in ("failure", 5, ["bad luck"], [1], ["failure"] * 100)],
]
ACCEPTED_OPTIONS: list[tuple[str, Any]] = [
    *[("top_p", v) for v in (0, 0.5, 1)],
    *[("frequency_penalty", v) for v in (-2, 0, 2)],
    *[("presence_penalty", v) for v in (-2.0, 2.0)],
    *[("stop", v) for v in ("a", ["a"], ["a", "b", "c", "d"])],
    *[("seed", v) for v in (0, -1, 2**63 - 1, -(2**63))],
    *[("logit_bias", v) for v in ({}, {"50256": -100}, {"1": 100, "2": 5.0})],
    *[("reasoning_effort", v) for v in get_args(ReasoningEffort)],
    *[("verbosity", v) for v in get_args(Verbosity)],
    *[("service_tier", v) for v in get_args(ServiceTier)],
    *[("prompt_cache_key", v) for v in ("a", "x" * 64, "ä")],
    *[("metadata", v) for v in ({}, {"k" * 64: "x" * 512}, {"a": ""})],
    *[("tools", v) for v in ((abs,), (Word,), (ToolSpec(name="a", parameters={}),))],
    *[("tool_choice", v) for v in ("auto", "none", "required", "get_weather")],
    *[("parallel_tool_calls", v) for v in (True, False)],
    *[("timeout", v) for v in (0.1, 30, 86_400)],
    *[("max_retries", v) for v in (0, 20)],
    *[("cache", v) for v in (True, False, 60, 0.5)],
    *[("cache_scope", v) for v in ("tenant", "user", "shared")],
    *[("feature", v) for v in ("lesson", "x" * 64)],
    *[("tenant", v) for v in ("acme",)],
    *[("conversation_id", v) for v in ("c-1",)],
    *[("context", v) for v in ({}, {"a": [1, None, {"b": "c"}]}, {"ä": "\x00"})],
    *[("payload_mode", v) for v in ("full", "redacted", "none")],
    *[("idempotency_key", v) for v in ("order-7", "x" * 200)],
    ("fallback", ("fast", "openai:gpt-4o")),
    ("fallback_on", frozenset({"failure", "quota"})),
]


@pytest.mark.parametrize(("name", "value"), REFUSED_OPTIONS)
def test_a_bad_keyword_parameter_is_named(name: str, value: Any) -> None:
    """Each keyword parameter has limits, and the error begins with its name."""
    assert fault(arguments.options, {name: value}).startswith(name)


@pytest.mark.parametrize(("name", "value"), ACCEPTED_OPTIONS)
def test_a_good_keyword_parameter_goes_on(name: str, value: Any) -> None:
    """What is allowed goes on with the same meaning."""
    assert option(name, value) == value


def test_the_tables_cover_every_keyword_parameter() -> None:
    """The checks, their tests and the published `GenerationOptions` name the same parameters."""
    published = GenerationOptions.__annotations__.keys()
    assert arguments.OPTIONS.keys() == published
    assert dict(REFUSED_OPTIONS).keys() == published
    assert dict(ACCEPTED_OPTIONS).keys() == published


def test_what_goes_on_is_a_copy() -> None:
    """A caller who changes a list or mapping later does not change the call."""
    given_: dict[str, Any] = {"stop": ["a"], "metadata": {"a": "b"}, "context": {"a": 1}}
    checked = arguments.options(given_)
    for value in given_.values():
        value.clear()
    assert checked == {"stop": ["a"], "metadata": {"a": "b"}, "context": {"a": 1}}


def test_token_ids_may_be_numbers() -> None:
    """A token id counts the same as a number and as a text."""
    assert option("logit_bias", {50256: -100}) == {"50256": -100.0}


def test_none_counts_as_not_given() -> None:
    """A keyword parameter that is None is left out, whatever its name."""
    assert arguments.options(dict.fromkeys(arguments.OPTIONS)) == {}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("temprature", "did you mean temperature?", id="temprature"),
        ("topp", "did you mean top_p?"),
        ("retries", "did you mean max_retries?"),
        ("reasoning", "did you mean reasoning_effort?"),
        ("zzz", "known are top_p, frequency_penalty"),
        ("", "known are top_p"),
    ],
)
def test_an_unknown_keyword_parameter_is_named_with_the_nearest_one(name: str, hint: str) -> None:
    """A misspelt keyword parameter is refused with the one that was probably meant."""
    message = fault(arguments.options, {name: 1})
    assert message.startswith(f"unknown keyword parameter {name!r}; ")
    assert hint in message


def test_a_uuid_is_taken_as_such_and_as_its_text() -> None:
    """A UUID may also be given as its exact text, in either case."""
    known = uuid4()
    assert arguments.uuid("user_id", known) is known
    assert arguments.uuid("user_id", str(known)) == known
    assert arguments.uuid("user_id", str(known).upper()) == known
    assert arguments.uuid("user_id", str(UUID(int=0))) == UUID(int=0)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("42", id="short"),
        pytest.param("x" * 36, id="no-hex"),
        pytest.param("12345678123456781234567812345678", id="no-hyphens"),
        pytest.param("{12345678-1234-5678-1234-567812345678}", id="braces"),
        pytest.param("urn:uuid:12345678-1234-5678-1234-567812345678", id="urn"),
        pytest.param(" 12345678-1234-5678-1234-567812345678", id="space"),
        pytest.param(b"12345678-1234-5678-1234-567812345678", id="bytes"),
        pytest.param(7, id="number"),
        pytest.param(None, id="none"),
    ],
)
def test_what_is_no_uuid_is_refused(value: Any) -> None:
    """Anything but a UUID or its exact text is refused by the argument's name."""
    assert fault(arguments.uuid, "user_id", value).startswith("user_id must be a uuid.UUID")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param("Word", id="name"),
        pytest.param(dict, id="dict"),
        pytest.param(dict[str, int], id="generic-alias"),
        pytest.param(Word(word="a"), id="instance"),
        pytest.param(BaseModel, id="base-model"),
        pytest.param(Plain, id="dataclass"),
        pytest.param(TypeAdapter(list[int]), id="type-adapter"),
        pytest.param(Word | None, id="union"),
        pytest.param(Words, id="root-model"),
        pytest.param(RootModel, id="root-model-itself"),
    ],
)
def test_what_is_no_model_class_is_refused(value: Any) -> None:
    """Only subclasses of BaseModel whose JSON is an object can be asked for."""
    assert fault(arguments.response_model, value).startswith("response_model ")


@pytest.mark.parametrize("value", [Word, Box, Box[int], Box[Word], LLMMessageDTO])
def test_a_model_class_goes_on(value: Any) -> None:
    """Model classes go on as they are, generic ones too."""
    assert arguments.response_model(value) is value


@MANY
@given(name=st.sampled_from(list(arguments.OPTIONS)), value=JUNK)
def test_any_junk_as_a_keyword_parameter_is_refused_by_name_or_passes(
    name: str, value: Any
) -> None:
    """Nothing but `LLMInputError` leaves the check, whatever it is given."""
    said = refusal(arguments.options, {name: value})
    assert said is None or said.startswith(name)


@MANY
@given(value=JUNK)
def test_any_junk_as_a_positional_argument_is_refused_by_name_or_passes(value: Any) -> None:
    """Nothing but `LLMInputError` leaves the checks of messages, numbers, ids and models."""
    checks: dict[str, tuple[Callable[..., object], *tuple[Any, ...]]] = {
        "messages": (arguments.messages, value),
        "user_id": (arguments.uuid, "user_id", value),
        "response_model": (arguments.response_model, value),
        "temperature": (arguments.temperature, "temperature", value),
        "max_tokens": (arguments.max_tokens, "max_tokens", value),
    }
    for name, check in checks.items():
        said = refusal(*check)
        assert said is None or said.startswith(name)


@MANY
@given(role=JUNK, content=JUNK, name=JUNK)
def test_any_junk_inside_a_message_is_refused_by_its_place_or_passes(
    role: Any, content: Any, name: Any
) -> None:
    """Nothing but `LLMInputError` leaves the check of a message, and it says where."""
    message = refusal(arguments.messages, [said(role=role, content=content, name=name)])
    assert message is None or message.startswith("messages")


class Unprintable:
    """An object that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def _nested(depth: int) -> dict[str, Any]:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("temperature", 10**5_000, id="number-too-long-to-print"),
        pytest.param("max_tokens", Unprintable(), id="unprintable"),
        pytest.param("seed", 10**5_000, id="whole-number-too-long-to-print"),
        pytest.param("logit_bias", {10**5_000: 1}, id="token-too-long-to-print"),
        pytest.param("logit_bias", {Unprintable(): 1}, id="unprintable-token"),
        pytest.param("context", _nested(100_000), id="too-deep"),
        pytest.param("context", {"a": 10**5_000}, id="context-number-too-long-to-print"),
    ],
)
def test_a_value_that_cannot_be_shown_is_still_an_input_error(name: str, value: Any) -> None:
    """The error about a bad argument never fails itself."""
    checks: dict[str, arguments.Check] = {
        **arguments.OPTIONS,
        "temperature": arguments.temperature,
        "max_tokens": arguments.max_tokens,
    }
    assert fault(checks[name], name, value).startswith(name)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(lambda: arguments.messages([said(role="x" * 10**6)]), id="role"),
        pytest.param(lambda: arguments.options({"x" * 10**6: 1}), id="unknown-name"),
        pytest.param(lambda: option("logit_bias", {"x" * 10**6: 1000}), id="token"),
        pytest.param(lambda: option("verbosity", "x" * 10**6), id="word"),
        pytest.param(lambda: arguments.uuid("user_id", "x" * 10**6), id="user-id"),
    ],
)
def test_an_error_message_stays_short(check: Callable[[], object]) -> None:
    """However long an argument is, the error about it fits on a few lines."""
    assert len(fault(check)) < 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("stop", "\ud800", id="stop"),
        pytest.param("stop", ["a", "\udfff"], id="stop-list"),
        pytest.param("metadata", {"a": "\ud800"}, id="metadata"),
        pytest.param("logit_bias", {"\ud800": 1}, id="logit-bias"),
        pytest.param("prompt_cache_key", "\ud800", id="prompt-cache-key"),
    ],
)
def test_text_that_cannot_be_sent_is_refused(name: str, value: Any) -> None:
    """A lone surrogate is found before sending wherever a text goes to the model."""
    assert fault(arguments.options, {name: value}).startswith(name)


@MANY
@given(text=ANY_TEXT)
def test_every_conversation_that_passes_can_be_sent(text: str) -> None:
    """What passes the check can be written as JSON in UTF-8."""
    try:
        checked = arguments.messages([said(content=text)])
    except LLMInputError:
        return
    for message in checked:
        json.dumps(message.content, ensure_ascii=False).encode()


def test_a_message_made_without_its_fields_is_refused() -> None:
    """A message that skipped its constructor is refused like any other bad one."""
    bare: Any = LLMMessageDTO.model_construct(**cast("Any", {"content": "hi"}))
    assert fault(arguments.messages, [bare]).startswith("messages[0].role")


def test_a_one_time_iterator_is_not_consumed() -> None:
    """A refused generator is left as it was, so that the caller may list it and try again."""

    def spoken() -> Iterator[LLMMessageDTO]:
        yield said()

    conversation = spoken()
    fault(arguments.messages, conversation)
    assert arguments.messages(list(conversation)) == (said(),)


def test_datetimes_are_no_context() -> None:
    """Context holds plain JSON; the error says what was not."""
    assert "datetime" in fault(option, "context", {"at": datetime.now(UTC)})
