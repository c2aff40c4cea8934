"""What keeps entries, whatever happens to files; when two requests are the same; who waits."""

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from modules.llm_services.cache import (
    DiskStore,
    Entry,
    Flights,
    Labels,
    MemoryStore,
    Selection,
    cache_key,
    pack,
    unpack,
)
from modules.llm_services.cache.entry import labels_of
from modules.llm_services.types import (
    CachePolicy,
    ImagePart,
    LLMMessageDTO,
    TextPart,
    ToolCall,
    ToolSpec,
)
from modules.llm_services.types.reasoning import ReasoningItem
from tests.llm_services.test_recording import a_call, until

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1024 * 1024


def labels(**changes: Any) -> Labels:
    """The labels of an answer of acme's."""
    plain = Labels(
        provider="openai",
        model="gpt-4o",
        feature="moons",
        user="ann",
        tenant="acme",
        stored_at=time.time(),
    )
    return replace(plain, **changes)


def packed(text: str = "hi", **changes: Any) -> bytes:
    """An entry as bytes."""
    replies = [{"text": text}]
    entry = Entry(labels=labels(**changes), source_id=UUID(int=7), cost="0.1", replies=replies)
    return pack("key", entry)


class One(BaseModel):
    """A class."""

    name: str


class Two(BaseModel):
    """Another."""

    name: int


def _said(content: Any, **more: Any) -> tuple[LLMMessageDTO, ...]:
    return (LLMMessageDTO(role="user", content=content, **more),)


def _image(**fields: Any) -> tuple[LLMMessageDTO, ...]:
    return _said([TextPart(text="What is this?"), ImagePart(**fields)])


_ITEM = ReasoningItem(provider="openai", model="gpt-5", item={"encrypted_content": "x"})
DIFFERENT: list[dict[str, Any]] = [
    {},
    {"provider": "azure_openai"},
    {"model": "gpt-4o-mini"},
    {"operation": "structured"},
    {"messages": _said("hello!")},
    {"messages": _said("hello", name="ann")},
    {"messages": (LLMMessageDTO(role="system", content="hello"),)},
    {"messages": _said("hello", reasoning=[_ITEM])},
    {"messages": _said("hello", tool_call_id="1")},
    {"messages": _said("hello", tool_calls=[ToolCall(id="1", name="f", arguments={"a": 1})])},
    {"messages": _said("hello", tool_calls=[ToolCall(id="1", name="f", arguments={"a": 2})])},
    {"messages": _image(data=b"1")},
    {"messages": _image(data=b"2")},
    {"messages": _image(data=b"1", detail="low")},
    {"messages": _image(url="https://example.com/1?signature=1")},
    {"messages": _image(url="https://example.com/1?signature=2")},
    {"parameters": {"temperature": 0.0}},
    {"parameters": {"temperature": 0.1}},
    {"parameters": {"metadata": {"a": "b"}}},
    {"output_type": One},
    {"output_type": Two},
    {"tools": (ToolSpec(name="f", parameters={}),)},
    {"tools": (ToolSpec(name="f", parameters={}, description="d"),)},
    {"tools": (ToolSpec(name="f", parameters={}, strict=True),)},
    {"tool_choice": "none"},
    {"parallel_tool_calls": False},
    {"cache": CachePolicy(seconds=60, material=["a"])},
    {"cache": CachePolicy(seconds=60, scope="shared")},
]


def test_whatever_differs_has_another_key() -> None:
    """Nothing that is sent may be forgotten: then somebody would get the answer to another."""
    calls = [a_call(**{"cache": CachePolicy(seconds=60), **changes}) for changes in DIFFERENT]
    keys = [cache_key(call, "") for call in calls]
    keys.append(cache_key(calls[0], "https://elsewhere.example/v1"))
    assert len(set(keys)) == len(keys)


def test_what_is_not_sent_does_not_matter() -> None:
    """Ids, deadlines, streaming and how old an answer may be make no other request."""
    one = a_call(cache=CachePolicy(seconds=60))
    other = a_call(cache=CachePolicy(seconds=5), timeout=1, max_retries=3, stream=True)
    assert cache_key(one, "") == cache_key(other, "")
    assert cache_key(a_call(), "") == cache_key(one, "")


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_bytes_that_are_not_whole_are_no_entry(cut: int) -> None:
    """Cut anywhere, with a bit turned, or under another key, they are a miss."""
    whole = packed()
    assert unpack("key", whole) is not None
    assert unpack("key", whole[:cut]) is None
    assert unpack("another", whole) is None
    assert unpack("key", bytes([whole[0] ^ 1]) + whole[1:]) is None


