"""How each format says stop, cut, refused and failed."""

from typing import Any

import pytest
from pydantic import BaseModel

from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMProviderError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMTruncatedError,
    LLMValidationError,
)
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats import CHAT, RESPONSES
from modules.llm_services.providers.verdict import usable
from modules.llm_services.types import JsonObject, Usage

USAGE = Usage(prompt_tokens=10, completion_tokens=5)
KEY = "sk-SENTINEL-0123456789abcdef"


class Word(BaseModel):
    """A plain response model."""

    word: str


def chat(message: JsonObject, finish_reason: str | None = "stop", **parts: Any) -> Reply:
    """What a choice of Chat Completions means."""
    return CHAT.reply(
        {
            "choices": [{"message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            **parts,
        }
    )


def message(*parts: JsonObject) -> JsonObject:
    """A message of the Responses API."""
    return {"type": "message", "role": "assistant", "content": list(parts)}


def text(said: str) -> JsonObject:
    """A text part of the Responses API."""
    return {"type": "output_text", "text": said}


def response(*output: JsonObject, **parts: Any) -> Reply:
    """What a response means."""
    return RESPONSES.reply(
        {
            "model": "gpt-5",
            "output": list(output),
            "usage": {"input_tokens": 10, "output_tokens": 5},
            **parts,
        }
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello", "hello"),
        ("", ""),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}], "hello"),
        ([{"type": "image"}, {"type": "text", "text": "lo"}, {"text": None}], "lo"),
    ],
    ids=str,
)
def test_chat_content_is_text_or_parts_of_it(content: object, said: str) -> None:
    """A list of parts is joined; parts without text are left out."""
    assert chat({"role": "assistant", "content": content}).text == said


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls", "new", None])
def test_chat_finish_reasons_are_passed_on(reason: str | None) -> None:
    """The vendor's word is ours."""
    assert chat({"content": "hello"}, reason).finish_reason == reason


def test_chat_says_a_refusal_beside_the_content() -> None:
    """A refusal is an answer of another kind, whatever the finish reason says."""
    reply = chat({"content": None, "refusal": "I'd rather not."})
    assert (reply.text, reply.finish_reason) == ("I'd rather not.", "refusal")
    assert reply.usage == USAGE


def test_only_the_first_choice_counts() -> None:
    """One answer was asked for; further ones are kept raw, without their text."""
    choices = [{"message": {"content": said}, "finish_reason": "stop"} for said in ("one", "two")]
    reply = CHAT.reply({"choices": choices})
    assert reply.text == "one"
    assert reply.raw == {"choices": [{"message": {}, "finish_reason": "stop"}] * 2}


def test_chat_without_choices_is_no_answer_but_was_used() -> None:
    """Tokens of an empty answer are kept."""
    with pytest.raises(LLMBadResponseError, match="no choices") as caught:
        CHAT.reply({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}})
    assert caught.value.usage == USAGE


def test_chat_may_leave_out_what_is_not_needed() -> None:
    """Small servers answer with little more than a message."""
    reply = CHAT.reply({"choices": [{"message": {"content": "hi"}}]})
    assert (reply.text, reply.model, reply.finish_reason) == ("hi", None, None)


def test_response_texts_are_joined_across_parts_and_messages() -> None:
    """A web search may split an answer into several messages."""
    call: JsonObject = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    reply = response(message(text("one "), text("two ")), call, message(text("three")))
    assert (reply.text, reply.finish_reason) == ("one two three", "stop")
    assert reply.raw is not None
    assert reply.raw["output"][1] == call


def test_reasoning_is_not_part_of_a_responses_answer() -> None:
    """Open models say their reasoning as content of an item of its own."""
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hmm."}]}
    assert response(thought, message(text("hello"))).text == "hello"


