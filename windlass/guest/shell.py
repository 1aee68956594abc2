"""Shell scripts: `bash -c`, whose exit code decides, as everywhere.

Whoever wants `set -euo pipefail` writes it as the script's first line. What the script prints goes to the
log and is the phase's value: text without the newline at its end, or parsed as `output_format` says. A table
given as input is CSV with a header on stdin.
"""

import csv
import io
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from windlass.errors import AuthorError
from windlass.guest.failures import GuestFailure
from windlass.guest.processes import Finished, OutputTooLarge, Pump, run_program
from windlass.records import Failure, Json

FORMATS = ("text", "csv", "json", "jsonl", "auto")


def run_script(
    script: str, *, phase: str, environ: Mapping[str, str], stdin: IO[bytes] | None, bytes_max: int
) -> bytes:
    """Run a bash script to its end; its stdout.

    Raises:
        GuestFailure: it exited with something else than 0, or bash can't be started.
    """
    try:
        done = run_program(["bash", "-c", script, phase], environ=environ, stdin=stdin, bytes_max=bytes_max)
    except OutputTooLarge as error:
        raise _failed(phase, error.message, hint=error.hint, retryable=False) from None
    except OSError as error:
        raise _failed(
            phase, f"bash can't be started: {error}", hint="is the script longer than 128 kB?"
        ) from None
    return checked(done, phase)


def checked(done: Finished, phase: str) -> bytes:
    """The stdout of a program that succeeded.

    Raises:
        GuestFailure: it did not; the end of its stderr is the detail.
    """
    if done.exit_code == 0:
        return done.stdout
    how = f"exited with {done.exit_code}" if done.exit_code > 0 else f"was ended by signal {-done.exit_code}"
    hint = {127: "127 usually means that a command was not found", 126: "126 usually means not executable"}
    last = done.stderr.strip().splitlines()[-1:] or [""]
    message = f"the script {how}" + (f": {last[0][:500]}" if last[0] else "")
    raise _failed(phase, message, detail=done.stderr, hint=hint.get(done.exit_code, ""))


def parse_output(data: bytes, output_format: str, phase: str) -> Json:
    """What a program printed, as a value.

    Args:
        data: what was printed.
        output_format: text, json (one value), jsonl (one a line), csv (with a header; a list of objects whose
            values are numbers where they look like it), or auto: the first of json, jsonl and csv that
            it is, else text.
        phase: for the error.

    Raises:
        GuestFailure: it isn't what it should be.
    """
    text = data.decode(errors="replace")
    if output_format not in FORMATS:
        raise _failed(
            phase, f"output_format {output_format!r} is none of {', '.join(FORMATS)}", retryable=False
        )
    if output_format == "auto":
        return _guess(text)
    try:
        return _PARSERS[output_format](text)
    except ValueError as error:
        raise _failed(
            phase, f"the script's output is not {output_format}: {error}", detail=text[:2000],
            hint="print other things to stderr (>&2)",
        ) from None  # fmt: skip