def test_another_version_is_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older program meant is not guessed."""
    monkeypatch.setattr("modules.llm_services.cache.entry.ENTRY_VERSION", 99)
    theirs = packed()
    monkeypatch.undo()
    assert unpack("key", theirs) is None
    assert labels_of(b"[1, 2]\n") is None


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(model="gpt-4o", feature="moons", tenant="acme"), True),
        (Selection(model="openai:gpt-4o"), True),
        (Selection(model="azure_openai:gpt-4o"), False),
        (Selection(feature="suns"), False),
        (Selection(tenant="other"), False),
        (Selection(user="ann"), True),
        (Selection(user="bob"), False),
        (Selection(stored_before=1.0), False),
    ],
)
async def test_a_selection_means_the_same_everywhere(
    selection: Selection, *, meant: bool, tmp_path: Path
) -> None:
    """By model, feature, owner and age, in memory and on disk."""
    disk = DiskStore(tmp_path, MEGABYTE)
    for store in (MemoryStore(MEGABYTE), disk):
        await store.put("key", packed(), labels(), 60)
        assert await store.clear(selection) == int(meant)
        assert (await store.get("key") is None) is meant
        await store.aclose()
    disk.close()


async def test_memory_is_bounded_and_forgets_the_least_used() -> None:
    """What is asked for often stays; what is huge never comes in."""
    store = MemoryStore(100_000)
    for n in range(20):
        await store.put(str(n), packed("x" * 8_000), labels(), 60)
        await store.get("0")
    assert await store.get("0") is not None
    assert await store.get("1") is None
    assert await store.get("19") is not None
    await store.put("huge", packed("x" * 50_000), labels(), 60)
    assert await store.get("huge") is None
    await store.put("19", packed(), labels(), 0)
    assert await store.get("19") is None
    store.close()


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[DiskStore]:
    """A store in a folder that is not there yet."""
    store = DiskStore(tmp_path / "new" / "cache", MEGABYTE)
    yield store
    store.close()


def _file(disk: DiskStore) -> Path:
    return disk._path


async def test_disk_survives_a_restart_and_forgets_in_time(disk: DiskStore) -> None:
    """Another process, or this one tomorrow, finds what was kept; the file is nobody else's."""
    await disk.put("key", packed(), labels(), 60)
    await disk.put("late", packed(), labels(), 0)
    disk.close()
    other = DiskStore(_file(disk).parent, MEGABYTE)
    assert await other.get("key") is not None
    assert await other.get("late") is None
    assert _file(disk).stat().st_mode & 0o077 == 0
    other.close()


async def test_disk_is_bounded(disk: DiskStore) -> None:
    """The oldest go first, and the file does not grow beyond its bound by more than a little."""
    for n in range(100):
        await disk.put(str(n), packed("x" * 20_000), labels(stored_at=float(n)), 60)
    assert await disk.get("0") is None
    assert await disk.get("99") is not None
    assert _file(disk).stat().st_size < 1.2 * MEGABYTE
    await disk.put("huge", packed("x" * MEGABYTE), labels(), 60)
    assert await disk.get("huge") is None


