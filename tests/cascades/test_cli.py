"""The command line as people and scripts meet it: real processes, one folder for the whole file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 120  # a run takes two seconds on a quiet machine; a test suite is no quiet machine

FLAKY = """\
cascade_id: flaky
inputs_schema:
  type: object
  properties: {mark: {type: string}, city: {type: string, default: Seattle}, n: {type: integer, default: 3}}
phases:
  - name: numbers
    sql: SELECT i AS id, 'row ' || i AS label FROM range({{ input.n }}) t(i)
  - name: counted
    python: |
      from pathlib import Path
      ran = Path(input["mark"])
      ran.write_text(ran.read_text() + "x" if ran.exists() else "x")
      print("counting in", input["city"])
      (artifacts / "note.txt").write_text("kept")
      result = {"ran": len(ran.read_text())}
  - name: breaks
    python: |
      from pathlib import Path
      if not Path(input["mark"] + ".mended").exists():
          raise ValueError("not mended yet\\nsecond line")
      result = {"city": input["city"], "rows": len(data.numbers)}
"""

SLOW = """\
cascade_id: slow
inputs_schema: {go: "a file; the phase waits until it is there"}
phases:
  - name: before
    python: "result = 'done before'"
  - name: waits
    python: |
      import time
      from pathlib import Path
      print("waiting")
      while not Path(input["go"]).exists():
          time.sleep(0.02)
      result = "waited"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two cascades, and below it the WINDLASS_ROOT of this file's tests."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "flaky.yaml").write_text(FLAKY)
    (folder / "slow.yaml").write_text(SLOW)
    return folder


@pytest.fixture
def environ(place):
    repository = str(Path(__file__).parents[2])
    return {**os.environ, "WINDLASS_ROOT": str(place / "root"), "PYTHONPATH": repository, "COLUMNS": "80"}


@pytest.fixture
def windlass(place, environ):
    """`windlass("run", …)`: run the command to its end; the finished process with its texts."""

    def call(*arguments, **options):
        command = [sys.executable, "-m", "windlass", *map(str, arguments)]
        given = {"env": environ, "cwd": place, "stdin": subprocess.DEVNULL, "timeout": LIMIT_S} | options
        if "input" in given:
            del given["stdin"]
        return subprocess.run(command, capture_output=True, text=True, **given)

    return call


@pytest.fixture
def started(place, environ):
    """`started("run", …)`: start the command; it is killed when the test ends."""
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "windlass", *map(str, arguments)],
            env=environ,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def events_until(process, name, phase=""):
    """Read a `-o jsonl` run's events up to one; returns them all."""
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1].get("event") == name and seen[-1].get("phase", "") == phase:
            return seen
    pytest.fail(f"{name} never came: {seen} {process.stderr.read()}")


def test_a_failed_session_is_looked_at_mended_and_retried(place, windlass):
    mark = place / "mark"
    failed = windlass(
        "run", "flaky.yaml", "-i", f"mark={mark}", "-i", "city=007", "--tag", "blue", "--tag", "red"
    )
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "Error: phase breaks failed (python, line 3): ValueError: not mended yet" in failed.stderr
    assert "Traceback (most recent call last)" in failed.stderr
    assert "windlass/" not in failed.stderr.replace(str(place), "")  # no frames of our own
    lines = [line for line in failed.stderr.splitlines() if ": done" in line or ": failed" in line]
    assert [line.split(":")[0] for line in lines] == ["numbers", "counted", "breaks"]
    assert "3 rows" in lines[0]
    found = json.loads(windlass("sessions", "list", "-o", "json").stdout)
    (listed,) = found
    assert (listed["cascade_id"], listed["status"]) == ("flaky", "failed")
    session_id = listed["session_id"]
    assert f"windlass run --session {session_id}" in failed.stderr

    shown = windlass("sessions", "show", session_id)
    assert shown.returncode == 0
    assert [line.split()[:2] for line in shown.stdout.splitlines()[2:5]] == [
        ["numbers", "done"],
        ["counted", "done"],
        ["breaks", "failed"],
    ]
    report = json.loads(windlass("sessions", "show", session_id, "-o", "json").stdout)
    assert report["error"]["phase"] == "breaks"

    logs = windlass("logs", session_id).stdout
    assert "| counting in 007" in logs
    only_errors = windlass("logs", session_id, "--level", "error", "-o", "json").stdout.splitlines()
    assert {json.loads(line)["level"] for line in only_errors} == {"error"}

    Path(f"{mark}.mended").touch()
    retried = windlass("sessions", "retry", session_id, "-o", "json", "--quiet")
    assert (retried.returncode, retried.stderr) == (0, "")
    report = json.loads(retried.stdout)
    assert report["status"] == "completed"
    assert report["result"] == {"city": "007", "rows": 3}
    assert report["outputs"]["counted"] == {"ran": 1}
    assert mark.read_text() == "x"  # it was not run again

    again = windlass("run", "--session", session_id)
    assert again.returncode == 0
    assert json.loads(again.stdout) == {"city": "007", "rows": 3}
    assert mark.read_text() == "x"
    assert str(place / "root" / "artifacts" / session_id / "note.txt") in again.stderr
    assert (place / "root" / "artifacts" / session_id / "note.txt").read_text() == "kept"

    resumed = windlass("sessions", "resume-from", session_id, "counted", "-o", "json", "-q")
    assert json.loads(resumed.stdout)["outputs"]["counted"] == {"ran": 2}
    assert windlass("sessions", "resume-from", session_id, "nowhere").returncode == 3


