"""A session's report and its events, as text."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from windlass.cli.exits import forget_stdout
from windlass.cli.show import as_json, print_json, print_table, printable, seconds, size
from windlass.records import Json, JsonObject, LogLine

# Rows of a result that a person is shown; the session's table and -o json have more.
_ROWS_SHOWN = 20
# Lines of a JSON result that a person is shown.
_LINES_SHOWN = 200
# Characters of a text result that a terminal is shown: some ten screens. A file or pipe gets all of it.
_CHARS_SHOWN = 20_000
_TEXT_KEPT = "\n\t"


class Events:
    """Prints log lines as JSON lines, until nobody reads them."""

    def __init__(self) -> None:
        self._is_open = True

    def print(self, line: LogLine) -> None:
        """Print one event; a reader that left is no reason to stop the session."""
        if self._is_open:
            try:
                click.echo(as_json(event_json(line)))
            except BrokenPipeError:
                self._is_open = False
                forget_stdout()


def event_json(line: LogLine) -> dict[str, object]:
    """A log line as a JSON object: its fields by name, without the ids that are empty."""
    return {name: value for name, value in asdict(line).items() if value not in ("", None)}


def print_report(report: JsonObject, output: str, *, home: Path, quiet: bool) -> None:
    """The report of a session on stdout, and what to do next on stderr.

    Args:
        output: table, json or jsonl.
        home: the WINDLASS_ROOT, below which artifacts are.
    """
    try:
        if output == "json":
            print_json(report)
        elif output == "jsonl":
            print_json(report, indent=None)
        elif report["status"] == "completed":
            print_value(report["result"])
    except BrokenPipeError:  # the exit code still says how the session ended
        forget_stdout()
    if report["error"]:
        _say_failure(report)
    if not quiet:
        _say_next(report, home)


def print_value(value: Json) -> None:
    """A phase's output for people: tables as tables, text as it is, everything else as JSON."""
    if isinstance(value, dict) and {"rows", "columns", "row_count"} <= value.keys():
        names = [_column_name(column) for column in value["columns"]]
        rows = [[row.get(name) for name in names] if isinstance(row, dict) else row for row in value["rows"]]
        if names:  # statements that return nothing have no columns: there is nothing to show
            print_table(names, rows, rows_max=_ROWS_SHOWN, total=int(value["row_count"]))
    elif isinstance(value, str):
        shown = value[:_CHARS_SHOWN] if sys.stdout.isatty() else value
        click.echo(printable(shown, keep=_TEXT_KEPT).rstrip("\n"))
        if len(shown) < len(value):
            click.echo(f"(… {len(value) - len(shown):,} more characters; -o json shows all)")
    elif value is not None:
        lines = as_json(value, indent=2).splitlines()
        for line in lines[:_LINES_SHOWN]:
            click.echo(line)
        if len(lines) > _LINES_SHOWN:
            click.echo(f"(… {len(lines) - _LINES_SHOWN:,} more lines; -o json shows all)")


def _column_name(column: Json) -> str:
    return str(column["name"]) if isinstance(column, dict) else str(column)


def _say_failure(report: JsonObject) -> None:
    error = report["error"]
    where = f"phase {error['phase']}" if error.get("phase") else "the session"
    line = f", line {error['line']}" if error.get("line") else ""
    if report["status"] == "cancelled":
        click.echo(f"Error: the session was cancelled: {printable(error['message'])}", err=True)
        return
    click.echo(
        f"Error: {where} failed ({error['kind']}{line}): {printable(error['message'], keep=_TEXT_KEPT)}",
        err=True,
    )
    for more in (error.get("detail"), error.get("hint")):
        for text in str(more or "").rstrip().splitlines():
            click.echo(f"  {printable(text, keep=_TEXT_KEPT)}", err=True)


def _say_next(report: JsonObject, home: Path) -> None:
    session_id = report["session_id"]
    folder = home / "artifacts" / session_id
    if report["artifacts"]:
        click.echo("", err=True)
    for file in report["artifacts"]:
        click.echo(f"{folder / file['name']}  ({size(file['bytes'])})", err=True)
    click.echo("", err=True)
    click.echo(f"session {session_id} {report['status']} in {seconds(report['duration_s'])}", err=True)
    if report["status"] in ("failed", "cancelled"):
        when = " once it is mended" if report["status"] == "failed" else ""
        click.echo(f"  windlass run --session {session_id}    goes on from there{when}", err=True)
    click.echo(f"  windlass logs {session_id}    what happened", err=True)
    query = f"SELECT phase, status, duration_s FROM phases WHERE session_id = '{session_id}'"
    click.echo(f'  windlass sql "{query}"', err=True)
