"""The command line as a person runs it: a process of its own, with a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
RUN_LIMIT_S = 120  # a run takes three seconds; this is for a machine that does much else


class Windlass:
    """Runs `windlass …` with one `WINDLASS_ROOT`, which its runs share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "WINDLASS_ROOT": str(self.root), "PYTHONPATH": str(REPOSITORY)}

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", "windlass"]

    def __call__(self, *words: str, code: int = 0) -> str:
        """What it printed on stdout; its exit code must be `code`."""
        done = subprocess.run(
            [*self.argv, *words],
            env=self.environ,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
        )
        assert done.returncode == code, (
            f"windlass {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def run(self, cascade: str | Path, *words: str, code: int = 0, **inputs: Any) -> dict[str, Any]:
        """The report of a run of `cascade` (a path below cascades/, or a whole one) with `inputs`."""
        return json.loads(self(*_run(cascade, inputs), *words, code=code))

    def run_again(self, session_id: str) -> dict[str, Any]:
        """The report of a session that goes on and completes."""
        report = json.loads(self("run", "--session", session_id, "-o", "json"))
        assert report["status"] == "completed", report
        return report

    def run_refused(self, cascade: str | Path, **inputs: Any) -> None:
        """See that `cascade` does not start with these inputs: exit 2, and nothing on stdout."""
        assert self(*_run(cascade, inputs), code=2) == ""

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a query over what ran."""
        return [json.loads(line) for line in self("sql", statement, "-o", "jsonl").splitlines()]

    def artifact(self, report: dict[str, Any], name: str) -> str:
        """The text of a file that a session made, where people find it on this machine."""
        return (self.root / "artifacts" / report["session_id"] / name).read_text(encoding="utf-8")


def _run(cascade: str | Path, inputs: dict[str, Any]) -> list[str]:
    given = [word for name, value in inputs.items() for word in ("-i", f"{name}={_text(value)}")]
    return ["run", str(REPOSITORY / "cascades" / cascade), "-o", "json", *given]


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | Path) else json.dumps(value)


@pytest.fixture(scope="module")
def windlass(tmp_path_factory: pytest.TempPathFactory) -> Windlass:
    """The command line with a store that this module's tests share: opening a new one takes seconds."""
    return Windlass(tmp_path_factory.mktemp("root"))
