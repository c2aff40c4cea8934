"""A call is built from what was said, what is configured, and nothing else."""

import contextlib
import dataclasses
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from modules.llm_services.calls import CallArguments, build_call
from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import Attribution, Call, GenerationParameters, LLMMessageDTO

PROVIDERS = frozenset({"openai"})
HELLO = LLMMessageDTO(role="user", content="hello")


class Word(BaseModel):
    """A plain response model."""

    word: str


def asked(**said: Any) -> CallArguments:
    """Arguments as a caller gives them: one good message and whatever else is said."""
    given_: dict[str, Any] = {
        "messages": [HELLO],
        "user_id": None,
        "model": None,
        "temperature": None,
        "max_tokens": None,
        "options": {},
        **said,
    }
    return CallArguments(**given_)


def built(config: LLMConfig | None = None, operation: str = "chat", **said: Any) -> Call:
    """The call that these arguments make."""
    return build_call(operation, asked(**said), config or LLMConfig(), PROVIDERS)


def test_a_bare_call_takes_everything_from_the_configuration() -> None:
    """Without a word of the caller nothing is sent to the model but the messages."""
    call = built()
    assert call.messages == (HELLO,)
    assert call.parameters == {}
    assert (call.timeout, call.max_retries) == (120.0, 2)
    assert (call.provider, call.requested_model) == ("openai", "fast")
    assert call.attribution == Attribution(feature="tests")
    assert call.output_type is None


def test_every_call_has_an_id_of_its_own() -> None:
    """The same arguments twice are two calls."""
    assert built().id != built().id


def test_a_call_is_frozen() -> None:
    """What goes down the road cannot be changed on the way."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        built().model = "other"  # type: ignore[misc]


def test_the_configuration_fills_in_what_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults of the installation are sent when a call gives none."""
    for name, value in {
        "TEMPERATURE": "0.5",
        "MAX_TOKENS": "77",
        "REQUEST_TIMEOUT": "9",
        "MAX_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    config = create_llm_config_from_env()
    call = built(config)
    assert call.parameters == {"temperature": 0.5, "max_tokens": 77}
    assert (call.timeout, call.max_retries) == (9.0, 0)
    said = built(config, temperature=0, max_tokens=1, options={"timeout": 3, "max_retries": 5})
    assert said.parameters == {"temperature": 0.0, "max_tokens": 1}
    assert (said.timeout, said.max_retries) == (3.0, 5)


def test_what_is_ours_is_never_said_to_the_model() -> None:
    """Attribution and policy stay on the row; everything else goes to the model."""
    user = uuid4()
    ours = {"feature": "f", "tenant": "t", "conversation_id": "c", "context": {"a": 1}}
    theirs = {"top_p": 0.5, "stop": ["x"], "seed": 7, "metadata": {"k": "v"}}
    call = built(user_id=str(user), options={**ours, **theirs, "timeout": 5, "max_retries": 1})
    assert call.parameters == theirs
    assert call.attribution == Attribution(
        user_id=user, feature="f", tenant="t", conversation_id="c", context={"a": 1}
    )
    assert call.parameters.keys() <= GenerationParameters.__annotations__.keys()


def test_only_a_structured_call_has_an_output_type() -> None:
    """The response model is asked for, and checked, by the structured operation alone."""
    assert built(operation="structured", output_type=Word).output_type is Word
    assert built(operation="chat", output_type=Word).output_type is None
    with pytest.raises(LLMInputError, match="response_model"):
        built(operation="structured", output_type=None)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"messages": []}, "messages"),
        ({"user_id": "me"}, "user_id"),
        ({"model": ""}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"options": {"timeout": 0}}, "timeout"),
        ({"options": {"n": 2}}, "unknown keyword parameter 'n'"),
    ],
)
def test_each_bad_argument_is_named(said: dict[str, Any], name: str) -> None:
    """The first bad argument ends the call before anything is sent."""
    with pytest.raises(LLMInputError, match=f"^{name}"):
        built(**said)


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.text()),
)


@settings(deadline=None)
@given(
    said=st.fixed_dictionaries(
        {},
        optional={
            "messages": JUNK,
            "user_id": JUNK,
            "model": JUNK,
            "temperature": JUNK,
            "max_tokens": JUNK,
            "output_type": JUNK,
            "options": st.dictionaries(st.sampled_from(["top_p", "stop", "timeout", "x"]), JUNK),
        },
    ),
    operation=st.sampled_from(["chat", "structured"]),
)
def test_any_junk_is_a_call_or_an_input_error(said: dict[str, Any], operation: str) -> None:
    """Nothing but `LLMInputError` leaves, whatever the arguments are."""
    with contextlib.suppress(LLMInputError):
        assert built(operation=operation, **said).timeout > 0
