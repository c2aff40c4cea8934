"""For every argument of every public method, values that it cannot mean.

The arguments themselves are read from the Protocols: a new method or argument without a row here
fails `test_bad_input`.
"""

import inspect
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

from hypothesis import strategies as st

from modules.llm_services.public import (
    BatchRequest,
    LLMServicesAdminProvider,
    LLMServicesProvider,
    RequestFilter,
)
from tests.contract.kinds import MESSAGES, PICTURE, SILENCE, Planet, get_weather
from tests.llm_services.wrong.arguments import (
    BATCH_IDS,
    CONVERSATIONS,
    CURSORS,
    DAYS,
    DEEP,
    DOMAINS,
    FILES,
    FILTERS,
    LANGUAGES,
    MOMENTS,
    PICTURES,
    REQUESTS,
    RESPONSE_MODELS,
    SIZES,
    TOOLS,
)
from tests.llm_services.wrong.shapes import (
    ALIEN,
    ALIENS,
    ANY_TEXT,
    BROKEN_TEXT,
    MODELS,
    NO_TEXT,
    NUMBER,
    UUIDS,
    Endless,
    Hostile,
    HostileMapping,
    HostileText,
    Wrong,
    flag,
    label,
    listed,
    mapping,
    number,
    text,
    whole,
    word,
)

KINDS: Mapping[str, Wrong] = {
    "messages": CONVERSATIONS,
    "user_id": UUIDS,
    "request_id": UUIDS,
    "model": MODELS,
    "fallback": listed(MODELS, 8),
    "fallback_on": listed(word(), 20),
    "estimate_only": flag(),
    "probe": flag(),
    "exact_up_to": whole(0, 100_000),
    "temperature": number(0, 2),
    "max_tokens": whole(1, 2**31 - 1),
    "response_model": RESPONSE_MODELS,
    "response_models": listed(RESPONSE_MODELS, 1_000)._replace(values=("", "P", 5, [5], Endless())),
    "tools": TOOLS,
    "tool_choice": word()._replace(any=NO_TEXT),
    "parallel_tool_calls": flag(),
    "max_rounds": whole(1, 100),
    "max_cost": number(0, 1_000_000),
    "on_tool_error": word(),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "stop": Wrong(
        (
            "",
            [],
            ["a", ""],
            ["a"] * 5,
            [1],
            b"a",
            {"a"},
            5,
            True,
            "\ud800",
            Endless(),
            *ALIENS,
        ),
        ALIEN | NUMBER | BROKEN_TEXT | st.lists(NO_TEXT, min_size=1, max_size=3),
    ),
    "seed": whole(-(2**63), 2**63 - 1),
    "logit_bias": mapping(
        {"a": 1},
        {"1": 101},
        {"1": math.nan},
        {"1": "1"},
        {1: Hostile()},
        {str(n): 1 for n in range(10_001)},
    ),
    "reasoning_effort": word(),
    "verbosity": word(),
    "service_tier": word(),
    "prompt_cache_key": label(64),
    "metadata": mapping(
        {"a": 1},
        {1: "a"},
        {"": "a"},
        {"a": "x" * 513},
        {"a": "\ud800"},
        {str(n): "" for n in range(17)},
    ),
    "timeout": number(0, 86_400),
    "max_retries": whole(0, 20),
    "feature": label(64),
    "tenant": label(64),
    "conversation_id": label(64),
    "context": mapping(
        {"a": math.nan},
        {"a": object()},
        {(1,): 2},
        {"a": {1}},
        {"a": "x" * 8_200},
        {"a": DEEP},
        {"a": HostileMapping()},
        {"a": 10**5_000},
    ),
    "prompt": text(32_000),
    "size": SIZES,
    "quality": word(),
    "style": text(200),
    "images": PICTURES,
    "mask": PICTURES,
    "background": word(),
    "output_format": word(),
    "output_compression": whole(0, 100),
    "moderation": word(),
    "input_fidelity": word(),
    "resend": flag(),
    "texts": listed(text(10_000_000)._replace(values=("", " ", 5, b"a", "\ud800")), 20_000),
    "dimensions": whole(1, 65_536),
    "as_array": flag(),
    "text": text(100_000),
    "voice": label(100),
    "format": word(),
    "instructions": text(4_096),
    "speed": number(0.25, 4),
    "file": FILES,
    "language": LANGUAGES,
    "languages": listed(LANGUAGES, 100),
    "keywords": listed(text(100), 100),
    "queries": listed(text(2_000), 100),
    "max_results": whole(1, 100),
    "allowed_domains": listed(DOMAINS, 100),
    "location": mapping(
        {},
        {"planet": "Mars"},
        {"country": "Austria"},
        {"city": 5},
        {5: 5},
        {"timezone": "a b"},
        {"city": "\ud800"},
    ),
    "recency": word(),
    "context_size": word(),
    "requests": REQUESTS,
    "batch_id": BATCH_IDS,
    "payload_mode": word(),
    "idempotency_key": label(200),
    "cache": Wrong(
        (0, -1, math.nan, math.inf, 31_536_001, 10**5_000, "", "1", b"1", [1], *ALIENS),
        ALIEN | ANY_TEXT,
    ),
    "cache_scope": word(),
    "older_than": Wrong((timedelta(-1), 0, 5, "1", True, [1], *ALIENS), ALIEN | NUMBER | ANY_TEXT),
    "limit": whole(1, 200),
    "after": CURSORS,
    "wanted": FILTERS,
    "up_to": whole(1, 2**31 - 1),
    "look_through": whole(1, 2**31 - 1),
    "since": MOMENTS,
    "until": MOMENTS,
    "day": DAYS,
    "only_unknown": flag(),
    "dry_run": flag(),
    "from_day": DAYS,
    "to_day": DAYS,
    "by": listed(word(), 10),
    "order": word(),
    "models": Wrong(
        ("", [], ["a"] * 101, [5], ["\x00"], 5, Endless()), ALIEN | NUMBER | BROKEN_TEXT
    ),
    "budget": number(0, 86_400),
    "offset": whole(0, 2**31 - 1),
    "url": Wrong(
        (
            "",
            "x",
            "https://a.test/x.png",
            "file:///etc/passwd",
            "data:,x",
            5,
            None,
            b"data:",
            "\ud800",
            HostileText("data:"),
            "file:///\x00",
            *ALIENS,
        ),
        NO_TEXT | ANY_TEXT,
    ),
}
"""By the argument's name, which means the same everywhere."""

