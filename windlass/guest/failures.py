"""Why authors' work failed, in the words of the author's own text."""

import os
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import windlass
from windlass.errors import WindlassError
from windlass.records import Failure
from windlass.scratch import ScratchError

# A traceback or the end of stderr, in a checkpoint: enough to read, too little to hurt.
DETAIL_CHARS_MAX = 20_000
_LINE = re.compile(r"^LINE (\d+): ", re.MULTILINE)
_MISSING_TABLE = re.compile(r"Table with name (\S+) does not exist")
_MISSING_EXTENSION = re.compile(r"extension", re.IGNORECASE)
# Where our own code is: its lines tell an author nothing.
_OURS = str(Path(windlass.__file__).parent) + os.sep
# How the C library, and so Python and DuckDB, say that a disk or a quota is full.
_FULL = ("No space left on device", "Disk quota exceeded")


class GuestFailure(WindlassError):
    """Authors' work failed; `failure` says why.

    Args:
        failure: its phase is "" until the runner fills it in.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, hint=failure.hint)
        self.failure = failure


def python_failure(error: BaseException, *, phase: str, first_line: int = 1) -> Failure:
    """A failure out of what an author's Python raised.

    Args:
        error: as it was caught outside of the author's code.
        phase: the phase's name; the code was compiled with the file name `<phase>`.
        first_line: the line of the author's text on which the code starts.
    """
    own = f"<{phase}>"
    if isinstance(error, SyntaxError) and error.filename == own:
        line = error.lineno or 0
        return Failure(
            phase=phase, kind="python", message=f"SyntaxError: {error.msg}", line=line, retryable=False,
            detail="".join(traceback.format_exception_only(error)),
        )  # fmt: skip
    tail = _author_frames(error.__traceback__, own)
    if is_duckdb_error(error) and not _is_authors(error.__traceback__, own):
        return sql_failure(error, phase=phase, line=0)
    lines = [frame.tb_lineno for frame in _walk(tail) if frame.tb_frame.f_code.co_filename == own]
    message = _message(error)
    kind, hint = _machine_limit(error)
    if isinstance(error, SystemExit):
        hint = "a phase ends where its code ends; raise an error to make it fail"
    detail = "".join(traceback.format_exception(type(error), error, tail))
    return Failure(
        phase=phase, kind=kind or "python", message=message, detail=clip(detail), hint=hint,
        line=lines[-1] + first_line - 1 if lines else 0,
    )  # fmt: skip


def sql_failure(error: BaseException, *, phase: str, line: int = 1, tables: Iterable[str] = ()) -> Failure:
    """A failure out of what DuckDB or the scratch's rules said.

    Args:
        error: a duckdb.Error or a ScratchError.
        phase: the phase's name.
        line: the line of the author's text on which the statement starts.
        tables: what exists, for a hint.
    """
    if isinstance(error, ScratchError):
        return Failure(
            phase=phase,
            kind="sql",
            message=error.message,
            hint=error.hint,
            line=error.line or line,
            retryable=False,
        )
    text = str(error)
    found = _LINE.search(text)
    at = line + int(found.group(1)) - 1 if found else line
    message = text.split("\n\n", maxsplit=1)[0].strip()
    detail = clip(text.strip().removeprefix(message).strip("\n"))
    kind, hint = _machine_limit(error)
    if kind == "disk":
        message = f"the disk is full: {message}"
    return Failure(
        phase=phase, kind=kind or "sql", message=message, detail=detail,
        hint=hint or _sql_hint(message, tables), line=at,
    )  # fmt: skip


def is_duckdb_error(error: BaseException) -> bool:
    """Is it one of DuckDB's errors? Asked without importing it."""
    return any(cls.__module__ in ("duckdb", "_duckdb") for cls in type(error).__mro__)


def value_failure(error: WindlassError, *, phase: str, kind: str = "python") -> Failure:
    """A failure out of one of our own refusals (a value that is not JSON, an output too large)."""
    return Failure(phase=phase, kind=kind, message=error.message, hint=error.hint, retryable=False)


def clip(text: str) -> str:
    """The end of `text` where it is too long for a checkpoint: errors say most at their end."""
    return text if len(text) <= DETAIL_CHARS_MAX else "…\n" + text[-DETAIL_CHARS_MAX:]


def _machine_limit(error: BaseException) -> tuple[str, str]:
    """(kind, hint) of an error that says that memory or disk ran out, else ("", "")."""
    text = str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":
        return "memory", "the cascade's limits or WINDLASS_MEMORY_MB say how much memory there is"
    if any(word in text for word in _FULL):
        return (
            "disk",
            "nothing of this phase was kept; free some space and go on with the session",
        )
    return "", ""


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the code called sys.exit({'' if error.code is None else repr(error.code)})"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _walk(tail: TracebackType | None) -> Iterable[TracebackType]:
    while tail is not None:
        yield tail
        tail = tail.tb_next


def _author_frames(tail: TracebackType | None, own: str) -> TracebackType | None:
    """The traceback from the author's first line on, or from what was called for them."""
    for frame in _walk(tail):
        if frame.tb_frame.f_code.co_filename == own:
            return frame
    while tail is not None and tail.tb_frame.f_code.co_filename.startswith(_OURS):
        tail = tail.tb_next
    return tail


def _is_authors(tail: TracebackType | None, own: str) -> bool:
    """Did it come out of the author's own lines?"""
    return any(frame.tb_frame.f_code.co_filename == own for frame in _walk(tail))


def _sql_hint(message: str, tables: Iterable[str]) -> str:
    import difflib

    missing = _MISSING_TABLE.search(message)
    if missing:
        names = list(tables)
        name = missing.group(1).strip('"')
        near = difflib.get_close_matches(
            name.lower().lstrip("_"), [table.lstrip("_").lower() for table in names], n=1
        )
        close = next((table for table in names if near and table.lstrip("_").lower() == near[0]), "")
        if close:
            return f"did you mean {close}?"
        return f"tables there are: {', '.join(names)}" if names else "no phase has made a table yet"
    if _MISSING_EXTENSION.search(message):
        return (
            "DuckDB extensions are not downloaded; use what is built in, or read the file in a python phase"
        )
    if "file system operations are disabled" in message:
        return "SQL may read the cascade's own folder and what the session was granted"
    return ""


def as_reply(failure: Failure) -> dict[str, Any]:
    """The failure as the child sends it, `retryable` included."""
    return {"failure": failure.as_json() | {"retryable": failure.retryable}}


def from_reply(value: dict[str, Any]) -> Failure:
    """The failure that `as_reply` sent."""
    return Failure(**value)
