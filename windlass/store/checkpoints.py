"""Checkpoints: the rows of a session's history. Which of them count, `windlass.protocol.history` says."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from windlass.records import Checkpoint, RowKind
from windlass.store.database import Database
from windlass.store.queries import load_queries
from windlass.store.rows import Row, from_payload, moment, payload
from windlass.store.writer import Writer


class Checkpoints:
    """The table `checkpoints`."""

    def __init__(self, database: Database, *, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._sql = load_queries("checkpoints")

    def append(self, row: Checkpoint) -> "Future[None]":
        """Queue a row; the future is done when it is kept.

        Raises:
            AuthorError: the body holds what JSON has no form for.
        """
        return self.append_many([row])

    def append_many(self, rows: Sequence[Checkpoint]) -> "Future[None]":
        """Queue rows that go in together; the future is done when all are kept.

        Raises:
            AuthorError: a body holds what JSON has no form for.
        """
        return self._writer.append("checkpoints", [_row(row) for row in rows])

    def read(self, session_id: str) -> list[Checkpoint]:
        """All rows of a session by (epoch, seq), each once, whether they count or not."""
        rows = self._database.query(self._sql["read"], {"session_id": session_id})
        return [_checkpoint(row) for row in rows]


def _row(row: Checkpoint) -> Row:
    # `at` is the store's: it orders what people read.
    return {
        "session_id": row.session_id,
        "epoch": row.epoch,
        "seq": row.seq,
        "kind": str(row.kind),
        "phase": row.phase,
        "visit": row.visit,
        "body": payload(row.body),
        "base_epoch": row.base_epoch,
        "base_seq": row.base_seq,
        "worker_id": row.worker_id,
    }


def _checkpoint(row: Mapping[str, Any]) -> Checkpoint:
    plain = {name: row[name] for name in row if name not in ("kind", "body", "at")}
    return Checkpoint(
        **plain, kind=RowKind(row["kind"]), body=from_payload(row["body"]), at=moment(row["at"])
    )
