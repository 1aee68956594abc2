"""The engine's handles behind the endpoint: a bounded pool that remembers what each was set to.

A handle runs one statement at a time and keeps its `SET`s and its database. A client sends the same
settings with each request, so a request gets the idle handle that is already set that way, and in
the steady state nothing is set at all.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# Statements at once. The engine has two cores' worth of work here; more handles only wait inside it.
HANDLES_MAX = 16
_CHECKOUT_S_MAX = 30.0
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Busy(Exception):
    """All handles are in use, or the pool is closed."""


class EngineError(Exception):
    """The engine refused a statement; the text is its own and has a `Code: n.` in it."""


@dataclass(slots=True)
class Handle:
    """One engine handle and what it was set to."""

    connection: Any
    database: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    is_spent: bool = False

    def prepare(self, database: str, settings: Mapping[str, str]) -> None:
        """Set the handle to exactly this database and these settings.

        Raises:
            EngineError: there is no such database or setting.
        """
        if database and database != self.database:
            self.run(f"USE {quote_name(database)}".encode(), "TabSeparated", {})
            self.database = database
        # Read-only comes last, because after it nothing else can be set, and the handle is not used again.
        for name in sorted({*self.settings, *settings}, key=lambda name: name == "readonly"):
            if self.settings.get(name) != settings.get(name):
                self._set(name, settings.get(name))
        self.is_spent = self.is_spent or "readonly" in settings

    def run(self, statement: bytes, form: str, params: Mapping[str, str]) -> bytes:
        """Run a statement and give its whole answer."""
        try:
            return bytes(self.connection.query(statement, form, params=dict(params)).bytes() or b"")
        except Exception as error:  # The engine raises RuntimeError and its own; both carry its text.
            raise EngineError(str(error)) from None

    def stream(self, statement: bytes, form: str, params: Mapping[str, str]) -> Iterator[bytes]:
        """Run a statement and give its answer block by block."""
        try:
            # An unfinished stream makes the handle useless, and so does an error in the middle of one.
            self.is_spent, spent = True, self.is_spent
            for chunk in self.connection.send_query(statement, form, params=dict(params)):
                yield bytes(chunk.bytes())
            self.is_spent = spent
        except GeneratorExit:
            raise
        except Exception as error:  # As in `run`.
            raise EngineError(str(error)) from None

    def _set(self, name: str, value: str | None) -> None:
        if not _NAME.fullmatch(name):
            raise EngineError(
                f"Code: 115. DB::Exception: Setting {name!r} is neither a builtin setting nor a name"
            )
        literal = "DEFAULT" if value is None else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        self.run(f"SET {name} = {literal}".encode(), "TabSeparated", {})
        if value is None:
            self.settings.pop(name, None)
        else:
            self.settings[name] = value


class Handles:
    """The pool. Any thread may use it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._free = threading.BoundedSemaphore(HANDLES_MAX)
        self._lock = threading.Lock()
        self._idle: list[Handle] = []
        self._used = 0
        self._closed = False

    @contextmanager
    def handle(self, database: str, settings: Mapping[str, str]) -> Iterator[Handle]:
        """A handle that is set this way, for one statement.

        Raises:
            Busy: none came free in time, or the endpoint is closing.
            EngineError: the handle cannot be set this way.
        """
        if self._closed or not self._free.acquire(timeout=_CHECKOUT_S_MAX):
            raise Busy
        try:
            handle = self._take(database, settings)
            try:
                handle.prepare(database, settings)
                yield handle
            finally:
                self._give_back(handle)
        finally:
            self._free.release()

    def refuse(self) -> None:
        """Give out no more handles."""
        self._closed = True

    def cancel(self) -> None:
        """Ask the engine to stop every statement that runs; each ends with an error of its own."""
        import chdb

        connection = chdb.connect(self._folder)  # type: ignore[no-untyped-call]
        try:
            connection.query("KILL QUERY WHERE query_id != queryID() ASYNC", "TabSeparated")
        finally:
            connection.close()

    def close(self) -> bool:
        """Close all handles that are idle; False when some are still in use, which nobody may close."""
        self._closed = True
        with self._lock:
            idle, self._idle = self._idle, []
            is_unused = self._used == 0
        for handle in idle:
            handle.connection.close()
        return is_unused

    def _take(self, database: str, settings: Mapping[str, str]) -> Handle:
        import chdb

        with self._lock:
            self._used += 1
            for index, handle in enumerate(reversed(self._idle)):
                if handle.settings == settings and handle.database == (database or handle.database):
                    return self._idle.pop(len(self._idle) - 1 - index)
            if len(self._idle) >= HANDLES_MAX - self._used + 1:
                return self._idle.pop(0)
            try:
                return Handle(chdb.connect(self._folder))  # type: ignore[no-untyped-call]
            except BaseException:
                self._used -= 1
                raise

    def _give_back(self, handle: Handle) -> None:
        with self._lock:
            self._used -= 1
            if not handle.is_spent and not self._closed:
                self._idle.append(handle)
                return
        handle.connection.close()


def quote_name(name: str) -> str:
    """`name` as a quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
