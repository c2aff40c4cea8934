"""Google's adapter through the real SDK: what is sent, and what becomes of what comes back."""

import base64
import gzip
import json
import ssl

import httpx2
import pytest
from pydantic import SecretStr

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMError,
    LLMInputError,
    LLMNotFoundError,
    LLMPermissionError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMTruncatedError,
    LLMValidationError,
)
from modules.llm_services.providers.base import Correction
from modules.llm_services.providers.gemini import GeminiProvider
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import (
    AudioPart,
    DocumentPart,
    ImagePart,
    LLMMessageDTO,
    ReasoningItem,
    TextPart,
    ToolCall,
    ToolSpec,
)
from tests.support.google import (
    FIRST,
    KEY,
    MODEL,
    PICTURE,
    RPC,
    Answer,
    Body,
    City,
    Json,
    Seen,
    a_call,
    answering,
    failure,
    problem,
    provider,
    said,
    sent,
)


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (None, "https://generativelanguage.googleapis.com/v1beta"),
        ("http://google.test", "http://google.test/v1beta"),
        ("http://google.test/v1", "http://google.test/v1"),
        ("http://gate.test/google/v1beta", "http://gate.test/google/v1beta"),
    ],
)
async def test_a_request_carries_key_id_and_version(base_url: str | None, address: str) -> None:
    """The key is in a header and never in the address; the row's id travels along."""
    seen, call = Seen(said({"text": "hi"}, responseId="r-1", modelVersion="m-2")), a_call()
    adapter = provider(seen, base_url)
    reply = await adapter.generate_text(call, FIRST)
    [request] = seen.requests
    assert request.url == f"{address}/models/{MODEL}:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["x-client-request-id"] == str(call.id)
    assert "google-genai-sdk" in request.headers["user-agent"]
    assert seen.body["store"] is False
    assert (reply.text, reply.model, reply.http_status) == ("hi", "m-2", 200)
    assert reply.provider_request_id == "r-1"


async def test_parameters_have_google_s_names() -> None:
    """Neutral names are translated; what Gemini lacks is left out, and told."""
    seen = Seen()
    adapter = provider(seen)
    call = a_call(
        parameters={
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 50,
            "seed": 7,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "stop": "END",
            "service_tier": "flex",
            "reasoning_effort": "high",
            "verbosity": "low",
            "metadata": {"a": "b"},
            "prompt_cache_key": "k",
        }
    )
    adapter.check(call)
    reply = await adapter.generate_text(call, FIRST)
    assert seen.body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 50,
        "seed": 7,
        "frequencyPenalty": 0.1,
        "presencePenalty": 0.2,
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingLevel": "HIGH"},
    }
    assert seen.body["serviceTier"] == "flex"
    assert reply.service_tier == "flex"
    assert reply.dropped_params == ("metadata", "prompt_cache_key", "verbosity")


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "medium", {"thinkingBudget": 8_192}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 24_576}),
        ("gemini-4-argon", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-4-argon", "max", {"thinkingLevel": "XHIGH"}),
    ],
)
async def test_an_effort_is_a_budget_or_a_level(model: str, effort: str, thinking: Json) -> None:
    """Gemini 2 thinks by tokens, later models by words."""
    body = await sent(a_call(model=model, parameters={"reasoning_effort": effort, "stop": ["a"]}))
    assert body["generationConfig"] == {"thinkingConfig": thinking, "stopSequences": ["a"]}


