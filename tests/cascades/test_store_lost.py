"""The store dies under a running session: `windlass clickhouse`, killed with -9, and started again or not.

The phases append their names to a file that the store knows nothing of: that file says what really ran.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving import REPOSITORY, Serving

SESSION = "outlives"
STEPS = 40
KILLED_AT = (5, 15, 25)
RUN_S_MAX = 120

WaitUntil = Callable[..., Any]


class Worker:
    """A `windlass run` over HTTP with a WINDLASS_ROOT of its own, and what it left in the notes."""

    def __init__(self, folder: Path, url: str, *, wait_s: int) -> None:
        self.notes = folder / "notes.txt"
        self.notes.write_text("")
        self._environ = {
            **os.environ,
            "WINDLASS_ROOT": str(folder / "worker"),
            "WINDLASS_CLICKHOUSE_URL": url,
            "WINDLASS_STORE_WAIT_S": str(wait_s),
            "PYTHONPATH": str(REPOSITORY),
        }

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "windlass", *words],
            env=self._environ,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str) -> Any:
        """What a command that succeeds prints as JSON."""
        process = self.start(*words, "-o", "json")
        out, err = process.communicate(timeout=RUN_S_MAX)
        assert process.returncode == 0, err
        return json.loads(out)

    def noted(self) -> list[str]:
        return self.notes.read_text().split()


@pytest.fixture
def cascade(tmp_path: Path) -> Path:
    """Many quick phases, each with a note; each waits while a file `hold` is there."""
    path = tmp_path / "cascade.yaml"
    code = (
        "open(input['notes'], 'a').write('{name} ');"
        " import os, time; [time.sleep(0.01) for _ in iter(lambda: os.path.exists(input['hold']), False)];"
        " state['count'] = state.get('count', 0) + 1; result = state['count']"
    )
    lines = [f'  - {{name: s{n}, python: "{code.replace("{name}", f"s{n}")}"}}' for n in range(1, STEPS + 1)]
    head = 'cascade_id: outlives\ninputs_schema: {notes: "file", hold: "file"}\nphases:\n'
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def test_a_session_outlives_its_store_and_nothing_is_lost_or_doubled(
    tmp_path: Path, cascade: Path, wait_until: WaitUntil
) -> None:
    with Serving(tmp_path / "store") as serving:
        worker = Worker(tmp_path, serving.url, wait_s=60)
        words = ("-i", f"notes={worker.notes}", "-i", f"hold={tmp_path / 'hold'}", "--session", SESSION)
        running = worker.start("run", str(cascade), *words, "-o", "json")
        for number in KILLED_AT:
            wait_until(lambda number=number: len(worker.noted()) >= number or running.poll() is not None)
            assert running.poll() is None, running.communicate()
            serving.kill()
            serving.start()
        out, err = running.communicate(timeout=RUN_S_MAX)
        assert running.returncode == 0, err
        report = json.loads(out)
        names = [f"s{number}" for number in range(1, STEPS + 1)]
        assert (report["status"], report["result"], report["epoch"]) == ("completed", STEPS, 1)
        assert worker.noted() == names, "the worker lived, so no phase ran twice"
        told = worker("sql", f"SELECT phase FROM phases WHERE session_id = '{SESSION}' ORDER BY seq")
        assert [row["phase"] for row in told] == names
        rows = worker(
            "sql",
            "SELECT uniqExact(epoch, seq) AS rows, max(seq) AS last,"
            " uniqExact(epoch, seq, kind, phase, body) AS kinds"
            f" FROM checkpoints WHERE session_id = '{SESSION}'",
        )
        assert [int(rows[0][name]) for name in ("rows", "last", "kinds")] == [STEPS + 2, STEPS + 1, STEPS + 2]
        assert worker("run", "--session", SESSION)["result"] == STEPS


def test_a_run_whose_store_stays_away_says_how_to_resume_and_can_be_resumed(
    tmp_path: Path, cascade: Path, wait_until: WaitUntil
) -> None:
    hold = tmp_path / "hold"
    hold.write_text("")
    with Serving(tmp_path / "store") as serving:
        worker = Worker(tmp_path, serving.url, wait_s=1)
        running = worker.start("run", str(cascade), "-i", f"notes={worker.notes}", "-i", f"hold={hold}")
        wait_until(lambda: worker.noted() or running.poll() is not None)
        serving.kill()
        hold.unlink()
        out, err = running.communicate(timeout=RUN_S_MAX)
        assert (running.returncode, out) == (5, ""), err
        assert worker.noted() == ["s1"], "nothing starts before the row of the phase before it is kept"
        session = err.rpartition("windlass run --session ")[2].split()[0]
        serving.start()
        report = worker("run", "--session", session)
        assert (report["status"], report["result"]) == ("completed", STEPS)
        assert worker.noted() == ["s1", *(f"s{number}" for number in range(1, STEPS + 1))]
