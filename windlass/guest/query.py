"""Run an author's SQL over the scratch; what its last query returns becomes the phase's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from windlass.guest.failures import GuestFailure, sql_failure
from windlass.guest.frames import preview, write_frame
from windlass.records import Failure, Json
from windlass.scratch import Scratch, ScratchError, Statement, redirect_copy, split_statements

Params: TypeAlias = "Mapping[str, Json] | Sequence[Json] | None"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where SQL may write files."""

    artifacts: Path
    writable: tuple[Path, ...] = ()


def run_sql(
    scratch: Scratch,
    text: str,
    *,
    phase: str,
    params: Params,
    folders: Folders,
    limit: int | None = None,
    materialize: bool = True,
) -> dict[str, Json]:
    """Run all statements; the output of the phase.

    Args:
        scratch: with the phase begun.
        text: one or more statements.
        phase: its name; the table is `_<phase>`.
        params: values for `?` (a list) or `$name` (an object); each statement takes those it names.
        folders: where COPY … TO may write.
        limit: at most so many rows of the last query, None for all.
        materialize: False when the rows are only for the output and make no table.

    Raises:
        GuestFailure: with the line in `text`.
    """
    import duckdb

    line = 1
    try:
        scratch.need(text)
        statements = split_statements(text)
        last = max((index for index, item in enumerate(statements) if item.returns_rows), default=-1)
        output: dict[str, Json] = {"rows": [], "columns": [], "row_count": 0, "truncated": False}
        for index, statement in enumerate(statements):
            line = statement.line
            scratch.check(statement)
            bound = _bind(statement, params)
            if index == last:
                output = _rows(scratch, statement, bound, f"_{phase}", limit, materialize)
            else:
                copied = redirect_copy(statement, artifacts=folders.artifacts, writable=folders.writable)
                scratch.connection.execute(copied, bound).complete()
        return output
    except (duckdb.Error, ScratchError) as error:
        raise GuestFailure(sql_failure(error, phase=phase, line=line, tables=scratch.table_names())) from None


def _rows(
    scratch: Scratch, statement: Statement, bound: Any, table: str, limit: int | None, materialize: bool
) -> dict[str, Json]:
    if not materialize:
        table = f"{table}__shown"
    text = statement.text
    if statement.is_query:
        if limit is not None:
            # On a line of its own, for the text may end in a comment; without its semicolon.
            text = f"SELECT * FROM (\n{_without_semicolon(statement)}\n) LIMIT {limit}"
        count = scratch.write_table(table, text, bound)
    else:
        arrow = scratch.connection.sql(text, params=bound).to_arrow_table()
        count = write_frame(scratch, table, arrow if limit is None else arrow.slice(0, limit))
    output = preview(scratch, table, count)
    if not materialize:
        scratch.connection.execute(f'DROP TABLE "{table}"')
    return output


def _without_semicolon(statement: Statement) -> str:
    tokens = statement.tokens
    return statement.text[: tokens[-1].at] if tokens and tokens[-1].text == ";" else statement.text


def _bind(statement: Statement, params: Params) -> Any:
    """The values that this statement names."""
    wanted = statement.parameters
    if not wanted:
        return None
    given: dict[str, Json] = (
        {str(name): value for name, value in params.items()}
        if isinstance(params, Mapping)
        else {str(index): value for index, value in enumerate(params or (), start=1)}
    )
    missing = sorted(wanted - given.keys())
    if missing:
        names = ", ".join(f"${name}" for name in missing)
        raise GuestFailure(
            Failure(
                phase="",
                kind="sql",
                message=f"the statement names {names}, and `params` has no such value",
                hint=f"params has: {', '.join(given) or 'nothing'}",
                line=statement.line,
                retryable=False,
            )  # fmt: skip
        )
    if isinstance(params, Mapping):
        return {name: given[name] for name in wanted}
    return [given[name] for name in sorted(wanted, key=int)]