async def test_a_conversation_is_contents_and_instructions() -> None:
    """Instructions stand apart, names are said, results of calls made together go together."""
    calls = (
        ToolCall(id="c1", name="look", arguments={"x": 1}),
        ToolCall(id="c2", name="hear", arguments={}),
    )
    signed = {"type": "thought_signature", "encrypted_content": "SIG"}
    own = ReasoningItem(provider="gemini", model=MODEL, before=1, item=signed)
    foreign = ReasoningItem(provider="openai", model="gpt", before=2, item=signed)
    body = await sent(
        a_call(
            LLMMessageDTO(role="system", content="Be kind."),
            LLMMessageDTO(role="developer", content="Be brief."),
            LLMMessageDTO(role="user", content="Hi", name="ann"),
            LLMMessageDTO(role="assistant", content="Yes?"),
            LLMMessageDTO(role="user", content=(TextPart(text="Look"),)),
            LLMMessageDTO(role="assistant", tool_calls=calls, reasoning=(own, foreign)),
            LLMMessageDTO(role="tool", content="1", tool_call_id="c1"),
            LLMMessageDTO(role="tool", content="2", tool_call_id="c2"),
            tools=(ToolSpec(name="look", parameters={"type": "object"}, description="Looks."),),
        ),
        Correction(text="{}", problem="no name"),
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]}
    user, model, asked, called, results, wrong, again = body["contents"]
    assert user == {"role": "user", "parts": [{"text": "ann:"}, {"text": "Hi"}]}
    assert model == {"role": "model", "parts": [{"text": "Yes?"}]}
    assert asked["parts"] == [{"text": "Look"}]
    assert [part.get("thoughtSignature") for part in called["parts"]] == ["SIG", None]
    assert called["parts"][0]["functionCall"] == {"id": "c1", "name": "look", "args": {"x": 1}}
    assert results["role"] == "user"
    assert [part["functionResponse"] for part in results["parts"]] == [
        {"id": "c1", "name": "look", "response": {"output": "1"}},
        {"id": "c2", "name": "hear", "response": {"output": "2"}},
    ]
    assert wrong == {"role": "model", "parts": [{"text": "{}"}]}
    assert again["parts"][0]["text"].startswith("no name")
    [tool] = body["tools"]
    assert tool["functionDeclarations"] == [
        {"name": "look", "description": "Looks.", "parametersJsonSchema": {"type": "object"}}
    ]


