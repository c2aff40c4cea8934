"""The module's promises in short, without a network and without a database.

Each room's promises in full are in ``tests/llm_services``, one file for each room.
"""

import dataclasses
import json
import math
import pickle
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, Field, ValidationError

from modules.llm_services import arguments
from modules.llm_services.calls import CallArguments, build_call
from modules.llm_services.config import (
    LLMConfig,
    create_llm_config_from_env,
    environment_key,
)
from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadResponseError,
    LLMConfigurationError,
    LLMContextLengthError,
    LLMError,
    LLMInputError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMUnsupportedParameterError,
    LLMValidationError,
)
from modules.llm_services.ids import uuid7
from modules.llm_services.providers.base import Correction, Reply
from modules.llm_services.providers.capabilities import refused_parameters
from modules.llm_services.providers.factory import create_llm_provider
from modules.llm_services.providers.failures import error_for_status, retry_after
from modules.llm_services.providers.formats import CHAT, RESPONSES
from modules.llm_services.providers.formats.base import Request, decode
from modules.llm_services.providers.structured import output_schema, parsed
from modules.llm_services.providers.verdict import usable
from modules.llm_services.redaction import safe_error_text, storable_json, storable_text
from modules.llm_services.retry import RetryBudget
from modules.llm_services.roles import resolve_model, role_faults
from modules.llm_services.types import Call, LLMMessageDTO, LLMResponseDTO, Usage

PROVIDERS = frozenset({"openai", "azure_openai"})
SECRET = "sk-SENTINEL-0123456789"
HELLO = LLMMessageDTO(role="user", content="Hello")
USAGE = Usage(prompt_tokens=10, completion_tokens=5)


class Address(BaseModel):
    """Where somebody lives."""

    street: str = Field(max_length=40)


class Person(BaseModel):
    """Somebody."""

    name: str
    home: Address = Field(description="Where the letters go.")
    nick: str | None = None


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _ in environment_key():
        monkeypatch.delenv(name)


def configured(patch: pytest.MonkeyPatch, **variables: str) -> LLMConfig:
    """The configuration of these variables."""
    for name, value in variables.items():
        patch.setenv(name, value)
    return create_llm_config_from_env()


def call(operation: str = "chat", **said: Any) -> Call:
    """The call that a caller makes who says this."""
    asked: dict[str, Any] = {
        "messages": [HELLO],
        "user_id": None,
        "model": "openai:gpt-4.1",
        "temperature": None,
        "max_tokens": None,
        "options": {},
        **said,
    }
    return build_call(operation, CallArguments(**asked), LLMConfig(), PROVIDERS)


def reply(text: str, finish_reason: str | None = "stop") -> Reply:
    """What a provider answered."""
    return Reply(text=text, model="gpt-4.1", finish_reason=finish_reason, usage=USAGE)


class TestArguments:
    """Bad input is found before anything is sent, and named."""

    @pytest.mark.parametrize("junk", [None, "Hello", {}, iter([HELLO]), [], 5])
    def test_a_conversation_is_a_list_of_messages(self, junk: Any) -> None:
        """Anything else is refused by the argument's name."""
        with pytest.raises(LLMInputError, match=r"^messages "):
            arguments.messages(junk)

    @pytest.mark.parametrize(
        "bad", [{"role": "wizard"}, {"content": None}, {"content": 5}, {"name": "a b"}, {"role": 1}]
    )
    def test_a_bad_message_is_named_by_its_index(self, bad: dict[str, Any]) -> None:
        """The error says which message of the list is wrong."""
        second = LLMMessageDTO(**{"role": "user", "content": "Hello", **bad})
        with pytest.raises(LLMInputError, match=r"^messages\[1\]\."):
            arguments.messages([HELLO, second])

    def test_text_that_cannot_be_sent_is_refused(self) -> None:
        """A lone surrogate fits no UTF-8; its position is said."""
        broken = LLMMessageDTO(role="user", content="ab\ud800")
        with pytest.raises(LLMInputError, match="surrogate at position 2"):
            arguments.messages([broken])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("temperature", math.nan),
            ("temperature", 2.1),
            ("temperature", True),
            ("max_tokens", 0),
            ("max_tokens", 1.5),
            ("timeout", 0),
            ("timeout", math.inf),
        ],
    )
    def test_numbers_have_limits(self, name: str, value: Any) -> None:
        """Not finite, of the wrong kind or out of range: refused with the limits."""
        with pytest.raises(LLMInputError, match=f"^{name} must be a .*number"):
            getattr(arguments, name)(name, value)

    def test_a_misspelt_keyword_parameter_is_refused_with_the_nearest(self) -> None:
        """Nothing is dropped in silence."""
        with pytest.raises(LLMInputError, match="'reasoning_efort'; did you mean reasoning_effort"):
            arguments.options({"reasoning_efort": "low"})

    def test_a_user_is_a_uuid_or_its_exact_text(self) -> None:
        """Ids of other kinds are refused."""
        user = uuid4()
        assert arguments.uuid("user_id", str(user)) == user
        with pytest.raises(LLMInputError, match=r"^user_id"):
            arguments.uuid("user_id", user.hex)

    @pytest.mark.parametrize("junk", [None, dict, BaseModel, Address(street="a"), "Person"])
    def test_a_response_model_is_a_model_class(self, junk: Any) -> None:
        """Only subclasses of BaseModel can be asked for."""
        assert arguments.response_model(Person) is Person
        with pytest.raises(LLMInputError, match=r"^response_model"):
            arguments.response_model(junk)


