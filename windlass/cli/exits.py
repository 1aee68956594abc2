"""How a command ends: every error's exit code and words, in one place.

    0 ok                       5 store or server unreachable, or the session is somebody else's now
    1 session failed           6 waiting for a person
    2 usage, cascade or input  7 session cancelled
    3 not found                8 session timed out
    4 not let in              70 a bug of Windlass
    128 + n                    ended by signal n (130 is Ctrl-C)

Errors go to stderr as one line and a hint; a traceback only with WINDLASS_LOG_LEVEL=debug.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import click

from windlass.errors import (
    AccessDenied,
    AuthorError,
    Cancelled,
    Interrupted,
    NotFound,
    OperatorError,
    WindlassError,
)
from windlass.records import JsonObject, Status

# Frames of our own that a bug report shows: the last ones say what was being done.
_FRAMES_MAX = 6


# What the machine refuses, whoever asks: its owner can mend it, and no line of ours is to blame.
_MACHINE_ERRORS = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR,
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO,
})  # fmt: skip


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTH = 4
    UNREACHABLE = 5
    WAITING = 6
    CANCELLED = 7
    TIMED_OUT = 8
    BUG = 70
    INTERRUPTED = 128 + signal.SIGINT
    PIPE_CLOSED = 128 + signal.SIGPIPE


class BadSetting(OperatorError):
    """A WINDLASS_* variable is wrong."""


class Signalled(Interrupted):
    """A signal asked this process to leave.

    Attributes:
        number: which one.
    """

    def __init__(self, message: str, *, number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.number = number


# The first line that fits decides; whatever else is a WindlassError can be tried again later.
_CODES: tuple[tuple[type[WindlassError], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (AuthorError, Exit.USAGE),
    (BadSetting, Exit.USAGE),
    (AccessDenied, Exit.AUTH),
    (Cancelled, Exit.CANCELLED),
    (Interrupted, Exit.INTERRUPTED),
    (WindlassError, Exit.UNREACHABLE),
)


def code_of(error: WindlassError) -> int:
    """The exit code of an error that ended a command."""
    if isinstance(error, Signalled):
        return 128 + error.number
    return next(code for kind, code in _CODES if isinstance(error, kind))


def code_of_report(report: JsonObject) -> Exit:
    """The exit code of a session's report."""
    status, error = Status(report["status"]), report["error"] or {}
    if status is Status.FAILED and error.get("kind") == "timeout" and not error.get("phase"):
        return Exit.TIMED_OUT
    codes = {Status.FAILED: Exit.FAILED, Status.CANCELLED: Exit.CANCELLED, Status.WAITING: Exit.WAITING}
    return codes.get(status, Exit.OK)


def guarded(command: Callable[[], int]) -> int:
    """Run `command` and say on stderr what went wrong; returns the exit code."""
    try:
        return command()
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        forget_stdout()
        return Exit.PIPE_CLOSED
    except WindlassError as error:
        _say_error(error)
        return code_of(error)
    except Exception as error:
        # The last stop of a bug: without it a stranger would read a page of our own code.
        if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
            _say_error(_of_machine(error))
            return Exit.UNREACHABLE
        _say_bug(error)
        return Exit.BUG


def forget_stdout() -> None:
    """Whoever read our stdout has gone: make what is still buffered vanish in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _of_machine(error: OSError) -> OperatorError:
    """The words for a disk that is full, a folder that may not be written, and the like."""
    where = f": {error.filename}" if error.filename else ""
    hint = "WINDLASS_ROOT names the folder for everything Windlass keeps; windlass doctor looks at it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space there and start again; what was acknowledged is not lost"
    return OperatorError(f"the machine refused: {error.strerror}{where}", hint=hint)


def _say_error(error: WindlassError) -> None:
    if _wants_tracebacks():
        click.echo(traceback.format_exc(), err=True)
    click.echo(f"Error: {error.message}", err=True)
    for line in error.hint.splitlines():
        click.echo(f"  {line}", err=True)


def _say_bug(error: Exception) -> None:
    if _wants_tracebacks():
        click.echo(traceback.format_exc(), err=True)
    else:
        click.echo("The last steps:", err=True)
        for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]:
            click.echo(
                f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}", err=True
            )
    click.echo(f"Error: this is a bug of Windlass: {type(error).__name__}: {error}", err=True)
    click.echo("  please report it with the lines above; WINDLASS_LOG_LEVEL=debug shows all", err=True)


def _wants_tracebacks() -> bool:
    return os.environ.get("WINDLASS_LOG_LEVEL", "").lower() == "debug"