@pytest.mark.parametrize(("model", "mark"), [(MODEL, True), ("gemini-2.5-flash", False)])
async def test_a_call_of_another_model_is_marked_as_foreign(
    model: str,
    mark: bool,  # noqa: FBT001
) -> None:
    """Since Gemini 3 a call without a signature is refused, unless it says that it has none."""
    call = ToolCall(id="c1", name="look", arguments={})
    body = await sent(
        a_call(
            LLMMessageDTO(role="user", content="Look"),
            LLMMessageDTO(role="assistant", tool_calls=(call,)),
            LLMMessageDTO(role="tool", content="1", tool_call_id="c1"),
            model=model,
        )
    )
    [part] = body["contents"][1]["parts"]
    assert part.get("thoughtSignature") == ("skip_thought_signature_validator" if mark else None)


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        ("look", {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
async def test_a_tool_choice_is_a_mode(choice: str, calling: Json) -> None:
    """A tool that must be called is the only one that is allowed."""
    tools = (ToolSpec(name="look", parameters={"type": "object"}),)
    body = await sent(a_call(tools=tools, tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}


async def test_images_documents_and_sound_are_parts() -> None:
    """Bytes go inside, addresses as they are; how closely to look is told."""
    body = await sent(
        a_call(
            LLMMessageDTO(
                role="user",
                content=(
                    ImagePart(data=PICTURE, media_type="image/png", detail="low"),
                    ImagePart(url="https://example.com/a.png", detail="auto"),
                    DocumentPart(url="https://example.com/a", media_type=None),
                    DocumentPart(data=b"%PDF-1.4", media_type="application/pdf"),
                    AudioPart(data=b"ID3", media_type="audio/mpeg"),
                ),
            )
        )
    )
    image, linked, unknown, document, sound = body["contents"][0]["parts"]
    assert base64.b64decode(image["inlineData"]["data"]) == PICTURE
    assert image["mediaResolution"] == {"level": "MEDIA_RESOLUTION_LOW"}
    assert linked == {"fileData": {"fileUri": "https://example.com/a.png", "mimeType": "image/png"}}
    assert unknown == {"fileData": {"fileUri": "https://example.com/a"}}
    assert document["inlineData"]["mimeType"] == "application/pdf"
    assert sound["inlineData"]["mimeType"] == "audio/mp3"


async def test_megabytes_are_written_in_pieces() -> None:
    """A large picture arrives whole, with its length told."""
    seen = Seen()
    adapter = provider(seen)
    large = ImagePart(data=PICTURE + bytes(2_000_000), media_type="image/png")
    reply = await adapter.generate_text(a_call(LLMMessageDTO(role="user", content=(large,))), FIRST)
    assert reply.text == "hi"
    data = seen.body["contents"][0]["parts"][0]["inlineData"]["data"]
    assert len(base64.b64decode(data)) == len(PICTURE) + 2_000_000
    assert int(seen.requests[0].headers["content-length"]) > len(data)


async def test_a_long_answer_is_read_whole() -> None:
    """Megabytes are read beside the loop."""
    adapter = provider(answering(said({"text": "a" * 300_000})))
    reply = await adapter.generate_text(a_call(), FIRST)
    assert len(reply.text) == 300_000


async def test_an_object_is_asked_for_by_its_schema() -> None:
    """The schema goes along without ``const``; what comes back is an instance."""
    seen = Seen(said({"text": '{"name": "Oslo", "kind": "city"}'}))
    adapter = provider(seen)
    reply = await adapter.generate_text(a_call(output_type=City), FIRST)
    config = seen.body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"]["properties"].keys() == {"name", "kind"}
    assert reply.parsed == City(name="Oslo")


async def test_usage_follows_the_subset_rule() -> None:
    """Thoughts are part of the completion, cached tokens of the prompt; what is not told is not
    known.
    """
    told = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "cachedContentTokenCount": 40,
        "toolUsePromptTokenCount": 5,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 80},
            {"modality": "IMAGE", "tokenCount": 15},
            {"modality": "AUDIO", "tokenCount": 5},
        ],
    }
    adapter = provider(answering(said({"text": "hi"}, usageMetadata=told)))
    reply = await adapter.generate_text(a_call(), FIRST)
    assert reply.usage is not None
    assert reply.usage.as_dict() == {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "cache_read_tokens": 40,
        "reasoning_tokens": 30,
        "image_input_tokens": 15,
        "audio_input_tokens": 5,
    }
    assert reply.usage_details == told


async def test_calls_of_tools_get_ids_and_keep_signatures() -> None:
    """Each call has an id of its own; the row keeps a digest of the signature."""
    parts: list[Json] = [
        {"text": "Thinking about it", "thought": True},
        {"text": "Well: ", "thoughtSignature": "TEXT"},
        {"functionCall": {"name": "look", "args": {"x": 1}}, "thoughtSignature": "SIG"},
        {"functionCall": {"id": "g1", "name": "look"}},
        {"functionCall": {"id": "g1", "name": "look"}},
    ]
    adapter = provider(answering(said(*parts)))
    tools = (ToolSpec(name="look", parameters={"type": "object"}),)
    reply = await adapter.generate_text(a_call(tools=tools), FIRST)
    assert reply.finish_reason == "tool_calls"
    assert reply.text == "Well: "
    first, second, third = reply.tool_calls
    assert (first.arguments, second.id, second.arguments) == ({"x": 1}, "g1", {})
    assert len({first.id, second.id, third.id}) == 3
    assert [(place, item["encrypted_content"]) for place, item in reply.reasoning] == [
        (0, "TEXT"),
        (1, "SIG"),
    ]
    assert reply.raw is not None
    kept = json.dumps(reply.raw)
    assert "SIG" not in kept
    assert "Well" not in kept


