"""The media folder: what goes in comes out, and nothing else is read."""

import base64
import os
from pathlib import Path

import pytest

from modules.llm_services.exceptions import LLMConfigurationError, LLMInputError
from modules.llm_services.media import MAX_BYTES, MediaStore
from modules.llm_services.public import GeneratedImage, read_image
from modules.llm_services.types.images import image_type

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
JPEG = b"\xff\xd8\xff\xe0" + b"pixels"
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
GIF = b"GIF89a" + b"pixels"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
IMAGE = GeneratedImage("image/png", PNG)
WEB = "https://cdn.example.com/pictures"


def refusal(store: MediaStore, url: object) -> str:
    """What is said about a URL that is not read."""
    with pytest.raises(LLMInputError) as caught:
        store.read(url)  # type: ignore[arg-type]
    return caught.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A media folder with a secret beside it."""
    (tmp_path / "secret.png").write_bytes(PNG)
    media = tmp_path / "media"
    media.mkdir()
    return media


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (GIF, "image/gif"),
        (b"GIF87a", "image/gif"),
        (SVG, None),
        (b"<!doctype html>", None),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"\x89PNG", None),
        (b"", None),
    ],
)
def test_a_type_is_what_the_bytes_say(data: bytes, media_type: str | None) -> None:
    """Nobody's word counts, and what can carry scripts is no picture."""
    assert image_type(data) == media_type


def test_without_a_folder_a_picture_is_its_own_url() -> None:
    """A data: URL goes out and comes back."""
    store = MediaStore()
    url = store.place(IMAGE)
    assert url == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert store.read(url) == IMAGE


def test_a_picture_is_a_file_named_by_what_is_in_it(folder: Path) -> None:
    """The same picture twice is one file, whole, that others may read; no draft is left."""
    store = MediaStore(folder)
    url = store.place(IMAGE)
    assert store.place(IMAGE) == url
    [file] = folder.iterdir()
    assert url == file.as_uri()
    assert (file.name, file.read_bytes()) == (f"{IMAGE.sha256}.png", PNG)
    assert file.stat().st_mode & 0o400
    assert store.read(url) == IMAGE


def test_a_damaged_file_is_written_again(folder: Path) -> None:
    """A file of another length under the picture's name is not the picture."""
    (folder / f"{IMAGE.sha256}.png").write_bytes(b"")
    assert MediaStore(folder).read(MediaStore(folder).place(IMAGE)) == IMAGE


def test_a_web_server_may_show_the_folder(folder: Path) -> None:
    """The URL is the web server's, and reading it takes the file, not the network."""
    store = MediaStore(folder, WEB)
    url = store.place(GeneratedImage("image/jpeg", JPEG))
    assert url.startswith(f"{WEB}/")
    assert url.endswith(".jpg")
    assert store.read(url).data == JPEG


