"""Pictures in words and on the wire: what may be asked for, what is sent, what counts as one."""

import base64
import json
from typing import Any

import httpx2
import pytest

from modules.llm_services import arguments
from modules.llm_services.arguments import ImageWish
from modules.llm_services.exceptions import LLMBadResponseError, LLMError, LLMInputError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.formats.images import form_files, reply
from modules.llm_services.redaction import without_binaries
from modules.llm_services.types import GeneratedImage, GivenImages, Usage
from tests.llm_services.test_media import GIF, JPEG, PNG, SVG
from tests.llm_services.test_openai_provider import FIRST, a_call, provider

FLARE, TWO, MINI, DALLE = "gpt-image-2.5-flare", "gpt-image-2", "gpt-image-1-mini", "dall-e-3"
NEWER, LOCAL = "gpt-image-3", "flux"
USAGE = {
    "input_tokens": 50,
    "output_tokens": 260,
    "total_tokens": 310,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens_details": {"text_tokens": 4, "image_tokens": 256},
}


def encoded(data: bytes) -> str:
    """As the wire carries bytes."""
    return base64.b64encode(data).decode()


def said(
    model: str,
    size: object = "1024x1024",
    quality: object = "standard",
    style: object = None,
    **options: Any,
) -> dict[str, Any]:
    """What goes to a model."""
    checked = arguments.options(options, arguments.IMAGE_EDIT_OPTIONS, ())
    wish = ImageWish("a lake", None, size, quality, style, checked)
    return arguments.image_parameters(model, wish)


@pytest.mark.parametrize("size", ["auto", "1024x1024", "1536x1024", "1024x1536"])
@pytest.mark.parametrize("model", [MINI, "gpt-image-1.5", TWO, FLARE, NEWER, LOCAL])
def test_the_common_sizes_fit_all_models_of_today(model: str, size: str) -> None:
    """Who stays with these may change the model."""
    assert said(model, size)["size"] == size


@pytest.mark.parametrize(
    ("model", "size"),
    [
        *[(model, size) for model in (TWO, FLARE) for size in ("1536x864", "3840x2160")],
        *[(model, size) for model in (TWO, FLARE) for size in ("1408x704", "2160x3840")],
        ("gpt-image-2-2026-04-21", "816x816"),
        (DALLE, "1792x1024"),
        ("dall-e-2", "256x256"),
        *[(model, "333x777") for model in (NEWER, LOCAL)],
    ],
)
def test_a_size_that_the_model_has_is_sent(model: str, size: str) -> None:
    """Each family has its rule; of what is not known nothing is held against the caller."""
    assert said(model, size, None)["size"] == size


@pytest.mark.parametrize(
    ("model", "size", "what"),
    [
        (FLARE, "1024×1024", "did you mean '1024x1024'"),
        (FLARE, "1024X1024", "did you mean '1024x1024'"),
        (FLARE, "1024 x 1024", "WIDTHxHEIGHT"),
        (FLARE, "0x0", "WIDTHxHEIGHT"),
        (FLARE, "-16x16", "WIDTHxHEIGHT"),
        (FLARE, "", "WIDTHxHEIGHT"),
        (FLARE, "large", "WIDTHxHEIGHT"),
        (FLARE, "١٠٢٤x١٠٢٤", "WIDTHxHEIGHT"),
        (FLARE, "1024x1024\n", "WIDTHxHEIGHT"),
        (FLARE, (1024, 1024), "must be a str such as '1024x1024' or 'auto', not tuple"),
        (FLARE, 1024, "not int"),
        (FLARE, "99999x99999", "multiples of 16"),
        (FLARE, "1000x1000", "multiples of 16"),
        (FLARE, "3856x2048", "at most 3840"),
        (FLARE, "2048x640", "more than 3 times"),
        (FLARE, "512x512", "655360 to 8294400 pixels"),
        (TWO, "3840x3840", "655360 to 8294400 pixels"),
        (MINI, "1536x864", "one of auto, 1024x1024, 1536x1024, 1024x1536 for gpt-image-1-mini"),
        ("gpt-image-1.5", "512x512", "one of auto"),
        ("chatgpt-image-latest", "512x512", "one of auto"),
        (DALLE, "auto", "one of 1024x1024, 1792x1024, 1024x1792"),
        (LOCAL, "1024×1024", "did you mean"),
    ],
)
def test_a_size_that_no_request_is_worth(model: str, size: object, what: str) -> None:
    """The error names the size and what would be right."""
    with pytest.raises(LLMInputError, match=r"^size ") as caught:
        said(model, size)
    assert what in caught.value.message