class TestConfiguration:
    """The environment is read once, whole, and keeps its secrets."""

    def test_legacy_names_keep_working(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Old names are read; ours go before them."""
        config = configured(
            monkeypatch, MAX_TOKENS="5", REQUEST_TIMEOUT="9", LLM_REQUEST_TIMEOUT="8"
        )
        assert (config.max_tokens, config.request_timeout) == (5, 8.0)

    def test_all_faults_are_named_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the variables that were really set."""
        with pytest.raises(LLMConfigurationError) as caught:
            configured(monkeypatch, MAX_RETRIES="two", LLM_TEMPERATURE="nan", OPENAI_API_KEY=" ")
        faults = caught.value.message.split("; ")
        assert {fault.partition(":")[0] for fault in faults} == {
            "MAX_RETRIES",
            "LLM_TEMPERATURE",
            "OPENAI_API_KEY",
        }

    def test_a_key_is_never_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not by the settings, and not by the error about a broken one."""
        config = configured(monkeypatch, OPENAI_API_KEY=f"{SECRET}\n")
        assert "SENTINEL" not in f"{config} {config!r} {config.model_dump_json()}"
        with pytest.raises(LLMConfigurationError, match=r"^OPENAI_API_KEY") as caught:
            configured(monkeypatch, OPENAI_API_KEY=f"{SECRET} x")
        assert "SENTINEL" not in repr(caught.value)

    def test_settings_are_frozen(self) -> None:
        """Nothing changes the configuration of a running process."""
        with pytest.raises(ValidationError, match="frozen"):
            LLMConfig().max_retries = 5  # type: ignore[misc]

    def test_a_provider_needs_its_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is missing is named."""
        with pytest.raises(LLMConfigurationError, match="OPENAI_API_KEY is not set"):
            create_llm_provider(LLMConfig())
        config = configured(monkeypatch, AZURE_OPENAI_API_KEY="k")
        with pytest.raises(LLMConfigurationError, match="AZURE_OPENAI_ENDPOINT is not set"):
            create_llm_provider(config, "azure_openai")


class TestModels:
    """Siblings name a role; the configuration says what it is today."""

    @pytest.mark.parametrize(
        ("word", "provider", "model"),
        [
            ("gpt-4.1", "openai", "gpt-4.1"),
            ("azure_openai:prod", "azure_openai", "prod"),
            ("cheap", "openai", "gpt-6-luna"),
            ("ft:gpt-4.1:acme::1", "openai", "ft:gpt-4.1:acme::1"),
        ],
    )
    def test_a_word_stands_for_one_model(
        self, monkeypatch: pytest.MonkeyPatch, word: str, provider: str, model: str
    ) -> None:
        """A role, a qualified name or a plain one."""
        config = configured(monkeypatch, LLM_ROLES__CHEAP="openai:gpt-6-luna")
        choice = resolve_model(config, PROVIDERS, word)
        assert (choice.provider, choice.model) == (provider, model)
        assert choice.requested == ("cheap" if word == "cheap" else None)

    @pytest.mark.parametrize("word", ["", "a b", "x" * 101, "nobody:gpt", 5, "gpt\n"])
    def test_a_word_that_means_nothing_is_refused(self, word: object) -> None:
        """A model's name is never cut or guessed."""
        with pytest.raises(LLMInputError, match=r"^model "):
            resolve_model(LLMConfig(), PROVIDERS, word)

    def test_a_bad_role_is_found_at_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before the first call, by its variable."""
        config = configured(monkeypatch, LLM_ROLES__CHEAP="nobody:gpt")
        (fault,) = role_faults(config, PROVIDERS)
        assert fault.startswith("LLM_ROLES__CHEAP: ")

    def test_reasoning_models_are_spared_what_they_refuse(self) -> None:
        """Sampling parameters are left out where it is known that they are refused."""
        given = {"temperature": 0.5, "seed": 1}
        assert refused_parameters("o3", given) == {"temperature"}
        assert refused_parameters("gpt-4.1", given) == frozenset()


class TestCalls:
    """A call is what was said and what is configured, frozen."""

    def test_what_is_ours_is_not_said_to_the_model(self) -> None:
        """Attribution and policy stay on our side."""
        made = call(temperature=1, options={"seed": 7, "feature": "quiz", "timeout": 3})
        assert made.parameters == {"temperature": 1.0, "seed": 7}
        assert (made.attribution.feature, made.timeout) == ("quiz", 3.0)

    def test_a_call_cannot_be_changed(self) -> None:
        """What goes down the road stays what it was."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            call().model = "other"  # type: ignore[misc]

    def test_ids_are_version_7_and_sort_by_time(self) -> None:
        """New rows lie together in the index."""
        made = [uuid7() for _ in range(100)]
        assert {value.version for value in made} == {7}
        assert len(set(made)) == 100
        assert [value.int >> 80 for value in made] == sorted(value.int >> 80 for value in made)


class TestRetries:
    """One budget: so many requests, and never beyond the deadline."""

    def budget(self, retries: int = 3, seconds: float = 60.0) -> RetryBudget:
        """A budget on a clock that stands still, without jitter."""
        return RetryBudget(retries, seconds, clock=lambda: 0.0, chance=lambda: 0.0)

    def test_waits_grow_until_the_budget_is_spent(self) -> None:
        """Half a second, doubled each time."""
        spent = self.budget()
        waits = [spent.wait_after(LLMProviderError("500")) for _ in range(4)]
        assert waits == [0.5, 1.0, 2.0, None]

    def test_the_provider_says_how_long(self) -> None:
        """But no wait is begun that cannot end before the deadline."""
        assert self.budget().wait_after(LLMRateLimitError("429", retry_after=7.0)) == 7.0
        assert self.budget().wait_after(LLMRateLimitError("429", retry_after=60.0)) is None

    def test_a_refused_parameter_is_dropped_for_free(self) -> None:
        """It uses up no retry."""
        assert self.budget(0).wait_after(LLMUnsupportedParameterError("temperature")) == 0.0

    def test_rubbish_is_asked_for_once_more(self) -> None:
        """Each reply that is no answer may have been paid for."""
        spent = self.budget()
        assert spent.wait_after(LLMBadResponseError("html")) == 0.5
        assert spent.wait_after(LLMBadResponseError("html")) is None

    def test_what_repeating_does_not_cure_is_not_repeated(self) -> None:
        """A wrong key stays wrong."""
        assert self.budget().wait_after(LLMAuthenticationError("401")) is None


class TestStorage:
    """What is written down is text that every database takes."""

    def test_text_is_stored_without_what_databases_refuse(self) -> None:
        """NUL and lone surrogates become marks; everything else stays."""
        assert storable_text("ä\x00\ud800𠮷") == "ä\ufffd?𠮷"

    def test_json_is_stored_without_what_databases_refuse(self) -> None:
        """NaN, too; and it can be read again."""
        stored = storable_json({"a": [math.nan, "\x00"], "ä": None})
        assert json.loads(stored) == {"a": ["nan", "\ufffd"], "ä": None}

    def test_an_error_text_is_short_and_keeps_no_key(self) -> None:
        """Errors are stored and logged."""
        told = safe_error_text(f"\x1b[31mIncorrect API key: {SECRET} " + "x" * 10_000)
        assert "SENTINEL" not in told
        assert "\x1b" not in told
        assert len(told) == 4_000


class TestErrors:
    """Errors carry facts, and keep payloads out of their text."""

    @pytest.mark.parametrize("kind", [LLMError, LLMTimeoutError, LLMValidationError])
    def test_an_error_survives_a_process_border(self, kind: type[LLMError]) -> None:
        """Pickled, it knows what it knew."""
        error = kind("m", request_id=UUID(int=1), usage=USAGE, cost=Decimal(1), maybe_billed=True)
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)  # noqa: S301

    def test_payloads_stay_out_of_the_text(self) -> None:
        """The text ends up in logs; the safe message may be shown to anybody."""
        error = LLMProviderError("broke", partial_text="PAYLOAD", response_body="PAYLOAD")
        assert "PAYLOAD" not in f"{error} {error!r} {error.safe_message}"

    def test_a_status_becomes_an_error_by_its_code(self) -> None:
        """Never by reading the message."""
        body = {"error": {"code": "insufficient_quota", "message": "rate limit"}}
        assert type(error_for_status(429, {}, body, "")) is LLMQuotaExceededError
        assert type(error_for_status(429, {}, {}, "")) is LLMRateLimitError
        too_long = {"error": {"code": "context_length_exceeded"}}
        assert type(error_for_status(400, {}, too_long, "")) is LLMContextLengthError

    @pytest.mark.parametrize(("said", "wait"), [("3", 3.0), ("nan", None), ("soon", None)])
    def test_nonsense_about_waiting_is_silence(self, said: str, wait: float | None) -> None:
        """A provider's word is taken when it is one."""
        assert retry_after({"retry-after": said}) == wait


