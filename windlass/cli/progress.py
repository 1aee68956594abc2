"""What a person sees while a session runs, on stderr: a live table on a terminal, else a line per event."""

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from windlass.cli.show import cut, printable, screen_width, seconds
from windlass.clock import boot_s
from windlass.records import LogLine

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

# How often the live table is drawn: enough for a clock that shows tenths to look alive.
_DRAWS_PER_S = 8
# Lines of the terminal that the table leaves free for its head and for what is printed above it.
_LINES_KEPT = 6

_SIGNS = {"waiting": ("·", "dim"), "running": ("›", "cyan"), "done": ("✓", "green"), "skipped": ("-", "dim")}
_FAILED = ("✗", "red")
_TAB = "\t"


class Progress(Protocol):
    """Shows a session's events. A context manager; `watch` may be called from any thread and never raises."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def watch(self, line: LogLine) -> None:
        """Take one event in."""


def make_progress(*, quiet: bool) -> Progress:
    """What fits stderr: nothing if asked for quiet, a live table on a terminal, else plain lines."""
    if quiet:
        return Lines(lambda text: None)
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        return LiveTable()
    return Lines(lambda text: click.echo(text, err=True))


class Lines:
    """One line for each thing that happens to a phase.

    Args:
        write: takes each line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def watch(self, line: LogLine) -> None:
        """Write the line, if the event is worth one."""
        text = describe(line)
        if text:
            try:
                self._write(text)
            except OSError:  # nobody reads it any more, which is no reason to stop the session
                self._write = lambda text: None


@dataclass(slots=True)
class _Row:
    """One phase as the live table shows it."""

    status: str
    began_s: float
    duration_s: float = 0.0
    rows: int | None = None
    attempts: int = 1
    note: str = ""


class LiveTable:
    """A table of the phases that is drawn again and again while they run."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._session_id = ""
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        # What code prints to our own stdout is data and stays where it is.
        self._live = Live(
            get_renderable=self._draw,
            console=Console(stderr=True),
            refresh_per_second=_DRAWS_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def watch(self, line: LogLine) -> None:
        """Change the table; what the author's code printed goes above it."""
        with self._lock:
            self._session_id = self._session_id or line.session_id
            if line.session_id == self._session_id:
                self._take(line)
        if line.event == "log" and self._live is not None:
            text = cut(f"{line.phase} | {printable(line.message.rstrip(), keep=_TAB)}", screen_width())
            self._live.console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def _take(self, line: LogLine) -> None:
        verb = line.event.removeprefix("phase.")
        if line.event == "phase.started":
            self._rows.pop(line.phase, None)  # a phase that is visited again moves to the end
            self._rows[line.phase] = _Row("running", boot_s())
        elif line.event == "attempt.failed" and line.phase in self._rows:
            row = self._rows[line.phase]
            row.attempts = int(line.data["attempt"]) + 1
            row.note = line.message
        elif line.event.startswith("phase."):
            row = self._rows.setdefault(line.phase, _Row(verb, boot_s()))
            row.status, row.duration_s, row.note = verb, line.duration_s, line.message
            row.rows = line.data.get("rows")
            row.attempts = int(line.data.get("attempts", 1))

    def _draw(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        with self._lock:
            rows = list(self._rows.items())
            head = [Text(f"session {self._session_id}", "dim")] if self._session_id else []
        height = self._live.console.height if self._live is not None else 24
        for name, row in rows[-max(3, height - _LINES_KEPT) :]:
            sign, style = _SIGNS.get(row.status, _FAILED)
            spent_s = boot_s() - row.began_s if row.status == "running" else row.duration_s
            counted = "" if row.rows is None else _rows(row.rows)
            tries = f"attempt {row.attempts}" if row.attempts > 1 else ""
            first_line = printable(row.note.partition("\n")[0])
            table.add_row(
                Text(sign, style),
                Text(printable(name)),
                seconds(spent_s),
                counted,
                tries,
                Text(first_line, "red"),
            )
        return Group(*head, table)


def describe(line: LogLine) -> str:
    """One line of text about an event, "" for those that a person need not see at once."""
    about = printable(f"{line.phase} (visit {line.visit})" if line.visit > 1 else line.phase)
    first = printable(line.message.partition("\n")[0])
    match line.event:
        case "phase.started":
            return f"{about}: started"
        case "phase.done":
            rows = line.data.get("rows")
            return f"{about}: done in {seconds(line.duration_s)}" + (
                f", {_rows(rows)}" if rows is not None else ""
            )
        case "phase.skipped":
            return f"{about}: skipped"
        case "phase.failed":
            return f"{about}: failed in {seconds(line.duration_s)}: {first}"
        case "attempt.failed":
            pause = seconds(line.data["delay_s"])
            return f"{about}: attempt {line.data['attempt']} failed: {first}; the next in {pause}"
        case "session.started":
            return f"session {line.session_id} begins"  # whoever kills it, or follows its logs, needs the id
        case "session.resumed":
            return f"session {line.session_id} goes on"
        case _:
            return ""


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
