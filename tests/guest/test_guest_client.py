"""The worker's side, with real children."""

import os
import threading
from pathlib import Path

import pytest

from windlass.echo import Echo
from windlass.guest import Guest, GuestFailure, InlinePython
from windlass.sandbox import ChildLimits, ChildSpec, ChildStopped, Zygote

LOG_BYTES_MAX = 10_000


@pytest.fixture(scope="module")
def zygote():
    with Zygote(service="windlass.guest.service:Service", preload=["duckdb", "pandas", "pyarrow"]) as made:
        made.start()
        yield made


class Worker:
    """What the runner does with a guest: call, adopt, learn."""

    def __init__(self, zygote: Zygote, folder: Path) -> None:
        self.folder = folder / "session"
        self.bundle = folder / "bundle"
        self.folder.mkdir()
        self.bundle.mkdir()
        self.zygote = zygote
        self.echo = Echo(input={"n": 1})
        self.stop = threading.Event()
        self.lines: list[tuple[str, str]] = []
        self.spawned = 0
        self.saved = []
        self.guest = Guest(
            spawn=self.spawn, restored=lambda: self.saved, echo=self.echo, stop=self.stop,
            log=lambda level, text: self.lines.append((level, text)), log_bytes_max=LOG_BYTES_MAX,
        )  # fmt: skip
        self.inline = InlinePython(
            guest=self.guest, echo=self.echo, folder=self.folder, artifacts=self.folder / "artifacts",
            log=lambda level, text: self.lines.append((level, text)), log_bytes_max=LOG_BYTES_MAX,
            output_bytes_max=1 << 20,
        )  # fmt: skip

    def spawn(self):
        self.spawned += 1
        limits = ChildLimits(memory_bytes=512 << 20, processes=20, file_bytes=1 << 30)
        options = {"folder": str(self.folder), "bundle": str(self.bundle), "memory_bytes": 512 << 20}
        environ = {"PATH": os.environ["PATH"]}
        return self.zygote.spawn(
            ChildSpec(folder=self.folder, environ=environ, limits=limits, options=options)
        )

    def python(self, code: str, phase: str = "p", *, inline: bool = False, **more):
        return self.learn(
            phase, (self.inline if inline else self.guest).python(phase=phase, code=code, names={}, **more)
        )

    def sql(self, text: str, phase: str = "q"):
        return self.learn(phase, self.guest.sql(phase=phase, text=text))

    def learn(self, phase: str, reply):
        self.saved.extend(reply.saved)
        self.echo.learn(phase=phase, output=reply.output, state=reply.state)
        return reply.output


@pytest.fixture
def worker(zygote, tmp_path):
    made = Worker(zygote, tmp_path)
    yield made
    made.guest.close()


def test_phases_share_one_child_and_see_what_came_before(worker):
    worker.python("state['k'] = 1\nresult = input['n']", "first")
    assert worker.python("result = [outputs['first'], state['k']]") == [1, 1]
    worker.sql("SELECT 42 AS a", "table")
    assert worker.python("result = int(data.table.a[0])") == 42
    assert worker.spawned == 1


def test_printed_lines_go_to_the_log_and_what_is_too_much_is_counted(worker):
    worker.python("import sys\nprint('out'); print('err', file=sys.stderr); print('no newline', end='')")
    assert sorted(worker.lines) == [("info", "no newline"), ("info", "out"), ("warning", "err")]
    worker.lines.clear()
    worker.python("print('x' * 50_000)")
    assert sum(len(text) for level, text in worker.lines if level == "info") == LOG_BYTES_MAX
    assert worker.lines[-1] == (
        "warning",
        f"… {50_001 - LOG_BYTES_MAX:,} more bytes were printed and not kept",
    )


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("import os\nos._exit(3)", "died", "exit code 3"),
        ("import ctypes\nctypes.string_at(0)", "died", "segmentation fault"),
        ("import os\nos.kill(os.getpid(), 9)", "died", "out of memory"),
        ("import time\nwhile True: time.sleep(1)", "timeout", "longer than 0.3 s"),
        (
            "import os, time\nfor _ in range(40):\n    if not os.fork(): time.sleep(60)\ntime.sleep(60)",
            "processes",
            "processes",
        ),
    ],
)
def test_a_child_that_ends_is_told_and_the_next_one_restores_the_tables(worker, code, kind, says):
    worker.sql("SELECT 1 AS a", "t")
    with pytest.raises(GuestFailure) as caught:
        worker.python(code, timeout_s=0.3 if kind == "timeout" else 20)
    assert caught.value.failure.kind == kind and says in caught.value.failure.message
    worker.sql("SELECT 2 AS a", "other")
    assert worker.sql("SELECT a FROM _t UNION ALL SELECT a FROM _other", "u")["row_count"] == 2
    assert worker.spawned == 2


def test_a_fork_that_returns_from_the_code_does_not_answer_twice(worker):
    code = "import os\nresult = 'parent' if os.fork() else 'child'"
    assert worker.python(code) == "parent"
    assert worker.python("result = 2") == 2


def test_memory_that_runs_out_is_a_failure_of_the_phase(worker):
    with pytest.raises(GuestFailure) as caught:
        worker.python("x = bytearray(8 << 30)")
    assert caught.value.failure.kind == "memory"
    assert worker.python("result = 1") == 1


def test_a_stop_ends_the_child_at_once(worker):
    timer = threading.Timer(0.2, worker.stop.set)
    timer.start()
    with pytest.raises(ChildStopped):
        worker.python("import time\ntime.sleep(60)")
    timer.join()
    assert worker.guest.child is None


def test_a_kept_scratch_can_be_opened_afterwards(worker):
    import duckdb

    worker.sql("SELECT 1 AS a", "t")
    worker.guest.close(keep=True)
    with duckdb.connect(str(worker.folder / "scratch.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT a FROM _t").fetchall() == [(1,)]


def test_inline_code_needs_no_child_until_it_needs_a_table(worker):
    assert (
        worker.python(
            "print('hi')\nstate['k'] = 1\nresult = {'a': input['n'], '_route': 'x'}", "i", inline=True
        )["a"]
        == 1
    )
    assert worker.lines == [("info", "hi")] and worker.spawned == 0 and worker.echo.state == {"k": 1}
    worker.sql("SELECT 1 AS a, DATE '2012-01-01' AS d", "t")
    assert worker.python("result = data.t", "f", inline=True)["row_count"] == 1
    types = worker.sql("SELECT column_type AS t FROM (DESCRIBE _f)")["rows"]
    assert types == [{"t": "INTEGER"}, {"t": "DATE"}]
    assert worker.python("result = [{'a': 1}]", "l", inline=True) == [{"a": 1}]
    assert worker.sql("FROM _l")["rows"] == [{"a": 1}]


def test_inline_failures_have_the_authors_lines(worker):
    with pytest.raises(GuestFailure) as caught:
        worker.python("x = 1\n(artifacts / 'a.txt').write_text('')\n1 / 0", "deep", inline=True)
    failure = caught.value.failure
    assert failure.line == 3 and "windlass" not in failure.detail
    assert list((worker.folder / "artifacts").iterdir()) == []


def test_inline_files_are_the_inline_phases_own(worker):
    worker.python("result = 1")
    reply = worker.inline.python(phase="i", code="(artifacts / 'a.txt').write_text('')", names={})
    assert [file.name for file in reply.files] == ["a.txt"]
    assert worker.guest.python(phase="p", code="pass", names={}).files == ()
