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

from windlass.errors import AuthorError
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

    What a child says of its files is checked: a child runs authors' code, and a path outside the
    session's folder would have the worker publish any file of the machine.

    Args:
        folder: the session's own folder; what it leaves must be below it.
        incoming: folder for fetched scratch files.
        gallery: folder where the session's artifacts can be looked at on this machine.
    """

    def __init__(self, *, artifacts: Artifacts, folder: Path, incoming: Path, gallery: Path) -> None:
        self._artifacts = artifacts
        self._folder = folder
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

    def fetch_files(self, stored: Iterable[JsonObject], *, into: Path) -> None:
        """Put copies of stored artifacts where people look, and below `into` for the phases to come."""
        for item in stored:
            shown, given = (place / str(item["name"]) for place in (self._gallery, into))
            for target in (shown, given):
                target.parent.mkdir(parents=True, exist_ok=True)
            if not shown.exists():
                self._artifacts.get(str(item["sha256"]), into=shown)
            shutil.copyfile(shown, given)

    def _store_object(self, item: SavedObject) -> JsonObject:
        stored = asdict(replace(item, path=""))
        if not item.path:
            return stored
        path = self._own(item.path)
        if path.stat().st_size <= INLINE_BYTES_MAX:
            stored["inline"] = base64.b64encode(path.read_bytes()).decode("ascii")
        else:
            stored["sha256"] = self._artifacts.put(path)
        return stored

    def _store_file(self, item: SavedFile) -> JsonObject:
        path = self._own(item.path)
        target = (self._gallery / item.name).resolve()
        if not target.is_relative_to(self._gallery.resolve()):
            raise AuthorError(f"an artifact's name leads out of its folder: {item.name}")
        sha256 = self._artifacts.put(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return asdict(replace(item, path="", sha256=sha256))

    def _own(self, path: str) -> Path:
        """`path`, if it is a file of the session's own."""
        own = Path(path).resolve()
        if not own.is_relative_to(self._folder.resolve()):
            raise AuthorError(f"a file that a phase left is not in its session's folder: {path}")
        return own

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
