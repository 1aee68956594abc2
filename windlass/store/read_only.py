"""Queries that people type: they read the store's tables and do nothing else.

Three fences, one behind the other: the statement has to begin like a read; words that the engine lets
through although they reach outside (files, Python objects, output files) are refused; and the client
is set to `readonly = 1`, under which the engine refuses writes, DDL, table functions and settings.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass.errors import WindlassError
from windlass.store.connect import connect, disconnect
from windlass.store.database import Database
from windlass.store.faults import READONLY, TIMEOUT_EXCEEDED, QueryRejected, StatementRefused, explain

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_BEGINS = re.compile(r"\(*\s*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE)
_BEGINS_LIKE_A_TABLE = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
# What readonly = 1 lets through in the embedded engine (tried): the function file(), INTO OUTFILE, python().
_REACHES_OUT = re.compile(
    r"\bINTO\s+OUTFILE\b|\b(file|python|url|executable|remote|s3|hdfs|catboostEvaluate)\s*\(", re.IGNORECASE
)
_TOKENS = re.compile(
    r"(?P<gap>--[^\n]*|\#[! ][^\n]*|/\*.*?\*/)"
    r"|(?P<text>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)"
    r'|(?P<name>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)',
    re.DOTALL,
)


@dataclass(slots=True)
class Answer:
    """What a query gave.

    Attributes:
        columns: names in order.
        types: their ClickHouse types.
        rows: an iterator of tuples; read it once, or `close` the answer early.
    """

    columns: Sequence[str]
    types: Sequence[str]
    rows: Iterator[tuple[Any, ...]]
    _client: "Client"

    def close(self) -> None:
        """Let go of the query's client. Idempotent; also done when `rows` was read to its end."""
        disconnect(self._client)


def read_only(database: Database, sql: str, *, limit_rows: int, limit_s: float) -> Answer:
    """See `windlass.store.Store.read_only`."""
    statement = sql.strip().rstrip(";").strip()
    _check(statement)
    target = database.reach.target
    database.reach.pool()  # Finds the folder's holder anew if it went away.
    client = connect(target, fast=False)
    try:
        client.database = database.name
        if limit_s:
            client.set_client_setting("max_execution_time", str(limit_s))
        if limit_rows:
            client.set_client_setting("max_result_rows", str(limit_rows))
            client.set_client_setting("result_overflow_mode", "break")
        # Last: after it nothing can be set any more, so this client serves this one query.
        client.set_client_setting("readonly", "1")
        result = client.query(statement)
        names, types = list(result.column_names), [kind.name for kind in result.column_types]
        if not names and _BEGINS_LIKE_A_TABLE.match(statement):
            # The embedded engine gives nothing at all, no names either, for no rows.
            described = client.query(f"DESCRIBE TABLE ({statement}\n)").result_rows
            names, types = [row[0] for row in described], [row[1] for row in described]
    except Exception as error:  # The client's own error types are many; each is explained.
        disconnect(client)
        if getattr(error, "code", 0) == TIMEOUT_EXCEEDED:
            raise QueryRejected(
                f"the query ran longer than {limit_s:g} s and was ended (TIMEOUT_EXCEEDED)",
                hint="ask for less, or allow more time",
            ) from error
        raise _rejected(explain(error, where=target.safe)) from error
    rows = result.result_rows[:limit_rows] if limit_rows else result.result_rows
    return Answer(
        columns=names,
        types=types,
        rows=_closing(client, [tuple(row) for row in rows]),
        _client=client,
    )


def _closing(client: "Client", rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    try:
        yield from rows
    finally:
        disconnect(client)


def _check(statement: str) -> None:
    bare = _bare(statement)
    if not _BEGINS.match(bare.lstrip()):
        raise QueryRejected(
            "only queries that read are run here: SELECT, WITH, SHOW, DESCRIBE, EXISTS, EXPLAIN",
            hint="what Windlass keeps is never changed by hand",
        )
    found = _REACHES_OUT.search(bare)
    if found:
        raise QueryRejected(
            f"{found.group(0).strip(' (')} reaches outside the store's tables and is not run here"
        )
    if ";" in bare:
        raise QueryRejected("one statement at a time, please: there is a ';' within the text")


def _bare(statement: str) -> str:
    """The statement with comments as spaces, texts empty and quoted names unquoted."""

    def plain(found: re.Match[str]) -> str:
        if found.group("name") is not None:
            name = found.group("name")[1:-1]
            if "\\" in name:
                raise QueryRejected(
                    f"the name {found.group('name')} has an escape in it, which is not allowed here"
                )
            return name.replace(";", " ")
        return " " if found.group("gap") is not None else "''"

    return _TOKENS.sub(plain, statement)


def _rejected(error: WindlassError) -> WindlassError:
    if isinstance(error, StatementRefused):
        hint = "only queries that read are run here" if error.code == READONLY else error.hint
        return QueryRejected(error.message, hint=hint)
    return error
