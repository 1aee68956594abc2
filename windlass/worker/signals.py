"""Reads what outsiders say to the sessions that this worker runs.

    follow ──> looked at every tick ──cancel──> the session's stop is set ──> its end row names the signal

A look is one query for all sessions. It asks for all their signals, with no cursor in time: a row
that became visible late would be missed. Which were handled, each session's history says.

Failure: while the store does not answer nothing is heard; the next tick asks again.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from windlass.errors import Cancelled, TransientError
from windlass.phases import Stop
from windlass.store import Signals

# How long a cancel may go unheard: half of the second in which running work is to end.
TICK_S = 0.5

# How long closing waits for a look. With the embedded store one takes milliseconds, and must not outlive the
# engine; with a server that is gone, waiting for it would only hold up the end.
CLOSE_S_MAX = 5.0

CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class _Followed:
    stop: Stop
    handled: Collection[str]


class SignalWatch:
    """Looks for signals of the followed sessions in a thread of its own, which `close` ends."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="signal-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; waits a moment for the look it is in."""
        self._closed.set()
        self._thread.join(timeout=CLOSE_S_MAX)

    @contextmanager
    def follow(self, session_id: str, *, stop: Stop, handled: Collection[str]) -> Iterator[None]:
        """Set `stop` when the session is cancelled, for as long as the context is open.

        Args:
            handled: signals that the session's history names already.
        """
        with self._lock:
            self._followed[session_id] = _Followed(stop, frozenset(handled))
        try:
            self._look([session_id])  # one may have come before anybody ran it
            yield
        finally:
            with self._lock:
                del self._followed[session_id]

    def _loop(self) -> None:
        while not self._closed.wait(TICK_S):
            with self._lock:
                sessions = list(self._followed)
            if not sessions:
                continue
            try:
                self._look(sessions)
            except TransientError:
                continue

    def _look(self, sessions: list[str]) -> None:
        for signal in self._signals.unhandled(sessions):
            with self._lock:
                followed = self._followed.get(signal.session_id)
            if followed is None or signal.name != CANCEL or signal.signal_id in followed.handled:
                continue
            by = f" by {signal.sent_by}" if signal.sent_by else ""
            followed.stop.set(Cancelled(f"cancelled{by}", signal_id=signal.signal_id))