ELSEWHERE: Mapping[tuple[str, str], Wrong] = {
    ("transcribe_audio", "temperature"): number(0, 1),
    ("transcribe_audio", "prompt"): Wrong(
        (5, b"a", "\ud800", "x" * 100_001, *ALIENS), ALIEN | BROKEN_TEXT
    ),
    ("compare", "models"): listed(MODELS, 10),
    ("compare", "requests"): listed(UUIDS, 20)._replace(
        values=(*FILTERS.values, *listed(UUIDS, 20).values)
    ),
    ("conversation", "conversation_id"): text(64),
    ("clear_cache", "model"): text(1_000),
    ("clear_cache", "feature"): text(64),
    ("clear_cache", "tenant"): text(64),
    ("errors", "limit"): whole(1, 10_000),
    ("callers_of", "limit"): whole(1, 10_000),
    ("usage", "limit"): whole(1, 10_000),
}
"""Arguments that mean something else in one method."""

GOOD: Mapping[str, Mapping[str, Any]] = {
    "generate_response": {"messages": MESSAGES},
    "generate_structured_response": {"messages": MESSAGES, "response_model": Planet},
    "stream_response": {"messages": MESSAGES},
    "stream_structured_response": {"messages": MESSAGES, "response_model": Planet},
    "run_tools": {"messages": MESSAGES, "tools": [get_weather]},
    "generate_image": {"prompt": "Mars"},
    "edit_image": {"prompt": "Mars", "images": PICTURE},
    "generate_embeddings": {"texts": ["Mars"]},
    "generate_audio": {"text": "Mars", "model": "openai:gpt-4o-mini-tts"},
    "transcribe_audio": {"file": SILENCE},
    "search_web": {"queries": ["Mars"]},
    "search_answers": {"queries": ["Mars"]},
    "submit_batch": {"requests": [BatchRequest(messages=MESSAGES)]},
    "batch_status": {"batch_id": "openai:batch_1"},
    "collect_batch": {"batch_id": "openai:batch_1"},
    "get_request": {"request_id": "12345678-1234-5678-1234-567812345678"},
    "get_user_requests": {"user_id": "12345678-1234-5678-1234-567812345678"},
    "user_requests_page": {"user_id": "12345678-1234-5678-1234-567812345678"},
    "budget_status": {},
    "estimate_cost": {"messages": MESSAGES},
    "replay": {"request_id": "12345678-1234-5678-1234-567812345678"},
    "compare": {"requests": RequestFilter(), "models": ["gpt-6-luna"]},
    "recent": {},
    "find": {},
    "count": {},
    "request": {"request_id": "12345678-1234-5678-1234-567812345678"},
    "conversation": {"conversation_id": "c"},
    "errors": {},
    "callers_of": {"models": "gpt-6"},
    "totals": {},
    "overview": {},
    "usage": {"by": "day"},
    "latency": {},
    "retiring": {},
    "health": {},
    "cost_health": {},
    "refresh_daily_usage": {},
    "recost": {"from_day": date(2026, 11, 1), "to_day": date(2026, 11, 2)},
    "reconcile": {"day": date(2026, 11, 1)},
    "purge": {},
    "cache_statistics": {"since": datetime.now(UTC)},
    "clear_cache": {"feature": "f"},
    "erase_user": {"user_id": "12345678-1234-5678-1234-567812345678"},
}
"""Every method of both Protocols, with arguments that are right."""


def methods() -> set[str]:
    """The names of all methods of both Protocols."""
    protocols = (LLMServicesProvider, LLMServicesAdminProvider)
    return {name for protocol in protocols for name in dir(protocol) if not name.startswith("_")}


def arguments_of(method: str) -> dict[str, bool]:
    """A method's arguments, and whether each must be given; keyword parameters with the others."""
    protocol = next(
        p for p in (LLMServicesProvider, LLMServicesAdminProvider) if hasattr(p, method)
    )
    function = getattr(protocol, method)
    found: dict[str, bool] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            (options,) = get_args(parameter.annotation)
            found |= dict.fromkeys(options.__annotations__, False)
        elif name != "self":
            found[name] = parameter.default is parameter.empty
    return found


def wrong(method: str, argument: str) -> Wrong:
    """What an argument of a method cannot mean; ``None`` where something must be given."""
    kind = ELSEWHERE.get((method, argument)) or KINDS[argument]
    return kind._replace(values=(*kind.values, None)) if arguments_of(method)[argument] else kind


ARGUMENTS = [(method, argument) for method in GOOD for argument in arguments_of(method)]
