"""What the policy lets through: keys, files, personal data, caps, and rows without content."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.llm_services.arguments import options
from modules.llm_services.exceptions import LLMBadRequestError, LLMConfigurationError
from modules.llm_services.ids import uuid7
from modules.llm_services.models import LLMRequest
from modules.llm_services.public import open_llm_services
from modules.llm_services.recording import payload
from modules.llm_services.recording.payload import PayloadPolicy, _Cleaner
from modules.llm_services.recording.record import CallRecord
from modules.llm_services.recording.rows import opening_row, outcome
from modules.llm_services.recording.withheld import FACTS, numbers, without_content
from modules.llm_services.redaction import (
    load_redactors,
    shortened,
    without_encoded_files,
    without_known_keys,
    without_personal_data,
)
from modules.llm_services.types import Call, LLMMessageDTO, PayloadMode, mode_of, stricter

BASE64 = "iVBORw0KGgoAAAANSUhEUgAA" * 40


def a_record(*texts: str, **changes: Any) -> CallRecord:
    """A call with these messages, about to be recorded."""
    plain = Call(
        id=uuid7(),
        operation="chat",
        provider="openai",
        model="gpt-4o",
        requested_model=None,
        messages=tuple(LLMMessageDTO(role="user", content=text) for text in texts),
        parameters={},
        timeout=20,
        max_retries=0,
    )
    return CallRecord(replace(plain, **changes))


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-Abc123def456ghi789jkl012",
        "sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAA1",
        "gsk_abcdefghij0123456789ABCD",
        "AIzaSyA1234567890abcdefghijklmnopqrstu",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "Bearer abcdefgh01234567ijkl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIabc",
    ],
)
def test_keys_are_masked_in_any_text(key: str) -> None:
    """A key is found by its vendor's form, wherever it stands."""
    assert without_known_keys(f"use {key}") == "use ***"
    assert without_known_keys(f'{{"key": "{key}"}}').count("***") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the bearer of bad news",
        "the api_endpoint and key_value_store of sk-learn",
        "sk-this-is-a-long-class-name-without-digits",
        "a risk-free-offer-for-2026-and-beyond-it",
        "eyJ is how such tokens begin",
    ],
)
def test_ordinary_words_are_not_touched(text: str) -> None:
    """A prompt without keys comes back as the same object."""
    assert without_known_keys(text, ("ollama",)) is text
    assert without_known_keys("use ollama", ("ollama",)) == "use ollama"


def test_a_configured_key_is_masked_whatever_it_looks_like() -> None:
    """Keys that the calls are made with are known letter by letter."""
    assert without_known_keys("it is correct horse battery", ("correct horse",)) == (
        "it is *** battery"
    )


def test_encoded_files_are_kept_by_hash() -> None:
    """A file that was written into a text leaves its type, its size and a hash."""
    text = without_encoded_files(f"see data:image/png;base64,{BASE64}== and {BASE64}.")
    assert BASE64[:40] not in text
    assert text.startswith("see [omitted: image/png, 720 bytes, sha256 of the text ")
    assert "and [omitted: base64, 720 bytes, " in text
    assert text.endswith("].")


