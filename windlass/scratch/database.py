"""The scratch: one DuckDB file of one session, opened in the session's child and nowhere else.

    closed ──first use──> open ──begin(phase)──> in a phase ──commit──> open
                                                     └─────rollback──> open

* **Confined.** DuckDB may read and write below the session's folder, the bundle and what the cascade
  declares; no extension is loaded from outside, and no setting can be changed afterwards. Relative names
  are resolved against the process's working directory, which the child sets to the bundle.
* **No write-ahead log.** Losing the file loses nothing, for what a phase leaves is saved with its
  checkpoint; so the file is only made whole by `close`.
* **One transaction a phase.** It starts when the phase first touches the scratch. Names that other
  phases made are read-only, by two nets: the statements (see `statements`) and the catalog before and
  after (see `catalog`).
* **Lazy restore.** What a session had saved is made again when its name first turns up in a text.

Failure: an error inside a phase leaves the transaction to `rollback`, and what was restored in it is
restored again when it is next needed. A process that dies loses the file, and nothing else.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.records import SavedObject
from windlass.scratch import snapshot
from windlass.scratch.catalog import Entry, Key, find_changes, read_catalog, read_tables
from windlass.scratch.statements import Statement, check_statement, quote_name, read_only

if TYPE_CHECKING:
    import duckdb

CATALOG = "scratch"
# DuckDB's share of the child's memory; the rest is for Python and what it holds of the same rows.
MEMORY_SHARE = 0.7
# DuckDB refuses to work with much less.
MEMORY_BYTES_MIN = 64 << 20
# Texts that can reach tables without naming them; after one of these everything is restored.
_REACHES_ALL = re.compile(
    r"query_table|\bquery\s*\(|information_schema|duckdb_|sqlite_|pg_|\bshow\b|\bpragma\b|\bsummarize\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a phase made: the objects in the order in which they must be made again."""

    entries: tuple[Entry, ...] = ()


@dataclass(slots=True)
class _Phase:
    """What is known of the phase that runs."""

    name: str
    written: set[str] = field(default_factory=set)
    tables: dict[str, int] = field(default_factory=dict)
    macros: dict[str, Entry] = field(default_factory=dict)
    restored: dict[Key, SavedObject] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    changes_catalog: bool = False


