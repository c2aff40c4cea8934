"""POST /v1beta/models/{model}:{verb}: Google's `generateContent` and what belongs to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from sandbox import tokens
from sandbox.answering import answer
from sandbox.asks import Answer
from sandbox.embeddings import vector
from sandbox.faults import Fault
from sandbox.gemini_asks import is_unsigned, read_ask, signature
from sandbox.images import draw
from sandbox.sse import broken, event
from sandbox.tokens import Usage
from sandbox.wire import ApiError, Json, Reply, new_id

_FINISH = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
_INTERNAL: Json = {"code": 500, "message": "An internal error. (sandbox)", "status": "INTERNAL"}
_SHAPES = {"1:1": (1024, 1024), "3:2": (1248, 832), "2:3": (832, 1248), "16:9": (1344, 768)}
_PICTURE_TOKENS = 1_290
_FULL_VECTOR = 3_072
_MOST_TEXTS = 100


def serve(body: Json, fault: Fault) -> Reply:
    """Answer one request by its verb."""
    verb = _VERBS.get(str(body["verb"]))
    if verb is None:
        raise ApiError(404, f"models/{body['model']} is not found for API version v1beta")
    return verb(body, fault)


def _generate(body: Json, fault: Fault) -> Reply:
    if "IMAGE" in ((body.get("generationConfig") or {}).get("responseModalities") or ()):
        return _picture(body, fault)
    said = answer(read_ask(body), fault)
    return Reply(content=_response(body, said, fault), outcome=said.outcome, tokens=said.usage)


def _stream(body: Json, fault: Fault) -> Reply:
    said = answer(read_ask(body), fault)
    events = tuple(broken(map(event, _chunks(body, said, fault)), fault, {"error": _INTERNAL}))
    return Reply(events=events, outcome=said.outcome, tokens=said.usage)


def _response(body: Json, said: Answer, fault: Fault) -> Json:
    """The whole answer; a prompt that is blocked has no candidates, nor has `empty`."""
    around = _around(body, said.usage, fault)
    if said.refusal is not None:
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **around}
    if fault.empty:
        return around
    content = {"role": "model", "parts": list(_parts(body, said))}
    return {"candidates": [{"content": content, "index": 0, **_end(said, fault)}], **around}


def _chunks(body: Json, said: Answer, fault: Fault) -> Iterator[Json]:
    """The answer as the API streams it: text in pieces, everything else with the last."""
    whole = _response(body, said, fault)
    if "candidates" not in whole:
        yield whole
        return
    [candidate] = whole["candidates"]
    around = {k: v for k, v in whole.items() if k not in {"candidates", "usageMetadata"}}
    *early, last = candidate["content"]["parts"]
    steps = [*early, *({"text": piece} for piece in tokens.pieces(last.get("text", ""), 2))]
    for part in steps:
        yield {"candidates": [{"content": {"role": "model", "parts": [part]}}], **around}
    rest = {**last, "text": ""} if "text" in last else last
    content = {"role": "model", "parts": [rest]}
    yield {**whole, "candidates": [{**candidate, "content": content}]}


def _parts(body: Json, said: Answer) -> Iterator[Json]:
    """Text, or calls; the first part of those carries the signature."""
    model = str(body["model"])
    signed = not is_unsigned(model)
    if not said.calls:
        mark = {"thoughtSignature": signature(model, "text")} if signed else {}
        yield {"text": _text(said), **mark}
    for number, call in enumerate(said.calls):
        sign = {"thoughtSignature": signature(model, call.name)} if signed and not number else {}
        key = {"id": call.call_id} if signed else {}
        yield {"functionCall": {**key, "name": call.name, "args": _args(call.arguments)}, **sign}


def _args(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(said: Answer) -> str:
    """Google names no pages in the text: a line for each, without links."""
    if not said.searches:
        return said.text or ""
    return "\n".join(result.snippet for result in said.results)


def _end(said: Answer, fault: Fault) -> Json:
    finish = "OTHER" if fault.failed else _FINISH.get(said.finish, "STOP")
    grounding = {"groundingMetadata": _grounding(said)} if said.searches else {}
    return {"finishReason": finish, **grounding}


def _grounding(said: Answer) -> Json:
    supports, start = [], 0
    for index, result in enumerate(said.results):
        end = start + len(result.snippet.encode())
        segment = {"startIndex": start, "endIndex": end, "text": result.snippet}
        supports.append({"segment": segment, "groundingChunkIndices": [index]})
        start = end + 1
    chunks = [{"web": {"uri": r.url, "title": r.title}} for r in said.results]
    queries = list(said.searches)
    return {
        "webSearchQueries": queries,
        "groundingChunks": chunks,
        "groundingSupports": supports,
        "searchEntryPoint": {"renderedContent": "<div>…</div>"},
    }


def _around(body: Json, usage: Usage, fault: Fault, details: Json | None = None) -> Json:
    model = "sandbox-other-model" if fault.wrong_model else str(body["model"])
    told: Json = {"modelVersion": model, "responseId": new_id("gem")}
    return told if fault.no_usage else {**told, "usageMetadata": _usage(usage, details or {})}


def _usage(usage: Usage, details: Json) -> Json:
    """As Google counts: thoughts beside the candidates' tokens, and no zeros."""
    counts = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.completion - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "cachedContentTokenCount": usage.cached,
        "totalTokenCount": usage.prompt + usage.completion,
    }
    return {**{name: count for name, count in counts.items() if count}, **details}


def _picture(body: Json, fault: Fault) -> Reply:
    parts = body["contents"][-1]["parts"]
    prompt = " ".join(str(part.get("text", "")) for part in parts)
    given = "".join(part["inlineData"]["data"][:64] for part in parts if "inlineData" in part)
    shape = (body["generationConfig"].get("imageConfig") or {}).get("aspectRatio", "1:1")
    width, height = _SHAPES.get(shape, (1024, 1024))
    usage = Usage(prompt=tokens.count(prompt), completion=_PICTURE_TOKENS)
    made = [{"modality": "IMAGE", "tokenCount": _PICTURE_TOKENS}]
    around = _around(body, usage, fault, {"candidatesTokensDetails": made})
    if fault.refuse or fault.filter:
        return Reply(content={"candidates": [{"finishReason": "IMAGE_SAFETY"}], **around})
    data = base64.b64encode(draw(prompt + given, 0, width, height)).decode()
    parts = [] if fault.empty else [{"inlineData": {"mimeType": "image/png", "data": data}}]
    content = {"role": "model", "parts": parts}
    candidate = {"content": content, "finishReason": "STOP"}
    return Reply(content={"candidates": [candidate], **around}, tokens=usage)


def _embed(body: Json, fault: Fault) -> Reply:
    asked = body["requests"]
    if not 1 <= len(asked) <= _MOST_TEXTS:
        raise ApiError(
            400, "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"
        )
    texts = ["".join(part["text"] for part in one["content"]["parts"]) for one in asked]
    sizes = [int(one.get("outputDimensionality") or _FULL_VECTOR) for one in asked]
    vectors = [{"values": vector(t, n)} for t, n in zip(texts, sizes, strict=True)]
    usage = Usage(prompt=sum(map(tokens.count, texts)), completion=0)
    content: Json = {"embeddings": [] if fault.empty else vectors}
    if not fault.no_usage:
        content["usageMetadata"] = {"promptTokenCount": usage.prompt}
    return Reply(content=content, tokens=usage)


_VERBS: dict[str, Callable[[Json, Fault], Reply]] = {
    "generateContent": _generate,
    "streamGenerateContent": _stream,
    "batchEmbedContents": _embed,
}
