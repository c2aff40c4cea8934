"""Google's streams, searches, pictures and vectors, through the real SDK."""

import base64
import json
from typing import Any

import pytest

from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMError,
    LLMProviderError,
    LLMRefusedError,
    LLMStreamCutError,
)
from modules.llm_services.types import (
    GeneratedImage,
    GivenImages,
    ToolSpec,
)
from modules.llm_services.types.stream import ReasoningDelta, TextDelta, ToolCallDelta
from tests.support.google import (
    FIRST,
    MODEL,
    PICTURE,
    Answer,
    Json,
    Seen,
    a_call,
    answering,
    events,
    provider,
    said,
    streaming,
)


async def test_a_stream_is_put_together() -> None:
    """Text, thoughts and calls come piece by piece; at the end there is one reply."""
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 6}
    adapter = provider(
        streaming(
            said({"text": "Hm", "thought": True}, finish=None),
            said({"text": "Good "}, finish=None),
            {"usageMetadata": {"promptTokenCount": 5}},
            said({"text": "day"}, {"text": "", "thoughtSignature": "S"}, finish=None),
            said(
                {"functionCall": {"name": "look", "args": {"x": 1}}},
                usageMetadata=usage,
                modelVersion="m-2",
                responseId="r-1",
            ),
        )
    )
    tools = (ToolSpec(name="look", parameters={"type": "object"}),)
    call = a_call(tools=tools, parameters={"service_tier": "default"})
    pieces, stream = await events(adapter, call)
    assert pieces[:3] == [ReasoningDelta("Hm"), TextDelta("Good "), TextDelta("day")]
    asked = pieces[3]
    assert isinstance(asked, ToolCallDelta)
    assert (asked.index, asked.arguments, asked.name) == (0, '{"x":1}', "look")
    reply = stream.reply
    assert (reply.text, reply.finish_reason, reply.model) == ("Good day", "tool_calls", "m-2")
    assert [one.id for one in reply.tool_calls] == [asked.id]
    assert reply.usage.as_dict() == {"prompt_tokens": 5, "completion_tokens": 6}
    assert (reply.provider_request_id, reply.service_tier) == ("r-1", "standard")
    assert [place for place, _ in reply.reasoning] == [0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (streaming(said({"text": "Go"}, finish=None)), LLMStreamCutError),
        (streaming(said({"text": "Go"}, finish=None), rest='data: {"cand'), LLMStreamCutError),
        (streaming({"promptFeedback": {"blockReason": "SAFETY"}}), LLMRefusedError),
        (streaming(said({"text": "Go"}, finish="SAFETY")), LLMRefusedError),
        (streaming({"error": {"code": 503, "status": "UNAVAILABLE"}}), LLMProviderError),
        (streaming({"error": {"status": "?"}}), LLMProviderError),
        (streaming(rest="data: nonsense\n\n"), LLMBadResponseError),
    ],
)
async def test_a_stream_without_an_end_is_no_answer(answer: Answer, error: type[LLMError]) -> None:
    """Without a finish reason a stream was cut; a filter, and an error inside it, are told."""
    with pytest.raises(LLMError) as caught:
        await events(provider(answer), a_call())
    assert type(caught.value) is error


async def test_an_answer_at_once_is_a_stream_of_one_piece() -> None:
    """Some gateways do not stream."""
    pieces, stream = await events(provider(answering(said({"text": "hi"}))), a_call())
    assert pieces == [TextDelta("hi")]
    assert stream.reply.text == "hi"


PAGE = {
    "webSearchQueries": ["a", "b"],
    "groundingChunks": [
        {"web": {"uri": "https://pages.test/1", "title": "one.test"}},
        {"web": {"uri": "javascript:1", "title": "bad"}},
        {"web": {"uri": "https://pages.test/2", "title": "two.test"}},
    ],
    "groundingSupports": [
        {"segment": {"startIndex": 8, "endIndex": 12}, "groundingChunkIndices": [0, 1, 9]},
        {"segment": {"partIndex": 7, "endIndex": 3}, "groundingChunkIndices": [0]},
        {"segment": {"startIndex": 3, "endIndex": 900}, "groundingChunkIndices": [0]},
    ],
}


def found_on(grounding: Json, model: str) -> Json:
    """An answer that stands on pages."""
    value = said({"text": "Grüße. Kühl."}, modelVersion=model)
    value["candidates"][0]["groundingMetadata"] = grounding
    return {**value, "usageMetadata": {"promptTokenCount": 3}}


