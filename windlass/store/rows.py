"""Rows as the store reads and writes them: JSON lines out, plain dictionaries in.

What is decided here, once:

* A payload (input, body, data) is JSON text in a String column. Integers of any size survive;
  NaN and infinities are no JSON and are refused (`payload`) or become null (`loose_payload`);
  a lone surrogate survives because such a text is escaped to ASCII.
* In a plain text column a lone surrogate becomes U+FFFD, since ClickHouse's text is UTF-8.
* Times are UTC with microseconds, in and out.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from windlass.errors import AuthorError
from windlass.records import Json

# A row on its way in: column name → text, number, list of text or a moment. Absent columns take defaults.
Row: TypeAlias = Mapping[str, Any]


def payload(value: Json) -> str:
    """`value` as JSON text, exactly as `from_payload` gives it back.

    Raises:
        AuthorError: it holds NaN, an infinity or something JSON has no form for.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise AuthorError(
            f"a value cannot be stored as JSON: {error}",
            hint="replace NaN and infinities, for example by null",
        ) from None
    return text if _is_utf8(text) else json.dumps(value, allow_nan=False, separators=(",", ":"))


def loose_payload(value: Json) -> str:
    """As `payload`, but what JSON has no form for becomes null or its text: for logs, which must not fail."""
    try:
        return payload(value)
    except AuthorError:
        return payload(_without_nan(value))


def from_payload(text: str) -> Any:
    """The value that `payload` wrote; {} for an empty column."""
    return json.loads(text) if text else {}


def encode(rows: Iterable[Row]) -> bytes:
    """The rows as JSONEachRow lines."""
    return b"".join(encode_row(row) for row in rows)


def encode_row(row: Row) -> bytes:
    """One row as a JSONEachRow line, its newline included."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_other)
    if not _is_utf8(text):
        text = text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace")
    return text.encode() + b"\n"


def decode(body: bytes) -> list[dict[str, Any]]:
    """The rows of a JSONEachRow answer."""
    return [json.loads(line) for line in body.split(b"\n") if line]


def moment(text: str) -> datetime:
    """A DateTime64 as the store prints it, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _other(value: object) -> str | list[Any]:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"a row cannot hold {type(value).__name__}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_nan(value: Json) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value if isinstance(value, str | int | bool | None) else str(value)
