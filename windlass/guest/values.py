"""What authors' values become in JSON: one table, for every kind of phase.

| Python | JSON |
|---|---|
| None, bool, int, str | themselves |
| float | itself; NaN and the infinities become null |
| Decimal | a number if a float holds it exactly as written (15 digits), else its text |
| datetime, date, time | ISO 8601 text |
| timedelta | seconds |
| UUID, Path, Enum | text, text, its value |
| bytes | base64 text |
| dict | object; keys that are numbers, dates or null become text |
| list, tuple, set, frozenset | array; a set's in order where its values have one |
| NumPy scalars and arrays, pandas NA/NaT/Timestamp/Series | as the Python value they stand for |
| pandas DataFrame, pyarrow Table inside a value | array of objects |

Anything else is an error that says where in the value it is.
"""

import base64
import datetime as dt
import enum
import math
import sys
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from windlass.errors import AuthorError
from windlass.records import Json

# Deeper values than this are a structure that contains itself, or one that nobody can read.
DEPTH_MAX = 100
# A float holds every decimal number of up to so many digits.
_EXACT_DIGITS = 15


class NotJson(AuthorError):
    """A value that JSON can't carry."""


def to_json(value: Any, path: str = "result") -> Json:
    """`value` as JSON.

    Args:
        value: what an author's code made.
        path: what to call the value in an error.

    Raises:
        NotJson: names the place, for example `result["files"][0]`.
    """
    return _convert(value, path, 0)


def _convert(value: Any, path: str, depth: int) -> Json:
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if depth > DEPTH_MAX:
        raise NotJson(f"{path} is nested deeper than {DEPTH_MAX} levels", hint="does it contain itself?")
    if kind is dict:
        return _object(value, path, depth)
    if kind is list or kind is tuple:
        return [_convert(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    for base, convert in _CONVERSIONS:
        if isinstance(value, base):
            return convert(value, path, depth)
    return _foreign(value, path, depth)


def _object(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Json]:
    made: dict[str, Json] = {}
    for key, item in value.items():
        name = key if type(key) is str else _key(key, path)
        if name in made:
            raise NotJson(f"{path} has two keys that are both {name!r} in JSON")
        made[name] = _convert(item, f"{path}[{name!r}]", depth + 1)
    return made


def _key(key: Any, path: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if hasattr(key, "item") and type(key).__module__ == "numpy":
        key = key.item()
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, (dt.date, dt.time)):
        return key.isoformat()
    if isinstance(key, (str, int, float, Decimal, uuid.UUID)):
        return str(key)
    raise NotJson(f"{path} has a key of type {type(key).__name__}", hint="keys of an object are text")


def _decimal(value: Decimal) -> Json:
    if not value.is_finite():
        return None
    return float(value) if len(value.as_tuple().digits) <= _EXACT_DIGITS else str(value)


def _items(value: Any, path: str, depth: int) -> list[Json]:
    return [_convert(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]


def _set(value: Any, path: str, depth: int) -> list[Json]:
    try:
        ordered = sorted(value)
    except TypeError:
        ordered = list(value)
    return _items(ordered, path, depth)


# In order: a datetime is a date, an IntEnum an int, a NumPy float64 a float.
_CONVERSIONS: tuple[tuple[Any, Callable[[Any, str, int], Json]], ...] = (
    (enum.Enum, lambda value, path, depth: _convert(value.value, path, depth + 1)),
    (bool, lambda value, path, depth: bool(value)),
    (int, lambda value, path, depth: int(value)),
    (float, lambda value, path, depth: float(value) if math.isfinite(value) else None),
    (str, lambda value, path, depth: str(value)),
    (Mapping, _object),
    ((list, tuple), _items),
    ((set, frozenset), _set),
    (Decimal, lambda value, path, depth: _decimal(value)),
    # isoformat of pandas.NaT is the text "NaT"; it is the only datetime that differs from itself.
    ((dt.date, dt.time), lambda value, path, depth: value.isoformat() if value == value else None),
    (dt.timedelta, lambda value, path, depth: value.total_seconds() if value == value else None),
    ((uuid.UUID, PurePath), lambda value, path, depth: str(value)),
    ((bytes, bytearray, memoryview), lambda value, path, depth: base64.b64encode(value).decode()),
)


def _foreign(value: Any, path: str, depth: int) -> Json:
    """Values of libraries, without importing one that the author didn't."""
    numpy, pandas, arrow = (sys.modules.get(name) for name in ("numpy", "pandas", "pyarrow"))
    if numpy is not None:
        if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
            return (
                None
                if numpy.isnat(value)
                else _convert(
                    value.astype("O" if value.dtype.str[-3:] != "ns]" else "<M8[us]").item(), path, depth + 1
                )
            )
        if isinstance(value, numpy.generic):
            return _convert(value.item(), path, depth + 1)
        if isinstance(value, numpy.ndarray):
            return _convert(value.tolist(), path, depth + 1)
    if pandas is not None:
        if value is pandas.NA or value is pandas.NaT:
            return None
        if isinstance(value, pandas.DataFrame):
            return _convert(value.to_dict("records"), path, depth + 1)
        if isinstance(value, (pandas.Series, pandas.Index)):
            return _convert(value.tolist(), path, depth + 1)
    if arrow is not None and isinstance(value, arrow.Table):
        return _convert(value.to_pylist(), path, depth + 1)
    raise NotJson(
        f"{path} is a {type(value).__module__}.{type(value).__qualname__}, which JSON can't carry",
        hint="set result to numbers, text, lists, dictionaries or a data frame, or write a file to artifacts",
    )
