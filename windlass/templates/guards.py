"""Sizes calculated before one call of C code makes them: operators, string methods and filters."""

import operator
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from jinja2.sandbox import SandboxedFormatter

from windlass.templates.bounds import Meter, text_bytes
from windlass.templates.errors import TemplateError

Guard: TypeAlias = Callable[..., None]

# Bits of a whole number: twenty thousand digits, and every operation on two such is quick.
_BITS_MAX = 65_536
# Characters that a filter which is slow in Python (wordwrap, urlize …) may be given.
_SLOW_CHARS_MAX = 256 * 1024
# Digits after the point, or characters of a text that is read as a number.
_PRECISION_MAX = 300
_NUMBER_CHARS_MAX = 4_000
# Rows or columns that `batch` and `slice` make.
_CHUNKS_MAX = 100_000
# Numbers that `range` gives, and values that `fromjson` reads: each takes some 60 bytes.
_RANGE_MAX = 100_000
_JSON_PARTS_MAX = 1_000_000
# Spaces of one level of indentation in `tojson`.
_JSON_INDENT_MAX = 16

_PRINTF = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d*)(?:\.(\*|\d*))?[hlL]?(.)", re.DOTALL)


def binary(meter: Meter, symbol: str, left: Any, right: Any) -> Any:
    """`left symbol right`, if its result is small enough."""
    if symbol == "%" and isinstance(left, str):
        printf(meter, left, right)
    elif isinstance(left, int) and isinstance(right, int):
        _whole_numbers(symbol, left, right)
    elif symbol == "*":
        _repetition(meter, left, right)
    elif symbol == "+" and isinstance(left, str | list | tuple):
        meter.expect(meter.measure(left) + meter.measure(right))
    return meter.made(_OPERATORS[symbol](left, right))


def printf(meter: Meter, text: str, values: Any) -> None:
    """Guards `text % values`: widths, precisions, and values that are printed many times."""
    size = len(text)
    value_size = meter.measure(values, as_text=True)
    for found in _PRINTF.finditer(text):
        if "*" in found.group(1, 2):
            raise TemplateError("'%*' takes its width from a value; write the width as a number")
        size += int(found[1] or 0) + int(found[2] or 0) + (0 if found[3] == "%" else value_size)
        meter.expect(size)


def method(meter: Meter, text: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Guards the string method `text.name(*args)`; what `join` joins has to be a list by now."""
    guard = _METHODS.get(name)
    if guard is not None:
        guard(meter, text, *args, **kwargs)


def filter_guard(name: str) -> Guard | None:
    """What looks at the arguments of the filter `name` before it runs, or None."""
    return _FILTERS.get(name)


def bounded_range(*args: int) -> range:
    """`range` of so many numbers as a loop may have steps."""
    numbers = range(*args)
    if len(numbers) > _RANGE_MAX:
        raise TemplateError(f"range gives at most {_RANGE_MAX:,} numbers")
    return numbers


class BoundedFormatter(SandboxedFormatter):
    """`str.format` whose fields can't be wider than a text may be long."""

    def __init__(self, environment: Any, meter: Meter) -> None:
        super().__init__(environment)
        self._meter = meter
        self._size = 0

    def format_field(self, value: Any, format_spec: str) -> Any:
        """One field; `format_spec` is known only here, because it may hold fields itself."""
        for digits in re.findall(r"\d+", format_spec):
            self._meter.expect(int(digits[:20]))
        if format_spec and not isinstance(value, str | int | float):
            value = self._meter.text(value)
        text: str = string.Formatter.format_field(
            self, value if format_spec else self._meter.text(value), format_spec
        )
        self._size += len(text)
        self._meter.expect(self._size)
        return text

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """`!r`, `!s` and `!a`, on measured values only."""
        if conversion is not None:
            self._meter.expect(self._meter.measure(value, as_text=True))
        return super().convert_field(value, conversion)


def _whole_numbers(symbol: str, left: int, right: int) -> None:
    bits = 0
    if symbol == "*":
        bits = left.bit_length() + right.bit_length()
    elif symbol == "**":
        bits = left.bit_length() * max(right, 0)
    if bits > _BITS_MAX:
        raise TemplateError(f"the template makes a number of more than {_BITS_MAX:,} bits")


def _repetition(meter: Meter, left: Any, right: Any) -> None:
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str | list | tuple) and isinstance(times, int):
            size = text_bytes(value) if isinstance(value, str) else meter.measure(value)
            meter.expect(size * max(times, 0))


