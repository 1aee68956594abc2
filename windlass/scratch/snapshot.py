"""One object of a scratch, out of it and in again: a statement, and for a table a Parquet file beside it.

The statement's first line is a comment that names the phase that made the object, so that whoever
restores it knows whose it is: `-- phase: tickets`.
"""

import hashlib
from pathlib import Path
from typing import Any

from windlass.records import SavedObject
from windlass.scratch.carry import carried, check_savable, restored
from windlass.scratch.catalog import Entry
from windlass.scratch.statements import quote_name

# Measured on a million rows of five columns: snappy 87 ms and 8.8 MB, lz4_raw 96 ms and 8.5 MB, zstd 104
# ms and 2.3 MB. Rows go over the network to the store more often than not, so zstd's fifth of the size
# is worth its fifth of the time.
CODEC = "zstd"
_OWNER = "-- phase: "


def save(connection: Any, entry: Entry, file: Path) -> SavedObject:
    """Write `entry`, a table's rows to `file`.

    Raises:
        ScratchError: a column's type can't be saved.
        OSError, duckdb.Error: the file can't be written.
    """
    ddl = f"{_OWNER}{entry.owner}\n{entry.ddl}"
    if entry.kind != "table":
        return SavedObject(name=entry.name, kind=entry.kind, ddl=ddl)
    columns = _columns(connection, entry.name, entry.ddl)
    for column, kind in columns:
        check_savable(entry.name, column, kind)
    # Numbered names: Parquet's own rules for names then never matter.
    wanted = ", ".join(
        f"{carried(quote_name(column), kind)} AS c{i}" for i, (column, kind) in enumerate(columns)
    )
    connection.execute(
        f"COPY (SELECT {wanted} FROM {quote_name(entry.name)}) TO {_text(str(file))}"
        f" (FORMAT parquet, CODEC {CODEC})"
    ).fetchall()
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SavedObject(
        name=entry.name,
        kind="table",
        ddl=ddl,
        path=str(file),
        rows=entry.rows,
        bytes=file.stat().st_size,
        sha256=digest,
    )


def restore(connection: Any, item: SavedObject) -> Entry:
    """Make `item` again; what it depends on must be there.

    Raises:
        duckdb.Error: its file is missing or damaged.
    """
    owner = owner_of(item)
    ddl = item.ddl.split("\n", 1)[1] if item.ddl.startswith(_OWNER) else item.ddl
    connection.execute(ddl).fetchall()
    if item.kind == "table":
        columns = _columns(connection, item.name, ddl)
        names = ", ".join(quote_name(column) for column, _ in columns)
        values = ", ".join(restored(f"c{i}", kind) for i, (_, kind) in enumerate(columns))
        source = f"read_parquet({_text(item.path)})"
        insert = f"INSERT INTO {quote_name(item.name)} ({names}) SELECT {values} FROM {source}"
        connection.execute(insert).fetchall()
    return Entry(name=item.name, kind=item.kind, ddl=ddl, oid=-1, owner=owner, rows=item.rows)


def owner_of(item: SavedObject) -> str:
    """The phase that made `item`, "" when it doesn't say."""
    first = item.ddl.split("\n", 1)[0]
    return first.removeprefix(_OWNER) if first.startswith(_OWNER) else ""


def _columns(connection: Any, table: str, ddl: str) -> list[tuple[str, Any]]:
    """Names and types of a table's columns, those left out that compute themselves."""
    relation = connection.sql(f"SELECT * FROM {quote_name(table)} LIMIT 0")
    columns = list(zip(relation.columns, relation.types, strict=True))
    if "GENERATED" not in ddl:
        return columns
    query = "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND is_generated"
    generated = {row[0] for row in connection.execute(query, [table]).fetchall()}
    return [(name, kind) for name, kind in columns if name not in generated]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
