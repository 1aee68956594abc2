"""Tables between the scratch and Python, with their types and without a list of dictionaries on the way.

A table becomes a data frame through Arrow, which is several times as fast as DuckDB's own conversion:

| SQL | pandas |
|---|---|
| integers, booleans | NumPy's, or pandas' nullable Int64/boolean where there are NULLs |
| FLOAT, DOUBLE | NumPy's; NULL is NaN (and comes back as NULL) |
| VARCHAR, ENUM | str |
| TIMESTAMP, TIMESTAMPTZ | datetime64 |
| DATE | datetime64; comes back as DATE while the column keeps its name and has no time of day |
| HUGEINT (every sum of integers) | int64 where it fits, else Python's int |
| DECIMAL, nested types, TIME, BLOB | Arrow-backed columns that hold the exact values |
| UUID, INTERVAL, JSON, BIT, UNION, VARIANT | text |

Back: named index levels become columns, an unnamed index is dropped, names of columns become text.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from windlass.errors import AuthorError
from windlass.guest.values import to_json
from windlass.records import Json
from windlass.scratch import Scratch, framed, quote_name, shown

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# The rows that an output shows; the table has all of them.
SHOWN_ROWS = 1_000
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def preview(scratch: Scratch, table: str, row_count: int) -> dict[str, Json]:
    """The output of a phase that made rows: {rows, columns, row_count, truncated}."""
    relation = scratch.connection.sql(f"SELECT * FROM {quote_name(table)} LIMIT 0")
    columns = list(relation.columns)
    wanted = ", ".join(
        f"{shown(quote_name(name), kind)} AS {quote_name(name)}"
        for name, kind in zip(columns, relation.types, strict=True)
    )
    cursor = scratch.connection.execute(f"SELECT {wanted} FROM {quote_name(table)} LIMIT {SHOWN_ROWS}")
    rows = [to_json(dict(zip(columns, row, strict=True)), "row") for row in cursor.fetchall()]
    return {"rows": rows, "columns": columns, "row_count": row_count, "truncated": row_count > len(rows)}


def read_frame(scratch: Scratch, table: str) -> "tuple[pd.DataFrame, set[str]]":
    """The table as a data frame, and the names of its DATE columns."""
    import pandas as pd

    relation = scratch.connection.sql(f"SELECT * FROM {quote_name(table)} LIMIT 0")
    types = dict(zip(relation.columns, relation.types, strict=True))
    huge = {name for name, kind in types.items() if kind.id in ("hugeint", "uhugeint")}
    small = {name for name in huge if _fits(scratch, table, name)}
    wanted = []
    for name, kind in types.items():
        column = quote_name(name)
        if name in huge:
            wanted.append(f"CAST({column} AS {'BIGINT' if name in small else 'VARCHAR'}) AS {column}")
        elif kind.id == "interval":
            wanted.append(f"CAST({column} AS VARCHAR) AS {column}")
        else:
            wanted.append(f"{framed(column, kind)} AS {column}")
    arrow = scratch.connection.sql(f"SELECT {', '.join(wanted)} FROM {quote_name(table)}").to_arrow_table()
    frame = _to_pandas(arrow)
    for name in huge - small:
        frame[name] = pd.Series(
            [None if text is None else int(text) for text in arrow[name].to_pylist()], dtype=object
        )
    return frame, {name for name, kind in types.items() if kind.id == "date"}


def write_frame(scratch: Scratch, table: str, value: Any, dates: Iterable[str] = ()) -> int:
    """Make `table` of a data frame or an Arrow table; the number of rows.

    Args:
        scratch: with a phase begun.
        table: the name, quoted by us.
        value: a pandas DataFrame, a pyarrow Table, or what has `to_arrow()`.
        dates: names of columns that were DATE when the phase was given them.

    Raises:
        AuthorError: a column mixes types that one column can't hold.
    """
    arrow = to_arrow(value, dates)
    # A view in DuckDB's in-memory catalog, gone right after: nothing else can see or save it.
    scratch.connection.register("_windlass_frame", arrow)
    try:
        return scratch.write_table(table, "SELECT * FROM _windlass_frame")
    finally:
        scratch.connection.unregister("_windlass_frame")


def to_arrow(value: Any, dates: Iterable[str] = ()) -> "pa.Table":
    """A data frame of any of the libraries we know as an Arrow table; arguments as in `write_frame`.

    Raises:
        AuthorError: a column can't become a table's.
    """
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value.rename_columns(list(_unique(value.column_names)))
    return _to_arrow(value, set(dates))


def rows_to_arrow(rows: Sequence[dict[str, Any]]) -> "pa.Table":
    """A table of a list of objects; columns in order of first appearance, absent values NULL.

    A column whose values no one type can hold (numbers and text, an empty object) becomes text, what is
    no text in it as JSON.
    """
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [_column([row.get(name) for row in rows]) for name in names]
    return pa.Table.from_arrays(columns, names=list(_unique(str(name) for name in names)))


def _unique(names: Iterable[str]) -> Iterator[str]:
    """The names, numbered where DuckDB could not tell them apart ("a" and "A")."""
    taken: set[str] = set()
    for name in names:
        unique, number = name or "column", 1
        while unique.lower() in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique.lower())
        yield unique


def _column(values: list[Any]) -> Any:
    import pyarrow as pa

    for kind in (None, pa.decimal128(38, 0)):
        try:
            made = pa.array(values, type=kind, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            continue
        if not _has_empty_struct(made.type):
            return made
        break
    return pa.array([_as_text(value) for value in values], type=pa.string())


def _as_text(value: Any) -> str | None:
    """One value of a column whose values have no type in common."""
    converted = to_json(value)
    if converted is None or isinstance(converted, str):
        return converted
    return json.dumps(converted, ensure_ascii=False)


def _has_empty_struct(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return True
    return any(_has_empty_struct(kind.field(index).type) for index in range(kind.num_fields))


def _fits(scratch: Scratch, table: str, column: str) -> bool:
    name = quote_name(column)
    rows = scratch.connection.execute(f"SELECT min({name}), max({name}) FROM {quote_name(table)}").fetchall()
    low, high = rows[0]
    return low is None or (low >= _INT64_MIN and high <= _INT64_MAX)


def _to_pandas(arrow: "pa.Table") -> "pd.DataFrame":
    import pandas as pd
    import pyarrow as pa

    plain = {
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_timestamp,
        pa.types.is_string,
    }
    nullable = {
        "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "uint8": "UInt8",
        "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64", "bool": "boolean",
    }  # fmt: skip
    for index, field in enumerate(arrow.schema):
        if pa.types.is_dictionary(field.type):
            arrow = arrow.set_column(index, field.name, arrow.column(index).cast(pa.string()))
        elif pa.types.is_date(field.type):
            arrow = arrow.set_column(index, field.name, arrow.column(index).cast(pa.timestamp("us")))

    def backed(kind: Any) -> Any:
        return None if any(check(kind) for check in plain) else pd.ArrowDtype(kind)

    frame: pd.DataFrame = arrow.to_pandas(types_mapper=backed)
    for index, field in enumerate(arrow.schema):
        name = nullable.get(str(field.type))
        if name is not None and arrow.column(index).null_count:
            mapper = {field.type: pd.api.types.pandas_dtype(name)}.get
            frame[field.name] = arrow.select([index]).to_pandas(types_mapper=mapper)[field.name]
    return frame


def _to_arrow(value: Any, dates: set[str]) -> "pa.Table":
    import pandas as pd
    import pyarrow as pa

    if not isinstance(value, pd.DataFrame):
        made: pa.Table = value.to_arrow_table() if hasattr(value, "to_arrow_table") else value.to_arrow()
        return made
    frame = _flat(value)
    arrays = []
    for name, (_, series) in zip(frame.columns, frame.items(), strict=True):
        arrays.append(_series(str(name), series, name in dates))
    return pa.Table.from_arrays(arrays, names=list(_unique(str(name) for name in frame.columns)))


def _flat(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The frame with named index levels as columns and one level of column names."""
    import pandas as pd

    if any(name is not None for name in frame.index.names):
        try:
            frame = frame.reset_index()
        except ValueError as error:
            raise AuthorError(
                f"the index can't become columns: {error}", hint="rename it, or reset_index(drop=True)"
            ) from None
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.copy(deep=False)
        frame.columns = ["_".join(str(part) for part in name if str(part)) for name in frame.columns]
    return frame


def _series(name: str, series: "pd.Series[Any]", is_date: bool) -> Any:
    import pyarrow as pa

    if series.dtype == object:
        return _column(series.tolist())
    try:
        made = pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise AuthorError(f"column {name} of the data frame can't become a table's: {error}") from None
    if (
        is_date
        and pa.types.is_timestamp(made.type)
        and bool((series.dropna() == series.dropna().dt.normalize()).all())
    ):
        return made.cast(pa.date32())
    return made
