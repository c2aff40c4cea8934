"""Both wire formats: every parameter is carried, every reply is an answer or an error of ours."""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.llm_services.exceptions import LLMBadResponseError, LLMError
from modules.llm_services.providers.base import Correction, Reply
from modules.llm_services.providers.formats import CHAT, FORMATS, RESPONSES, WireFormat
from modules.llm_services.providers.formats.base import COUNT_LIMIT, OutputSchema, Request, decode
from modules.llm_services.types import (
    Call,
    GenerationParameters,
    JsonObject,
    LLMMessageDTO,
    MessageRole,
    Usage,
)

every_format = pytest.mark.parametrize("wire", FORMATS.values(), ids=FORMATS)
SCHEMA = OutputSchema(name="Word", schema={"type": "object"}, strict=True)


def request(
    *messages: LLMMessageDTO,
    schema: OutputSchema | None = None,
    correction: Correction | None = None,
    **parameters: Any,
) -> Request:
    """A request of these messages, or of one."""
    call = Call(
        id=UUID(int=1),
        operation="chat",
        provider="openai",
        model="gpt-5",
        requested_model=None,
        messages=messages or (LLMMessageDTO(role="user", content="hi"),),
        parameters={},
        timeout=10.0,
        max_retries=0,
    )
    return Request(call=call, parameters=parameters, schema=schema, correction=correction)


def chat_reply(**changes: Any) -> JsonObject:
    """A good reply of Chat Completions, with some parts changed."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5-2026-01-01",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        "service_tier": "default",
        **changes,
    }


def responses_reply(**changes: Any) -> JsonObject:
    """A good reply of the Responses API, with some parts changed."""
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-5-2026-01-01",
        "error": None,
        "incomplete_details": None,
        "instructions": "secret prompt",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}],
            },
        ],
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "output_tokens_details": {"reasoning_tokens": 3},
        },
        "service_tier": "default",
        **changes,
    }


GOOD: dict[str, Callable[..., JsonObject]] = {"chat": chat_reply, "responses": responses_reply}
COUNTS = {
    "chat": ("prompt_tokens", "completion_tokens", "prompt_tokens_details"),
    "responses": ("input_tokens", "output_tokens", "input_tokens_details"),
}

CARRIED: list[tuple[str, Any, JsonObject, JsonObject | None]] = [
    ("temperature", 0.5, {"temperature": 0.5}, {"temperature": 0.5}),
    ("max_tokens", 9, {"max_completion_tokens": 9}, {"max_output_tokens": 9}),
    ("top_p", 0.1, {"top_p": 0.1}, {"top_p": 0.1}),
    ("frequency_penalty", 1.0, {"frequency_penalty": 1.0}, None),
    ("presence_penalty", -1.0, {"presence_penalty": -1.0}, None),
    ("stop", ["a"], {"stop": ["a"]}, None),
    ("seed", 7, {"seed": 7}, None),
    ("logit_bias", {"1": 5.0}, {"logit_bias": {"1": 5.0}}, None),
    ("reasoning_effort", "low", {"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    ("verbosity", "high", {"verbosity": "high"}, {"text": {"verbosity": "high"}}),
    ("service_tier", "flex", {"service_tier": "flex"}, {"service_tier": "flex"}),
    ("prompt_cache_key", "k", {"prompt_cache_key": "k"}, {"prompt_cache_key": "k"}),
    ("metadata", {"a": "b"}, {"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
]


@pytest.mark.parametrize(("name", "value", "chat", "responses"), CARRIED)
def test_each_parameter_is_written_in_each_formats_words(
    name: str, value: Any, chat: JsonObject, responses: JsonObject | None
) -> None:
    """Neutral names become each format's own; what a format cannot carry the other one is for."""
    given_ = request(**{name: value})
    plain = request()
    assert CHAT.body(given_) == {**CHAT.body(plain), **chat}
    if responses is None:
        assert name in CHAT.only
    else:
        assert RESPONSES.body(given_) == {**RESPONSES.body(plain), **responses}
        assert name not in CHAT.only


def test_no_parameter_is_forgotten() -> None:
    """Every parameter that a caller may give is carried by one of the formats at least."""
    assert {name for name, *_ in CARRIED} == GenerationParameters.__annotations__.keys()


def test_a_bare_body_says_only_what_it_must() -> None:
    """Without parameters a body holds the model and the conversation; nothing is stored there."""
    hi = {"role": "user", "content": "hi"}
    assert CHAT.body(request()) == {"model": "gpt-5", "messages": [hi]}
    assert RESPONSES.body(request()) == {"model": "gpt-5", "input": [hi], "store": False}


