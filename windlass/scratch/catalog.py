"""What is in a scratch, and what changed since it was last looked at: the second net.

The first net reads statements. This one compares DuckDB's own catalog before and after a phase, so that
a way of writing that the first net doesn't know (a new kind of statement, a macro that hides one) is
found all the same when it adds, removes or redefines anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from windlass.scratch.errors import ScratchError
from windlass.scratch.statements import quote_name, read_only

# (kind, lower-case name): a table and a type may share a name.
Key: TypeAlias = tuple[str, str]

# A look at the tables takes 0.5 ms, at everything 3 ms on the reference machine. Macros are not in it
# (listing functions takes 40 ms); they are known by their statements.
_TABLES = """
SELECT 'table' AS kind, table_name AS name, table_oid AS oid, sql, temporary, database_name
FROM duckdb_tables() WHERE NOT internal
"""
_CATALOG = (
    _TABLES
    + """
UNION ALL SELECT 'view', view_name, view_oid, sql, temporary, database_name
FROM duckdb_views() WHERE NOT internal
UNION ALL SELECT 'type', type_name, type_oid, '', false, database_name
FROM duckdb_types() WHERE NOT internal
ORDER BY oid
"""
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the scratch.

    Attributes:
        name: as it was written.
        kind: table, view, macro or type.
        ddl: the statement that makes it.
        oid: DuckDB's number for it, new whenever it is made anew; -1 for a macro.
        owner: the phase that made it.
        rows: how many rows a table has.
    """

    name: str
    kind: str
    ddl: str
    oid: int
    owner: str
    rows: int = 0

    @property
    def key(self) -> Key:
        """How it is looked up."""
        return self.kind, self.name.lower()


def read_catalog(connection: Any, *, catalog: str, owner: str) -> dict[Key, Entry]:
    """Everything in the scratch, oldest first; temporary tables and views are dropped on the way.

    Args:
        connection: the scratch's DuckDB connection.
        catalog: the name under which its file is attached.
        owner: the phase that is written into the entries.

    Raises:
        ScratchError: something was made outside of the session's file.
    """
    found: dict[Key, Entry] = {}
    for kind, label, oid, ddl, is_temporary, database in connection.execute(_CATALOG).fetchall():
        if is_temporary:
            connection.execute(f"DROP {kind} IF EXISTS temp.main.{quote_name(label)}").fetchall()
            continue
        if database != catalog:
            if kind == "type":
                continue  # DuckDB's own, and what a PIVOT leaves behind
            raise ScratchError(
                f"{database}.{label} is outside of the session's scratch", hint="leave out the database"
            )
        text = _type_ddl(connection, label) if kind == "type" else ddl
        rows = _count(connection, label) if kind == "table" else 0
        entry = Entry(name=label, kind=kind, ddl=text, oid=oid, owner=owner, rows=rows)
        found[entry.key] = entry
    return found


def read_tables(connection: Any, *, catalog: str, owner: str, names: Mapping[str, int]) -> list[Entry]:
    """The tables of these lower-case names (with their numbers of rows), oldest first."""
    query = f"{_TABLES} AND database_name = ? AND list_contains(?, lower(name)) ORDER BY oid"
    return [
        Entry(name=label, kind="table", ddl=ddl, oid=oid, owner=owner, rows=names[label.lower()])
        for _, label, oid, ddl, _, _ in connection.execute(query, [catalog, list(names)]).fetchall()
    ]


def find_changes(
    known: Mapping[Key, Entry], found: Mapping[Key, Entry], *, written: Collection[str], phase: str
) -> list[Entry]:
    """What the phase made or changed, in the order in which it can be made again.

    Args:
        known: the scratch before the phase.
        found: the scratch now.
        written: lower-case names that the phase's statements may have changed.
        phase: its name.

    Raises:
        ScratchError: it changed, or removed, what is not its own.
    """
    made = []
    for key, entry in found.items():
        before = known.get(key)
        is_changed = before is None or not _is_same(before, entry)
        if before is not None and before.owner != phase:
            if is_changed:
                raise read_only(entry.name)
        elif is_changed or key[1] in written:
            made.append(entry)
    for key, before in known.items():
        if key not in found and key[0] != "macro":
            if before.owner != phase:
                raise read_only(before.name)
            raise ScratchError(
                f"{before.name} was saved by an earlier visit of this phase and can't be dropped",
                hint="make it anew with CREATE OR REPLACE",
            )
    return made


def _is_same(before: Entry, now: Entry) -> bool:
    # What was restored as a view or a type has no number that could be compared.
    return (
        before.rows == now.rows
        and (before.oid in (-1, now.oid))
        and (before.oid == -1 or before.ddl == now.ddl)
    )


def _count(connection: Any, table: str) -> int:
    # Of the transaction's own view: DuckDB's estimate leaves out what is not committed yet.
    return int(connection.execute(f"SELECT count(*) FROM {quote_name(table)}").fetchall()[0][0])


def _type_ddl(connection: Any, name: str) -> str:
    # DuckDB resolves the name to what the type is made of.
    kind = connection.sql(f"SELECT CAST(NULL AS {quote_name(name)})").types[0]
    return f"CREATE TYPE {quote_name(name)} AS {kind}"
