"""Ctrl-C and SIGTERM while a session runs: the first lets go of it, the second ends the process.

    running ── SIGINT or SIGTERM ──> stopping (the session is released) ── again ──> killed

Failure: one that arrives before this is entered, or after it is left, ends the process as it always did.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from windlass.cli.exits import Signalled

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Stoppable(Protocol):
    """What a signal stops: a running session's `Stop`, or a command that only waits for it."""

    def set(self, reason: Signalled, /) -> None:
        """Ask for the end."""


@contextmanager
def stopping_on_signals(stop: Stoppable, *, is_quiet: bool) -> Iterator[None]:
    """While it lasts, a first SIGINT or SIGTERM sets `stop`, and a second one kills."""

    def handle(number: int, frame: FrameType | None) -> None:
        for each in _NUMBERS:
            signal.signal(each, signal.SIG_DFL)
        what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        stop.set(Signalled(f"interrupted by {what}", number=number))
        if not is_quiet:
            # Not through sys.stderr, which may be in the middle of a write in this very thread.
            os.write(sys.stderr.fileno(), b"\nstopping; once more ends it at once\n")

    before = {number: signal.signal(number, handle) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
