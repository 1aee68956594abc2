"""`windlass clickhouse` as a process of its own, which tests may stop, kill and start again."""

import os
import re
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

REPOSITORY = Path(__file__).parents[1]
START_S_MAX = 60.0  # a start takes a second; this is for a machine that does much else
STOP_S_MAX = 20.0


class Serving:
    """A `windlass clickhouse` on a folder. A context manager, which kills it at the end.

    Args:
        root: its WINDLASS_ROOT.
        words: more arguments.
        environ: more variables.

    Attributes:
        root: as given.
        port: 0 before the first start; the same at every later one.
        said: what it said on stderr while it started.
    """

    def __init__(self, root: Path, *words: str, environ: dict[str, str] | None = None) -> None:
        self.port = 0
        self.said = ""
        self.root = root
        self._words = words
        self._environ = {
            **os.environ,
            "WINDLASS_ROOT": str(root),
            "PYTHONPATH": str(REPOSITORY),
            **(environ or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients are given, where there is no password."""
        found = re.search(r"export WINDLASS_CLICKHOUSE_URL=(\S+)", self.said)
        assert found, self.said
        return found[1]

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "windlass", "clickhouse", "--port", str(self.port), *self._words],
            env=self._environ,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        self.said = ""
        while "export " not in self.said or not self.said.endswith("\n"):
            readable, _, _ = select.select([self.process.stderr], [], [], START_S_MAX)
            assert readable, f"windlass clickhouse did not start in time: {self.said}"
            piece = os.read(self.process.stderr.fileno(), 4096)
            assert piece, f"windlass clickhouse ended: {self.said}"
            self.said += piece.decode()
        found = re.search(r"listens on http://.*:(\d+)$", self.said, re.MULTILINE)
        assert found, self.said
        self.port = int(found[1])
        return self

    def stop(self) -> tuple[int, str]:
        """Ask it to stop; its exit code, and what it said."""
        assert self.process is not None
        self.process.terminate()
        _, said = self.process.communicate(timeout=STOP_S_MAX)
        return self.process.returncode, said.decode()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate(timeout=STOP_S_MAX)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