def _width(meter: Meter, text: Any, width: Any = 80, *_: Any) -> None:
    if isinstance(width, int):
        meter.expect(width)


def _replace(meter: Meter, text: Any, old: Any, new: Any, *_: Any, **__: Any) -> None:
    source, old, new = meter.text(text), meter.text(old), meter.text(new)
    meter.expect(len(source) + source.count(old) * len(new))


def _indent(meter: Meter, text: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    each = width if isinstance(width, int) else len(meter.text(width))
    source = meter.text(text)
    meter.expect(len(source) + (source.count("\n") + 1) * each)


def _join(meter: Meter, text: str, items: Any) -> None:
    meter.expect(meter.measure(items) + len(text) * len(items))


def _split(meter: Meter, text: str, sep: Any = None, *_: Any, **__: Any) -> None:
    pieces = len(text) // 2 if sep is None else text.count(sep) if isinstance(sep, str) and sep else 0
    meter.expect(len(text) + pieces * 16)


def _number_chars(meter: Meter, value: Any, *_: Any, **__: Any) -> None:
    if isinstance(value, str) and len(value) > _NUMBER_CHARS_MAX:
        raise TemplateError(f"a text of {len(value):,} characters is not read as a number")


def _precision(meter: Meter, value: Any, precision: Any = 0, *_: Any, **__: Any) -> None:
    if isinstance(precision, int) and abs(precision) > _PRECISION_MAX:
        raise TemplateError(f"round takes a precision of at most {_PRECISION_MAX}")


def _chunks(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> None:
    if any(isinstance(count, int) and count > _CHUNKS_MAX for count in (*args, *kwargs.values())):
        raise TemplateError(f"batch and slice take at most {_CHUNKS_MAX:,}")


def _json_indent(meter: Meter, value: Any, indent: Any = None, *_: Any, **__: Any) -> None:
    if isinstance(indent, int) and indent > _JSON_INDENT_MAX:
        raise TemplateError(f"tojson takes an indent of at most {_JSON_INDENT_MAX}")
    meter.expect(meter.measure(value))


def _json_text(meter: Meter, text: Any) -> None:
    source = meter.text(text)
    if source.count(",") + source.count("[") + source.count("{") > _JSON_PARTS_MAX:
        raise TemplateError(f"fromjson reads at most {_JSON_PARTS_MAX:,} values")


def _slow(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> None:
    size = meter.measure([value, *args, *kwargs.values()], as_text=True)
    if size > _SLOW_CHARS_MAX:
        raise TemplateError(f"this filter takes at most {_SLOW_CHARS_MAX // 1024} KiB of text")


def _wrap(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> None:
    _slow(meter, value, *args, **kwargs)
    longest = max((len(each) for each in (*args, *kwargs.values()) if isinstance(each, str)), default=1)
    meter.expect(len(meter.text(value)) * (longest + 1))


def _printf_filter(meter: Meter, text: Any, *args: Any, **kwargs: Any) -> None:
    printf(meter, meter.text(text), kwargs or args)


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "*": operator.mul,
    "**": operator.pow,
    "%": operator.mod,
}
_METHODS: Mapping[str, Guard] = {
    "center": _width,
    "ljust": _width,
    "rjust": _width,
    "zfill": _width,
    "replace": _replace,
    "join": _join,
    "split": _split,
    "rsplit": _split,
    "splitlines": _split,
}
_FILTERS: Mapping[str, Guard] = {
    "center": _width,
    "replace": _replace,
    "indent": _indent,
    "int": _number_chars,
    "float": _number_chars,
    "round": _precision,
    "batch": _chunks,
    "slice": _chunks,
    "tojson": _json_indent,
    "fromjson": _json_text,
    "pprint": _slow,
    "striptags": _slow,
    "urlize": _slow,
    "wordcount": _slow,
    "title": _slow,
    "xmlattr": _slow,
    "wordwrap": _wrap,
    "format": _printf_filter,
}
