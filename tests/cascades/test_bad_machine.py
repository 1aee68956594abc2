"""A machine that refuses: a disk that is full, a folder that is none or may not be written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cascades.conftest import REPOSITORY, RUN_LIMIT_S, Windlass

LIGHT = "cascade_id: light\nphases:\n  - {name: a, python: result = 1}\n"

# The phase `fills` takes all the space there is on its first run, so that its own row cannot be written.
FILLS = """\
cascade_id: fills
inputs_schema: {disk: "a folder on the small disk", log: "a file elsewhere"}
phases:
  - name: counted
    shell: echo counted >> {{ input.log }}
  - name: fills
    shell: |
      echo fills >> {{ input.log }}
      [ "$(grep -c fills {{ input.log }})" -gt 1 ] || cat /dev/zero > {{ input.disk }}/full || true
  - name: after
    sql: SELECT 1 AS n
"""
# A table that is larger than the disk.
HUGE = """\
cascade_id: huge
phases:
  - name: huge
    sql: SELECT md5(range::VARCHAR) || md5((range * 7)::VARCHAR) AS t FROM range(900000)
"""
# In a mount namespace of its own, so that the small disk is nobody else's.
ON_A_SMALL_DISK = """\
set -eu
mount -t tmpfs -o size=30m tmpfs "$DISK"
set +e
windlass() { "$PYTHON" -m windlass "$@"; echo "exit $?"; }
windlass run -q "$PLACE/light.yaml"
windlass run -q "$PLACE/fills.yaml" --session fills -i "disk=$DISK" -i "log=$PLACE/log"
windlass run -q "$PLACE/light.yaml"
rm "$DISK/full"
windlass run -q --session fills
windlass run -q "$PLACE/huge.yaml" --session huge
windlass sql -o csv "SELECT phase, epoch FROM phases WHERE session_id = 'fills' ORDER BY epoch, at"
"""


def may_mount() -> bool:
    tried = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(tried, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a small disk")
def test_a_full_disk_is_said_to_be_full_and_the_session_goes_on_once_there_is_space(tmp_path: Path) -> None:
    for name, text in {"light": LIGHT, "fills": FILLS, "huge": HUGE}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    disk = tmp_path / "disk"
    disk.mkdir()
    given = {"DISK": str(disk), "PLACE": str(tmp_path), "PYTHON": sys.executable}
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "bash", "-c", ON_A_SMALL_DISK],
        env={**os.environ, **given, "WINDLASS_ROOT": str(disk / "root"), "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_LIMIT_S,
    )
    assert "bug of Windlass" not in done.stdout
    # Each command's words end with its code.
    *said, rest = re.split(r"exit (\d+)\n", done.stdout)
    assert rest == "", done.stdout
    light, full, refused, resumed, huge, rows = zip(said[::2], said[1::2], strict=True)
    assert light == ("1\n", "0")
    assert full[1] == "5" and "is full" in full[0] and "windlass run --session fills" in full[0], full
    assert refused[1] == "5" and re.search("is full|No space left", refused[0]), refused
    assert resumed == ("n\n-\n1\n", "0")
    assert huge[1] == "1" and "phase huge failed (disk): the disk is full" in huge[0], huge
    assert rows[0].split() == ["phase,epoch", "counted,1", "fills,2", "after,2"]
    assert (tmp_path / "log").read_text().split() == ["counted", "fills", "fills"]


def test_a_root_that_is_a_file_is_said_to_be_none(windlass: Windlass, tmp_path: Path) -> None:
    (tmp_path / "light.yaml").write_text(LIGHT)
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        for words in (["run", str(tmp_path / "light.yaml")], ["sql", "SELECT 1"], ["sessions", "list"]):
            said = refused(Windlass(root), *words)
            assert str(root) in said
            assert "WINDLASS_ROOT names the folder" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_may_not_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "light.yaml").write_text(LIGHT)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert "Permission denied" in refused(Windlass(locked / "root"), "run", str(tmp_path / "light.yaml"))


def refused(windlass: Windlass, *words: str) -> str:
    """What a command said on stderr that the machine would not let do its work."""
    done = subprocess.run(
        [*windlass.argv, *words], env=windlass.environ, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (5, ""), done.stderr
    assert "bug" not in done.stderr
    return done.stderr