@pytest.mark.parametrize(
    ("value", "error", "code"),
    [
        (said({"text": "a"}, finish="SAFETY"), LLMRefusedError, "content_filter"),
        (said(finish="RECITATION"), LLMRefusedError, "content_filter"),
        ({"promptFeedback": {"blockReason": "OTHER"}}, LLMRefusedError, "content_filter"),
        (said(finish="MAX_TOKENS"), LLMTruncatedError, "length"),
        (said(finish="MALFORMED_FUNCTION_CALL"), LLMBadResponseError, "MALFORMED_FUNCTION_CALL"),
        (said(finish="MISSING_THOUGHT_SIGNATURE"), LLMBadRequestError, "MISSING_THOUGHT_SIGNATURE"),
        (said(), LLMBadResponseError, "stop"),
        ({"candidates": [{"finishReason": "STOP"}]}, LLMBadResponseError, "stop"),
        ({}, LLMBadResponseError, None),
        ({"candidates": []}, LLMBadResponseError, None),
        ({"candidates": [{"content": 7}]}, LLMBadResponseError, None),
    ],
)
async def test_a_success_may_be_no_answer(value: Json, error: type[LLMError], code: str) -> None:
    """Filters, cuts and empty answers are told apart, and know what they took."""
    usage = {"promptTokenCount": 9, "totalTokenCount": 9}
    found = await failure(answering({**value, "usageMetadata": usage}))
    assert type(found) is error
    assert found.code == code
    if "content" not in str(value) or code:
        assert found.usage is not None
        assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (9, 0)


async def test_an_answer_that_does_not_fit_says_why() -> None:
    """An object of the wrong shape can be asked for again."""
    found = await failure(answering(said({"text": "{}"})), a_call(output_type=City))
    assert isinstance(found, LLMValidationError)


@pytest.mark.parametrize(
    ("answer", "error", "code", "retry_after"),
    [
        (problem(400, "INVALID_ARGUMENT"), LLMBadRequestError, "INVALID_ARGUMENT", None),
        (
            problem(
                400, "INVALID_ARGUMENT", {"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID"}
            ),
            LLMAuthenticationError,
            "API_KEY_INVALID",
            None,
        ),
        (problem(401, "UNAUTHENTICATED"), LLMAuthenticationError, "UNAUTHENTICATED", None),
        (problem(403, "PERMISSION_DENIED"), LLMPermissionError, "PERMISSION_DENIED", None),
        (problem(404, "NOT_FOUND"), LLMNotFoundError, "NOT_FOUND", None),
        (
            problem(429, "RESOURCE_EXHAUSTED", {"@type": f"{RPC}RetryInfo", "retryDelay": "57.5s"}),
            LLMRateLimitError,
            "RESOURCE_EXHAUSTED",
            57.5,
        ),
        (
            problem(429, "RESOURCE_EXHAUSTED", {"@type": f"{RPC}RetryInfo", "retryDelay": "soon"}),
            LLMRateLimitError,
            "RESOURCE_EXHAUSTED",
            None,
        ),
        (
            problem(
                429,
                "RESOURCE_EXHAUSTED",
                {
                    "@type": f"{RPC}QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
                },
                {"@type": f"{RPC}RetryInfo", "retryDelay": "57s"},
            ),
            LLMQuotaExceededError,
            "RESOURCE_EXHAUSTED",
            None,
        ),
        (problem(500, "INTERNAL"), LLMProviderError, "INTERNAL", None),
        (problem(503, "UNAVAILABLE"), LLMProviderError, "UNAVAILABLE", None),
        (
            lambda _request: httpx2.Response(502, content=b"\xff<html>"),
            LLMProviderError,
            None,
            None,
        ),
        (lambda _request: httpx2.Response(204), LLMBadResponseError, None, None),
    ],
)
async def test_failures_are_known_by_status_and_details(
    answer: Answer, error: type[LLMError], code: str | None, retry_after: float | None
) -> None:
    """Every status is an error of ours, without the key, with what Google says of waiting."""
    found = await failure(answer)
    assert type(found) is error
    assert (found.code, found.retry_after) == (code, retry_after)
    assert found.retryable is (error.retryable_by_nature and found.status_code != 204)
    told = f"{found!r} {vars(found)}"
    assert KEY not in told


