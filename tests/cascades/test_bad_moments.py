"""Ctrl-C, kills and changed files at awkward moments: the session goes on as it was begun."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cascades.conftest import REPOSITORY, RUN_LIMIT_S, Windlass

Start = Callable[..., "subprocess.Popen[str]"]
WaitUntil = Callable[..., Any]

# Waits until the file that it is given is there.
WAITS = """\
      import time
      from pathlib import Path
      while not Path(input["go"]).exists():
          time.sleep(0.02)
      result = "{said}"
"""
CASCADES = {
    "plain": f"""\
cascade_id: plain
inputs_schema: {{go: a file}}
phases:
  - {{name: before, sql: SELECT 'as begun' AS said}}
  - name: waits
    python: |
{WAITS.format(said="waited")}
  - {{name: after, python: "result = [data.before.said[0], outputs['waits'], 'as begun']"}}
""",
    "parent": """\
cascade_id: parent
inputs_schema: {go: a file}
phases:
  - {name: before, python: result = 1}
  - {name: child, cascade: plain.yaml, input: {go: "{{ input.go }}"}}
  - {name: after, python: "result = outputs['child']['result']"}
""",
    "flaky": """\
cascade_id: flaky
inputs_schema: {go: a file}
phases:
  - {name: before, python: result = 1}
  - name: flaky
    retry: {attempts: 3, delay: 30}
    python: |
      from pathlib import Path
      assert Path(input["go"]).exists(), "not yet"
      result = "at last"
""",
}
# Where a Ctrl-C comes: a cascade, the line of progress that is waited for, and the result after all.
MOMENTS = {
    "in a sub-cascade": ("parent", "waits: started", ["as begun", "waited", "as begun"]),
    "while waiting for another try": ("flaky", "attempt 1 failed", "at last"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the cascades, whose name is not easy."""
    folder = tmp_path / "it's a größer “place” %41"
    folder.mkdir()
    for name, text in CASCADES.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def start(windlass: Windlass) -> Iterator[Start]:
    """`start("run", …)`: a command that runs beside the test, and is killed with it."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*words: str | Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*windlass.argv, *map(str, words)],
            env=windlass.environ,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def until(process: "subprocess.Popen[str]", said: str) -> None:
    """Read the progress of a run until it says something."""
    assert process.stderr
    for line in process.stderr:
        if said in line:
            return
    pytest.fail(f"it never said {said!r}")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_session_that_ctrl_c_stops_goes_on_later(
    moment: str, place: Path, start: Start, windlass: Windlass
) -> None:
    cascade, said, result = MOMENTS[moment]
    session = f"stopped-in-{cascade}"
    process = start("run", place / f"{cascade}.yaml", "--session", session, "-i", f"go={place / 'go'}")
    until(process, said)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=RUN_LIMIT_S)
    assert (process.returncode, out) == (130, "")
    assert f"go on with: windlass run --session {session}" in err
    (place / "go").touch()
    # Nor does it matter what became of the files meanwhile: a session runs what it was started with.
    for file in place.glob("*.yaml"):
        file.write_text(file.read_text().replace("as begun", "changed"))
    assert windlass.run_again(session)["result"] == result
    ran = windlass.sql(f"SELECT phase, epoch FROM phases WHERE session_id = '{session}' ORDER BY epoch, at")
    assert ran[0] == {"phase": "before", "epoch": 1}
    assert [row["phase"] for row in ran].count("before") == 1


def test_ctrl_c_while_it_starts_ends_it_at_once(place: Path, start: Start, wait_until: WaitUntil) -> None:
    process = start("run", place / "plain.yaml", "-i", f"go={place / 'go'}")
    # Its zygote is there before the store is open.
    wait_until(lambda: psutil.Process(process.pid).children())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=RUN_LIMIT_S)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err and "bug" not in err


def test_a_run_outlives_the_holder_of_its_folder(place: Path, start: Start, windlass: Windlass) -> None:
    given = ["-i", f"go={place / 'go'}"]
    holder = start("run", place / "plain.yaml", "--session", "holds", *given)
    until(holder, "waits: started")
    guest = start("run", place / "plain.yaml", "--session", "visits", *given)
    until(guest, "waits: started")
    holder.kill()
    holder.wait(RUN_LIMIT_S)
    (place / "go").touch()
    _, err = guest.communicate(timeout=RUN_LIMIT_S)
    assert guest.returncode == 0, err
    assert windlass.run_again("holds")["result"] == ["as begun", "waited", "as begun"]
    statuses = windlass.sql("SELECT session_id, status FROM sessions_now")
    assert {"session_id": "visits", "status": "completed"} in statuses


def test_a_session_does_without_the_files_that_it_left_on_the_machine(
    place: Path, start: Start, windlass: Windlass
) -> None:
    process = start("run", place / "plain.yaml", "--session", "bereft", "-i", f"go={place / 'go'}")
    until(process, "waits: started")
    process.kill()
    process.wait(RUN_LIMIT_S)
    for file in (windlass.root / "session_dbs" / "bereft").rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage")
    for bundle in (windlass.root / "bundles").iterdir():
        bundle.rename(place / bundle.name)
    (place / "go").touch()
    assert windlass.run_again("bereft")["result"] == ["as begun", "waited", "as begun"]