class TestAnswers:
    """A 200 is not yet an answer."""

    @pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'"\xff"', b"[" * 10_000])
    def test_a_body_that_is_no_object_is_a_bad_response(self, body: bytes) -> None:
        """Which may have been paid for."""
        with pytest.raises(LLMBadResponseError) as caught:
            decode(body)
        assert caught.value.maybe_billed

    def test_both_formats_read_the_same_answer(self) -> None:
        """Text, finish reason and tokens by the same rule."""
        chat = CHAT.reply(
            {
                "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            }
        )
        message = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
        responses = RESPONSES.reply(
            {
                "model": "gpt-4.1",
                "output": [message],
                "usage": {"input_tokens": 10, "output_tokens": 5},
            }
        )
        assert (chat.text, chat.finish_reason, chat.usage) == ("Hi", "stop", USAGE)
        assert (responses.text, responses.finish_reason, responses.usage) == ("Hi", "stop", USAGE)

    def test_a_correction_shows_the_model_its_answer(self) -> None:
        """And what was wrong with it."""
        asked = Request(call=call(), parameters={}, correction=Correction(text="{}", problem="no"))
        assert [m["role"] for m in CHAT.body(asked)["messages"]] == ["user", "assistant", "user"]

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (reply("no", "refusal"), LLMRefusedError),
            (reply('{"na', "length"), LLMTruncatedError),
            (reply(""), LLMBadResponseError),
            (reply("{}"), LLMValidationError),
        ],
    )
    def test_what_is_no_answer_is_told_apart(self, answer: Reply, kind: type[LLMError]) -> None:
        """The tokens are known all the same."""
        with pytest.raises(kind) as caught:
            usable(answer, Person)
        assert caught.value.usage == USAGE

    def test_an_object_is_of_the_callers_class(self) -> None:
        """And equal to one that the caller would have built."""
        person = parsed(Person, reply('{"name": "Ann", "home": {"street": "High St"}}'))
        assert type(person) is Person
        assert person == Person(name="Ann", home=Address(street="High St"))

    async def test_a_schema_is_strict_and_says_the_same(self) -> None:
        """Every field required, limits in words, descriptions kept."""
        schema = await output_schema(Person)
        home = schema.schema["properties"]["home"]
        assert (schema.name, schema.strict) == ("Person", True)
        assert schema.schema["required"] == ["name", "home", "nick"]
        assert home["description"] == "Where the letters go."
        assert home["properties"]["street"]["description"] == "(maxLength=40)"


class TestValues:
    """Usage adds up, and nobody changes a DTO."""

    def test_unknown_is_not_zero(self) -> None:
        """What nobody reported stays unknown in a sum."""
        total = USAGE + Usage(prompt_tokens=1, reasoning_tokens=0)
        assert total == Usage(prompt_tokens=11, completion_tokens=5, reasoning_tokens=0)
        assert Usage().total_tokens is None

    def test_a_dto_is_frozen(self) -> None:
        """DTOs cross module borders."""
        response = LLMResponseDTO(content="Hi", provider="openai", model="gpt-4.1")
        assert response.cost_estimate is None
        with pytest.raises(ValidationError, match="frozen"):
            response.content = "Bye"  # type: ignore[misc]