def test_ctrl_c_lets_go_of_the_session_which_goes_on_later(place, started, windlass):
    go = place / "go-1"
    process = started("run", "slow.yaml", "-i", f"go={go}", "-o", "jsonl")
    session_id = events_until(process, "phase.started", "waits")[0]["session_id"]
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=LIMIT_S)[1]
    assert process.returncode == 130
    assert f"windlass run --session {session_id}" in said
    assert "Traceback" not in said
    go.touch()
    resumed = windlass("run", "--session", session_id, "-o", "json")
    assert resumed.returncode == 0
    report = json.loads(resumed.stdout)
    assert report["outputs"] == {"before": "done before", "waits": "waited"}
    assert report["epoch"] == 2


def test_sigterm_ends_with_its_own_code(place, started):
    process = started("run", "slow.yaml", "-i", f"go={place / 'never'}", "-o", "jsonl")
    events_until(process, "phase.started", "waits")
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 143


def test_other_commands_reach_the_folder_while_a_run_holds_it(place, started, windlass):
    go = place / "go-2"
    running = started("run", "slow.yaml", "-i", f"go={go}", "-o", "jsonl")
    session_id = events_until(running, "phase.started", "waits")[0]["session_id"]
    follower = started("logs", "-f", session_id)
    # The line reaches the store a moment after the event was told.
    text = ""
    while "| waiting" not in text:
        line = follower.stdout.readline()
        assert line, follower.stderr.read()
        text += line
    counted = windlass(
        "sql", f"SELECT count() AS n FROM sessions WHERE session_id = '{session_id}'", "-o", "json"
    )
    assert (counted.returncode, json.loads(counted.stdout)) == (0, [{"n": 1}])
    taken = windlass("run", "--session", session_id)
    assert taken.returncode == 5
    assert "is being run by worker" in taken.stderr
    go.touch()
    out, said = follower.communicate(timeout=LIMIT_S)
    assert (follower.returncode, said) == (0, "")
    assert "session.ended" in out
    assert "session.ended" not in text
    *_, report = (json.loads(line) for line in running.communicate(timeout=LIMIT_S)[0].splitlines())
    assert report["status"] == "completed"
    assert running.returncode == 0


def test_a_chosen_id_is_one_session_however_often_it_is_sent(place, windlass):
    (place / "go-3").touch()
    runs = [
        windlass(
            "run", "slow.yaml", "-i", f"go={place / 'go-3'}", "--session", "my-own-id", "-o", "json", "-q"
        )
        for _ in range(2)
    ]
    reports = [json.loads(run.stdout) for run in runs]
    assert [report["session_id"] for report in reports] == ["my-own-id", "my-own-id"]
    assert reports[0]["result"] == reports[1]["result"] == "waited"
    other = windlass("run", "slow.yaml", "-i", "go=elsewhere", "--session", "my-own-id")
    assert other.returncode == 2
    assert "another input" in other.stderr
    rows = windlass("sql", "SELECT count() AS n FROM sessions WHERE session_id = 'my-own-id'", "-o", "jsonl")
    assert json.loads(rows.stdout) == {"n": 1}


def test_sql_reads_prints_and_refuses(windlass):
    query = "SELECT number AS n, if(n = 1, NULL, 'ü') AS word, [n] AS list, 0/0 AS nan FROM numbers(3)"
    table = windlass("sql", query, "--limit", "2").stdout
    assert (
        table
        == "n  word  list  nan\n-  ----  ----  ---\n0  ü     [0]   nan\n1  NULL  [1]   nan\n(… more rows)\n"
    )
    assert windlass("sql", "-", "-o", "csv", input=query).stdout == (
        "n,word,list,nan\n0,ü,[0],nan\n1,,[1],nan\n2,ü,[2],nan\n"
    )
    lines = windlass("sql", query, "-o", "jsonl", "--limit", "1").stdout
    assert json.loads(lines) == {"n": 0, "word": "ü", "list": [0], "nan": None}
    wrong = windlass("sql", "SELECT nope FROM sessions")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("Error: Unknown expression identifier `nope`")
    refused = windlass("sql", "DROP TABLE sessions")
    assert refused.returncode == 2
    assert "only queries that read" in refused.stderr


def test_a_reader_that_leaves_early_is_no_error(started):
    process = started("sql", "SELECT number FROM numbers(300000)", "-o", "jsonl")
    assert process.stdout.readline() == '{"number": 0}\n'
    process.stdout.close()
    process.stdout = None
    said = process.communicate(timeout=LIMIT_S)[1]
    assert (process.returncode, said) == (141, "")


def test_a_session_goes_on_when_nobody_reads_its_events_any_more(place, started, windlass):
    go = place / "go-4"
    process = started("run", "slow.yaml", "-i", f"go={go}", "-o", "jsonl", "-q")
    session_id = events_until(process, "phase.started", "waits")[0]["session_id"]
    process.stdout.close()
    process.stdout = None
    go.touch()
    said = process.communicate(timeout=LIMIT_S)[1]
    assert (process.returncode, said) == (0, "")
    assert json.loads(windlass("sessions", "show", session_id, "-o", "json").stdout)["result"] == "waited"


def test_the_doctor_finds_this_installation_well(windlass):
    done = windlass("doctor")
    assert done.returncode == 0, done.stdout
    assert "ok    store: ClickHouse" in done.stdout
    assert "fail" not in done.stdout


def test_migrating_twice_changes_nothing(windlass):
    windlass("migrate")
    assert windlass("migrate").stdout == "up to date\n"
