"""POST and GET /v1/files: what is uploaded for a batch, and what a batch leaves behind."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from sandbox.faults import Fault
from sandbox.params import check_required
from sandbox.wire import ApiError, Json, Reply, new_id, now

_KEPT = 64
"""Files that are kept; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file with the JSON that describes it."""

    content: bytes
    about: Json


@dataclass(slots=True)
class Files:
    """The server's files. Safe to use from several threads."""

    _kept: OrderedDict[str, StoredFile] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, content: bytes, purpose: str, name: str = "file.jsonl") -> Json:
        """Keep a file; gives the JSON that describes it."""
        about: Json = {
            "id": new_id("file"),
            "object": "file",
            "bytes": len(content),
            "created_at": now(),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        with self._lock:
            self._kept[about["id"]] = StoredFile(content, about)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return about

    def get(self, file_id: object) -> StoredFile:
        """A file by its id; 404 for one that is not there."""
        found = self._kept.get(str(file_id))
        if found is None:
            raise ApiError(404, f"No such File object: {file_id}", param="id")
        return found

    def reset(self) -> None:
        """Forget all files."""
        with self._lock:
            self._kept.clear()

    def upload(self, body: Json, _fault: Fault) -> Reply:
        """POST /v1/files."""
        check_required(body, "file", "purpose")
        if not isinstance(body["file"], bytes):
            raise ApiError(400, "'file' is a required property", param="file")
        return Reply(content=self.add(body["file"], str(body["purpose"])))

    def describe(self, body: Json, _fault: Fault) -> Reply:
        """GET /v1/files/{file_id}."""
        return Reply(content=self.get(body["file_id"]).about)

    def download(self, body: Json, _fault: Fault) -> Reply:
        """GET /v1/files/{file_id}/content."""
        content = self.get(body["file_id"]).content
        return Reply(content=content, media_type="application/octet-stream")
