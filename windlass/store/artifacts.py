"""Artifacts: files and large values that phases made, kept once under the SHA-256 of their content."""

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from windlass.errors import NotFound, StoreUnavailable
from windlass.store import chunks
from windlass.store.database import Database
from windlass.store.queries import load_queries


class Artifacts:
    """The table `artifacts`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("artifacts")

    def put(self, content: Path | bytes) -> str:
        """Keep a file or some bytes; what is there already is not sent again.

        Returns:
            The SHA-256 of the content, in hex.

        Raises:
            OSError: the file cannot be read.
            StoreUnavailable: not acknowledged; call again.
        """
        with _open(content) as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
            size = source.tell()
            if self._is_complete(sha256):
                return sha256
            source.seek(0)
            total = chunks.count(size)
            waiting: list[dict[str, object]] = []
            for number, piece in enumerate(chunks.split(source)):
                waiting.append(
                    {
                        "sha256": sha256,
                        "chunk": number,
                        "chunks": total,
                        "bytes": size,
                        "data_base64": chunks.to_text(piece),
                    }
                )
                if len(waiting) == chunks.CHUNKS_AT_ONCE:
                    self._database.insert("artifacts", waiting)
                    waiting = []
            self._database.insert("artifacts", waiting)
        return sha256

    def get(self, sha256: str, *, into: Path) -> None:
        """Write an artifact into a file, whole or not at all.

        Raises:
            NotFound: no such artifact.
            StoreUnavailable: chunks are missing, or what came is not what was put.
            OSError: the file cannot be written.
        """
        draft = into.with_name(f".{into.name}.{os.getpid()}.part")
        try:
            with draft.open("wb") as target:
                self._fetch(sha256, target)
            os.replace(draft, into)
        finally:
            draft.unlink(missing_ok=True)

    def _fetch(self, sha256: str, target: BinaryIO) -> None:
        digest = hashlib.sha256()
        written, total = 0, 1
        while written < total:
            rows = self._database.query(
                self._sql["get"], {"sha256": sha256, "first": written, "end": written + chunks.CHUNKS_AT_ONCE}
            )
            if not rows and not written:
                raise NotFound(f"there is no artifact {sha256} in the store")
            if [row["chunk"] for row in rows] != list(range(written, written + len(rows))) or not rows:
                raise StoreUnavailable(f"artifact {sha256} is not complete in the store yet")
            total = rows[0]["chunks"]
            for row in rows:
                piece = chunks.from_text(row["data"])
                digest.update(piece)
                target.write(piece)
            written += len(rows)
        if digest.hexdigest() != sha256:
            raise StoreUnavailable(f"artifact {sha256} came back changed from the store")

    def _is_complete(self, sha256: str) -> bool:
        row = self._database.query(self._sql["has"], {"sha256": sha256})[0]
        return bool(row["there"]) and row["there"] == row["chunks"]


def _open(content: Path | bytes) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
