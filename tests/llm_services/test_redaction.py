"""What is written down: text that every database takes, and no key in an error message."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modules.llm_services.redaction import (
    MESSAGE_LIMIT,
    PREVIEW_LIMIT,
    preview,
    safe_error_text,
    storable_json,
    storable_text,
    without_secrets,
)

ANY_TEXT = st.text(
    st.one_of(st.characters(exclude_categories=()), st.sampled_from('\x00\ud800\\"'))
)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
MANY = settings(max_examples=300, deadline=None)


def _is_storable(text: str) -> bool:
    text.encode()
    return "\x00" not in text


@MANY
@given(text=ANY_TEXT)
def test_every_stored_text_is_utf8_without_nul(text: str) -> None:
    """PostgreSQL refuses NUL and lone surrogates; whatever is said can be stored all the same."""
    assert _is_storable(storable_text(text))


@pytest.mark.parametrize(
    "text", ["", "plain", "é 𠮷 👩‍👩‍👧‍👦", "\u202e\u2028\ufeff", "a\tb\nc\x1b", "\uffff"]
)
def test_text_that_can_be_stored_is_not_touched(text: str) -> None:
    """Good text comes back as the same object: nothing is copied, nothing changed."""
    assert storable_text(text) is text


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a\x00b", "a\ufffdb"),
        ("ä\x00", "ä\ufffd"),
        ("a\ud800b", "a?b"),
        ("\udfff\x00ä", "?\ufffdä"),
        ("\x00" * 3, "\ufffd" * 3),
    ],
    ids=ascii,
)
def test_only_what_cannot_be_stored_is_replaced(text: str, stored: str) -> None:
    """Each refused character becomes one visible mark; the text keeps its length."""
    assert storable_text(text) == stored


@MANY
@given(value=JSON_VALUES)
@example("\\\x00")
def test_every_stored_json_is_json(value: Any) -> None:
    """Stored JSON is UTF-8 without NUL, can be read again, and reads the same every time."""
    stored = storable_json(value)
    assert _is_storable(stored)
    again = json.loads(stored, parse_constant=_refuse)
    assert json.loads(storable_json(again)) == again


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.text(st.characters(codec="utf-8", exclude_characters="\x00")), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=200, deadline=None)
def test_json_that_can_be_stored_means_the_same(value: Any) -> None:
    """JSON without NUL, lone surrogates and NaN is stored as it is."""
    assert json.loads(storable_json(value)) == value


@pytest.mark.parametrize("value", ["\\u0000", {"\\u0000": "C:\\u0000.txt"}], ids=["text", "key"])
def test_words_that_look_like_an_escape_are_words(value: Any) -> None:
    """A backslash and u0000, as in a lesson about JSON, is plain text and no NUL."""
    assert json.loads(storable_json(value)) == value


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def test_stored_json_is_compact_and_readable() -> None:
    """No white space, and letters outside ASCII as themselves."""
    assert storable_json({"a": [1, "é𠮷"], "b": None}) == '{"a":[1,"é𠮷"],"b":null}'


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (math.nan, '"nan"'),
        ([math.inf, 1.5], '["inf",1.5]'),
        ({"a": {"b": -math.inf}}, '{"a":{"b":"-inf"}}'),
        ((1, math.nan), '[1,"nan"]'),
        ({"a": math.nan, "b": "kept"}, '{"a":"nan","b":"kept"}'),
    ],
    ids=str,
)
def test_numbers_that_json_does_not_know_become_words(value: object, stored: str) -> None:
    """NaN and the infinities are kept as text, beside everything else unchanged."""
    assert storable_json(value) == stored


KEYS = [
    "sk-abcdefgh12345678",
    "sk-proj-AbC_dEf-0123456789",
    "sk-ant-REDACTED",
    "sk-abc***************wxyz",
    "pk_live_0123456789",
    "rk-0123456789",
    "key-0123456789abcdef",
    "api_0123456789abcdef",
    "SK-ABCDEFGH12345678",
    "AIzaSyA0123456789abcdefghijklmnopqrs",
    "Bearer abc.def.ghi",
    "bearer   0123456789",
]
SENTENCES = [
    "Incorrect API key provided: {}. You can find your key at https://platform.example.com.",
    "header 'Authorization: {}' refused",
    '{{"error": "{}"}}',
    "{}",
    "key={}\n",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_whatever_looks_like_a_key_is_masked(sentence: str, key: str) -> None:
    """A provider that quotes a key in its message does not put it into the ledger."""
    masked = without_secrets(sentence.format(key))
    assert "***" in masked
    assert key not in masked
    assert key.rsplit(maxsplit=1)[-1][:8] not in masked
    assert key not in safe_error_text(sentence.format(key))


@pytest.mark.parametrize(
    "text",
    ["", "the model gpt-6.1-sol is busy", "risk-averse", "monkey-wrench", "skip", "sk-", "a b\nc"],
)
def test_what_is_no_key_is_left_alone(text: str) -> None:
    """Masking does not eat plain words."""
    assert without_secrets(text) == text


@MANY
@given(text=ANY_TEXT)
def test_every_error_text_is_bounded_and_printable(text: str) -> None:
    """Error messages are stored and logged: short, without NUL, escapes or lone surrogates."""
    told = safe_error_text(text)
    assert len(told) <= MESSAGE_LIMIT
    assert _is_storable(told)
    assert "\x1b" not in told


def test_a_huge_error_text_is_cut() -> None:
    """A provider's megabyte becomes at most 4,000 characters."""
    told = safe_error_text("\x1b[31m\x00" + "x" * 1_000_000)
    assert len(told) == MESSAGE_LIMIT
    assert told.startswith(" [31m\ufffdxxx")


@pytest.mark.parametrize(
    "character",
    ["\x1b", "\x07", "\x7f", "\x08", *(pytest.param(c) for c in "\r\x85\x9b")],
)
def test_no_terminal_escape_is_left_in_an_error_text(character: str) -> None:
    """What a terminal would obey, in its 7-bit or its 8-bit form, is taken out."""
    assert character not in safe_error_text(f"a{character}[31mb")


def test_lines_and_tabs_of_an_error_text_stay() -> None:
    """A message of several lines, such as pydantic's, keeps them."""
    assert safe_error_text("a\n\tb") == "a\n\tb"


def test_a_preview_is_the_beginning_of_a_text() -> None:
    """Lists show the first 200 characters, and nothing for an empty text."""
    assert preview("x" * 1_000) == "x" * PREVIEW_LIMIT
    assert preview("short") == "short"
    assert preview("") is None
    assert preview("\x00\ud800") == "\ufffd?"


def _nested(depth: int) -> Iterator[Any]:
    value: Any = math.nan
    for _ in range(depth):
        value = [value]
    yield value


def test_json_as_deep_as_a_reply_may_be_is_stored() -> None:
    """Replies are read 200 levels deep; as deep a value can be written, with NaN inside."""
    (value,) = _nested(200)
    assert storable_json(value) == "[" * 200 + '"nan"' + "]" * 200
