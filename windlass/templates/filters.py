"""The filters that are ours, and which of Jinja's are kept."""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from jinja2 import Undefined, pass_environment
from jinja2.filters import FILTERS, make_attrgetter

from windlass.clock import iso
from windlass.templates.bounds import Meter
from windlass.templates.errors import TemplateError

# Filters that hand on, choose or count: they make no text of what they are given, so what they are
# given need not be measured as text first.
_STRUCTURAL = frozenset((
    "abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby", "int",
    "items", "last", "length", "list", "map", "max", "min", "random", "reject", "rejectattr",
    "reverse", "round", "select", "selectattr", "slice", "sort", "sum", "unique",
))  # fmt: skip


class Raw(str):
    """A text that its author wants as it is, where values are otherwise quoted."""

    __slots__ = ()


# What there is, for a message that guesses what was meant.
FILTER_NAMES = (*FILTERS, "raw", "fromjson", "sql_literal", "shell_quote")


def is_structural(name: str) -> bool:
    """Does the filter only hand on what it is given?"""
    return name in _STRUCTURAL


def standard_filters(meter: Callable[[], Meter]) -> dict[str, Callable[..., Any]]:
    """Every filter by name.

    Args:
        meter: gives the meter of the rendering that runs in the calling thread.
    """

    def join(environment: Any, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        """Join the items, measured one by one."""
        if attribute is not None:
            value = map(make_attrgetter(environment, attribute), value)
        return meter().joined(_between(meter().text(d), (meter().text(item) for item in value)))

    def total(environment: Any, value: Iterable[Any], attribute: Any = None, start: Any = 0) -> Any:
        """Sum the items with the bounded `+`, so that lists can be summed too."""
        if attribute is not None:
            value = map(make_attrgetter(environment, attribute), value)
        result = start
        for item in value:
            meter().tick()
            result = environment.add(result, item)
        return result

    def text(value: Any) -> str:
        """The value as text."""
        return meter().text(value)

    def escape(value: Any) -> str:
        """The text with its markup written as HTML entities."""
        from markupsafe import escape as html_escape

        return str(html_escape(meter().text(value)))

    def raw(value: Any) -> Raw:
        """The text as it is, where values are otherwise quoted (shell)."""
        return Raw(meter().text(value))

    ours: dict[str, Callable[..., Any]] = {
        "join": pass_environment(join),
        "sum": pass_environment(total),
        "string": text,
        "safe": text,
        "e": escape,
        "escape": escape,
        "forceescape": escape,
        "raw": raw,
        "tojson": to_json,
        "fromjson": from_json,
        "sql_literal": sql_literal,
        "shell_quote": shell_quote,
    }
    return {**FILTERS, **ours}


def to_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON text."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_json_default)


def from_json(value: str) -> Any:
    """The value that a JSON text says."""
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise TemplateError(f"fromjson: the text is not JSON: {error}") from None


def sql_literal(value: Any) -> str:
    """The value as an SQL literal: text is quoted, null is NULL, a list is a DuckDB list."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value) if _is_finite(value) else f"'{value!r}'::DOUBLE"
    if isinstance(value, date):
        return _sql_text(_json_default(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(sql_literal(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return _sql_text(to_json(value))
    return _sql_text(_plain(value))


def shell_quote(value: Any) -> str:
    """The value as one word of a shell; a list as several."""
    if isinstance(value, list | tuple):
        return " ".join(shell_quote(item) for item in value)
    return shlex.quote(value if isinstance(value, str) else to_json(value))


def _between(separator: str, texts: Iterable[str]) -> Iterable[str]:
    for position, each in enumerate(texts):
        if position:
            yield separator
        yield each


def _is_finite(value: float) -> bool:
    return value - value == 0


def _sql_text(text: str) -> str:
    if "\0" in text:
        raise TemplateError("sql_literal: a text for SQL can't hold a NUL character")
    return "'" + text.replace("'", "''") + "'"


def _plain(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a value of type {type(value).__name__} has no SQL literal")
    return value


def _json_default(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises, and says which name
    if hasattr(value, "tzinfo"):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, range):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__} is not JSON; end a chain with | list")