class Scratch:
    """The session's tables. One thread uses it.

    Args:
        folder: the session's own folder; the file is `scratch.duckdb` in it. A file left there by a dead
            child is removed: without a log it may be in any state.
        bundle: the folder of the cascade's own files.
        readable, writable: further folders that SQL may read or write.
        memory_bytes: what the whole child may use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bundle: Path,
        readable: Sequence[Path] = (),
        writable: Sequence[Path] = (),
        memory_bytes: int,
    ) -> None:
        self.folder = folder
        self._allowed = [folder, bundle, *readable, *writable]
        self._memory_bytes = max(int(memory_bytes * MEMORY_SHARE), MEMORY_BYTES_MIN)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._known: dict[Key, Entry] = {}
        self._pending: dict[Key, SavedObject] = {}
        self._phase: _Phase | None = None

    @property
    def connection(self) -> "duckdb.DuckDBPyConnection":
        """The open connection; opens the file at the first use."""
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    @property
    def in_phase(self) -> bool:
        """True between `begin` and its end."""
        return self._phase is not None

    def begin(self, phase: str) -> None:
        """Start the transaction of `phase`."""
        assert self._phase is None, "phases of one session don't overlap"
        self.connection.execute("BEGIN")
        self._phase = _Phase(phase)

    def know(self, saved: Iterable[SavedObject]) -> None:
        """Take note of what can be restored, in the order it was saved; later ones replace earlier ones."""
        for item in saved:
            key = _key_of(item)
            self._pending.pop(key, None)  # so that the order is that of the last save
            self._pending[key] = item

    def has_table(self, name: str) -> bool:
        """Is there a table or view `name`, in the file or still to be restored?"""
        return any(
            (kind, name.lower()) in known
            for kind in ("table", "view")
            for known in (self._known, self._pending)
        )

    def table_names(self) -> list[str]:
        """Names of all tables and views, for messages."""
        found = {entry.name for key, entry in self._known.items() if key[0] in ("table", "view")}
        found |= {item.name for key, item in self._pending.items() if key[0] in ("table", "view")}
        return sorted(found)

    def need(self, text: str) -> None:
        """Restore everything whose name occurs in `text`, with what that depends on."""
        if not self._pending:
            return
        low = text.lower()
        takes_all = _REACHES_ALL.search(text) is not None
        for key in list(self._pending):
            if key in self._pending and (takes_all or _occurs(key, low)):
                self._restore(key)

    def check(self, statement: Statement) -> None:
        """Refuse what this phase may not do, and remember what it changes.

        Raises:
            ScratchError: the statement is refused.
        """
        phase = self._running()
        check_statement(statement, protected=self._protected())
        if statement.changes_catalog:
            phase.changes_catalog = True
            phase.written |= {token.name for token in statement.tokens if token.kind != "operator"}
        kind, name = statement.creates
        if kind == "MACRO":
            phase.macros[name] = Entry(name=name, kind="macro", ddl=statement.text, oid=-1, owner=phase.name)

    def write_table(self, name: str, query: str, params: Any = None) -> int:
        """Make the table `name` of this phase anew from a query; the number of its rows.

        Raises:
            ScratchError: an earlier phase made a table of that name.
            duckdb.Error: the query failed.
        """
        phase = self._running()
        if name.lower() in self._protected():
            raise read_only(name)
        self._forget_own(name)
        text = f"CREATE OR REPLACE TABLE {quote_name(name)} AS {query}"
        rows = self.connection.execute(text, params).fetchall()
        phase.written.add(name.lower())
        phase.tables[name.lower()] = count = int(rows[0][0]) if rows else 0
        return count

    def made_by_phase(self) -> Made:
        """What the running phase has made or changed so far; its temporary tables are dropped.

        Raises:
            ScratchError: it changed what is not its own, or made what can't be saved.
        """
        phase = self._running()
        if not phase.changes_catalog:
            # Only queries ran, so that what is new are the tables we made of them.
            own = phase.tables
            return Made(
                tuple(read_tables(self.connection, catalog=CATALOG, owner=phase.name, names=own))
                if own
                else ()
            )
        found = read_catalog(self.connection, catalog=CATALOG, owner=phase.name)
        found.update({("macro", name): entry for name, entry in phase.macros.items()})
        made = find_changes(self._known, found, written=phase.written, phase=phase.name)
        for entry in made:
            if entry.kind == "view":
                self.connection.execute(f"SELECT * FROM {quote_name(entry.name)} LIMIT 0").fetchall()
        return Made(tuple(made))

    def save(self, made: Made, *, into: Path) -> list[SavedObject]:
        """Write what was made in the form that any worker can restore.

        Args:
            made: from `made_by_phase`.
            into: an existing folder that the scratch may write to.

        Raises:
            ScratchError: a column's type can't be saved.
        """
        saved = []
        for entry in made.entries:
            # A name of its own: an earlier child of this session may have left files that are still needed.
            file = into / f"{uuid.uuid4().hex}.parquet"
            self._running().files.append(file)
            saved.append(snapshot.save(self.connection, entry, file))
        return saved

    def write_csv(self, table: str, file: Path) -> Path:
        """Write a table as CSV with a header; `file`."""
        self.connection.execute(f"COPY {quote_name(table)} TO {_text(str(file))} (FORMAT csv, HEADER)")
        return file

    def commit(self, made: Made = Made()) -> None:
        """End the phase; what it made belongs to it from now on."""
        self._running()
        self.connection.execute("COMMIT")
        for entry in made.entries:
            self._known[entry.key] = entry
            self._pending.pop(entry.key, None)
        self._phase = None

    def rollback(self) -> None:
        """End the phase as if it had not been; does nothing outside of one."""
        if self._phase is None:
            return
        import duckdb

        for key in self._phase.restored:
            self._known.pop(key, None)
        self._pending = {**self._phase.restored, **self._pending}
        for file in self._phase.files:
            file.unlink(missing_ok=True)
        self._phase = None
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.Error:
            # The transaction is gone already, for instance after an internal error: the file is useless now.
            self.close()
            raise

    def close(self) -> None:
        """Make the file whole and let go of it."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if self._phase is None:
                connection.execute(f"CHECKPOINT {CATALOG}")
            connection.close()

    def _running(self) -> _Phase:
        assert self._phase is not None, "only inside of a phase"
        return self._phase

    def _protected(self) -> set[str]:
        """Names that the running phase must not change."""
        name = self._running().name
        names = {key[1] for key, entry in self._known.items() if entry.owner != name}
        return names | {key[1] for key, item in self._pending.items() if snapshot.owner_of(item) != name}

    def _forget_own(self, name: str) -> None:
        """Make room for a table of an earlier visit's name, whatever kind that was."""
        self.need(name)
        if ("view", name.lower()) in self._known:
            self.connection.execute(f"DROP VIEW IF EXISTS {quote_name(name)}")

    def _restore(self, key: Key) -> None:
        item = self._pending.pop(key)
        # What its own text names comes first: a view's tables, a macro's macros.
        low = item.ddl.lower()
        for other in list(self._pending):
            if other in self._pending and other != key and _occurs(other, low):
                self._restore(other)
        phase = self._running()
        entry = self._restore_near(item)
        if entry.kind == "table":
            entry = read_tables(
                self.connection, catalog=CATALOG, owner=entry.owner, names={key[1]: entry.rows}
            )[0]
        self._known[key] = entry
        phase.restored[key] = item

    def _restore_near(self, item: SavedObject) -> Entry:
        """Restore from a place that DuckDB may read: the worker keeps fetched files where it likes."""
        if not item.path or Path(item.path).is_relative_to(self.folder):
            return snapshot.restore(self.connection, item)
        near = self.folder / f"restore-{uuid.uuid4().hex}.parquet"
        try:
            os.link(item.path, near)
        except OSError:  # another file system, or one without links
            shutil.copyfile(item.path, near)
        try:
            return snapshot.restore(self.connection, replace(item, path=str(near)))
        finally:
            near.unlink()

    def _open(self) -> "duckdb.DuckDBPyConnection":
        import duckdb

        file = self.folder / "scratch.duckdb"
        for stale in (file, file.with_name(file.name + ".wal")):
            stale.unlink(missing_ok=True)
        folders = {name: self.folder / "duckdb" / name for name in ("temp", "extensions", "secrets")}
        for path in folders.values():
            path.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(
            ":memory:",
            config={
                "temp_directory": str(folders["temp"]),
                "extension_directory": str(folders["extensions"]),
                "secret_directory": str(folders["secrets"]),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": f"{self._memory_bytes}B",
                "python_enable_replacements": False,
                "arrow_lossless_conversion": True,
            },
        )
        connection.execute(f"ATTACH {_text(str(file))} AS {CATALOG} (RECOVERY_MODE no_wal_writes)")
        connection.execute(f"USE {CATALOG}")
        # DuckDB keeps single files (an input that names one) and folders apart; a name may be either.
        allowed = ", ".join(_text(str(path)) for path in dict.fromkeys(self._allowed))
        connection.execute(f"SET allowed_directories = [{allowed}]")
        connection.execute(f"SET allowed_paths = [{allowed}]")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection


def _key_of(item: SavedObject) -> Key:
    return item.kind, item.name.lower()


def _occurs(key: Key, low: str) -> bool:
    """Is the name in the text, as it is or as a quoted identifier has it? Too often is harmless."""
    return key[1] in low or key[1].replace('"', '""') in low


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
