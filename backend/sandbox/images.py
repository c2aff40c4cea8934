"""POST /v1/images/generations and /v1/images/edits: a real PNG, drawn from the prompt.

Every format comes as PNG bytes, since the standard library writes no other; `output_format` in the
reply says `png` then, which is the truth.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

from sandbox import png, tokens
from sandbox.faults import Fault
from sandbox.params import check_known, check_numbers, check_required
from sandbox.sse import ERROR, broken, event
from sandbox.tokens import Usage
from sandbox.wire import ApiError, Json, Reply, now

_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_AUTO = (1024, 1024)
_FIXED = ("1024x1024", "1536x1024", "1024x1536")
_FIXED_MODELS = ("gpt-image-1", "chatgpt-image")
_STEP, _EDGE, _RATIO, _MOST, _PROMPT = 16, 3840, 3, 10, 32_000
_PIXELS = (655_360, 8_294_400)
_QUALITIES = {"auto": 1, "low": 0.25, "medium": 1, "high": 4, "xhigh": 6, "max": 8}
_MORE_QUALITY = ("gpt-image-2.5", "gpt-image-2.6")
_GONE = ("dall-e", "gpt-image-1-2")
_LINKING = "flux"
"""An engine of another house, which keeps its pictures and gives out links (to nowhere, here)."""
_TILES = 8
_IMAGE_TOKENS_PER_EDGE = 64
"""A square of this edge costs one token; 1024 x 1024 at medium quality costs 256."""


def generate(body: Json, fault: Fault) -> Reply:
    """Make images from a prompt."""
    check_known(body, "images")
    return _reply(body, fault, given=[])


def edit(body: Json, fault: Fault) -> Reply:
    """Make images from a prompt and the images given; these only change the colours."""
    check_known(body, "edits")
    check_required(body, "image")
    images = body["image"] if isinstance(body["image"], list) else [body["image"]]
    given = [i for i in images if isinstance(i, bytes)]
    if not given or any(png.size_of(i) is None and not _is_other_image(i) for i in given):
        raise ApiError(400, "Invalid image file.", param="image", code="invalid_image_file")
    # A form carries numbers as text.
    counts = {k: int(v) for k, v in body.items() if k in {"n", "partial_images"} and _is_count(v)}
    return _reply({**body, **counts, "stream": body.get("stream") == "true"}, fault, given)


def _is_count(value: object) -> bool:
    return isinstance(value, str) and value.isdigit()


def _is_other_image(data: bytes) -> bool:
    return data.startswith((b"\xff\xd8\xff", b"RIFF", b"GIF8"))


def _reply(body: Json, fault: Fault, given: list[bytes]) -> Reply:
    width, height = _check(body)
    count = int(body.get("n") or 1)
    seed = str(body["prompt"]) + "".join(hashlib.sha256(g).hexdigest() for g in given)
    pictures = [base64.b64encode(draw(seed, i, width, height)).decode() for i in range(count)]
    usage = _usage(body, given, count, width, height)
    quality = body.get("quality")
    told: Json = {
        "background": "opaque",
        "output_format": "png",
        "quality": "medium" if quality in {None, "auto"} else quality,
        "size": f"{width}x{height}",
    }
    spent = Usage(prompt=usage["input_tokens"], completion=usage["output_tokens"])
    if body.get("stream"):
        kind = "image_edit" if given else "image_generation"
        events = _events(kind, pictures, {**told, "usage": usage, "created_at": now()}, body)
        broken_off = tuple(broken(events, fault, {"error": ERROR}))
        return Reply(events=broken_off, tokens=spent)
    data = [_link(p) if _is_linking(body) else {"b64_json": p} for p in pictures]
    whole: Json = {"created": now(), "data": data, **told}
    if not fault.no_usage:
        whole["usage"] = usage
    if fault.empty:
        whole["data"] = []
    return Reply(content=whole, tokens=spent)


def _is_linking(body: Json) -> bool:
    return str(body["model"]).startswith(_LINKING)


def _link(picture: str) -> Json:
    name = hashlib.sha256(picture.encode()).hexdigest()
    return {"url": f"https://images.sandbox.test/{name}.png"}


def _events(kind: str, pictures: list[str], told: Json, body: Json) -> list[str]:
    partials = int(body.get("partial_images") or 0)
    early, part = {k: v for k, v in told.items() if k != "usage"}, f"{kind}.partial_image"
    out = [
        event({"type": part, "b64_json": pictures[0], "partial_image_index": i, **early}, part)
        for i in range(partials)
    ]
    done = f"{kind}.completed"
    return [*out, *(event({"type": done, "b64_json": p, **told}, done) for p in pictures)]


def _check(body: Json) -> tuple[int, int]:
    """Raise `ApiError` for what today's image models refuse; gives the size in pixels."""
    check_required(body, "prompt", "model")
    check_numbers(body)
    model = str(body["model"])
    if model.startswith(_GONE):
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise ApiError(404, message, param="model", code="model_not_found")
    for name in ("response_format", "style"):
        if name in body:
            raise ApiError(
                400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter"
            )
    if len(str(body["prompt"])) > _PROMPT:
        raise _invalid(
            "prompt", f"expected at most {_PROMPT} characters", "string_above_max_length"
        )
    if not 1 <= int(body.get("n") or 1) <= _MOST:
        raise _invalid("n", f"expected a value from 1 to {_MOST}", "integer_above_max_value")
    _check_quality(model, str(body.get("quality") or "auto"))
    return _size(model, str(body.get("size") or "auto"))