@pytest.mark.parametrize(
    ("model", "quality", "sent"),
    [
        (FLARE, "standard", "medium"),
        (FLARE, "hd", "high"),
        (FLARE, "max", "max"),
        (FLARE, None, "medium"),
        (TWO, "hd", "high"),
        (TWO, "auto", "auto"),
        (MINI, "low", "low"),
        (NEWER, "hd", "high"),
        (NEWER, "ultra", "ultra"),
        (DALLE, "hd", "hd"),
        ("dall-e-2", "standard", "standard"),
        (LOCAL, "standard", None),
        (LOCAL, "hd", "hd"),
        (LOCAL, "fine", "fine"),
    ],
)
def test_qualities_are_said_in_the_models_words(model: str, quality: str, sent: str) -> None:
    """What callers have always said has a meaning for each family."""
    assert said(model, quality=quality).get("quality") == sent


@pytest.mark.parametrize(
    ("model", "quality"),
    [(FLARE, "ultra"), (TWO, "max"), (TWO, "xhigh"), (MINI, "HD"), (DALLE, "high"), (FLARE, " ")],
)
def test_an_unknown_quality_is_refused(model: str, quality: str) -> None:
    """It is never dropped in silence."""
    with pytest.raises(LLMInputError, match=r"^quality must be (one of standard, hd|text)"):
        said(model, quality=quality)


def test_the_configured_quality_is_what_standard_means() -> None:
    """A fault in the variable is told by its name; who says something else is not concerned."""
    wish = ImageWish("a lake", None, None, "standard", None, {})
    low = ImageWish("a lake", None, None, "low", None, {})
    odd = ImageWish("a lake", None, None, ["low"], None, {})
    configured = ("max", "IMAGE_QUALITY")
    assert arguments.image_parameters(FLARE, wish, *configured) == {"quality": "max"}
    assert arguments.image_parameters(TWO, low, *configured) == {"quality": "low"}
    with pytest.raises(LLMInputError, match=r"^quality must be a str"):
        arguments.image_parameters(TWO, odd, *configured)
    with pytest.raises(LLMInputError, match=r"^IMAGE_QUALITY must be one of"):
        arguments.image_parameters(TWO, wish, *configured)


def test_a_style_is_sent_or_said() -> None:
    """A model with the parameter gets it; to all others it is said in the prompt."""
    assert said(DALLE, style="vivid")["style"] == "vivid"
    assert said(DALLE, style="cubist")["style_in_prompt"] == "cubist"
    assert said(FLARE, style="vivid.")["style_in_prompt"] == "vivid"
    assert arguments.image_prompt("a lake", "vivid") == "a lake\n\nStyle: vivid."
    assert arguments.image_prompt("a lake", None) == "a lake"


@pytest.mark.parametrize("style", ["", " ", 5, "x" * 201, "\ud800"])
def test_a_style_is_words(style: object) -> None:
    """Anything else is refused by its name."""
    with pytest.raises(LLMInputError, match=r"^style "):
        said(FLARE, style=style)


@pytest.mark.parametrize("prompt", ["", "  ", None, 5, "x" * 32_001, "\ud800"])
def test_a_prompt_is_words(prompt: object) -> None:
    """Empty, too long, unsendable: refused by its name."""
    with pytest.raises(LLMInputError, match=r"^prompt "):
        arguments.image_prompt(prompt, None)


def test_prompt_and_style_fit_together() -> None:
    """The style must not push the prompt over the limit."""
    with pytest.raises(LLMInputError, match="prompt and style together"):
        arguments.image_prompt("x" * 31_995, "vivid")


@pytest.mark.parametrize(
    ("model", "options", "what"),
    [
        (FLARE, {"n": 2}, "unknown keyword parameter 'n'"),
        (FLARE, {"backgroud": "opaque"}, "did you mean background?"),
        (FLARE, {"background": "blue"}, "background must be one of auto, opaque, transparent"),
        (FLARE, {"output_format": "svg"}, "output_format must be one of png, jpeg, webp"),
        (FLARE, {"output_compression": 101}, "output_compression must be a whole number"),
        (FLARE, {"output_compression": 50}, "needs output_format jpeg or webp"),
        (FLARE, {"output_compression": 50, "output_format": "png"}, "needs output_format"),
        (FLARE, {"moderation": "off"}, "moderation must be one of auto, low"),
        (FLARE, {"resend": 1}, "resend must be True or False"),
        (FLARE, {"input_fidelity": "max"}, "input_fidelity must be one of"),
        (FLARE, {"timeout": 0}, "timeout must be"),
        (TWO, {"background": "transparent"}, "makes no transparent pictures"),
        (
            FLARE,
            {"background": "transparent", "output_format": "jpeg"},
            "needs output_format png or webp",
        ),
    ],
)
def test_options_that_make_no_sense(model: str, options: dict[str, Any], what: str) -> None:
    """Unknown, out of range, or against each other: found before anything is sent."""
    with pytest.raises(LLMInputError) as caught:
        said(model, **options)
    assert what in caught.value.message


