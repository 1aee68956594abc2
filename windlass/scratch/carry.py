"""How values of every DuckDB type get into Parquet and out again, exactly.

Parquet has no place for some types (a HUGEINT becomes a DOUBLE, a time with time zone loses its zone, an
INTERVAL its microseconds and its sign), so those leaves travel as text that casts back to the same value.
A UNION travels as a struct of its tag and its members. The walk follows the type, so that a leaf inside
a list of structs in a map is found as well. What needs no help is passed as it is, at full speed.

The same walk makes values presentable: `shown` (text for what Python or JSON can't hold) and `framed`
(for data frames).
"""

from collections.abc import Callable
from typing import Any

from windlass.scratch.errors import ScratchError

# A leaf function returns the new expression, or None where the walk should go on.
Leaf = Callable[[str, Any], "str | None"]

_AS_TEXT = {"hugeint", "uhugeint", "interval", "time with time zone", "bignum", "bit"}
_UNSUPPORTED = {"geometry", "aggregate_state", "lambda", "pointer", "invalid", "any", "unknown"}
_SHOWN_AS_TEXT = {
    "interval",
    "time with time zone",
    "timestamp with time zone",
    "timestamp_ns",
    "time_ns",
    "bit",
    "bignum",
    "geometry",
    "variant",
}
# How deep types may nest; an author's tables have three or four levels.
_DEPTH_MAX = 32


def carried(expression: str, kind: Any) -> str:
    """The SQL expression to write to Parquet for `expression` of the DuckDB type `kind`."""
    return _rebuild(expression, kind, _carried_leaf, 0)


def restored(expression: str, kind: Any) -> str:
    """The SQL expression that makes, of what `carried` wrote, a value of the type `kind` again."""
    return _rebuild(expression, kind, _restored_leaf, 0)


def shown(expression: str, kind: Any) -> str:
    """`expression` with those leaves as text that Python's own types or JSON can't hold exactly."""
    return _rebuild(expression, kind, _shown_leaf, 0)


def framed(expression: str, kind: Any) -> str:
    """`expression` as it goes into a data frame; HUGEINT columns are the caller's business."""
    return _rebuild(expression, kind, _framed_leaf, 0)


def check_savable(table: str, column: str, kind: Any, depth: int = 0) -> None:
    """Refuse a column that could not be restored.

    Raises:
        ScratchError: names the table, the column and the type.
    """
    if kind.id in _UNSUPPORTED or depth > _DEPTH_MAX:
        raise ScratchError(
            f"column {column} of {table} has the type {kind}, which can't be saved",
            hint="cast it to another type, for example to VARCHAR",
        )
    for _, child in _children(kind):
        check_savable(table, column, child, depth + 1)


def _children(kind: Any) -> list[tuple[str, Any]]:
    """(name, type) of what a nested type is made of; a union's tag is left out."""
    if kind.id not in ("list", "array", "struct", "map", "union"):
        return []
    children: list[tuple[str, Any]] = [(name, child) for name, child in kind.children if name != "size"]
    if kind.id == "struct":
        children = list(kind.children)
    return children[1:] if kind.id == "union" else children


def _rebuild(expression: str, kind: Any, leaf: Leaf, depth: int) -> str:
    made = leaf(expression, kind)
    if made is not None:
        return made
    if kind.id in ("list", "array"):
        return _rebuild_list(expression, kind, leaf, depth)
    if kind.id == "struct":
        return _rebuild_struct(expression, kind, leaf, depth)
    if kind.id == "map":
        return _rebuild_map(expression, kind, leaf, depth)
    return expression


def _rebuild_list(expression: str, kind: Any, leaf: Leaf, depth: int) -> str:
    child = kind.children[0][1]
    item = f"e{depth}"
    inner = _rebuild(item, child, leaf, depth + 1)
    if inner == item:
        return expression
    source = (
        f"CAST({expression} AS {child}[])"
        if kind.id == "array" and leaf is not _restored_leaf
        else expression
    )
    return f"list_transform({source}, lambda {item}: {inner})"


def _rebuild_struct(expression: str, kind: Any, leaf: Leaf, depth: int) -> str:
    parts, is_changed = [], False
    for number, (name, child) in enumerate(kind.children, start=1):
        field = f"struct_extract({expression}, {_text(name) if name else number})"
        inner = _rebuild(field, child, leaf, depth + 1)
        is_changed |= inner != field
        parts.append(f"{_name(name)} := {inner}" if name else inner)
    if not is_changed:
        return expression
    maker = "struct_pack" if kind.children[0][0] else "row"
    return f"CASE WHEN {expression} IS NULL THEN NULL ELSE {maker}({', '.join(parts)}) END"


def _rebuild_map(expression: str, kind: Any, leaf: Leaf, depth: int) -> str:
    item = f"e{depth}"
    key = _rebuild(f"{item}.key", kind.children[0][1], leaf, depth + 1)
    value = _rebuild(f"{item}.value", kind.children[1][1], leaf, depth + 1)
    if (key, value) == (f"{item}.key", f"{item}.value"):
        return expression
    pair = f"struct_pack(key := {key}, value := {value})"
    return f"map_from_entries(list_transform(map_entries({expression}), lambda {item}: {pair}))"


def _carried_leaf(expression: str, kind: Any) -> str | None:
    if kind.id in _AS_TEXT:
        return f"CAST({expression} AS VARCHAR)"
    if kind.id == "enum":
        return f"CAST({expression} AS VARCHAR)"
    if kind.id == "union":
        members = "".join(
            f", m{number} := "
            + _rebuild(f"union_extract({expression}, {_text(name)})", child, _carried_leaf, 0)
            for number, (name, child) in enumerate(_children(kind))
        )
        return (
            f"CASE WHEN {expression} IS NULL AND union_tag({expression}) IS NULL THEN NULL"
            f" ELSE struct_pack(tag := CAST(union_tag({expression}) AS VARCHAR){members}) END"
        )
    return None


def _restored_leaf(expression: str, kind: Any) -> str | None:
    if kind.id in _AS_TEXT or kind.id == "enum":
        return f"CAST({expression} AS {kind})"
    if kind.id == "array":
        # Parquet has only lists, and a list inside a struct doesn't become an array by itself.
        return f"CAST({_rebuild_list(expression, kind, _restored_leaf, depth=0)} AS {kind})"
    if kind.id != "union":
        return None
    cases = "".join(
        f" WHEN {_text(name)} THEN CAST(union_value({_name(name)} := CAST("
        + _rebuild(f"struct_extract({expression}, 'm{number}')", child, _restored_leaf, 0)
        + f" AS {child})) AS {kind})"
        for number, (name, child) in enumerate(_children(kind))
    )
    return f"CASE struct_extract({expression}, 'tag'){cases} ELSE NULL END"


def _shown_leaf(expression: str, kind: Any) -> str | None:
    return f"CAST({expression} AS VARCHAR)" if kind.id in _SHOWN_AS_TEXT else None


def _framed_leaf(expression: str, kind: Any) -> str | None:
    if kind.id in ("time with time zone", "bit", "bignum", "variant", "geometry", "uuid", "union"):
        return f"CAST({expression} AS VARCHAR)"
    return f"CAST({expression} AS VARCHAR)" if str(kind) == "JSON" else None


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