def _check_quality(model: str, quality: str) -> None:
    more = model.startswith(_MORE_QUALITY)
    allowed = [q for q in _QUALITIES if more or q not in {"xhigh", "max"}]
    if quality not in allowed:
        listed = ", ".join(f"'{q}'" for q in allowed)
        raise _invalid(
            "quality",
            f"'{quality}'. Supported values are: {listed}",
            "invalid_value",
            joint=" value: ",
        )


def _size(model: str, size: str) -> tuple[int, int]:
    if size == "auto":
        return _AUTO
    found = _SIZE.fullmatch(size)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if model.startswith(_FIXED_MODELS):
        good = size in _FIXED
    else:
        good = bool(found) and _fits(width, height)
    if not good:
        raise _invalid("size", f"'{size}'", "invalid_value", joint=" value: ")
    return width, height


def _fits(width: int, height: int) -> bool:
    sides = width % _STEP == 0 == height % _STEP and max(width, height) <= _EDGE
    ratio = max(width, height) <= _RATIO * min(width, height)
    return sides and ratio and _PIXELS[0] <= width * height <= _PIXELS[1]


def _invalid(name: str, what: str, code: str, joint: str = ": ") -> ApiError:
    return ApiError(400, f"Invalid '{name}'{joint}{what}.", param=name, code=code)


def _usage(body: Json, given: list[bytes], count: int, width: int, height: int) -> Json:
    factor = _QUALITIES[str(body.get("quality") or "auto")]
    text = tokens.count(str(body["prompt"]))
    image = sum(_area(*(png.size_of(g) or _AUTO)) for g in given)
    made = count * max(1, int(_area(width, height) * factor))
    return {
        "input_tokens": text + image,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens": made,
        "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
        "total_tokens": text + image + made,
    }


def _area(width: int, height: int) -> int:
    return max(1, width * height // _IMAGE_TOKENS_PER_EDGE**2)


@lru_cache(maxsize=64)
def draw(seed: str, number: int, width: int, height: int) -> bytes:
    """A PNG of coloured tiles, the same for the same seed and number."""
    digest = hashlib.sha512(f"{number}:{seed}".encode("utf-8", "replace")).digest()
    palette = [(digest[i], digest[i + 1], digest[i + 2]) for i in range(0, 48, 3)]
    tile_rows = [_row(digest, y, width) for y in range(_TILES)]
    rows = [tile_rows[y * _TILES // height] for y in range(height)]
    return png.encode(width, height, rows, palette)


def _row(digest: bytes, y: int, width: int) -> bytes:
    # Mirrored, so that the tiles look like a pattern and not like noise.
    half = [digest[(y * _TILES // 2 + x) % len(digest)] % 16 for x in range(_TILES // 2)]
    tiles = [*half, *reversed(half)]
    edges = [x * width // _TILES for x in range(_TILES + 1)]
    return b"".join(bytes([t]) * (edges[i + 1] - edges[i]) for i, t in enumerate(tiles))