def test_options_that_make_sense_are_sent() -> None:
    """What the model is told, in the wire's own names; what is ours stays here."""
    options = {"background": "transparent", "output_format": "webp", "output_compression": 0}
    sent = said(MINI, moderation="low", feature="covers", resend=True, **options)
    assert sent == {
        "size": "1024x1024",
        "quality": "medium",
        "moderation": "low",
        **options,
    }
    assert said(TWO, background="opaque")["background"] == "opaque"


@pytest.mark.parametrize("images", [None, 5, {}, [], [PNG] * 17])
def test_images_are_one_or_a_few(images: object) -> None:
    """Nothing, and more than vendors take, is refused."""
    with pytest.raises(LLMInputError, match=r"^images (must|is empty|has 17)"):
        arguments.pictures(images)


def test_what_cannot_be_edited_is_refused() -> None:
    """GIFs, and masks that are no small PNG."""
    png, gif = GeneratedImage("image/png", PNG), GeneratedImage("image/gif", GIF)
    with pytest.raises(LLMInputError, match=r"images\[1\] is a GIF"):
        arguments.given_images([png, gif], None)
    for mask in (GeneratedImage("image/jpeg", JPEG), GeneratedImage("image/png", b"x" * 4_000_001)):
        with pytest.raises(LLMInputError, match="mask must be a png of at most 4 MB"):
            arguments.given_images([png], mask)


def test_a_form_names_its_files() -> None:
    """One picture is `image`, several are `image[]`, as OpenAI's client sends them."""
    png, jpeg = GeneratedImage("image/png", PNG), GeneratedImage("image/jpeg", JPEG)
    assert form_files(GivenImages(images=(jpeg,))) == [
        ("image", ("image-1.jpg", JPEG, "image/jpeg"))
    ]
    both = form_files(GivenImages(images=(png, jpeg), mask=png))
    assert [name for name, _ in both] == ["image[]", "image[]", "mask"]


def answered(*data: dict[str, Any], **changes: Any) -> Reply:
    """What becomes of a reply with these pictures."""
    return reply({"created": 1, "data": list(data), "usage": USAGE, "size": "auto", **changes})


def test_a_picture_and_its_tokens_are_read() -> None:
    """The bytes come beside the row; the row gets type, size and hash."""
    read = answered({"b64_json": encoded(PNG), "revised_prompt": "a calm lake"}, secret="x")
    image = GeneratedImage("image/png", PNG)
    assert read.parsed == image
    assert read.text == ""
    assert read.usage == Usage(
        prompt_tokens=50, completion_tokens=260, image_input_tokens=40, image_output_tokens=256
    )
    assert read.raw == {
        "created": 1,
        "size": "auto",
        "usage": USAGE,
        "data": [{**image.omitted(), "revised_prompt": "a calm lake"}],
    }


def test_the_providers_url_is_kept() -> None:
    """It is the answer's text, and in the row."""
    read = answered({"url": "https://cdn.test/a.png?sig=b"}, usage=None)
    assert read.parsed == read.text == "https://cdn.test/a.png?sig=b"
    assert read.usage is None
    assert read.raw == {
        "created": 1,
        "size": "auto",
        "usage": None,
        "data": [{"url": "https://cdn.test/a.png?sig=b"}],
    }


def test_a_picture_in_a_url_is_a_picture() -> None:
    """Some servers write the bytes into the URL: they are checked like others."""
    read = answered({"url": f"data:image/svg+xml;base64,{encoded(JPEG)}"})
    assert read.parsed == GeneratedImage("image/jpeg", JPEG)