class PersistentShell:
    """One bash for a session: variables and the working directory stay from script to script.

    It ends with the child. A session that another worker resumes starts a new one.

    Args:
        environ: its environment.
        folder: where scripts are kept for it to read.
    """

    def __init__(self, *, environ: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self._count = 0
        read_end, write_end = os.pipe()
        self._status = read_end
        self._status_text = b""
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", _LOOP.format(fd=write_end)],
            env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=(write_end,),
        )  # fmt: skip
        os.close(write_end)

    @property
    def is_alive(self) -> bool:
        """False once a script has ended it, with `exit` for instance."""
        return self._bash.poll() is None

    def run(
        self, script: str, *, phase: str, environ: Mapping[str, str], stdin: Path | None, bytes_max: int
    ) -> bytes:
        """Run a script in the shell; its stdout.

        Raises:
            GuestFailure: it failed.
        """
        assert self._bash.stdin and self._bash.stdout and self._bash.stderr
        self._count += 1
        file = self._folder / f"script-{self._count}.sh"
        exports = "".join(f"export {name}={_quoted(value)}\n" for name, value in environ.items())
        file.write_text(script + "\n", encoding="utf-8")
        setup = self._folder / f"script-{self._count}.env"
        setup.write_text(exports, encoding="utf-8")
        self._bash.stdin.write(f"{setup}\n{file}\n{stdin or os.devnull}\n".encode())
        self._bash.stdin.flush()
        pump = Pump(stdout=self._bash.stdout.fileno(), stderr=self._bash.stderr.fileno(), bytes_max=bytes_max)
        try:
            pump.until(self._status)
        except OutputTooLarge as error:
            self.close()
            raise _failed(phase, error.message, hint=error.hint, retryable=False) from None
        answer = os.read(self._status, 64).decode().strip()
        code = int(answer) if answer else self._bash.wait()
        file.unlink(missing_ok=True)
        setup.unlink(missing_ok=True)
        if not answer:
            self.close()
        return checked(Finished(code, b"".join(pump.stdout), pump.stderr_tail()), phase)

    def close(self) -> None:
        """End the shell."""
        if self._bash.poll() is None:
            self._bash.kill()
        self._bash.wait()
        for pipe in (self._bash.stdin, self._bash.stdout, self._bash.stderr):
            if pipe is not None:
                pipe.close()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1


# Reads the names of an environment file, a script and its stdin; answers with the script's exit code.
# The status descriptor is closed for the script, so that only the loop can answer.
_LOOP = """
while IFS= read -r __windlass_env && IFS= read -r __windlass_script && IFS= read -r __windlass_stdin; do
  . "$__windlass_env"
  . "$__windlass_script" < "$__windlass_stdin" {fd}>&-
  echo $? >&{fd}
done
"""


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _parse_csv(text: str) -> list[dict[str, Json]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not rows:
        return []
    header = rows[0]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} fields, the header {len(header)}")
    columns = [_typed([row[index] for row in rows[1:]]) for index in range(len(header))]
    return [dict(zip(header, values, strict=True)) for values in zip(*columns, strict=True)]


def _typed(values: list[str]) -> list[Json]:
    """A column of numbers where all of it are; empty fields of it are null."""
    for kind in (int, float):
        try:
            typed: list[Any] = [kind(value) if value != "" else None for value in values]
        except ValueError:
            continue
        # 007 and +1 are names of things, not numbers.
        if kind is float or all(
            made is None or str(made) == value for made, value in zip(typed, values, strict=True)
        ):
            return typed if any(value is not None for value in typed) else list(values)
        break
    return list(values)


def _parse_jsonl(text: str) -> list[Json]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


_PARSERS: dict[str, Any] = {
    "text": lambda text: text.removesuffix("\n"),
    "json": json.loads,
    "jsonl": _parse_jsonl,
    "csv": _parse_csv,
}


def _guess(text: str) -> Json:
    for parser in (json.loads, _parse_jsonl):
        try:
            value = parser(text)
        except ValueError:
            continue
        if value != []:
            return value
    lines = text.strip().splitlines()
    if len(lines) > 1 and "," in lines[0]:
        try:
            return _parse_csv(text)
        except ValueError:
            pass
    return text.removesuffix("\n")


def _failed(
    phase: str, message: str, *, detail: str = "", hint: str = "", retryable: bool = True
) -> GuestFailure:
    failure = Failure(
        phase=phase, kind="shell", message=message, detail=detail, hint=hint, retryable=retryable
    )
    return GuestFailure(failure)


def no_such_table(table: str, phase: str, names: list[str]) -> GuestFailure:
    """The failure for an input table that isn't there."""
    error = AuthorError(f"there is no table {table}", hint=f"tables there are: {', '.join(names) or 'none'}")
    return _failed(phase, error.message, hint=error.hint, retryable=False)
