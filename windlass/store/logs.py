"""The log of what happened: one row per event, for people and their SQL."""

from collections.abc import Mapping
from typing import Any

from windlass.records import LogLine
from windlass.store.database import Database
from windlass.store.queries import load_queries
from windlass.store.rows import Row, from_payload, loose_payload, moment
from windlass.store.writer import Writer

# Lines of one `tail`: a follower asks again at once when it got this many.
TAIL_LINES_MAX = 10_000


class Logs:
    """The table `unified_logs`."""

    def __init__(self, database: Database, *, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._sql = load_queries("logs")

    def append(self, line: LogLine) -> None:
        """Queue a line. Nobody waits for it to be kept; waits only while the lane is full."""
        self._writer.log("unified_logs", _row(line))

    def tail(
        self, session_id: str, *, after: tuple[int, int] = (0, 0), limit: int = TAIL_LINES_MAX
    ) -> list[LogLine]:
        """A session's lines after a position, oldest first, `limit` at most.

        Args:
            session_id: whose.
            after: (epoch, seq) of the last line already seen.
            limit: at most `TAIL_LINES_MAX`.
        """
        rows = self._database.query(
            self._sql["tail"],
            {
                "session_id": session_id,
                "epoch": after[0],
                "seq": after[1],
                "limit": min(limit, TAIL_LINES_MAX),
            },
        )
        return [_line(row) for row in rows]


def _row(line: LogLine) -> Row:
    row = {
        "session_id": line.session_id,
        "cascade_id": line.cascade_id,
        "epoch": line.epoch,
        "seq": line.seq,
        "event": line.event,
        "level": line.level,
        "phase": line.phase,
        "visit": line.visit,
        "message": line.message,
        "status": line.status,
        "duration_s": line.duration_s,
        "data": loose_payload(line.data),
        "worker_id": line.worker_id,
    }
    return row | ({"at": line.at} if line.at else {})


def _line(row: Mapping[str, Any]) -> LogLine:
    plain = {name: row[name] for name in row if name not in ("data", "at")}
    return LogLine(**plain, data=from_payload(row["data"]), at=moment(row["at"]))