@pytest.mark.parametrize("damage", ["garbage", "cut", "removed", "empty"])
async def test_a_damaged_file_is_replaced(
    damage: str, disk: DiskStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A miss, one warning at most, and a new file that works."""
    for n in range(20):
        await disk.put(str(n), packed("x" * 5_000), labels(), 60)
    path, whole = _file(disk), _file(disk).read_bytes()
    if damage == "removed":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"garbage" * 1_000)
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    assert [await disk.get(str(n)) for n in range(20)].count(None) > 0
    await disk.put("key", packed(), labels(), 60)
    assert await disk.get("key") is not None
    warnings = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warnings) <= 1


async def test_a_folder_that_cannot_be_used_is_a_miss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls go on without it: one warning in all; to clear it is an error."""
    (tmp_path / "file").write_text("no folder")
    store = DiskStore(tmp_path / "file" / "cache", MEGABYTE)
    for _ in range(3):
        await store.put("key", packed(), labels(), 60)
        assert await store.get("key") is None
    [warning] = caplog.records
    assert "cannot be used (NotADirectoryError): calls go on without it" in warning.message
    with pytest.raises(OSError, match="Not a directory"):
        await store.clear(Selection())
    (tmp_path / "file").unlink()
    caplog.set_level(logging.INFO)
    await store.put("key", packed(), labels(), 60)
    assert await store.get("key") is not None
    assert caplog.records[-1].message.endswith("can be used again")
    store.close()


async def test_a_full_disk_and_a_busy_file_are_a_miss(
    disk: DiskStore, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written is not kept, and nobody waits long for another's write."""
    await disk.put("key", packed(), labels(), 60)
    connection = disk._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    await disk.put("more", packed("x" * 50_000), labels(), 60)
    assert await disk.get("more") is None
    assert await disk.get("key") is not None
    blocker = sqlite3.connect(_file(disk), isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    await disk.put("busy", packed(), labels(), 60)
    with pytest.raises(OSError, match="locked"):
        await disk.clear(Selection())
    blocker.close()
    assert await disk.get("busy") is None
    assert [one.levelno for one in caplog.records].count(logging.WARNING) == 2


_WRITER = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from modules.llm_services.cache import DiskStore, Entry, Labels, pack, unpack

name = sys.argv[2]
labels = Labels(provider="p", model="m", feature=None, user=None, tenant=None, stored_at=1.0)
replies = [{"text": name * 5_000}]
packed = pack("key", Entry(labels=labels, source_id=UUID(int=7), cost=None, replies=replies))

async def main():
    store = DiskStore(Path(sys.argv[1]), 20_000_000)
    for n in range(100):
        await store.put(f"{name}{n}", packed, labels, 60)
        await store.put("same", packed, labels, 60)
        found = await store.get("same")
        assert found is None or unpack("key", found) is not None
    store.close()

asyncio.run(main())
"""


def _start_writer(folder: Path, name: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend")}
    command = [sys.executable, "-c", _WRITER, str(folder), name]
    return subprocess.Popen(command, env=environment, cwd=ROOT)


async def test_processes_share_a_file(tmp_path: Path) -> None:
    """Two write at once; nothing is torn, and next to nothing is lost."""
    running = [_start_writer(tmp_path, name) for name in "ab"]
    assert [process.wait(120) for process in running] == [0, 0]
    store = DiskStore(tmp_path, 20 * MEGABYTE)
    found = [await store.get(f"{name}{n}") for name in "ab" for n in range(100)]
    assert sum(one is not None for one in found) > 190  # a write gives up after half a second
    store.close()


async def test_a_file_that_another_process_replaced_is_found(disk: DiskStore) -> None:
    """Whoever still has the old one open goes on with the new one."""
    await disk.put("key", packed(), labels(), 60)
    other = DiskStore(_file(disk).parent, MEGABYTE)
    await other.get("key")
    other._replace()
    await other.put("new", packed(), labels(), 60)
    disk._replace()  # too late: the damaged file is gone already
    assert await disk.get("new") is not None
    assert await disk.get("key") is None
    other.close()


async def test_one_leads_and_the_others_wait() -> None:
    """What the leader gets is everybody's; a leader that goes away is replaced by one of them."""
    flights: Flights[int] = Flights((ValueError,))
    leading, go = asyncio.Event(), asyncio.Event()
    led: list[int] = []

    async def lead() -> int:
        led.append(len(led))
        leading.set()
        await go.wait()
        return 7

    soon = time.monotonic() + 60
    first = asyncio.create_task(flights.share("key", lead, soon))
    await leading.wait()
    others = [asyncio.create_task(flights.share("key", lead, soon)) for _ in range(5)]
    await asyncio.sleep(0)
    others[0].cancel()
    first.cancel()
    await until(lambda: len(led) == 2)
    go.set()
    ends = await asyncio.gather(*others[1:])
    assert sorted(ends) == [(7, False), (7, True), (7, True), (7, True)]
    assert await flights.share("key", lead, soon) == (7, False)
    go.clear()
    hanging = asyncio.create_task(flights.share("other", lead, soon))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await flights.share("other", lead, time.monotonic())
    hanging.cancel()
