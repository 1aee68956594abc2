"""`windlass sql`: a query that reads what Windlass keeps."""

import csv
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from windlass.cli.opening import opened_store
from windlass.cli.show import as_json, finite, plain, print_json, print_table

if TYPE_CHECKING:
    from windlass.store import Answer

# Rows a person is shown unless they say --limit. A screen or two; more scrolls away what was looked for.
_ROWS_SHOWN = 100
# Longest a query may run. One that takes longer blocks the embedded engine for the session beside it.
_QUERY_S_MAX = 300.0
_ADVICE = """\b
windlass sql "SHOW TABLES"
windlass sql "SELECT phase, status, duration_s, error FROM phases ORDER BY at DESC" --limit 20
windlass sql -o csv - < report.sql > report.csv"""


@click.command(epilog=_ADVICE, short_help="Query everything Windlass keeps.")
@click.argument("statement", metavar="STATEMENT|-")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table", help="Form."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most this many rows; a table has {_ROWS_SHOWN} by default.",
)
def sql(statement: str, output: str, limit: int | None) -> None:
    """Query everything Windlass keeps, with ClickHouse's SQL; "-" reads the statement from stdin.

    Only statements that read are run: SELECT, WITH, SHOW, DESCRIBE, EXISTS, EXPLAIN. The tables are sessions,
    claims, checkpoints, unified_logs and others (SHOW TABLES lists them with the views made for people).
    """
    if statement == "-":
        statement = sys.stdin.read()
    if not statement.strip():
        raise click.UsageError('there is no statement, for example: windlass sql "SHOW TABLES"')
    from windlass.store import QueryRejected

    shown = limit or _ROWS_SHOWN
    # A table asks for one row more than it shows, to know whether to say that there are more.
    wanted = shown + 1 if output == "table" else limit or 0
    with opened_store() as store:
        try:
            answer = store.read_only(statement, limit_rows=wanted, limit_s=_QUERY_S_MAX)
        except QueryRejected as error:
            raise QueryRejected(_in_short(error.message), hint=error.hint) from error
        try:
            _print(answer, output, shown)
        finally:
            answer.close()


def _in_short(message: str) -> str:
    """ClickHouse's own words, without where the store is and what was put around the statement."""
    text = re.sub(r"^.*?DB::Exception: ", "", message, flags=re.DOTALL)
    return text.replace(" FORMAT Native", "")


def _print(answer: "Answer", output: str, shown: int) -> None:
    columns = list(answer.columns)
    if output == "table":
        print_table(columns, answer.rows, rows_max=shown, whole=["session_id"])  # people copy ids
    elif output == "csv":
        _print_csv(columns, answer.rows)
    elif output == "jsonl":
        for row in answer.rows:
            click.echo(as_json(_object(columns, row)))
    else:
        print_json([_object(columns, row) for row in answer.rows])


def _print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(
            [as_json(value) if isinstance(value, dict | list | tuple) else _text(value) for value in row]
        )


def _text(value: object) -> object:
    """A value as csv writes it: nothing for NULL, numbers and texts as they are."""
    return value if isinstance(value, str | int | float) or value is None else plain(value)


def _object(columns: Sequence[str], row: Sequence[object]) -> dict[str, object]:
    """One row by name; JSON has no NaN and no infinity, so these are null, as everywhere in Windlass."""
    return {name: finite(value) for name, value in zip(columns, row, strict=True)}
