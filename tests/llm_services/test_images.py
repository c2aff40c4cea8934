"""Pictures as siblings ask for them: through ``public``, the real SDK, the sandbox, a database."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from modules.llm_services.public import (
    GeneratedImage,
    LLMConfigurationError,
    LLMError,
    LLMInputError,
    LLMRefusedError,
    LLMRequestDTO,
    LLMServicesProvider,
    Picture,
    open_llm_services,
    read_image,
)
from sandbox import Sandbox
from sandbox.png import size_of
from tests.llm_services.test_media import GIF, JPEG, PNG, SVG
from tests.support.ledger import rows, statuses

LAKE = "a quiet lake at dawn"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The media folder of the settings."""
    media = tmp_path / "media"
    media.mkdir()
    monkeypatch.setenv("LLM_MEDIA_DIR", str(media))
    return media


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as provider:
        yield provider


def row_of(llm: LLMServicesProvider, request_id: Any) -> LLMRequestDTO:
    """The row of a call."""
    row = llm.get_request(request_id)
    assert row is not None
    return row


def files(folder: Path) -> list[Path]:
    """What is in the folder."""
    return list(folder.iterdir())


def told_of(url: str) -> dict[str, Any]:
    """What a row says of a picture."""
    return read_image(url).omitted()


async def test_a_picture_comes_back_and_its_row_agrees(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """A data: URL of the size asked for; tokens, cost and ids agree with the vendor's journal."""
    user = uuid4()
    url, request_id = await llm.generate_image(
        LAKE, user_id=user, size="1536x1024", feature="covers", context={"page": 3}
    )
    image = read_image(url)
    assert url.startswith("data:image/png;base64,")
    assert size_of(image.data) == (1536, 1024)
    row = row_of(llm, request_id)
    assert (row.operation, row.status, row.model) == ("image", "completed", "gpt-image-2.5-flare")
    assert (row.requested_model, row.user_id, row.feature) == ("image", user, "covers")
    assert row.messages == [{"role": "user", "content": LAKE}]
    assert row.additional_params == {"size": "1536x1024", "quality": "medium"}
    [seen] = vendor.journal()
    assert (seen.path, seen.client_request_id) == ("/v1/images/generations", str(request_id))
    assert (row.prompt_tokens, row.completion_tokens) == (
        seen.prompt_tokens,
        seen.completion_tokens,
    )
    assert row.attempts is not None
    assert row.attempts[0]["usage"]["image_output_tokens"] == seen.completion_tokens
    assert row.cost_estimate is not None
    assert row.cost_estimate > 0
    assert row.response_raw is not None
    assert row.response_raw["data"] == [image.omitted()]
    assert row.response_content == ""


@pytest.mark.usefixtures("llm")
async def test_no_bytes_enter_the_ledger(vendor: Sandbox, llm: LLMServicesProvider) -> None:
    """Neither what was made nor what was handed in is anywhere in the rows."""
    url, _ = await llm.generate_image(LAKE)
    await llm.edit_image("darker", [url, url], mask=url)
    written = str(rows())
    for piece in (url[40:80], base64.b64encode(read_image(url).data)[200:240].decode(), "b64_json"):
        assert piece not in written
    assert len(written) < 20_000


async def test_a_picture_in_the_folder_has_a_file_url(
    folder: Path, llm: LLMServicesProvider
) -> None:
    """The row says where the picture is; siblings read it there."""
    url, request_id = await llm.generate_image(LAKE)
    [file] = files(folder)
    image = read_image(url)
    assert url == file.as_uri()
    assert image == GeneratedImage("image/png", file.read_bytes())
    assert file.name == f"{image.sha256}.png"
    row = row_of(llm, request_id)
    assert row.response_content == row.output_preview == url


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("database_url", "vendor")
async def test_a_picture_in_the_folder_may_have_a_web_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a web server over the folder the URL is the server's."""
    monkeypatch.setenv("LLM_MEDIA_BASE_URL", "https://cdn.test/m/")
    async with open_llm_services() as llm:
        url, _ = await llm.generate_image(LAKE)
        again, _ = await llm.edit_image("darker", url)
    assert {url, again} == {f"https://cdn.test/m/{file.name}" for file in files(folder)}
    assert read_image(url).media_type == "image/png"


async def test_the_providers_own_url_comes_back(folder: Path, llm: LLMServicesProvider) -> None:
    """Where a provider keeps the picture itself, nothing is fetched, and the row has the URL."""
    url, request_id = await llm.generate_image(LAKE, model="openai:flux")
    assert url.startswith("https://images.sandbox.test/")
    row = row_of(llm, request_id)
    assert row.response_content == url
    assert row.additional_params == {"size": "1024x1024"}
    assert files(folder) == []
    with pytest.raises(LLMInputError, match="nothing is fetched"):
        read_image(url)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_folder_that_fails_loses_no_picture(
    folder: Path, llm: LLMServicesProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """The picture is paid for: it comes as a data: URL, and the log says why."""
    folder.rmdir()  # noqa: ASYNC240 - nothing else runs
    with caplog.at_level(logging.ERROR):
        url, request_id = await llm.generate_image(LAKE)
    assert url.startswith("data:image/png")
    assert "was not kept" in caplog.text
    assert row_of(llm, request_id).response_content == ""


async def test_pictures_are_edited(folder: Path, llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """Pictures however they are held, a mask, one form; the row holds their hashes."""
    made, _ = await llm.generate_image(LAKE)
    (folder / "own.png").write_bytes(read_image(made).data)
    given: list[Picture] = [made, read_image(made), read_image(made).data, Path("own.png"), JPEG]
    url, request_id = await llm.edit_image(
        "at night",
        given,
        mask=made,
        size="1024x1024",
        style="noir",
        output_format="webp",
        output_compression=60,
        input_fidelity="high",
    )
    assert read_image(url).data != read_image(made).data
    seen = vendor.journal()[-1]
    assert (seen.path, seen.client_request_id) == ("/v1/images/edits", str(request_id))
    row = row_of(llm, request_id)
    assert row.operation == "image_edit"
    assert row.messages == [{"role": "user", "content": "at night\n\nStyle: noir."}]
    jpeg = GeneratedImage("image/jpeg", JPEG).omitted()
    assert row.additional_params == {
        "size": "1024x1024",
        "quality": "medium",
        "style_in_prompt": "noir",
        "output_format": "webp",
        "output_compression": 60,
        "input_fidelity": "high",
        "images": [*[told_of(made)] * 4, jpeg],
        "mask": told_of(made),
    }
    assert row.attempts is not None
    usage = row.attempts[0]["usage"]
    assert 0 < usage["image_input_tokens"] < usage["prompt_tokens"]


@pytest.mark.parametrize(
    ("fault", "error", "error_type", "attempts"),
    [
        ("code=content_policy_violation", "LLMRefusedError", "Refused", 1),
        ("code=moderation_blocked", "LLMRefusedError", "Refused", 1),
        ("code=model_not_found", "LLMNotFoundError", "NotFound", 1),
        ("code=insufficient_quota", "LLMQuotaExceededError", "QuotaExceeded", 1),
        ("status=429,retry_after_ms=1", "LLMRateLimitError", "RateLimited", 3),
        ("status=500,retry_after_ms=1", "LLMProviderError", "ProviderError", 3),
        ("status=504,retry_after_ms=1", "LLMProviderError", "ProviderError", 1),
        ("drop", "LLMConnectionError", "Connection", 1),
        ("html", "LLMBadResponseError", "BadResponse", 1),
        ("garbage", "LLMBadResponseError", "BadResponse", 1),
        ("empty_body", "LLMBadResponseError", "BadResponse", 1),
        ("empty", "LLMBadResponseError", "BadResponse", 1),
    ],
)
async def test_what_may_have_been_paid_is_not_sent_again(
    llm: LLMServicesProvider,
    vendor: Sandbox,
    fault: str,
    error: str,
    error_type: str,
    attempts: int,
) -> None:
    """Only what surely was not answered is repeated; the row has as many attempts as the vendor."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_image(LAKE, model=f"openai:gpt-image-2:{fault}")
    assert type(caught.value).__name__ == error
    row = row_of(llm, caught.value.request_id)
    assert (row.status, row.error_type, row.retry_attempt) == ("failed", error_type, attempts)
    assert row.cost_estimate != 0
    assert len(vendor.journal()) == attempts
    assert row.maybe_paid is (
        fault in {"drop", "html", "garbage", "empty_body", "empty"}
        or fault.startswith("status=504")
    )


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [("drop", 3), ("status=504,retry_after_ms=1", 3), ("empty", 2), ("html", 2)],
)
async def test_a_caller_may_want_it_sent_again(
    llm: LLMServicesProvider, vendor: Sandbox, fault: str, attempts: int
) -> None:
    """`resend` is the caller's word that a second bill is worth it."""
    with pytest.raises(LLMError):
        await llm.edit_image(LAKE, JPEG, model=f"openai:gpt-image-2:{fault}", resend=True)
    assert len(vendor.journal()) == attempts
    assert "resend" not in str(rows()[0]["additional_params"])


async def test_an_empty_answer_keeps_its_tokens(llm: LLMServicesProvider) -> None:
    """No picture, but a bill: the row knows it."""
    with pytest.raises(LLMError) as caught:
        await llm.generate_image(LAKE, model="openai:gpt-image-2:empty")
    row = row_of(llm, caught.value.request_id)
    assert caught.value.usage is not None
    assert row.completion_tokens == caught.value.usage.completion_tokens == 256
    assert "no picture" in (row.error_message or "")
    assert row.response_raw is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_refusal_may_be_shown(llm: LLMServicesProvider) -> None:
    """The content policy's word is an error of its own, with a sentence for the user."""
    with pytest.raises(LLMRefusedError) as caught:
        await llm.generate_image(LAKE, model="openai:gpt-image-2:code=moderation_blocked")
    assert caught.value.code == "moderation_blocked"
    assert "declined" in caught.value.safe_message


async def test_a_caller_who_leaves_is_on_the_row(llm: LLMServicesProvider, vendor: Sandbox) -> None:
    """A cancelled call ends as one, and may have been paid."""
    asking = asyncio.create_task(llm.generate_image(LAKE, model="openai:gpt-image-2:slow=30"))
    async with asyncio.timeout(30):
        while not vendor.journal():  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    [row] = rows()
    assert (row["status"], bool(row["maybe_paid"])) == ("cancelled", True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_many_pictures_at_once(
    folder: Path, llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """The same picture written side by side is one file; every call has its row."""
    made = await asyncio.gather(*(llm.generate_image(LAKE) for _ in range(20)))
    assert len({url for url, _ in made}) == len(files(folder)) == 1
    assert len({request_id for _, request_id in made}) == len(vendor.journal()) == 20
    assert set(statuses()) == {"completed"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"size": "1024×1024"}, "did you mean '1024x1024'"),
        ({"size": (1024, 1024)}, "size"),
        ({"quality": "ultra"}, "quality"),
        ({"style": 5}, "style"),
        ({"user_id": 5}, "user_id"),
        ({"model": 5}, "model"),
        ({"model": "nobody:x"}, "names the provider 'nobody'"),
        ({"n": 2}, "unknown keyword parameter 'n'"),
        ({"sise": "1x1"}, "did you mean size?"),
        ({"mask": PNG}, "unknown keyword parameter 'mask'"),
    ],
)
async def test_bad_input_costs_nothing(
    llm: LLMServicesProvider, vendor: Sandbox, arguments: dict[str, Any], what: str
) -> None:
    """A clear error, before anything is sent or written."""
    with pytest.raises(LLMInputError) as caught:
        await llm.generate_image(**{"prompt": LAKE, **arguments})
    assert what in caught.value.message
    assert (vendor.journal(), rows()) == ([], [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"images": []}, "images is empty: give 1 to 16"),
        ({"images": None}, "images must be a list"),
        ({"images": [PNG, "https://example.com/a.png"]}, "images[1] must be a data: URL"),
        ({"images": "file:///etc/passwd"}, "LLM_MEDIA_DIR is not set"),
        ({"images": SVG}, "images[0] is no picture"),
        ({"images": GIF}, "images[0] is a GIF"),
        ({"images": PNG, "mask": JPEG}, "mask must be a png"),
        ({"images": PNG, "mask": 5}, "mask must be bytes"),
        ({"images": PNG, "image": PNG}, "did you mean images?"),
        ({"images": PNG, "size": "0x0"}, "size must be"),
    ],
)
async def test_bad_pictures_cost_nothing(
    llm: LLMServicesProvider, vendor: Sandbox, arguments: dict[str, Any], what: str
) -> None:
    """What is handed in is looked at before anything is sent or written."""
    with pytest.raises(LLMInputError) as caught:
        await llm.edit_image(LAKE, **arguments)
    assert what in caught.value.message
    assert (vendor.journal(), rows()) == ([], [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(
    ("variables", "model", "quality"),
    [
        ({}, "gpt-image-2.5-flare", "medium"),
        ({"IMAGE_MODEL": "gpt-image-2"}, "gpt-image-2", "medium"),
        ({"IMAGE_MODEL": "openai:gpt-image-1-mini", "IMAGE_QUALITY": "hd"}, None, "high"),
        ({"IMAGE_MODEL": "x", "LLM_ROLES__IMAGE": "openai:gpt-image-2"}, "gpt-image-2", "medium"),
        ({"LLM_IMAGE_QUALITY": "low"}, "gpt-image-2.5-flare", "low"),
        ({"IMAGE_MODEL": "", "IMAGE_QUALITY": "standard"}, "gpt-image-2.5-flare", "medium"),
    ],
)
async def test_the_settings_choose_model_and_quality(
    vendor: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    model: str | None,
    quality: str,
) -> None:
    """The old variables keep their meaning; the role's own goes before them."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with open_llm_services() as llm:
        _, request_id = await llm.generate_image(LAKE)
        row = row_of(llm, request_id)
    assert row.model == (model or "gpt-image-1-mini")
    assert row.additional_params == {"size": "1024x1024", "quality": quality}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("database_url")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IMAGE_MODEL", "nobody:x"),
        ("LLM_IMAGE_MODEL", "two words"),
        ("IMAGE_MODEL", "x" * 151),
        ("LLM_ROLES__IMAGE", "nobody:x"),
        ("IMAGE_QUALITY", "ultra"),
        ("LLM_MEDIA_DIR", "/no/such/folder"),
    ],
)
async def test_a_wrong_setting_is_found_at_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Not at the first picture, and by the variable's name."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(LLMConfigurationError, match=f"^{variable}: "):
        async with open_llm_services():
            pytest.fail("it opened")