async def test_a_field_that_is_refused_is_named() -> None:
    """Google says which field it does not know."""
    detail = {"@type": f"{RPC}BadRequest", "fieldViolations": [{"field": "generation_config"}]}
    found = await failure(problem(400, "INVALID_ARGUMENT", detail))
    assert found.param == "generation_config"


async def test_a_redirect_is_not_followed() -> None:
    """Prompt and key go to no other host."""
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.host)
        return httpx2.Response(307, headers={"location": "http://evil.test/"})

    found = await failure(answer)
    assert isinstance(found, LLMBadResponseError)
    assert not found.retryable
    assert seen == ["google.test"]


async def test_a_bomb_is_not_unpacked() -> None:
    """Some kilobytes that would be gigabytes are given up on."""
    packed = gzip.compress(b"[" + bytes(2_000_000))
    head = {"content-encoding": "gzip"}
    found = await failure(lambda _request: httpx2.Response(200, stream=Body(packed), headers=head))
    assert isinstance(found, LLMBadResponseError)
    assert "1 MB" in found.message


@pytest.mark.parametrize(
    ("raised", "maybe_billed", "retryable"),
    [
        (httpx2.ConnectError("no"), False, True),
        (httpx2.ReadError("no"), True, True),
        (httpx2.RemoteProtocolError("no"), True, True),
    ],
)
async def test_a_connection_that_fails_is_no_answer(
    raised: httpx2.RequestError,
    maybe_billed: bool,  # noqa: FBT001
    retryable: bool,  # noqa: FBT001
) -> None:
    """No connection, or one that breaks: what was sent may have been paid for; the key is gone."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise raised

    found = await failure(answer)
    assert type(found) is LLMConnectionError
    assert (found.maybe_billed, found.retryable) == (maybe_billed, retryable)
    cause = found.__cause__
    assert isinstance(cause, httpx2.RequestError)
    assert "x-goog-api-key" not in cause.request.headers


async def test_a_certificate_that_is_not_trusted_is_not_tried_again() -> None:
    """It would be as wrong the next time."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no") from ssl.SSLCertVerificationError("wrong")

    found = await failure(answer)
    assert not found.retryable


async def test_a_closed_adapter_has_let_go() -> None:
    """Closing it closes its connections."""
    adapter = GeminiProvider("gemini", ProviderSettings(api_key=SecretStr(KEY)))
    await adapter.aclose()
    assert adapter._http.is_closed


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"parameters": {"logit_bias": {"1": 1}}}, "logit_bias"),
        ({"parameters": {"allowed_domains": ["a.com"]}}, "allowed_domains"),
        ({"parameters": {"mask": {}}}, "mask"),
        ({"parameters": {"background": "opaque"}}, "background"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"parameters": {"service_tier": "scale"}}, "service_tier"),
        ({"parameters": {"reasoning_effort": "none"}}, "reasoning_effort"),
    ],
)
async def test_what_gemini_lacks_is_refused(fields: Json, name: str) -> None:
    """Before anything is written or sent, by its name."""
    with pytest.raises(LLMInputError, match=f"^{name}: "):
        provider(answering({})).check(a_call(**fields))


async def test_messages_that_gemini_does_not_take_are_refused() -> None:
    """Instructions alone, and pictures that move."""
    check = provider(answering({})).check
    with pytest.raises(LLMInputError, match=r"^messages: "):
        check(a_call(LLMMessageDTO(role="system", content="Be kind.")))
    gif = ImagePart(data=b"GIF89a", media_type="image/gif")
    with pytest.raises(LLMInputError, match=r"^messages\[0\]\.content\[1\]: "):
        check(a_call(LLMMessageDTO(role="user", content=(TextPart(text="a"), gif))))
    check(a_call(model="gemini-2.5-flash", parameters={"reasoning_effort": "none"}))
