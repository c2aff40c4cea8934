"""What Anthropic's models are told of a call, and what of it they cannot be told."""

from dataclasses import replace
from typing import Any

import pytest

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.providers.claude_limits import check_claude
from modules.llm_services.providers.claude_models import accepted, can_be_forced
from modules.llm_services.types import AudioPart, Call, LLMMessageDTO, ReasoningItem, ToolSpec

from .test_openai_provider import a_call

ADAPTIVE = {"type": "adaptive", "display": "summarized"}
TOOL = ToolSpec(name="look", parameters={"type": "object", "properties": {}})


def call_of(model: str, choice: str | None = None, **parameters: Any) -> Call:
    """A call of a model, with a tool when a choice is made of it."""
    tools = (TOOL,) if choice else ()
    return replace(a_call(**parameters), model=model, tools=tools, tool_choice=choice)


def budget(tokens: int) -> dict[str, Any]:
    """Thinking as models before 4.6 have it."""
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("claude-opus-5-5", "high", {"thinking": ADAPTIVE, "effort": "high"}),
        ("claude-opus-5-5", "minimal", {"thinking": ADAPTIVE, "effort": "low"}),
        ("claude-opus-5-5", "xhigh", {"thinking": ADAPTIVE, "effort": "xhigh"}),
        ("claude-opus-4-6", "xhigh", {"thinking": ADAPTIVE, "effort": "high"}),
        ("claude-opus-4-6", "max", {"thinking": ADAPTIVE, "effort": "max"}),
        ("claude-sonnet-4-6", "max", {"thinking": ADAPTIVE, "effort": "high"}),
        ("claude-sonnet-4-6", "medium", {"thinking": ADAPTIVE, "effort": "medium"}),
        ("claude-of-tomorrow", "max", {"thinking": ADAPTIVE, "effort": "max"}),
        ("claude-haiku-4-5-20251001", "low", budget(2_048)),
        ("claude-haiku-4-5-20251001", "max", budget(24_576)),
        ("claude-3-7-sonnet-20250219", "high", budget(16_384)),
        ("claude-sonnet-4-20250514", "medium", budget(8_192)),
        ("claude-opus-4-8", "none", {}),
        ("claude-haiku-4-5", "none", {}),
        ("claude-opus-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-haiku-5-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}}),
    ],
)
def test_each_model_is_told_in_its_words_how_much_to_think(
    model: str, effort: str, sent: dict[str, Any]
) -> None:
    """Effort where the model has it, a budget where it has that; the nearest level of its own."""
    assert accepted(call_of(model, reasoning_effort=effort)) == (sent, ())


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-fable-5", "claude-mythos-preview"])
def test_a_model_that_always_thinks_is_asked_to_think_little(model: str) -> None:
    """It cannot be switched off: that is on the row."""
    said = accepted(call_of(model, reasoning_effort="none"))
    assert said == ({"effort": "low"}, ("reasoning_effort",))


def test_a_budget_is_less_than_the_cap() -> None:
    """Thinking counts as output; where the cap leaves no room for it, there is none."""
    some = accepted(call_of("claude-haiku-4-5", reasoning_effort="high", max_tokens=4_000))
    assert some == ({**budget(2_976), "max_tokens": 4_000}, ())
    none = accepted(call_of("claude-haiku-4-5", reasoning_effort="high", max_tokens=1_500))
    assert none == ({"max_tokens": 1_500}, ("reasoning_effort",))


def test_a_call_that_is_forced_is_made_without_thinking() -> None:
    """The API does not take both; which one gave way is on the row."""
    forced = call_of("claude-opus-5", "required", reasoning_effort="high")
    assert accepted(forced) == ({"thinking": {"type": "disabled"}}, ("reasoning_effort",))
    agreed = call_of("claude-opus-4-8", "look", reasoning_effort="none")
    assert accepted(agreed) == ({}, ())


@pytest.mark.parametrize(
    ("parameters", "sent", "dropped"),
    [
        ({"temperature": 0.2, "top_p": 0.9}, {}, ("temperature", "top_p")),
        ({"seed": 7, "verbosity": "low"}, {}, ("seed", "verbosity")),
        ({"stop": "END"}, {"stop_sequences": ["END"]}, ()),
        ({"stop": ("END", "STOP")}, {"stop_sequences": ["END", "STOP"]}, ()),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}, ()),
        ({"service_tier": "priority"}, {"service_tier": "auto"}, ()),
        ({"service_tier": "fast"}, {"speed": "fast"}, ()),
        ({"service_tier": "flex"}, {}, ("service_tier",)),
        ({"metadata": {"user_id": "u"}}, {"metadata": {"user_id": "u"}}, ()),
        (
            {"metadata": {"user_id": "u", "chapter": "3"}},
            {"metadata": {"user_id": "u"}},
            ("metadata",),
        ),
        ({"metadata": {"chapter": "3"}}, {}, ("metadata",)),
        ({"prompt_cache_key": "k"}, {"cache_control": {"type": "ephemeral"}}, ()),
        ({"max_tokens": 9}, {"max_tokens": 9}, ()),
    ],
)
def test_parameters_have_other_names_or_none(
    parameters: dict[str, Any], sent: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    """What is not sent as it was given is named."""
    assert accepted(call_of("claude-haiku-5-5", **parameters)) == (sent, dropped)


def test_thoughts_go_back_to_the_model_that_had_them() -> None:
    """Another model cannot read them."""
    item = {"type": "thinking", "thinking": "", "signature": "s"}
    mine = ReasoningItem(provider="house", model="claude-opus-5-5", item=item)
    said = LLMMessageDTO(role="assistant", content="Fog.", reasoning=[mine])
    call = replace(call_of("claude-opus-5-5"), messages=(said,))
    assert accepted(call)[0] == {"reasoning": True}
    assert accepted(replace(call, model="claude-opus-5"))[0] == {}


def test_which_models_can_be_forced() -> None:
    """Those whose thinking can be switched off, up to 5.5."""
    able = ["claude-opus-5", "claude-haiku-4-5", "claude-sonnet-4-6"]
    unable = ["claude-opus-5-5", "claude-haiku-5-5", "claude-fable-5", "claude-mythos-preview"]
    assert [can_be_forced(model) for model in [*able, *unable]] == [True] * 3 + [False] * 4


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (call_of("claude-opus-5", logit_bias={"1": 2}), "logit_bias: .* leave it out"),
        (call_of("claude-opus-5-5", "required"), "tool_choice: claude-opus-5-5 cannot be forced"),
        (call_of("claude-opus-5-5", "look"), "tool_choice: .* give 'auto'"),
        (
            replace(a_call(), messages=(LLMMessageDTO(role="system", content="x"),)),
            "messages: .* no system message",
        ),
        (
            replace(
                a_call(), messages=(LLMMessageDTO(role="user", content=[AudioPart(data=b"x")]),)
            ),
            r"messages\[0\]\.content\[0\]: .* no sound",
        ),
    ],
)
def test_what_no_model_takes_is_refused_by_name(call: Call, said: str) -> None:
    """Before anything is written or sent."""
    with pytest.raises(LLMInputError, match=said):
        check_claude(call)


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_what_is_not_forced_is_fine(choice: str | None) -> None:
    """A choice that leaves it to the model is every model's."""
    check_claude(call_of("claude-opus-5-5", choice))