def test_tokens_without_details_are_pictures() -> None:
    """The first of these models say no more than the sums."""
    read = answered({"b64_json": encoded(PNG)}, usage={"input_tokens": 5, "output_tokens": 9})
    assert read.usage == Usage(prompt_tokens=5, completion_tokens=9, image_output_tokens=9)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([], "holds no picture"),
        ([{}], "neither a picture nor its URL"),
        ([{"b64_json": ""}], "neither a picture nor its URL"),
        ([{"b64_json": "%%%"}], "not base64"),
        ([{"b64_json": "é"}], "not base64"),
        ([{"b64_json": encoded(SVG)}], "none of image/png"),
        ([{"b64_json": encoded(b"<html></html>")}], "none of image/png"),
        ([{"url": "javascript:alert(1)"}], "not http(s)"),
        ([{"url": "file:///etc/passwd"}], "not http(s)"),
        ([{"url": "https:///a.png"}], "not http(s)"),
        ([{"url": "https://[/a.png"}], "Invalid"),
        ([{"url": "data:text/html,<script>"}], "not http(s)"),
        ([{"url": "https://a.test/" + "a" * 9_000}], "neither"),
    ],
)
def test_what_is_no_picture_is_no_answer(data: list[dict[str, Any]], what: str) -> None:
    """An error with the tokens that were used, not asked for again unless the caller wants it."""
    with pytest.raises(LLMBadResponseError) as caught:
        answered(*data)
    error = caught.value
    assert what in error.message
    assert error.maybe_billed
    assert error.usage is not None
    assert json.loads(error.response_body or "")["data"] == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"data": None},
        {"data": "abc"},
        {"data": [None]},
        {"data": [{"b64_json": 5}]},
        {"data": [{"b64_json": encoded(PNG)}], "usage": {"input_tokens": -1, "output_tokens": 1}},
        {"data": [{"b64_json": encoded(PNG)}], "usage": {"input_tokens": 1.5}},
        {"data": [{"b64_json": encoded(PNG)}], "usage": []},
    ],
)
def test_odd_shapes_are_no_answers(value: dict[str, Any]) -> None:
    """Whatever comes with a 200 is looked at before it is believed."""
    with pytest.raises(LLMBadResponseError):
        reply(value)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"data": [{"b64_json": encoded(PNG * 900)}], "usage": {"input_tokens": "x"}}),
        '{"data": [{"b64_json": "' + encoded(PNG * 900).replace("/", "\\/"),
    ],
)
async def test_no_error_holds_a_picture(body: str) -> None:
    """A reply with a fault beside the picture, or cut off within it, is kept without its bytes."""
    adapter = provider(lambda _: httpx2.Response(200, text=body, headers={"x-request-id": "r"}))
    with pytest.raises(LLMBadResponseError) as caught:
        await adapter.generate_image(a_call(size="auto"), FIRST)
    await adapter.aclose()
    kept = caught.value.response_body or ""
    assert "characters omitted]" in kept
    assert encoded(PNG)[:12] not in kept
    assert caught.value.provider_request_id == "r"


def test_prose_is_not_taken_for_a_picture() -> None:
    """Words, ids and addresses stay readable."""
    prose = "The size must be a multiple of 16, see https://example.com/docs/images#sizes. " * 20
    assert without_binaries(prose) == prose


async def test_an_edit_is_a_form_with_its_key_and_id() -> None:
    """The SDK writes the form; numbers are text there, and the row's id travels along."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"data": [{"b64_json": encoded(PNG)}]})

    adapter, call = provider(answer), a_call(output_compression=80, style_in_prompt="vivid")
    given = GivenImages(images=(GeneratedImage("image/jpeg", JPEG),))
    read = await adapter.edit_image(call, FIRST, given)
    await adapter.aclose()
    [request] = seen
    assert request.url.path == "/v1/images/edits"
    assert request.headers["x-client-request-id"] == str(call.id)
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    form = request.content
    assert b'name="output_compression"\r\n\r\n80\r\n' in form
    assert (
        b'name="image"; filename="image-1.jpg"\r\nContent-Type: image/jpeg\r\n\r\n' + JPEG in form
    )
    assert b"style_in_prompt" not in form
    assert read.http_status == 200


async def test_a_redirect_takes_no_picture_along() -> None:
    """Neither the prompt nor the pictures go where a reply points to."""
    adapter = provider(lambda _: httpx2.Response(307, headers={"location": "http://else.test"}))
    with pytest.raises(LLMError):
        await adapter.edit_image(
            a_call(), FIRST, GivenImages(images=(GeneratedImage("image/png", PNG),))
        )
    await adapter.aclose()
