"""kill -9 at every checkpoint row, at three moments of each; then resume elsewhere in the folder.

The cascade has six phases and a sub-cascade of two, which makes twelve rows. Each step that is
code appends its name to a file that the store knows nothing of: that file says what really ran.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "kill"
SESSION = "killed"
EXPECTED = "2450 sum is 2450 2450 7"

# Rows in the order they are sent: takeover, numbers, doubled, shouted, the sub-cascade's takeover, six, seven
# and end, then nested, total, said and the end.
ROWS = 12
# Which step that leaves a note is committed by which row.
NOTED_BY_ROW = {3: "doubled", 4: "shouted", 6: "six", 7: "seven", 11: "said"}


def run(
    root: Path, *arguments: str, script: tuple[str, ...] = ("-m", "windlass")
) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "WINDLASS_ROOT": str(root)}
    return subprocess.run(
        [sys.executable, *script, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def sql(root: Path, statement: str) -> list[dict[str, object]]:
    done = run(root, "sql", statement, "-o", "json")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


@pytest.mark.parametrize("moment", ["before", "inserted", "acknowledged"])
@pytest.mark.parametrize("row", range(1, ROWS + 1))
def test_a_session_killed_at_a_checkpoint_goes_on_and_repeats_nothing_that_counted(
    tmp_path: Path, moment: str, row: int
) -> None:
    root, notes = tmp_path / "root", tmp_path / "notes.txt"
    notes.write_text("")
    start = ("run", str(HERE / "steps.yaml"), "-i", f"notes={notes}", "--session", SESSION)
    killed = run(root, moment, str(row), *start, script=(str(HERE / "dying_windlass.py"),))
    assert killed.returncode == -9, killed.stderr

    shutil.rmtree(root / "session_dbs", ignore_errors=True)
    shutil.rmtree(root / "bundles", ignore_errors=True)
    resumed = run(root, "run", "--session", SESSION, "-o", "json")

    assert resumed.returncode == 0, resumed.stderr
    report = json.loads(resumed.stdout)
    assert report["status"] == "completed"
    assert report["result"] == EXPECTED
    ran = Counter(notes.read_text().split())
    in_flight = NOTED_BY_ROW.get(row) if moment == "before" else None
    assert ran == Counter(NOTED_BY_ROW.values()) + Counter([in_flight] if in_flight else [])


def test_a_session_killed_again_and_again_still_ends_with_one_history(tmp_path: Path) -> None:
    root, notes = tmp_path / "root", tmp_path / "notes.txt"
    notes.write_text("")
    start = ("run", str(HERE / "steps.yaml"), "-i", f"notes={notes}", "--session", SESSION)
    assert run(root, "inserted", "3", *start, script=(str(HERE / "dying_windlass.py"),)).returncode == -9
    for _ in range(2):  # each gets one phase further: its takeover row and one more
        again = ("inserted", "2", "run", "--session", SESSION)
        assert run(root, *again, script=(str(HERE / "dying_windlass.py"),)).returncode == -9
    done = run(root, "run", "--session", SESSION, "-o", "json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == EXPECTED
    assert Counter(notes.read_text().split()) == Counter(NOTED_BY_ROW.values())
    rows = sql(
        root,
        f"SELECT DISTINCT epoch FROM checkpoints WHERE session_id = '{SESSION}' ORDER BY epoch",
    )
    assert [int(str(row["epoch"])) for row in rows] == [1, 2, 3, 4]
