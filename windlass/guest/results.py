"""What becomes of the value that authors' code left: an output, and tables.

| value | `python` | `python_data`, `js_data` |
|---|---|---|
| data frame (pandas, polars, Arrow) | table `_<phase>`; {rows, columns, row_count, truncated} | the same |
| list of objects | the list, and a table `_<phase>` | table; {rows, columns, row_count, truncated} |
| object | itself | itself, a one-row table, and `_<phase>_<key>` for each list of objects in it |
| anything else | itself | {result: value} |

`_route` in an object says where the session goes on.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from windlass.errors import AuthorError
from windlass.guest.frames import preview, rows_to_arrow, write_frame
from windlass.guest.values import to_json
from windlass.records import Json
from windlass.scratch import Scratch

_TABLE_TYPES = (
    ("pandas", "DataFrame"), ("polars", "DataFrame"), ("polars", "LazyFrame"), ("pyarrow", "Table"),
    ("duckdb", "DuckDBPyRelation"),
)  # fmt: skip


def is_frame(value: Any) -> bool:
    """Is it a table of one of the libraries we know? None is imported for asking."""
    for module, name in _TABLE_TYPES:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(value, kind):
            return True
    return False


def is_rows(value: Any) -> bool:
    """Is it a list of objects, and not an empty one?"""
    return isinstance(value, list) and bool(value) and all(type(item) is dict for item in value)


def route_of(value: Any) -> str:
    """The `_route` of an object, "" where there is none."""
    return value["_route"] if isinstance(value, dict) and isinstance(value.get("_route"), str) else ""


def frame_output(scratch: Scratch, table: str, value: Any, dates: Iterable[str] = ()) -> dict[str, Json]:
    """Make the table of a data frame; its output."""
    if type(value).__name__ == "LazyFrame":
        value = value.collect()
    if len(getattr(value, "columns", ())) == 0:
        # DuckDB has no table without columns; the output alone says how many rows there were.
        return {"rows": [], "columns": [], "row_count": len(value), "truncated": False}
    return preview(scratch, table, write_frame(scratch, table, value, dates))


def shape_python(scratch: Scratch, table: str, value: Any) -> Json:
    """The output of a `python` phase for a value that is no data frame; objects make a table too."""
    output = to_json(value)
    if is_rows(value) and any(value):
        write_frame(scratch, table, rows_to_arrow(value))
    return output


def shape_data(scratch: Scratch, table: str, value: Any) -> Json:
    """The output of a data tool for a value that is no data frame, with the tables it makes."""
    if is_rows(value) and any(value):
        return preview(scratch, table, write_frame(scratch, table, rows_to_arrow(value)))
    if isinstance(value, list) and not value:
        return {"rows": [], "columns": [], "row_count": 0, "truncated": False}
    output = to_json(value)
    if not isinstance(output, dict):
        return {"result": output}
    for key, item in output.items():
        if is_rows(item) and any(item):
            write_frame(scratch, f"{table}_{key}", rows_to_arrow(item))
    if output:
        write_frame(scratch, table, rows_to_arrow([output]))
    return output


def check_size(output: Json, bytes_max: int) -> None:
    """Refuse an output that a checkpoint should not carry.

    Raises:
        AuthorError: says how large it is and what to do instead.
    """
    size = len(json.dumps(output, ensure_ascii=False))
    if size > bytes_max:
        raise AuthorError(
            f"the output is {size / 1e6:.1f} MB of JSON; the most is {bytes_max / 1e6:.1f} MB",
            hint="return a table (its rows are not part of the output), or write a file to `artifacts`",
        )
