"""Workers: who started, who stopped, and who is known to be dead."""

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import windlass
from windlass.store.database import Database
from windlass.store.queries import load_queries
from windlass.store.rows import moment

# Ids that are asked for in one statement; a fleet's workers of a day.
_IDS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that runs sessions.

    Attributes:
        event: started, stopped or obituary: the last thing known of it.
        reason: of the obituary.
    """

    worker_id: str
    host: str = ""
    pid: int = 0
    version: str = ""
    tags: Sequence[str] = ()
    event: str = "started"
    reason: str = ""
    started_at: datetime | None = None


class Workers:
    """The table `workers`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_queries("workers")

    def started(
        self, worker_id: str, *, host: str = "", pid: int = 0, version: str = "", tags: Sequence[str] = ()
    ) -> None:
        """Write that a worker started; where nothing else is said, that it is this process.

        Raises:
            StoreUnavailable: not acknowledged; call again.
        """
        worker = Worker(
            worker_id,
            host=host or socket.gethostname(),
            pid=pid or os.getpid(),
            version=version or windlass.__version__,
            tags=tags,
        )
        self._write(worker, event="started")

    def stopped(self, worker_id: str) -> None:
        """Write that a worker ended in order.

        Raises:
            StoreUnavailable: not acknowledged; call again.
        """
        self._write(Worker(worker_id), event="stopped")

    def obituary(self, worker_id: str, reason: str) -> None:
        """Write that a worker and all its children are dead, which is final. Only of a reaped process.

        Raises:
            StoreUnavailable: not acknowledged; call again.
        """
        self._write(Worker(worker_id, reason=reason), event="obituary")

    def dead_ids(self, ids: Iterable[str]) -> set[str]:
        """Which of these workers are known to be dead."""
        asked = sorted(set(ids))
        dead: set[str] = set()
        for first in range(0, len(asked), _IDS_MAX):
            rows = self._database.query(self._sql["dead"], {"worker_ids": asked[first : first + _IDS_MAX]})
            dead.update(row["worker_id"] for row in rows)
        return dead

    def get(self, worker_id: str) -> Worker | None:
        """A worker and the last thing known of it, or None."""
        rows = self._database.query(self._sql["get"], {"worker_id": worker_id})
        if not rows:
            return None
        row = rows[0]
        event = row.pop("last_event")
        return Worker(**{**row, "event": event, "started_at": moment(row["started_at"])})

    def _write(self, worker: Worker, *, event: str) -> None:
        row = {
            "worker_id": worker.worker_id,
            "event": event,
            "host": worker.host,
            "pid": worker.pid,
            "version": worker.version,
            "tags": list(worker.tags),
            "reason": worker.reason,
        }
        self._database.insert("workers", [row])