def test_a_full_disk_loses_no_picture(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is paid for comes as a data: URL, and the log says that the folder takes nothing."""
    store = MediaStore(folder)
    folder.rmdir()
    assert store.place(IMAGE) == IMAGE.data_url
    assert "was not kept" in caplog.text
    assert IMAGE.data_url not in caplog.text


def test_a_failed_write_leaves_no_draft(folder: Path) -> None:
    """A draft that cannot become the file goes away again."""
    (folder / f"{IMAGE.sha256}.png").mkdir()
    assert MediaStore(folder).place(IMAGE) == IMAGE.data_url
    assert [path.name for path in folder.iterdir()] == [f"{IMAGE.sha256}.png"]


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,",
        "data:image/svg+xml;base64," + base64.b64encode(SVG).decode(),
        "data:text/html;base64," + base64.b64encode(b"<script>").decode(),
        "data:image/svg+xml,<svg/>",
        "data:image/png;base64,%%%",
        "data:image/png;base64,é",
        "data:image/png;base64," + base64.b64encode(PNG).decode() + "\n",
        "data:",
        "http://example.com/a.png",
        "https://169.254.169.254/latest/meta-data",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "/etc/passwd",
        "",
        "file:relative.png",
        "file://host/etc/passwd",
        "file:///etc/passwd",
        "file:///proc/self/environ",
        "file://[",
        "file:///a\x00b",
        "file:///a%00b",
        "file:///\ud800",
        "FILE:///etc/passwd",
        f"{WEB}/../secret.png",
        f"{WEB}/%2e%2e/secret.png",
        f"{WEB}/{'0' * 64}.png",
        f"{WEB}/{'0' * 64}.png?a=b",
        f"{WEB}.evil.example.com/{'0' * 64}.png",
        f"{WEB}/",
        None,
        17,
        b"data:image/png;base64,",
    ],
)
def test_nothing_else_is_read(folder: Path, url: object) -> None:
    """No network, no other file, no odd bytes: a clear error instead."""
    assert refusal(MediaStore(folder, WEB), url).startswith("url ")


def test_no_way_leads_out_of_the_folder(folder: Path) -> None:
    """Neither dots, encoded or not, nor links of any length; inside the folder both are fine."""
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "deep").symlink_to(folder.parent)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "own.png").write_bytes(PNG)
    (folder / "alias.png").symlink_to(folder / "own.png")
    store, base = MediaStore(folder), folder.as_uri()
    for way in ("../secret.png", "%2e%2e/secret.png", "link.png", "deep/secret.png"):
        assert "outside LLM_MEDIA_DIR" in refusal(store, f"{base}/{way}")
    assert "cannot be read" in refusal(store, f"{base}/loop")
    for way in ("own.png", "alias.png", "deep/media/own.png"):
        assert store.read(f"{base}/{way}") == IMAGE
    assert store.read(f"{base}/own.png".replace("file:///", "file://localhost/")) == IMAGE


def test_only_whole_regular_files_are_read(folder: Path) -> None:
    """Folders, pipes (which nobody waits for), texts and giants are refused."""
    os.mkfifo(folder / "pipe.png")
    (folder / "text.png").write_text("hello")
    with (folder / "giant.png").open("wb") as giant:
        giant.write(PNG)
        giant.truncate(MAX_BYTES + 1)
    store, base = MediaStore(folder), folder.as_uri()
    assert "cannot be read" in refusal(store, base)
    assert "cannot be read" in refusal(store, f"{base}/pipe.png")
    assert "cannot be read" in refusal(store, f"{base}/none.png")
    assert "is no picture" in refusal(store, f"{base}/text.png")
    assert "at most" in refusal(store, f"{base}/giant.png")
    assert "is over 50 MB" in refusal(
        store, "data:image/png;base64," + "A" * (MAX_BYTES * 4 // 3 + 8)
    )


def test_files_need_a_folder() -> None:
    """Without LLM_MEDIA_DIR no file is anybody's to read."""
    assert "LLM_MEDIA_DIR is not set" in refusal(MediaStore(), "file:///etc/passwd")


def test_callers_hand_pictures_in_as_they_have_them(folder: Path) -> None:
    """Bytes, a URL, a path into the folder, a picture that came from here."""
    (folder / "own.png").write_bytes(PNG)
    store = MediaStore(folder)
    given = (PNG, IMAGE.data_url, folder / "own.png", Path("own.png"), IMAGE)
    assert {store.picture("images[0]", picture) for picture in given} == {IMAGE}
    mislabelled = GeneratedImage("image/png", JPEG)
    assert store.picture("mask", mislabelled).media_type == "image/jpeg"
    with pytest.raises(LLMInputError, match=r"images\[0\] must be bytes, .* not int"):
        store.picture("images[0]", 7)  # type: ignore[arg-type]
    with pytest.raises(LLMInputError, match="mask is no picture"):
        store.picture("mask", SVG)
    with pytest.raises(LLMInputError, match="mask must hold bytes, not str"):
        store.picture("mask", GeneratedImage("image/png", "x"))  # type: ignore[arg-type]


def test_a_picture_shows_no_bytes() -> None:
    """Neither its repr nor what the log says of it holds what it looks like."""
    assert "pixels" not in repr(IMAGE)
    assert IMAGE.omitted() == {
        "omitted": True,
        "media_type": "image/png",
        "bytes": len(PNG),
        "sha256": IMAGE.sha256,
    }


def test_siblings_read_with_the_settings_of_the_day(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`read_image` knows the folder and its web address from the environment."""
    url = MediaStore(folder, WEB).place(IMAGE)
    with pytest.raises(LLMInputError):
        read_image(url)
    monkeypatch.setenv("LLM_MEDIA_DIR", str(folder))
    monkeypatch.setenv("LLM_MEDIA_BASE_URL", f"{WEB}/")
    assert read_image(url) == IMAGE
    assert read_image(IMAGE.data_url) == IMAGE


@pytest.mark.parametrize("value", ["/no/such/folder", "/etc/passwd", "/proc", ""])
def test_a_folder_that_takes_no_files_is_found_at_load(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Missing, a file, read-only: the error names the variable."""
    monkeypatch.setenv("LLM_MEDIA_DIR", value)
    with pytest.raises(
        LLMConfigurationError, match=r"^LLM_MEDIA_DIR: (is not a folder|takes no|is empty)"
    ):
        read_image(IMAGE.data_url)


def test_an_address_needs_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web address without the folder that it shows would give out dead links."""
    monkeypatch.setenv("LLM_MEDIA_BASE_URL", WEB)
    with pytest.raises(LLMConfigurationError, match="LLM_MEDIA_BASE_URL: needs LLM_MEDIA_DIR"):
        read_image(IMAGE.data_url)


def test_a_relative_folder_is_where_the_process_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """URLs are absolute whatever the setting is."""
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("LLM_MEDIA_DIR", "media")
    url = MediaStore(Path("media")).place(IMAGE)
    assert url == (folder / f"{IMAGE.sha256}.png").as_uri()
    assert read_image(url) == IMAGE
