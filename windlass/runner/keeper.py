"""What a phase leaves behind, moved to where any worker finds it.

A scratch object's rows arrive as a Parquet file on this machine. Small files travel inside the
checkpoint row itself, larger ones go to the artifact store first; the row then names them by
their hash. Reading back gives files on this machine again.

Invariant: a checkpoint row names nothing that is not stored yet.
"""

import base64
import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from windlass.records import JsonObject, SavedFile, SavedObject

# A file up to this size rides in the checkpoint row (as base64). Measured: an artifact of its own
# costs one more durable insert, about as much as the row itself; 64 KiB more in a row costs a tenth of that.
INLINE_BYTES_MAX = 64 * 1024


class Artifacts(Protocol):
    """Content-addressed storage that all workers share."""

    def put(self, source: Path | bytes) -> str:
        """Store a file or bytes; returns the sha256 (64 hex digits) it is found by."""

    def get(self, sha256: str, *, into: Path) -> None:
        """Write the content of `sha256` to the file `into`."""


class Keeper:
    """Stores and fetches what phases leave, for one session.

    Args:
        incoming: folder for fetched scratch files.
        gallery: folder where the session's artifacts can be looked at on this machine.
    """

    def __init__(self, *, artifacts: Artifacts, incoming: Path, gallery: Path) -> None:
        self._artifacts = artifacts
        self._incoming = incoming
        self._gallery = gallery

    def store_objects(self, saved: Iterable[SavedObject]) -> list[JsonObject]:
        """Store scratch objects; returns what the checkpoint row says of them."""
        return [self._store_object(item) for item in saved]

    def store_files(self, files: Iterable[SavedFile]) -> list[JsonObject]:
        """Store artifacts and put a copy where people look; returns what the row says of them."""
        return [self._store_file(item) for item in files]

    def fetch_objects(self, stored: Sequence[JsonObject]) -> list[SavedObject]:
        """Scratch objects with their files on this machine again, in the order they were made."""
        return [self._fetch_object(item) for item in stored]

    def fetch_files(self, stored: Iterable[JsonObject]) -> None:
        """Put copies of stored artifacts where people look, if they are not there yet."""
        for item in stored:
            target = self._gallery / str(item["name"])
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                self._artifacts.get(str(item["sha256"]), into=target)

    def _store_object(self, item: SavedObject) -> JsonObject:
        stored = asdict(replace(item, path=""))
        if not item.path:
            return stored
        path = Path(item.path)
        if item.bytes <= INLINE_BYTES_MAX:
            stored["inline"] = base64.b64encode(path.read_bytes()).decode("ascii")
        else:
            stored["sha256"] = self._artifacts.put(path)
        return stored

    def _store_file(self, item: SavedFile) -> JsonObject:
        sha256 = self._artifacts.put(Path(item.path))
        target = self._gallery / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(item.path, target)
        return asdict(replace(item, path="", sha256=sha256))

    def _fetch_object(self, item: JsonObject) -> SavedObject:
        plain = {name: value for name, value in item.items() if name != "inline"}
        saved = SavedObject(**plain)
        if "inline" not in item and not saved.sha256:
            return saved
        self._incoming.mkdir(parents=True, exist_ok=True)
        name = saved.sha256 or hashlib.sha256(item["inline"].encode("ascii")).hexdigest()
        path = self._incoming / f"{name}.parquet"
        if not path.exists():
            if "inline" in item:
                path.write_bytes(base64.b64decode(item["inline"]))
            else:
                self._artifacts.get(saved.sha256, into=path)
        return replace(saved, path=str(path))