def test_a_response_says_a_refusal_as_a_part() -> None:
    """A refusal is an answer of another kind, although the status is completed."""
    reply = response(message({"type": "refusal", "refusal": "I'd rather not."}), status="completed")
    assert (reply.text, reply.finish_reason) == ("I'd rather not.", "refusal")


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("completed", None, "stop"),
        (None, None, "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("incomplete", {"reason": "steered"}, "steered"),
        ("incomplete", {"reason": None}, "incomplete"),
        pytest.param("incomplete", None, "incomplete", id="no-details"),
    ],
)
def test_an_incomplete_response_says_why(
    status: str | None, details: JsonObject | None, reason: str
) -> None:
    """Reasons that Chat Completions knows get its words; a cut answer is never called complete."""
    reply = response(message(text("hel")), status=status, incomplete_details=details)
    assert (reply.text, reply.finish_reason) == ("hel", reason)


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("server_error", True),
        (None, True),
        ("vector_store_timeout", True),
        ("invalid_prompt", False),
        ("something_new", False),
    ],
)
def test_a_failed_response_is_an_error_of_its_code(code: str | None, *, retryable: bool) -> None:
    """A failed run arrives with HTTP 200; its code says whether it may pass."""
    with pytest.raises(LLMProviderError, match="It broke") as caught:
        response(status="failed", error={"code": code, "message": "It broke."})
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert caught.value.usage == USAGE


def test_a_failed_response_may_be_a_rate_limit() -> None:
    """A limit that was met during the run is a limit like any other."""
    with pytest.raises(LLMRateLimitError) as caught:
        response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
    assert caught.value.retryable


def test_a_failed_response_may_not_explain_itself() -> None:
    """A failure without an error object is still a failure."""
    with pytest.raises(LLMProviderError, match="without a message"):
        response(status="failed", error=None)


def test_a_failed_responses_words_are_bounded_and_masked() -> None:
    """What a failed run says is treated like the message of a failed status."""
    with pytest.raises(LLMProviderError) as caught:
        response(status="failed", error={"code": "server_error", "message": f"{KEY} " * 10_000})
    assert "SENTINEL" not in caught.value.message
    assert len(caught.value.message) < 600


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_a_response_under_way_is_no_answer(status: str) -> None:
    """We never ask for background runs; a server that makes one has not answered."""
    with pytest.raises(LLMBadResponseError, match=status) as caught:
        response(message(text("hel")), status=status)
    assert caught.value.usage == USAGE


def answer(said: str = '{"word": "hi"}', finish_reason: str | None = "stop") -> Reply:
    """A reply as a format reads it, with the facts that an adapter adds."""
    return Reply(
        text=said,
        model="gpt-5",
        finish_reason=finish_reason,
        usage=USAGE,
        http_status=200,
        provider_request_id="req_1",
    )


def test_text_is_usable_as_it_is() -> None:
    """An answer in words is handed on unchanged."""
    reply = answer("hello")
    assert usable(reply, None) is reply


@pytest.mark.parametrize("reason", ["stop", None, "tool_calls", "something_new"])
def test_an_answer_that_fits_is_usable_as_an_object(reason: str | None) -> None:
    """The object comes beside the text, whatever a vendor calls the end."""
    reply = usable(answer(finish_reason=reason), Word)
    assert reply.parsed == Word(word="hi")
    assert reply.text == '{"word": "hi"}'


def test_a_cut_text_is_usable_and_says_so() -> None:
    """Half an answer in words is worth something; ``finish_reason`` tells."""
    assert usable(answer("hel", "length"), None).finish_reason == "length"


@pytest.mark.parametrize(
    ("reply", "output_type", "kind"),
    [
        (answer("no", "refusal"), None, LLMRefusedError),
        (answer("no", "refusal"), Word, LLMRefusedError),
        (answer("hel", "content_filter"), None, LLMRefusedError),
        (answer("", "content_filter"), Word, LLMRefusedError),
        (answer("", "length"), None, LLMTruncatedError),
        (answer('{"wo', "length"), Word, LLMTruncatedError),
        (answer('{"word": "whole"}', "length"), Word, LLMTruncatedError),
        (answer("", "stop"), None, LLMBadResponseError),
        (answer("", "stop"), Word, LLMBadResponseError),
        (answer("", None), None, LLMBadResponseError),
        (answer('{"wo', "stop"), Word, LLMValidationError),
    ],
    ids=lambda value: getattr(value, "__name__", "") or getattr(value, "finish_reason", ""),
)
def test_a_reply_that_is_no_answer_is_told_apart(
    reply: Reply, output_type: type[BaseModel] | None, kind: type[LLMProviderError]
) -> None:
    """Refused, cut, empty and misfitting answers are different errors; all know their tokens."""
    with pytest.raises(kind) as caught:
        usable(reply, output_type)
    error = caught.value
    assert type(error) is kind
    assert error.usage == USAGE
    assert error.partial_text == (reply.text or None)
    assert (error.status_code, error.provider_request_id) == (200, "req_1")
