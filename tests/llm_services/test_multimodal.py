"""Images, documents and sound in messages: checked, sent in both formats, logged by their hash."""

import base64
import hashlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modules.llm_services import arguments
from modules.llm_services.attachments import image_size, media_type_of, probable_tokens
from modules.llm_services.exceptions import LLMBadRequestError, LLMInputError
from modules.llm_services.providers.formats import CHAT, RESPONSES
from modules.llm_services.public import (
    AudioPart,
    DocumentPart,
    ImagePart,
    LLMMessageDTO,
    LLMServicesProvider,
    TextPart,
    open_llm_services,
)
from modules.llm_services.tokens import count_messages
from sandbox import Sandbox
from tests.llm_services.test_openai_provider import FIRST, GOOD, a_call, provider
from tests.llm_services.test_tools import a_conversation
from tests.support.ledger import rows

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1024, 512) + b"rest"
GIF = b"GIF89a" + struct.pack("<HH", 10, 20) + b"rest"
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 300, 600) + b"\x03rest"
)
WEBP = b"RIFF\x10\0\0\0WEBPVP8 rest"
PDF = b"%PDF-1.7\n1 0 obj <</Type /Page>> 2 0 obj <</Type/Page>> <</Type /Pages>>"
WAV = b"RIFF\x10\0\0\0WAVEfmt " + b"\0" * 3_200
MP3 = b"ID3\x04" + b"\0" * 1_600
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


def asking(*parts: object, **fields: Any) -> list[LLMMessageDTO]:
    """A message of these parts."""
    return [LLMMessageDTO(role="user", content=parts, **fields)]


def checked(*parts: object) -> Any:
    """The parts as they are sent."""
    [message] = arguments.messages(asking(*parts))
    return message.content


@pytest.fixture
async def llm(database_url: str, vendor: Sandbox) -> AsyncIterator[LLMServicesProvider]:
    """The provider as a worker opens it."""
    async with open_llm_services() as opened:
        yield opened


@pytest.mark.parametrize("options", [{}, {"seed": 7}], ids=["responses", "chat"])
async def test_media_are_sent_and_logged_by_their_hash(
    llm: LLMServicesProvider, vendor: Sandbox, options: Any
) -> None:
    """The answer comes, and the row knows what was shown without a byte of it."""
    question = asking(
        TextPart(text="What are volcanoes? See the picture."),
        ImagePart(data=PNG, detail="high"),
        ImagePart(url="https://example.org/v.png?signature=secret#top"),
        DocumentPart(data=PDF, filename="v.pdf"),
        name="ann",
    )
    response, request_id = await llm.generate_response(question, model="gpt-4o", **options)
    assert response.content
    row = llm.get_request(request_id)
    assert row is not None
    assert row.input_preview == "What are volcanoes? See the picture."
    [message] = row.messages or []
    assert (message["role"], message["name"]) == ("user", "ann")
    text, image, link, document = message["content"]
    assert text == {"type": "text", "text": "What are volcanoes? See the picture."}
    assert image == {
        "type": "image",
        "omitted": True,
        "media_type": "image/png",
        "bytes": len(PNG),
        "sha256": hashlib.sha256(PNG).hexdigest(),
    }
    assert link["url"] == "https://example.org/v.png"
    assert (document["media_type"], document["bytes"]) == ("application/pdf", len(PDF))
    stored = str(rows())
    assert "secret" not in stored
    assert base64.b64encode(PNG).decode()[:40] not in stored
    assert llm.estimate_cost(question, model="gpt-4o") > llm.estimate_cost(
        asking(TextPart(text="What are volcanoes? See the picture.")), model="gpt-4o"
    )


async def test_sound_is_heard_by_chat_completions(
    llm: LLMServicesProvider, vendor: Sandbox
) -> None:
    """The Responses API takes none, so the request goes where it is heard."""
    await llm.generate_response(
        asking(TextPart(text="Listen."), AudioPart(data=WAV)), model="gpt-4o"
    )
    assert [entry.path for entry in vendor.journal()] == ["/v1/chat/completions"]


