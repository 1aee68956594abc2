"""The one door to statements.

Reads are repeated when the connection is lost; so is an insert, as the identical block with the
same token. Nothing else is. When that does not help for `patience_s`, `StoreUnavailable` says that
the statement's fate is unknown: it may still land at any later time.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from windlass.errors import StoreUnavailable
from windlass.store.faults import explain
from windlass.store.reach import Reach
from windlass.store.rows import Row, decode, encode

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_T = TypeVar("_T")

# How long a read or a direct insert is repeated before the caller hears of it. A server's restart
# takes about ten seconds; a person at a terminal waits this long, but not much longer.
PATIENCE_S = 15.0
# The first pause is short, since most losses are a restarted endpoint; the cap keeps a fleet from
# knocking all day long, and jitter keeps it from knocking together.
_PAUSE_S_FIRST = 0.05
_PAUSE_S_MAX = 2.0


class Database:
    """Statements on one database, wherever it is. Any thread may use it."""

    def __init__(self, reach: Reach, *, name: str, patience_s: float = PATIENCE_S) -> None:
        self._reach = reach
        self._patience_s = patience_s
        self.name = name

    @property
    def reach(self) -> Reach:
        """How statements get there."""
        return self._reach

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows that `sql` gives, as dictionaries; times are text, see `rows.moment`.

        Args:
            sql: one SELECT without a FORMAT clause.
            params: values for its `{name:Type}` places.

        Raises:
            StoreUnavailable: nobody answered for `patience_s`.
            StatementRefused: the store will not run it.
        """
        bound = dict(params or {})
        body = self._patiently(lambda client: client.raw_query(sql, parameters=bound, fmt="JSONEachRow"))
        return decode(body)

    def insert(self, table: str, rows: Sequence[Row], *, token: str | None = None) -> None:
        """Insert rows as one block, repeated as it is until acknowledged or `patience_s` is over.

        Args:
            table: its name.
            rows: all with the same columns; a column that none names takes its default.
            token: a compare-and-set: of all blocks with this token the store keeps one.

        Raises:
            StoreUnavailable: not acknowledged; the rows may still land at any later time.
            StatementRefused: the store will never take these rows.
        """
        if rows:
            statement = insert_statement(table, columns=list(rows[0]), body=encode(rows), token=token)
            self._patiently(lambda client: client.command(statement))

    def send(self, statement: str) -> None:
        """Send a statement once, whatever becomes of it.

        Raises:
            StoreUnavailable: not acknowledged, fate unknown.
            StatementRefused: it was understood and not carried out.
        """
        self._once(lambda client: client.command(statement))

    def command(self, sql: str) -> None:
        """Carry out a statement that may be repeated without harm (DDL with IF NOT EXISTS).

        Raises:
            StoreUnavailable: nobody answered for `patience_s`.
            StatementRefused: the store will not run it.
        """
        self._patiently(lambda client: client.command(sql))

    def create(self, *, cluster: str = "") -> None:
        """Create the database if it is not there."""
        on_cluster = f" ON CLUSTER `{cluster}`" if cluster else ""
        statement = f"CREATE DATABASE IF NOT EXISTS `{self.name}`{on_cluster}"
        self._patiently(lambda client: client.command(statement, use_database=False))

    def _patiently(self, act: Callable[["Client"], _T]) -> _T:
        pauses = Pauses()
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self._once(act)
            except StoreUnavailable:
                if time.monotonic() >= deadline:
                    raise
            pauses.wait()

    def _once(self, act: Callable[["Client"], _T]) -> _T:
        pool = self._reach.pool()
        try:
            with pool.client() as client:
                try:
                    return act(client)
                except Exception as error:  # The client's own error types are many; each is explained.
                    raise explain(error, where=self._reach.target.safe) from error
        except StoreUnavailable:
            self._reach.lost(pool)
            raise


class Pauses:
    """Growing pauses with jitter, for whoever sends the same thing again."""

    def __init__(self, *, first_s: float = _PAUSE_S_FIRST, max_s: float = _PAUSE_S_MAX) -> None:
        self._next_s = first_s
        self._max_s = max_s

    def wait(self, stop: threading.Event | None = None) -> None:
        """Pause; at once over when `stop` is set."""
        pause_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 (jitter is no secret)
        self._next_s = min(self._next_s * 2, self._max_s)
        if stop is None:
            time.sleep(pause_s)
        else:
            stop.wait(pause_s)


def insert_statement(table: str, *, columns: Sequence[str], body: bytes, token: str | None = None) -> str:
    """The text of an insert: the same rows and token give the same bytes, so that it may be repeated.

    Args:
        table: its name.
        columns: of every row in `body`, in any order.
        body: JSONEachRow lines.
        token: see `Database.insert`.
    """
    # Written into the statement, since the client's own insert() goes through a temporary file when
    # the engine is embedded and costs twice as much.
    settings = ""
    if token is not None:
        quoted = token.replace("\\", "\\\\").replace("'", "\\'")
        settings = f" SETTINGS async_insert=0, insert_deduplicate=1, insert_deduplication_token='{quoted}'"
    names = ", ".join(f"`{name}`" for name in columns)
    return f"INSERT INTO {table} ({names}){settings} FORMAT JSONEachRow\n{body.decode()}"