@pytest.mark.parametrize(("model", "billed"), [("gemini-3.8-flash", 2), ("gemini-2.5-flash", 1)])
async def test_a_search_has_pages_and_its_price(model: str, billed: int) -> None:
    """Citations are places in the text, counted in characters; searches are counted as billed."""
    seen = Seen(found_on(PAGE, model))
    adapter = provider(seen)
    where = {"country": "AT", "city": "Vienna"}
    call = a_call(operation="search", parameters={"context_size": "low", "location": where})
    adapter.check(call)
    reply = await adapter.search_web(call, FIRST)
    assert seen.body["tools"] == [{"googleSearch": {}}]
    assert "Vienna, AT" in seen.body["systemInstruction"]["parts"][0]["text"]
    assert reply.dropped_params == ("context_size",)
    found: Any = reply.parsed
    [cited, *nowhere] = sorted(found.citations, key=lambda citation: -citation.end)
    assert reply.text[cited.start : cited.end] == " Kü"
    assert (cited.url, cited.title) == ("https://pages.test/1", "one.test")
    assert {citation.end for citation in nowhere} == {0}
    assert found.consulted == ("https://pages.test/1", "https://pages.test/2")
    assert reply.usage is not None
    assert reply.usage.web_searches == found.searches == billed


async def test_an_answer_without_a_search_is_none() -> None:
    """What the model made up by itself is no search result, and a refusal was paid for."""
    adapter = provider(answering(said({"text": "I know."})))
    with pytest.raises(LLMBadResponseError, match="without searching"):
        await adapter.search_web(a_call(parameters={}), FIRST)
    value = found_on(PAGE, MODEL)
    value["candidates"][0]["finishReason"] = "OTHER"
    adapter = provider(answering(value))
    with pytest.raises(LLMBadResponseError) as caught:
        await adapter.search_web(a_call(parameters={}), FIRST)
    assert caught.value.usage is not None
    assert caught.value.usage.web_searches == 2
    with pytest.raises(LLMBadResponseError):
        await provider(answering({})).search_web(a_call(parameters={}), FIRST)


def drawn(data: bytes = PICTURE) -> Json:
    """A picture as Google sends it, behind a draft."""
    blob = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(data).decode()}}
    made = [{"modality": "IMAGE", "tokenCount": 1_290}]
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 1_290, "candidatesTokensDetails": made}
    return said({**blob, "thought": True}, blob, usageMetadata=usage)


async def test_a_picture_is_asked_for_by_its_shape() -> None:
    """Sizes are shapes; pictures to start from go along; the row keeps no bytes."""
    seen = Seen(drawn())
    adapter = provider(seen)
    call = a_call(operation="image", parameters={"size": "1536x1024"})
    adapter.check(call)
    reply = await adapter.generate_image(call, FIRST)
    assert seen.body["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "3:2"},
    }
    assert reply.parsed == GeneratedImage("image/png", PICTURE)
    assert reply.usage is not None
    assert reply.usage.image_output_tokens == 1_290
    assert base64.b64encode(PICTURE).decode() not in json.dumps(reply.raw)
    given = GivenImages(images=(GeneratedImage("image/png", PICTURE),))
    await adapter.edit_image(a_call(operation="image_edit", parameters={}), FIRST, given)
    prompt, picture = seen.body["contents"][0]["parts"]
    assert prompt == {"text": "hello"}
    assert base64.b64decode(picture["inlineData"]["data"]) == PICTURE


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (said(finish="IMAGE_SAFETY"), LLMRefusedError),
        (said(finish="NO_IMAGE"), LLMBadResponseError),
        (said({"text": "I cannot draw."}), LLMBadResponseError),
        (drawn(b"no picture"), LLMBadResponseError),
    ],
)
async def test_no_picture_is_an_error(value: Json, error: type[LLMError]) -> None:
    """A filter's word, the model's, or something else in its place."""
    adapter = provider(answering(value))
    with pytest.raises(LLMError) as caught:
        await adapter.generate_image(a_call(parameters={}), FIRST)
    assert type(caught.value) is error


async def test_vectors_come_in_order() -> None:
    """One request for each text of a batch, one vector for each."""
    vectors = [{"values": [1.0, 0.0]}, {"values": [0.0, 1.0]}]
    seen = Seen({"embeddings": vectors, "usageMetadata": {"promptTokenCount": 4}})
    adapter = provider(seen)
    call = a_call(model="gemini-embedding-2", operation="embedding", parameters={"dimensions": 2})
    reply: Any = await adapter.embed(call, FIRST, ["a", "b"])
    assert seen.body["requests"][1] == {
        "model": "models/gemini-embedding-2",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 2,
    }
    assert [list(vector) for vector in reply.parsed] == [[1.0, 0.0], [0.0, 1.0]]
    assert reply.usage.prompt_tokens == 4
    assert seen.requests[0].url.path.endswith(":batchEmbedContents")


@pytest.mark.parametrize(
    "vectors",
    [
        [],
        [{"values": [1.0]}, {"values": [1.0, 2.0]}],
        [{"values": []}] * 2,
        [{"values": [1e300]}] * 2,
    ],
)
async def test_vectors_that_are_none_are_refused(vectors: list[Json]) -> None:
    """Too few, of different lengths, empty, or too large for float32."""
    adapter = provider(answering({"embeddings": vectors}))
    with pytest.raises(LLMBadResponseError):
        await adapter.embed(a_call(parameters={}), FIRST, ["a", "b"])
