"""Bundles: a cascade and every file it names, kept once under the hash of their content."""

import io
import threading

from windlass.errors import NotFound, StoreUnavailable
from windlass.store import chunks
from windlass.store.database import Database
from windlass.store.queries import load_queries

# Hashes we know to be there, so that a cascade that is run often is looked up once. A hash is 64 bytes.
_KNOWN_MAX = 10_000


class Bundles:
    """The table `cascade_versions`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("bundles")
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def put(self, bundle: str, *, cascade_id: str, data: bytes, entry: str) -> None:
        """Keep a bundle; nothing happens when it is there already.

        Args:
            bundle: the hash of `data`, 64 hex digits.
            cascade_id: the cascade that it is.
            data: the packed files.
            entry: the cascade's own file within them.

        Raises:
            StoreUnavailable: not acknowledged; call again.
        """
        with self._lock:
            if bundle in self._known:
                return
        if not self._has(bundle):
            total = chunks.count(len(data))
            for number, piece in enumerate(chunks.split(io.BytesIO(data))):
                row = {
                    "bundle": bundle,
                    "chunk": number,
                    "chunks": total,
                    "cascade_id": cascade_id,
                    "entry": entry,
                    "bytes": len(data),
                    "data_base64": chunks.to_text(piece),
                }
                self._database.insert("cascade_versions", [row])
        with self._lock:
            if len(self._known) < _KNOWN_MAX:
                self._known.add(bundle)

    def get(self, bundle: str) -> bytes | None:
        """The packed files, or None when no such bundle was put.

        Raises:
            StoreUnavailable: chunks are missing, as while another process is putting it.
        """
        pieces: list[bytes] = []
        total = 1
        while len(pieces) < total:
            first = len(pieces)
            rows = self._database.query(
                self._sql["get"], {"bundle": bundle, "first": first, "end": first + chunks.CHUNKS_AT_ONCE}
            )
            if not rows and not first:
                return None
            if [row["chunk"] for row in rows] != list(range(first, first + len(rows))) or not rows:
                raise StoreUnavailable(f"bundle {bundle} is not complete in the store yet")
            total = rows[0]["chunks"]
            pieces += [chunks.from_text(row["data"]) for row in rows]
        return b"".join(pieces)

    def entry(self, bundle: str) -> str:
        """The cascade's own file within a bundle.

        Raises:
            NotFound: no such bundle was put.
        """
        rows = self._database.query(self._sql["entry"], {"bundle": bundle})
        if not rows:
            raise NotFound(f"there is no bundle {bundle} in the store")
        return str(rows[0]["entry"])

    def _has(self, bundle: str) -> bool:
        row = self._database.query(self._sql["has"], {"bundle": bundle})[0]
        return bool(row["there"]) and row["there"] == row["chunks"]