async def test_a_file_of_the_media_folder_is_read(
    llm: LLMServicesProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ``file:`` URL that ``generate_image`` gave out can be shown to a model."""
    monkeypatch.setenv("LLM_MEDIA_DIR", str(tmp_path))
    picture = tmp_path / "a b.png"
    picture.write_bytes(PNG)
    async with open_llm_services() as opened:
        _, request_id = await opened.generate_response(
            asking(ImagePart(url=picture.as_uri())), model="gpt-4o"
        )
        row = opened.get_request(request_id)
    assert row is not None
    assert hashlib.sha256(PNG).hexdigest() in json.dumps(row.messages)


def test_files_are_those_of_the_folder(tmp_path: Path) -> None:
    """No other file of the machine can be asked for, however its name is written."""
    folder, outside = tmp_path / "media", tmp_path / "secret.png"
    folder.mkdir()
    outside.write_bytes(PNG)
    (folder / "link.png").symlink_to(outside)
    (folder / "big.png").write_bytes(b"")
    with (folder / "big.png").open("r+b") as file:
        file.truncate(60_000_000)
    for url, words in (
        (outside.as_uri(), "is not a file in LLM_MEDIA_DIR"),
        (f"{folder.as_uri()}/../secret.png", "is not a file in LLM_MEDIA_DIR"),
        (f"{folder.as_uri()}/%2e%2e/secret.png", "is not a file in LLM_MEDIA_DIR"),
        (f"{folder.as_uri()}/link.png", "is not a file in LLM_MEDIA_DIR"),
        (folder.as_uri().replace("file://", "file://host"), "is not a file in LLM_MEDIA_DIR"),
        (folder.as_uri(), "cannot be read"),
        (f"{folder.as_uri()}/none.png", "cannot be read"),
        (f"{folder.as_uri()}/a%00b.png", "cannot be read"),
        (f"{folder.as_uri()}/big.png", "is a file of more than 50.0 MB"),
    ):
        with pytest.raises(LLMInputError, match=words):
            arguments.messages(asking(ImagePart(url=url)), folder)
    with pytest.raises(LLMInputError, match="LLM_MEDIA_DIR is not set"):
        arguments.messages(asking(ImagePart(url=outside.as_uri())))


def test_bytes_say_what_they_are() -> None:
    """Every kind is known by its first bytes, and may be declared, by any of its names."""
    for data, media_type in (
        (PNG, "image/png"),
        (GIF, "image/gif"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (PDF, "application/pdf"),
        (b"junk\n" + PDF, "application/pdf"),
        (WAV, "audio/wav"),
        (MP3, "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"<svg", None),
        (b"", None),
    ):
        assert media_type_of(data) == media_type
    [image] = checked(ImagePart(data=JPEG, media_type="image/jpg"))
    assert image.media_type == "image/jpeg"
    [image] = checked(ImagePart(url=DATA_URL))
    assert (image.data, image.url, image.media_type) == (PNG, None, "image/png")
    [sound] = checked(AudioPart(data=bytearray(MP3), media_type="audio/mp3"))
    assert sound.data == MP3
    [image] = checked(ImagePart(url="data:;base64," + base64.b64encode(GIF).decode()))
    assert image.media_type == "image/gif"


FIVE: Any = 5
BIG = b"\x89PNG\r\n\x1a\n" + b"\0" * (20 * 1024 * 1024)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("text", r"messages\[0\].content\[0\] must be a TextPart"),
        (TextPart(text="\ud800"), "lone surrogate"),
        (TextPart(text=FIVE), "must be a str"),
        (ImagePart(), "must have either data or a url"),
        (ImagePart(data=PNG, url=DATA_URL), "must have either data or a url"),
        (ImagePart(data="text"), "data must be bytes, not str"),
        (ImagePart(data=b""), "has 1 byte to 20.0 MB, not 0.0 MB"),
        (ImagePart(data=BIG), "has 1 byte to 20.0 MB"),
        (ImagePart(data=PDF), "its bytes are application/pdf"),
        (ImagePart(data=b"<svg>"), "its bytes are none of these"),
        (ImagePart(data=PNG, media_type="image/gif"), "but its bytes are image/png"),
        (ImagePart(data=PNG, detail="extreme"), r"detail must be one of auto"),
        (DocumentPart(data=PDF, filename="a/b.pdf"), "without a folder"),
        (DocumentPart(data=PDF, filename=5), "filename must be a str"),
        (DocumentPart(data=PNG), "must be a document"),
        (AudioPart(data=PNG), "must be sound"),
        (AudioPart(url="https://example.org/a.mp3"), "sound is sent as bytes"),
        (ImagePart(url=5), "url must be a str"),
        (ImagePart(url="http://example.org/a.png"), "must be an https:, data: or file: URL"),
        (ImagePart(url="ftp://example.org/a.png"), "must be an https:, data: or file: URL"),
        (ImagePart(url="a.png"), "must be an https:, data: or file: URL"),
        (ImagePart(url="https:///a.png"), "with a host"),
        (ImagePart(url="https://u:p@example.org/a.png"), "without a password"),
        (ImagePart(url="https://[::1/a.png"), "with a host"),
        (ImagePart(url="https://example.org/a b"), "or spaces"),
        (ImagePart(url="https://example.org/" + "a" * 9_000), "at most 8192 characters"),
        (ImagePart(url="data:image/png,abc"), "must be data:<media type>;base64"),
        (ImagePart(url="data:image/png;base64,=="), "not base64"),
        (ImagePart(url="data:image/gif;base64," + DATA_URL[22:]), "its bytes are image/png"),
    ],
)  # fmt: skip
def test_a_bad_part_is_named(part: Any, words: str) -> None:
    """The error says which part of which message is wrong, and what would be right."""
    with pytest.raises(LLMInputError, match=words):
        checked(part)


def test_media_have_their_limits_together() -> None:
    """Images are counted and everything is weighed, over all messages; only users show things."""
    with pytest.raises(LLMInputError, match="hold 51 images; at most 50"):
        arguments.messages([*asking(ImagePart(data=PNG)), *asking(*[ImagePart(data=PNG)] * 50)])
    large = [ImagePart(data=BIG[:-8])] * 3
    with pytest.raises(LLMInputError, match=r"messages hold 60\.0 MB of images"):
        checked(*large)
    with pytest.raises(LLMInputError, match="is empty: give 1 to 500 parts"):
        checked()
    with pytest.raises(LLMInputError, match="only a user's message"):
        arguments.messages([LLMMessageDTO(role="system", content=[ImagePart(data=PNG)])])
    with pytest.raises(LLMInputError, match="the user says nothing"):
        checked(TextPart(text=" "))
    assert checked(ImagePart(data=PNG))


def test_parts_in_each_formats_words() -> None:
    """The same message, as the Responses API and as Chat Completions have it."""
    parts = checked(
        TextPart(text="See."),
        ImagePart(data=PNG, detail="original"),
        ImagePart(url="https://example.org/a.png"),
        DocumentPart(data=PDF),
    )
    message = LLMMessageDTO(role="user", content=parts, name="Ann")
    pdf = "data:application/pdf;base64," + base64.b64encode(PDF).decode()
    link = "https://example.org/a.png"
    assert RESPONSES.body(a_conversation(message))["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Ann:"},
                {"type": "input_text", "text": "See."},
                {"type": "input_image", "image_url": DATA_URL, "detail": "original"},
                {"type": "input_image", "image_url": link, "detail": "auto"},
                {"type": "input_file", "filename": "document.pdf", "file_data": pdf},
            ],
        }
    ]
    assert CHAT.body(a_conversation(message))["messages"] == [
        {
            "role": "user",
            "name": "Ann",
            "content": [
                {"type": "text", "text": "See."},
                {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "high"}},
                {"type": "image_url", "image_url": {"url": link, "detail": "auto"}},
                {"type": "file", "file": {"filename": "document.pdf", "file_data": pdf}},
            ],
        }
    ]
    unnamed = a_conversation(message.model_copy(update={"name": None}))
    assert RESPONSES.body(unnamed)["input"][0]["content"][0]["text"] == "See."


def test_what_a_format_cannot_carry_is_said() -> None:
    """Sound is for Chat Completions; what a document's address is for is in test_limits."""
    sounds = [checked(AudioPart(data=data)) for data in (WAV, MP3)]
    wav, mp3 = [
        CHAT.body(a_conversation(LLMMessageDTO(role="user", content=parts)))["messages"][0]
        for parts in sounds
    ]
    assert wav["content"][0]["input_audio"]["format"] == "wav"
    assert mp3["content"][0]["input_audio"]["format"] == "mp3"
    with pytest.raises(LLMBadRequestError, match="takes no sound") as caught:
        RESPONSES.body(a_conversation(LLMMessageDTO(role="user", content=sounds[0])))
    assert not caught.value.retryable
    linked = LLMMessageDTO(role="user", content=[DocumentPart(url="https://example.org/a.pdf")])
    assert RESPONSES.body(a_conversation(linked))["input"][0]["content"] == [
        {"type": "input_file", "file_url": "https://example.org/a.pdf"}
    ]


async def test_the_bytes_arrive_whole() -> None:
    """What the vendor decodes is what the caller handed in."""
    seen: list[Any] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return httpx2.Response(200, json=GOOD)

    adapter = provider(answer)
    request = a_conversation(LLMMessageDTO(role="user", content=checked(ImagePart(data=PNG))))
    await adapter.generate_text(request.call, FIRST)
    await adapter.generate_text(a_call(), FIRST)
    await adapter.aclose()
    url = seen[0]["input"][0]["content"][0]["image_url"]
    assert base64.b64decode(url.partition(",")[2]) == PNG


def test_sizes_are_read() -> None:
    """Pixels, where the first bytes say them."""
    assert image_size(PNG) == (1024, 512)
    assert image_size(GIF) == (10, 20)
    assert image_size(JPEG) == (600, 300)
    for data in (WEBP, PNG[:20], JPEG[:8], GIF[:7], b"x", PNG[:16] + b"\0" * 8):
        assert image_size(data) is None


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (ImagePart(data=PNG), 85 + 170 * 2),
        (ImagePart(data=PNG, detail="low"), 85),
        (ImagePart(data=GIF), 85 + 170),
        (ImagePart(data=WEBP), 765),
        (ImagePart(url="https://example.org/a.png"), 765),
        (DocumentPart(data=PDF), 3_000),
        (DocumentPart(url="https://example.org/a.pdf"), 1_500),
        (AudioPart(data=WAV, media_type="audio/wav"), 2),
        (AudioPart(data=MP3, media_type="audio/mpeg"), 2),
    ],
)
def test_media_have_a_probable_price(part: Any, tokens: int) -> None:
    """OpenAI's rule for images, guesses for the rest; a prompt counts them."""
    assert probable_tokens(part) == tokens
    text = TextPart(text="See.")
    with_it = count_messages(asking(text, part), "gpt-4o").tokens
    assert with_it == count_messages(asking(text), "gpt-4o").tokens + tokens


def test_bytes_stay_out_of_what_is_printed() -> None:
    """A message in a log or a traceback shows no megabytes."""
    message = asking(ImagePart(data=BIG), ImagePart(url=DATA_URL))[0]
    assert len(repr(message)) < 500