@every_format
def test_every_role_is_passed_on(wire: WireFormat) -> None:
    """Roles and texts arrive as they were said, in their order."""
    roles = [role for role in MessageRole if role != "tool"]  # a role of its own: test_tools
    said = tuple(LLMMessageDTO(role=role, content=f"as {role}") for role in roles)
    body = json.loads(json.dumps(wire.body(request(*said))))
    assert body.get("messages", body.get("input")) == [
        {"role": str(role), "content": f"as {role}"} for role in roles
    ]


def test_a_speakers_name_is_not_lost() -> None:
    """Chat Completions has a field for it; the Responses API is told in the text."""
    ann = LLMMessageDTO(role="user", content="hi", name="Ann")
    assert CHAT.body(request(ann))["messages"] == [{"role": "user", "content": "hi", "name": "Ann"}]
    assert RESPONSES.body(request(ann))["input"] == [{"role": "user", "content": "Ann: hi"}]


def test_a_schema_is_asked_for_in_each_formats_words() -> None:
    """Both formats ask for an answer that fits the schema, beside the other settings of text."""
    described = {"type": "json_schema", "name": "Word", "schema": {"type": "object"}}
    assert CHAT.body(request(schema=SCHEMA))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Word", "schema": {"type": "object"}, "strict": True},
    }
    assert RESPONSES.body(request(schema=SCHEMA, verbosity="low"))["text"] == {
        "format": {**described, "strict": True},
        "verbosity": "low",
    }


@every_format
def test_a_correction_follows_the_conversation(wire: WireFormat) -> None:
    """The model sees its last answer and what was wrong with it, after everything else."""
    body = wire.body(request(correction=Correction(text="{}", problem="- word: missing")))
    first, answer, problem = body.get("messages") or body["input"]
    assert first == {"role": "user", "content": "hi"}
    assert answer == {"role": "assistant", "content": "{}"}
    assert problem["role"] == "user"
    assert problem["content"].startswith("- word: missing\n")


@every_format
def test_a_body_does_not_share_the_callers_objects(wire: WireFormat) -> None:
    """Writing a body changes neither the call nor its parameters."""
    asked = request(metadata={"a": "b"}, reasoning_effort="low", verbosity="low")
    before = dict(asked.parameters)
    wire.body(asked)["extra"] = 1
    assert asked.parameters == before


