"""Values as text: tables for people, JSON for programs.

A table fits the terminal: cells are cut with an ellipsis, columns that have no room are left out,
and both are said. Nothing here fails because of what a value contains.
"""

import json
import math
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from itertools import islice

import click

from windlass.clock import iso
from windlass.records import Json

# Narrowest useful column, and the widest one while others are still cut.
_COLUMN_MIN = 10
_CELL_MAX = 60
_GAP = "  "
# Width where no terminal says otherwise (a file, a pipe).
_WIDTH_DEFAULT = 80
# Characters of one cell that are looked at; more is never shown in a table.
_CELL_CHARS_MAX = 2_000


def print_json(value: object, *, indent: int | None = 2) -> None:
    """One JSON value on stdout; without `indent` on one line."""
    click.echo(as_json(value, indent=indent))


def as_json(value: object, *, indent: int | None = None) -> str:
    """JSON that stdout's encoding can carry."""
    ascii_only = not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only, default=plain)


def plain(value: object) -> Json:
    """A value that JSON has no form for, as text: times as ISO 8601, everything else as Python says it."""
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    rows_max: int,
    total: int | None = None,
    whole: Sequence[str] = (),
    err: bool = False,
) -> None:
    """A table of at most `rows_max` rows, and a line that says what is not shown.

    Args:
        total: how many rows there are, when `rows` holds not all of them.
        whole: columns that are never cut, such as ids that people copy.
        err: print on stderr.
    """
    kept = list(islice(iter(rows), rows_max + 1))
    more = max(0, (total or 0) - min(len(kept), rows_max))
    if total is None and len(kept) > rows_max:
        more = -1  # some, nobody counted
    lines, left_out = table_lines(columns, kept[:rows_max], width=screen_width(), whole=whole)
    for line in lines:
        click.echo(line, err=err)
    notes = []
    if more:
        notes.append("… more rows" if more < 0 else f"… {more:,} more {'row' if more == 1 else 'rows'}")
    if left_out:
        notes.append(f"no room for: {', '.join(left_out)}")
    if notes:
        click.echo(f"({'; '.join(notes)})", err=err)


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, width: int, whole: Sequence[str] = ()
) -> tuple[list[str], Sequence[str]]:
    """A table as lines of at most `width` cells, and the columns that had no room.

    Numbers stand to the right. A column is never narrower than needed to be read, so some columns may
    have to be left out, the last ones first.
    """
    heads = [cell(name) for name in columns]
    texts = [[cell(value) for value in row] for row in rows]
    wanted = [max([cells(head), *(cells(row[at]) for row in texts)]) for at, head in enumerate(heads)]
    widths = _fit(wanted, width, whole=[name in whole for name in columns])
    shown = len(widths)
    right = [_is_numeric(row[at] for row in rows) for at in range(shown)]
    lines = [_line(heads, widths, right), _GAP.join("-" * size for size in widths)]
    lines += [_line(row, widths, right) for row in texts]
    return [line.rstrip() for line in lines], columns[shown:]


def cell(value: object) -> str:
    """A value as one line of text for a table's cell."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, datetime):
        text = _moment(value)
    elif isinstance(value, float):
        text = f"{value:.12g}"  # the digits that a double is sure of, without the noise behind them
    elif isinstance(value, Mapping | list | tuple):
        text = as_json(value)
    else:
        text = str(plain(value))
    return printable(text[:_CELL_CHARS_MAX])


def finite(value: object) -> object:
    """`value` with null for NaN and infinity, which JSON has not, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def printable(text: str, *, keep: str = "") -> str:
    """`text` with control characters shown as escapes, so that no value can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c in keep or not _is_control(c) else _escape(c) for c in text)


def cells(text: str) -> int:
    """How many cells of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(c) for c in text)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells, with an ellipsis where it was cut."""
    if cells(text) <= width:
        return text
    left, kept = width - 1, []
    for c in text:
        left -= _cells_of(c)
        if left < 0:
            break
        kept.append(c)
    return "".join(kept) + "…"


def screen_width() -> int:
    """Columns of the terminal, or COLUMNS, or 80."""
    return max(20, shutil.get_terminal_size((_WIDTH_DEFAULT, 24)).columns)


def seconds(value: float) -> str:
    """A duration as people say it: 12 ms, 3.4 s, 2 min 5 s, 3 h 4 min."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """Bytes as people say them: 812 B, 3.4 KiB."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable: the last unit returns")


def _fit(wanted: Sequence[int], width: int, *, whole: Sequence[bool]) -> list[int]:
    """Widths that fit; the widest columns give first. Fewer than `wanted` when there is no room."""
    most = width if len(wanted) == 1 else max(_CELL_MAX, width // 2)
    widths = [asked if kept else min(asked, most) for asked, kept in zip(wanted, whole, strict=True)]
    while len(widths) > 1:
        least = [
            asked if kept else min(asked, _COLUMN_MIN) for asked, kept in zip(widths, whole, strict=False)
        ]
        if sum(least) + len(_GAP) * (len(widths) - 1) <= width:
            break
        widths.pop()
    room = width - len(_GAP) * (len(widths) - 1)
    ceiling = max(widths, default=0)
    while ceiling > 1 and sum(_under(ceiling, widths, whole)) > room:
        ceiling -= 1
    return _under(ceiling, widths, whole)


def _under(ceiling: int, widths: Sequence[int], whole: Sequence[bool]) -> list[int]:
    return [asked if kept else min(asked, ceiling) for asked, kept in zip(widths, whole, strict=False)]


def _line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    made = []
    for text, width, to_right in zip(texts, widths, right, strict=False):
        short = cut(text, width)
        pad = " " * (width - cells(short))
        made.append(pad + short if to_right else short + pad)
    return _GAP.join(made)


def _moment(value: datetime) -> str:
    """A time for people: to the millisecond where it has a fraction, without the T."""
    text = value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _is_numeric(values: Iterable[object]) -> bool:
    seen = [value for value in values if value is not None]
    return bool(seen) and all(
        not isinstance(value, str | bool | bytes | Mapping | list | tuple | date | time) and _has_sign(value)
        for value in seen
    )


def _has_sign(value: object) -> bool:
    """Is it a number of any kind (int, float, Decimal)?"""
    return hasattr(value, "__float__")


def _is_control(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\u200d"


def _escape(c: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c) or c.encode("unicode_escape").decode("ascii")


def _cells_of(c: str) -> int:
    if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1
