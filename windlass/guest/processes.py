"""Run a program for a phase: its output as it comes into the log, and in full as a value.

The program belongs to the child's process group, so that the supervisor's limits and kills reach it.
"""

import os
import selectors
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from windlass.errors import AuthorError

# How many lines of stderr a failure shows.
STDERR_LINES = 20
# One read of a pipe; its capacity on Linux.
_CHUNK_BYTES = 65_536
# The end of stderr that is kept while it passes.
_STDERR_BYTES_MAX = 64_000


@dataclass(frozen=True, slots=True)
class Finished:
    """A program's end.

    Attributes:
        exit_code: what it exited with; -n when signal n ended it.
        stdout: all of it.
        stderr: the last lines of it.
    """

    exit_code: int
    stdout: bytes
    stderr: str


class OutputTooLarge(AuthorError):
    """A program printed more than a phase's output may be."""


def run_program(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    stdin: IO[bytes] | None,
    bytes_max: int,
    echoes: bool = True,
) -> Finished:
    """Run a program to its end.

    Args:
        arguments: the program and its arguments.
        environ: its whole environment.
        stdin: a file it reads, None for nothing.
        bytes_max: how much it may print to stdout.
        echoes: whether stdout goes to the log as well.

    Raises:
        OutputTooLarge: it printed more; it was killed.
        OSError: it can't be started.
    """
    process = subprocess.Popen(
        list(arguments), env=dict(environ), stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    ended = os.pidfd_open(process.pid)
    pump = Pump(
        stdout=process.stdout.fileno(), stderr=process.stderr.fileno(), bytes_max=bytes_max, echoes=echoes
    )
    try:
        pump.until(ended)
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ended)
        process.stdout.close()
        process.stderr.close()
    return Finished(code, b"".join(pump.stdout), pump.stderr_tail())


class Pump:
    """Moves two pipes into the log and into memory.

    Args:
        stdout, stderr: the pipes' ends to read.
        bytes_max: how much of stdout may come.
        echoes: whether stdout is written to the log.
    """

    def __init__(self, *, stdout: int, stderr: int, bytes_max: int, echoes: bool = True) -> None:
        self.stdout: list[bytes] = []
        self._stderr: deque[bytes] = deque()
        self._stderr_bytes = 0
        self._size = 0
        self._bytes_max = bytes_max
        self._echoes = echoes
        self._sources = {stdout: 1, stderr: 2}
        for fd in self._sources:
            os.set_blocking(fd, False)

    def until(self, ended: int) -> None:
        """Read until `ended` is readable, and then what is there already.

        A process that the program left in the background may hold the pipes open; nobody waits for it.

        Raises:
            OutputTooLarge: stdout is more than it may be.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            for fd in self._sources:
                selector.register(fd, selectors.EVENT_READ)
            is_over = False
            while not is_over:
                for key, _ in selector.select():
                    if key.fd == ended:
                        is_over = True
                    elif not self._read(key.fd):
                        selector.unregister(key.fd)
            for fd in self._sources:
                while self._read(fd):
                    pass

    def stderr_tail(self) -> str:
        """The last lines of stderr."""
        text = b"".join(self._stderr).decode(errors="replace")
        return "\n".join(text.splitlines()[-STDERR_LINES:])

    def _read(self, fd: int) -> bool:
        """Move one chunk; False at the end, and when there is nothing now."""
        try:
            chunk = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            return False
        target = self._sources[fd]
        if target == 1:
            self._size += len(chunk)
            if self._size > self._bytes_max:
                raise OutputTooLarge(
                    f"the program printed more than {self._bytes_max / 1e6:.1f} MB to stdout",
                    hint="write it to a file in $WINDLASS_ARTIFACTS instead",
                )
            self.stdout.append(chunk)
        else:
            self._stderr.append(chunk)
            self._stderr_bytes += len(chunk)
            while self._stderr_bytes - len(self._stderr[0]) > _STDERR_BYTES_MAX:
                self._stderr_bytes -= len(self._stderr.popleft())
        if target == 2 or self._echoes:
            _write_all(target, chunk)
        return True


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
