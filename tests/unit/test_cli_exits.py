"""Errors and reports become exit codes and words, and never a traceback."""

import errno

import pytest

from windlass import errors
from windlass.cli.exits import BadSetting, Exit, Signalled, code_of, code_of_report, guarded


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AuthorError("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.AccessDenied("x"), 4),
        (errors.OperatorError("x"), 5),
        (errors.StoreUnavailable("x"), 5),
        (errors.LeaseLost("x"), 5),
        (errors.Cancelled("x"), 7),
        (errors.Interrupted("x"), 130),
        (BadSetting("x"), 2),
        (Signalled("x", number=15), 143),
    ],
)
def test_each_kind_of_error_has_its_code(error, code):
    assert code_of(error) == code


def subclasses(kind):
    return {kind}.union(*(subclasses(below) for below in kind.__subclasses__()))


def test_every_error_there_is_has_a_code():
    for kind in subclasses(errors.WindlassError):
        if kind.__module__ == "windlass.errors":
            assert code_of(kind("x")) in set(Exit)


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("completed", None, 0),
        ("failed", {"phase": "a", "kind": "sql"}, 1),
        ("failed", {"phase": "a", "kind": "timeout"}, 1),
        ("failed", {"phase": "", "kind": "timeout"}, 8),
        ("waiting", None, 6),
        ("cancelled", {"phase": "", "kind": "cancelled"}, 7),
    ],
)
def test_a_report_has_its_code(status, error, code):
    assert code_of_report({"status": status, "error": error}) == code


def raising(error):
    def command():
        raise error

    return command


def test_an_error_of_ours_is_a_line_and_a_hint(capsys):
    assert guarded(raising(errors.NotFound("there is no moon", hint="look at night"))) == 3
    assert capsys.readouterr().err == "Error: there is no moon\n  look at night\n"


def test_a_bug_asks_to_be_reported(capsys):
    assert guarded(raising(ZeroDivisionError("division by zero"))) == Exit.BUG
    said = capsys.readouterr().err
    assert "bug of Windlass: ZeroDivisionError" in said
    assert "Traceback" not in said


def test_what_the_machine_refuses_is_no_bug(capsys):
    full = OSError(errno.ENOSPC, "No space left on device", "/full/disk")
    assert guarded(raising(full)) == Exit.UNREACHABLE
    said = capsys.readouterr().err
    assert said.startswith(
        "Error: the machine refused: No space left on device: /full/disk\n  free some space"
    )
    assert guarded(raising(PermissionError(errno.EACCES, "Permission denied", "x"))) == Exit.UNREACHABLE
    assert "WINDLASS_ROOT" in capsys.readouterr().err
    assert guarded(raising(FileNotFoundError(errno.ENOENT, "No such file", "x"))) == Exit.BUG


def test_the_debug_level_shows_the_traceback(capsys, monkeypatch):
    monkeypatch.setenv("WINDLASS_LOG_LEVEL", "debug")
    assert guarded(raising(errors.NotFound("there is no moon"))) == 3
    assert "Traceback" in capsys.readouterr().err