@pytest.mark.parametrize("name", FORMATS)
def test_an_answer_is_read_whole(name: str) -> None:
    """Text, model, finish reason, every token class, service tier and the vendor's own usage."""
    value = GOOD[name]()
    reply = FORMATS[name].reply(value)
    assert (reply.text, reply.model) == ("hello", "gpt-5-2026-01-01")
    assert (reply.finish_reason, reply.service_tier) == ("stop", "default")
    assert reply.usage == Usage(
        prompt_tokens=10,
        completion_tokens=5,
        cache_read_tokens=4,
        cache_write_tokens=2,
        reasoning_tokens=3,
    )
    assert reply.usage_details == value["usage"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_raw_reply_is_kept_without_what_the_row_holds_already(name: str) -> None:
    """Our own request and the text are stored once; ids and everything unknown are kept."""
    value = GOOD[name](some_new_field={"a": 1})
    before = json.dumps(value)
    raw = FORMATS[name].reply(value).raw
    assert raw is not None
    assert "hello" not in json.dumps(raw)
    assert "secret prompt" not in json.dumps(raw)
    assert raw["some_new_field"] == {"a": 1}
    assert raw["id"] == value["id"]
    assert json.dumps(value) == before


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("missing", ["absent", "null"])
def test_missing_usage_is_unknown_not_zero(name: str, missing: str) -> None:
    """An answer without usage is an answer; its tokens are not known."""
    value = GOOD[name](usage=None)
    if missing == "absent":
        del value["usage"]
    reply = FORMATS[name].reply(value)
    assert (reply.text, reply.usage, reply.usage_details) == ("hello", None, None)


@pytest.mark.parametrize("name", FORMATS)
def test_missing_details_are_unknown_not_zero(name: str) -> None:
    """Token classes that a vendor does not report are None; reported zeros are zeros."""
    prompt, completion, details = COUNTS[name]
    plain = FORMATS[name].reply(GOOD[name](usage={prompt: 1, completion: 0}))
    assert plain.usage == Usage(prompt_tokens=1, completion_tokens=0)
    some = FORMATS[name].reply(
        GOOD[name](usage={prompt: 1, completion: 0, details: {"cached_tokens": 0}})
    )
    assert some.usage == Usage(prompt_tokens=1, completion_tokens=0, cache_read_tokens=0)


BAD_COUNTS = [-1, COUNT_LIMIT + 1, 10**30, 1.5, 5.0, "5", True, [5], {}, float("inf"), float("nan")]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", BAD_COUNTS, ids=repr)
def test_a_count_that_is_none_is_no_answer(name: str, count: object) -> None:
    """Token counts are billed: negative, huge, broken or textual ones are refused by place."""
    prompt, completion, details = COUNTS[name]
    for usage in (
        {prompt: count, completion: 1},
        {prompt: 1, completion: count},
        {prompt: 1, completion: 1, details: {"cached_tokens": count}},
    ):
        with pytest.raises(LLMBadResponseError, match="unexpected shape at 'usage") as caught:
            FORMATS[name].reply(GOOD[name](usage=usage))
        assert caught.value.maybe_billed
        assert caught.value.response_body is not None


@every_format
@pytest.mark.parametrize(
    "value",
    [
        {},
        {"error": {"message": "no", "code": "bad"}},
        {"choices": None, "output": None, "model": "m"},
        {"choices": [None], "output": [None], "model": "m"},
        {"choices": [{}], "output": [{}], "model": "m"},
        {"choices": {"0": {}}, "output": {"0": {}}, "model": "m"},
        {"choices": [{"message": None}], "output": [{"type": 5}], "model": "m"},
        {"detail": "Not Found"},
    ],
    ids=str,
)
def test_an_object_of_another_shape_is_no_answer(wire: WireFormat, value: JsonObject) -> None:
    """A success status with some other object is a bad response that names the place."""
    with pytest.raises(LLMBadResponseError, match="unexpected shape at '") as caught:
        wire.reply(value)
    assert caught.value.retryable
    assert caught.value.response_body == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"   ", "not JSON"),
        (b"<html><body>hi</body></html>", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "\xff\xfe"}', "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": -Infinity}', "not JSON"),
        (b"\x00" * 10, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "not JSON"),
        (b'["\\ud800", NaN]', "not JSON"),
        (b'["\\ud800"' + b",[" * 100_000, "not JSON"),
        (b"null", "JSON NoneType, not an object"),
        (b"[]", "JSON list, not an object"),
        (b'"text"', "JSON str, not an object"),
        (b"5", "JSON int, not an object"),
        (b"true", "JSON bool, not an object"),
    ],
    ids=lambda value: ascii(value[:20]) if isinstance(value, bytes) else "",
)
def test_a_body_that_is_no_json_object_is_no_answer(body: bytes, said: str) -> None:
    """Whatever the bytes are, the error says so and keeps the first 2,000 of them."""
    with pytest.raises(LLMBadResponseError, match=said) as caught:
        decode(body)
    assert caught.value.maybe_billed
    assert caught.value.response_body == body[:2_000].decode("utf-8", "replace")


def test_a_good_body_is_decoded() -> None:
    """JSON is JSON: unicode, escapes, big numbers and repeated keys are read."""
    assert decode(
        b' {"a": "\\ud83d\\ude00\\u0000\xc3\xa4", "b": 12345678901234567890, "b": 1}\n'
    ) == {
        "a": "😀\x00ä",
        "b": 1,
    }


def test_a_lone_surrogate_does_not_lose_an_answer() -> None:
    """JSON may escape half a character; the caller gets the text as it was said."""
    assert decode(b'{"a": "x\\ud800y"}') == {"a": "x\ud800y"}


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_bad_response(body: bytes) -> None:
    """No bytes can raise anything else."""
    with contextlib.suppress(LLMBadResponseError):
        assert isinstance(decode(body), dict)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.sampled_from(["incomplete", "failed", "queued", "message", 10**40]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "content", "message", "reason", "code", "refusal"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


def _changed(value: Any, path: list[int], junk: Any) -> Any:
    """The value with one part, found by the path, replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return junk
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    part = _changed(value[key], path[1:], junk)
    if isinstance(value, dict):
        return {**value, key: part}
    return [part if index == key else item for index, item in enumerate(value)]


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(list(FORMATS)),
    path=st.lists(st.integers(0, 20), min_size=1, max_size=6),
    junk=JSON,
)
def test_any_reply_is_an_answer_or_one_of_our_errors(name: str, path: list[int], junk: Any) -> None:
    """Wherever a good reply is damaged, it is still read, or refused as ours."""
    value = _changed(GOOD[name](), path, junk)
    with contextlib.suppress(LLMError):
        reply = FORMATS[name].reply(value)
        assert isinstance(reply, Reply)
        assert isinstance(reply.text, str)
        assert reply.usage is None or all(count >= 0 for count in reply.usage.as_dict().values())
        assert isinstance(reply.raw, Mapping)
