"""A session's log: events for people and for SQL, numbered by the session's owner."""

from collections.abc import Callable
from dataclasses import replace

from windlass.clock import now
from windlass.records import LogLine


class Journal:
    """Numbers log lines of one epoch and passes them on. Used by the session's own thread.

    Args:
        sinks: each takes every line; the store's log lane, the terminal's progress.
    """

    def __init__(
        self,
        *,
        session_id: str,
        cascade_id: str,
        epoch: int,
        worker_id: str,
        sinks: tuple[Callable[[LogLine], None], ...],
    ) -> None:
        self._blank = LogLine(
            session_id=session_id, cascade_id=cascade_id, epoch=epoch, seq=0, event="", worker_id=worker_id
        )
        self._seq = 0
        self._sinks = sinks
        self._visit: tuple[str, int] = ("", 0)

    def event(self, name: str, **facts: object) -> None:
        """Log `name` with the fields of `LogLine` given as `facts`."""
        self._seq += 1
        line = replace(self._blank, seq=self._seq, event=name, at=now(), **facts)  # type: ignore[arg-type]
        for sink in self._sinks:
            sink(line)

    def enter(self, phase: str, visit: int) -> None:
        """From now on, what is printed was printed by this visit of `phase`."""
        self._visit = (phase, visit)

    def printed(self, level: str, text: str) -> None:
        """Log a line that the running phase's code printed."""
        self.event("log", phase=self._visit[0], visit=self._visit[1], level=level, message=text)
