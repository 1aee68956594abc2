import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest

from windlass.config import Settings
from windlass.errors import OperatorError
from windlass.records import Checkpoint, LogLine, RowKind
from windlass.store import open_store
from windlass.store.folder import FolderLock

HOLDER = """
import sys
from pathlib import Path
from windlass.config import Settings
from windlass.records import Checkpoint, RowKind
from windlass.store import open_store
with open_store(Settings(root=Path(sys.argv[1]))) as store:
    print("holding", store.is_embedded, flush=True)
    for line in sys.stdin:
        if line == "write\\n":
            seq = 0
            while True:
                store.checkpoints.append(Checkpoint("s1", 1, seq, RowKind.PHASE)).result()
                print(seq, flush=True)
                seq += 1
"""


@contextmanager
def holding(root):
    """A process that holds the folder below `root`; ends with the block, however it goes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    try:
        assert process.stdout.readline() == "holding True\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_a_second_command_works_through_the_holder_of_the_folder(root):
    with holding(root), open_store(Settings(root=root)) as guest:
        assert not guest.is_embedded
        guest.checkpoints.append(Checkpoint("s1", 1, 0, RowKind.TAKEOVER)).result(30)
        guest.logs.append(LogLine("s1", "c", 1, 1, "log"))
        assert guest.flush(limit_s=30)
        assert len(guest.checkpoints.read("s1")) == len(guest.logs.tail("s1")) == 1
        assert list(guest.read_only("SELECT count() FROM checkpoints").rows) == [(1,)]


def test_the_holder_s_url_is_readable_by_its_user_only_and_gone_afterwards(root):
    with open_store(Settings(root=root)) as store:
        url_file = root / "clickhouse.url"
        assert stat.S_IMODE(url_file.stat().st_mode) == 0o600
        assert url_file.read_text().strip() == store.holder_url
    assert not url_file.exists()


def test_a_killed_holder_s_folder_is_free_at_once_and_what_it_acknowledged_is_there(root):
    with holding(root) as process:
        process.stdin.write("write\n")
        process.stdin.flush()
        for _ in range(10):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=30)[0].split()
        last = int(rest[-1]) if rest else last
    assert (root / "clickhouse.url").exists()
    with open_store(Settings(root=root)) as store:
        assert store.is_embedded
        seqs = [row.seq for row in store.checkpoints.read("s1")]
        assert seqs[: last + 1] == list(range(last + 1))


def test_a_guest_whose_holder_is_killed_takes_the_folder_over_and_loses_no_row(root):
    with holding(root) as process, open_store(Settings(root=root)) as guest:
        futures = [guest.checkpoints.append(Checkpoint("s1", 1, seq, RowKind.PHASE)) for seq in range(50)]
        futures[0].result(30)
        process.send_signal(signal.SIGKILL)
        futures += [
            guest.checkpoints.append(Checkpoint("s1", 1, seq, RowKind.PHASE)) for seq in range(50, 80)
        ]
        for future in futures:
            future.result(60)
        assert [row.seq for row in guest.checkpoints.read("s1")] == list(range(80))
        assert guest.is_embedded


def test_a_lock_is_taken_once_and_a_stale_url_of_a_free_folder_is_not_believed(tmp_path):
    first, second = FolderLock(str(tmp_path / "store")), FolderLock(str(tmp_path / "store"))
    assert first.take()
    first.announce("http://x")
    assert not second.take()
    assert second.holder_url() == "http://x"
    os.close(first._descriptor)  # As when its process is killed: the lock goes and the URL stays.
    assert second.holder_url() == ""
    assert second.take()
    second.release()
    second.release()


def test_a_folder_that_cannot_be_made_is_an_operator_s_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OperatorError, match="file"):
        open_store(Settings(root=tmp_path / "file"))


def test_a_store_that_is_not_there_is_said_so_within_its_limit():
    with pytest.raises(Exception, match="does not answer"):
        open_store(Settings(clickhouse_url="http://127.0.0.1:1/windlass"))
