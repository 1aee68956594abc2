"""`windlass logs`: what happened in a session, now and while it goes on."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from windlass.cli.opening import opened_store
from windlass.cli.report import event_json
from windlass.cli.show import as_json, printable, seconds
from windlass.clock import boot_s
from windlass.errors import StoreUnavailable

if TYPE_CHECKING:
    from windlass.records import LogLine
    from windlass.store import Store

_LEVELS = ("debug", "info", "warning", "error")
_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red"}
# Between two looks of `-f`: soon enough to feel live, seldom enough to cost the store nothing.
_LOOK_S = 0.5
# How long `-f` waits for the last lines after a session's end: they may be written a moment after it.
_LAST_LINES_S = 3.0
# How long `-f` bears a store that does not answer: the session's process may have ended, and with it the
# engine that it lent us; the next look opens the folder itself.
_OUTAGE_S_MAX = 30.0
_TAB = "\t"


@click.command(short_help="Print what happened in a session.")
@click.argument("session_id", metavar="SESSION")
@click.option("-f", "--follow", is_flag=True, help="Go on until the session is over.")
@click.option("--level", type=click.Choice(_LEVELS), default="info", help="Leave out what is less than this.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="json: an object a line."
)
def logs(session_id: str, follow: bool, level: str, output: str) -> None:
    """Print what happened in a session: phases, attempts, and every line its code printed."""
    least = _LEVELS.index(level)
    with opened_store() as store:
        store.existing(session_id)  # says so if there is none
        for line in _following(store, session_id) if follow else _so_far(store, session_id):
            if line.level not in _LEVELS or _LEVELS.index(line.level) >= least:
                click.echo(as_json(event_json(line)) if output == "json" else line_text(line))


def line_text(line: "LogLine") -> str:
    """One event as a line for people: time of day, phase, what happened."""
    clock = line.at.astimezone().strftime("%H:%M:%S.%f")[:-3] if line.at else "--:--:--.---"
    about = f"{line.phase}#{line.visit}" if line.visit > 1 else line.phase
    if line.event == "log":
        what = f"| {line.message.rstrip()}"
    else:
        facts = [
            f"{name}={value}"
            for name, value in line.data.items()
            if name in ("rows", "attempt", "next") and value
        ]
        spent = [seconds(line.duration_s)] if line.duration_s else []
        what = "  ".join([line.event, *spent, *facts, line.message]).rstrip()
    text = f"{clock}  {about:<16}  {printable(what, keep=_TAB)}"
    return click.style(text, fg=_COLOURS.get(line.level))


def _so_far(store: "Store", session_id: str, after: tuple[int, int] = (0, 0)) -> "Iterator[LogLine]":
    """Every line after a position that is there now."""
    while True:
        lines = store.logs.tail(session_id, after=after)
        if not lines:
            return
        yield from lines
        after = (lines[-1].epoch, lines[-1].seq)


def _following(store: "Store", session_id: str) -> "Iterator[LogLine]":
    """Every line, until the session is over and its last line was seen."""
    after = (0, 0)
    over_since_s = None
    answered_s = boot_s()
    while True:
        try:
            # The status first: what is written before an end is then surely among the lines read after it.
            over = _is_over(store, session_id)
            for line in _so_far(store, session_id, after):
                after = (line.epoch, line.seq)
                yield line
                if over and line.event == "session.ended":
                    over_since_s = over_since_s or boot_s() - _LAST_LINES_S
            answered_s = boot_s()
        except StoreUnavailable:
            if boot_s() - answered_s > _OUTAGE_S_MAX:
                raise
            over = False
        if over:
            over_since_s = over_since_s or boot_s()
            if boot_s() - over_since_s >= _LAST_LINES_S:
                return
        time.sleep(_LOOK_S)


def _is_over(store: "Store", session_id: str) -> bool:
    """Has the session an end that may be told?"""
    from windlass.protocol import read_history

    snapshot = store.existing(session_id)
    history = read_history(snapshot.rows)
    return history.end is not None and history.is_settled(snapshot.highest_claim)