@pytest.mark.parametrize("text", ["a" * 5_000, "ACGT" * 500, "word " * 2_000, BASE64[:500]])
def test_long_words_are_no_files(text: str) -> None:
    """Genomes, repeated letters and short pieces stay."""
    assert without_encoded_files(text) is text or without_encoded_files(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mail ann.b+c@mail.example.co.uk now", "mail [email] now"),
        ("<ann@example.com>, bob@b.de", "<[email]>, [email]"),
        ("card 4111111111111111.", "card [card]."),
        ("card 4111-1111-1111-1111", "card [card]"),
        ("amex 3782 822463 10005", "amex [card]"),
        ("call +43 660 123 45 67", "call [phone]"),
        ("call (555) 123-4567 or 555-123-4567", "call [phone] or [phone]"),
        ("ruf 030 12345678", "ruf [phone]"),
        ("pay AT61 1904 3002 3457 3201", "pay [iban]"),
        ("pay GB82WEST12345698765432 now", "pay [iban] now"),
    ],
)
def test_personal_data_is_redacted(text: str, left: str) -> None:
    """Addresses, accounts, cards and numbers leave their kind in their place."""
    assert without_personal_data(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-11-22 at 10:15:30, in 01/2026 12",
        "order 4111111111111112, build 20261122101530",
        "a 3@home, 1 234 567 890 people, 0.1234567",
        "GB82 WEST 1234 5698 7654 33 is no account",
        "127.0.0.1:8080 and ids 550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_other_numbers_are_not_redacted(text: str) -> None:
    """Dates, ids, amounts and numbers whose check digits are wrong stay."""
    assert without_personal_data(text) == text


@pytest.mark.parametrize(
    ("text", "limit", "left"),
    [
        ("short", 10, "short"),
        ("write to ann@example.com", 15, "write to"),
        ("card 4111 1111 1111 1111", 16, "card"),
        ("字" * 300, 200, "字" * 200),
        ("7" * 50, 20, ""),
    ],
)
def test_nothing_is_cut_in_two(text: str, limit: int, left: str) -> None:
    """What is shortened ends between words: no redactor finds half an address."""
    assert shortened(text, limit) == left


def test_a_long_text_is_cut_with_a_mark() -> None:
    """The row says how long the text was, and that it is not all there."""
    row = opening_row(a_record("x" * 5_000), PayloadPolicy(max_chars=1_000))
    assert row["messages"][0]["content"] == "x" * 1_000 + "… [5000 characters]"
    assert row["payload_state"] == "truncated"
    assert row["input_preview"] == "x" * 200


def test_a_key_at_the_cut_is_masked_whole() -> None:
    """A key that crosses the cap leaves nothing of itself."""
    key = "sk-proj-Abc123def456ghi789jkl012"
    text = "x" * 985 + " " + key + " y" * 3_000
    row = opening_row(a_record(text), PayloadPolicy(max_chars=1_000))
    assert "sk-" not in row["messages"][0]["content"]


def test_a_vendors_json_is_bounded_as_a_whole() -> None:
    """Many small texts may be too much, too; then the size is all that is kept."""
    raw = {"pieces": ["y" * 900] * 10}
    row = PayloadPolicy(max_chars=1_000).stored({"response_raw": raw}, "full")
    assert row == {
        "response_raw": {"omitted": True, "characters": 9_006},
        "payload_state": "truncated",
    }


_KEYS = ('a "quoted" key', "back\\slash-and-ümlaut", "ollama")
_PIECES = st.sampled_from(
    [
        *("plain words, ", "é", "\n", '"', "\\", "\\u0000", "\x00", "\ud800", "ollama", "x" * 400),
        *("sk-proj-Abc123def456ghi789jkl012", "eyJhbGciOiJ.eyJzdWIiOiIxMjM0In0", BASE64),
        *(BASE64[:500], "Bearer abcdefgh01234567ijkl", "-----BEGIN PRIVATE KEY-----", *_KEYS),
    ]
)
_TEXTS = st.lists(_PIECES, max_size=4).map("".join)
_JSON = st.recursive(
    _TEXTS | st.none() | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(content=_JSON, answer=_TEXTS)
def test_the_quick_look_misses_nothing(content: Any, answer: str) -> None:
    """A row that is taken for plain is what cleaning each of its texts would have made of it."""
    policy = PayloadPolicy(max_chars=1_500, keys=_KEYS)
    row = {"context_data": content, "response_content": answer, "model": "gpt-4o"}
    one_by_one = _Cleaner(policy, redact=False)
    cleaned = {name: one_by_one.column(name, row[name]) for name in row.keys() - {"model"}}
    stored = policy.stored(row, "full")
    assert repr({name: stored[name] for name in cleaned}) == repr(cleaned)
    assert stored["payload_state"] == ("truncated" if one_by_one.cut else "full")


def test_what_the_caller_changes_afterwards_is_not_recorded() -> None:
    """The row is written by another thread, and says what was so when the call was made."""
    said = {"tags": ["a"]}
    context = options({"context": said})["context"]
    said["tags"].append("b")
    assert context == {"tags": ["a"]}


def test_long_content_is_not_looked_at_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a prompt nor an answer: JSON of megabytes is made in one go."""
    monkeypatch.delattr(payload, "is_plain")
    record = a_record(messages=(LLMMessageDTO(role="user", content="x" * 101),))
    record.partial_text = "y" * 101
    record.cancelled()
    policy = PayloadPolicy(max_chars=100)
    for row in (opening_row(record, policy), outcome(record, policy)):
        assert row["payload_state"] == "truncated"


def test_plain_content_is_kept_as_it_is() -> None:
    """In full, ordinary content loses nothing, and previews show its beginning."""
    record = a_record("hello", "What is lava?", attribution=a_record().call.attribution)
    row = opening_row(record, PayloadPolicy())
    assert [said["content"] for said in row["messages"]] == ["hello", "What is lava?"]
    assert (row["input_preview"], row["payload_state"]) == ("What is lava?", "full")
    assert outcome(record, PayloadPolicy())["output_preview"] is None


def test_redacted_json_has_no_name_either() -> None:
    """The names in JSON are texts as well; lists and numbers keep their places."""
    said = {"ann@example.com": [1, {"to": "bob@example.com"}, None], "n": 2.5}
    row = PayloadPolicy().stored({"context_data": said}, "redacted")
    assert row["context_data"] == {"[email]": [1, {"to": "[email]"}, None], "n": 2.5}
    assert row["payload_state"] == "redacted"


def test_the_policys_own_mode_is_the_least() -> None:
    """A call that was made under a looser setting is stored as the present one wants it."""
    row = PayloadPolicy(mode="none").stored({"messages": [], "response_content": "x"}, "full")
    assert (row["response_content"], row["payload_state"]) == (None, "none")


def test_a_row_without_content_tells_sizes_and_program_words() -> None:
    """Roles, lengths, numbers and the program's own words stay; a caller's words do not."""
    parameters = {
        "top_p": 0.5,
        "stop": ["x", "y"],
        "size": "auto",
        "prompt": "Moons",
        "metadata": {"a": "b"},
        "batch_key": "k",
    }
    message = LLMMessageDTO(role="user", content="Hello")
    row = opening_row(
        a_record(parameters=parameters, messages=(message,)), PayloadPolicy(mode="none")
    )
    assert row["messages"] == [{"role": "user", "omitted": True, "characters": 5}]
    assert row["additional_params"] == {
        "top_p": 0.5,
        "stop": {"omitted": True, "entries": 2},
        "size": "auto",
        "prompt": {"omitted": True, "characters": 5},
        "metadata": {"omitted": True, "entries": 1},
        "batch_key": "k",
    }
    assert (row["input_preview"], row["context_data"]) == (None, None)


def test_errors_are_told_in_our_words() -> None:
    """Class, status and code; a code that is no word may be a quotation."""
    error = LLMBadRequestError("quotes", status_code=400, code="invalid_prompt")
    told = without_content({"error_message": "quotes"}, error)["error_message"]
    assert told == "LLMBadRequestError, HTTP 400, invalid_prompt: The request was not valid."
    error.status_code, error.code = None, "Tell of it"
    told = without_content({"error_message": "quotes"}, error)["error_message"]
    assert told == "LLMBadRequestError: The request was not valid."
    assert without_content({"error_message": "quotes"})["error_message"] != "quotes"


def test_usage_without_content_is_numbers() -> None:
    """What a provider counted stays, with the words that say of what."""
    said = {"type": "tokens", "n": [1, {"note": "Quotes a prompt", "cached": True}]}
    assert numbers(said) == {"type": "tokens", "n": [1, {"note": None, "cached": True}]}


def test_every_column_is_known_to_hold_facts_or_content() -> None:
    """A new column counts as content, and is withheld, until somebody decides otherwise."""
    content = {
        *("messages", "response_content", "response_raw", "input_preview", "output_preview"),
        *("error_message", "additional_params", "usage_details", "context_data", "kept_answer"),
    }
    assert set(LLMRequest.__table__.columns.keys()) - FACTS == content
    assert PayloadPolicy(mode="none").stored({"surprise": "content"}, "full")["surprise"] is None


@pytest.mark.parametrize(
    ("state", "mode"),
    [("full", "full"), ("truncated", "full"), ("redacted", "redacted"), ("purged", "none")],
)
def test_a_late_answer_follows_its_row(state: str, mode: PayloadMode) -> None:
    """Hours later, the row's state says in which mode the call was made."""
    assert mode_of(state) == mode
    assert stricter(mode, "none") == stricter("none", mode) == "none"


def test_redactors_are_loaded_by_name() -> None:
    """Names with commas between them; blanks do not count."""
    [first, second] = load_redactors(" tests.support.canary:without_the_word ,builtins:str,")
    assert first("Xylocanary7731") == "[bird]"
    assert second("x") == "x"
    assert load_redactors("") == ()


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("nonsense", "package.module:function"),
        (":f", "package.module:function"),
        ("no.such.module:f", "ModuleNotFoundError"),
        ("json:nothing", "AttributeError"),
        ("json:loads", "JSONDecodeError"),
        ("builtins:len", "gives a text"),
        ("tests.support.canary:that_waits", "gives a text"),
    ],
)
async def test_a_redactor_that_cannot_work_is_refused_at_start(
    names: str, problem: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name is an error that names the variable, before the first call."""
    monkeypatch.setenv("LLM_REDACTORS", names)
    with pytest.raises(LLMConfigurationError, match=f"LLM_REDACTORS: .*{problem}"):
        async with open_llm_services():
            raise AssertionError


def test_a_row_that_is_too_deep_is_withheld(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever cannot be looked at is not stored; the log names class and place, no content."""
    deep: Any = "secret words"
    for _ in range(3_000):
        deep = [deep]
    row = PayloadPolicy().stored({"response_raw": deep, "response_content": "x"}, "full")
    assert (row["response_raw"], row["payload_state"]) == (None, "none")
    assert "secret words" not in caplog.text


@pytest.mark.parametrize("make", [opening_row, outcome])
def test_rows_are_json(make: Callable[[CallRecord, PayloadPolicy], dict[str, Any]]) -> None:
    """What leaves the gate can be written as JSON in every mode."""
    record = a_record("hello")
    for mode in ("full", "redacted", "none"):
        json.dumps(make(record, PayloadPolicy(mode=mode)), default=str)
