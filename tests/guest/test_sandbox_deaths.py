"""Somebody kills or stops a process of the tree: nothing may survive that nobody watches."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.guest.sandbox_support import DAEMON, LIMIT_S, SERVICE
from windlass.clock import boot_s
from windlass.sandbox import ChildDied, ChildLimits, ChildSpec, Zygote, child

ROOT = Path(__file__).parents[2]

# A worker of its own: takes a lock, starts a child with a daemon, says who is who, and then computes.
WORKER = """
import fcntl, json, os, sys, threading
from pathlib import Path
from windlass.clock import boot_s
from windlass.sandbox import ChildLimits, ChildSpec, Zygote

folder, service, daemon, deadline_s = sys.argv[1:]
lock = os.open(folder + "/lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
zygote = Zygote(service=service, preload=[], keep_fds=[lock])
limits = ChildLimits(memory_bytes=1 << 29, processes=20, file_bytes=1 << 20)
child = zygote.spawn(ChildSpec(folder=Path(folder), environ={}, limits=limits, session_id="s"))
never = threading.Event()
quiet = lambda stream, chunk: None
found = child.call("run", {"code": daemon}, timeout_s=10, stop=never, on_output=quiet)
if float(deadline_s):
    child.extend(boot_s() + float(deadline_s))
pids = [zygote.pid, child.supervisor_pid, child.pid, found["value"]]
print(json.dumps(pids), flush=True)
child.call("run", {"code": "while True: pass"}, timeout_s=60, stop=never, on_output=quiet)
"""


@pytest.fixture
def worker(tmp_path):
    started = []

    def start(deadline_s=0.0):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), SERVICE, DAEMON, str(deadline_s)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def zygote():
    with Zygote(service=SERVICE, preload=[]) as zygote:
        yield zygote


@pytest.fixture
def spec(tmp_path):
    limits = ChildLimits(memory_bytes=1 << 29, processes=20, file_bytes=1 << 20)
    return ChildSpec(folder=tmp_path, environ={}, limits=limits, session_id="s-1")


def run(one, code):
    reply = one.call(
        "run", {"code": code}, timeout_s=LIMIT_S, stop=threading.Event(), on_output=lambda stream, chunk: None
    )
    return reply["value"]


def is_running(pid):
    """Is it there and not merely waiting to be reaped? An orphan's new parent may be slow at that."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def is_free(lock):
    with open(lock, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_killed_worker_leaves_no_process_and_its_lock_is_free_only_then(worker, tmp_path, wait_until):
    process, pids = worker()
    assert all(map(is_running, pids))
    assert not is_free(tmp_path / "lock")
    began_s = boot_s()
    process.kill()
    process.wait()
    wait_until(lambda: is_free(tmp_path / "lock"))
    assert not any(map(is_running, pids[1:]))
    assert boot_s() - began_s < 1.0
    wait_until(lambda: not is_running(pids[0]))


def test_the_lock_stays_held_while_a_supervisor_cannot_do_its_work(worker, tmp_path, wait_until):
    process, pids = worker()
    os.kill(pids[1], signal.SIGSTOP)
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(pids[0]))
    assert not is_free(tmp_path / "lock")
    os.kill(pids[1], signal.SIGCONT)
    wait_until(lambda: is_free(tmp_path / "lock"))
    assert not any(map(is_running, pids))


def test_the_children_of_a_stopped_worker_are_killed_at_their_deadline(worker, wait_until):
    process, pids = worker(deadline_s=0.5)
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: not any(map(is_running, pids[1:])), limit_s=3.0)
    assert is_running(pids[0])
    assert process.poll() is None


def test_ctrl_c_in_the_workers_terminal_reaches_no_child(worker):
    process, pids = worker()
    assert all(os.getpgid(pid) != os.getpgid(process.pid) for pid in pids)
    assert all(os.getsid(pid) != os.getsid(process.pid) for pid in pids)


def test_children_of_a_killed_zygote_go_on_and_the_next_comes_from_a_fresh_one(zygote, spec, wait_until):
    first = zygote.spawn(spec)
    daemon = run(first, DAEMON)
    old = zygote.pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not is_running(old))
    assert run(first, "result = 1") == 1
    second = zygote.spawn(spec)
    assert zygote.pid != old
    assert run(second, "result = 2") == 2
    first.kill()
    second.kill()
    assert not is_running(daemon)
    assert not is_running(first.pid)


def test_nothing_survives_a_killed_supervisor(zygote, spec, wait_until):
    one = zygote.spawn(spec)
    daemon = run(one, DAEMON)
    os.kill(one.supervisor_pid, signal.SIGKILL)
    with pytest.raises(ChildDied) as caught:
        run(one, "import time; time.sleep(60)")
    assert caught.value.reason == "lost"
    wait_until(lambda: not is_running(one.pid) and not is_running(daemon))
    another = zygote.spawn(spec)
    assert run(another, "result = 1") == 1
    another.kill()


def test_a_child_dies_with_its_supervisor_though_the_zygote_does_nothing(zygote, spec, wait_until):
    one = zygote.spawn(spec)
    os.kill(zygote.pid, signal.SIGSTOP)
    os.kill(one.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not is_running(one.pid))
    os.kill(zygote.pid, signal.SIGCONT)
    one.kill()


def test_a_supervisor_that_does_not_answer_is_killed_with_its_child(zygote, spec, monkeypatch, wait_until):
    monkeypatch.setattr(child, "END_S_MAX", 0.3)
    one = zygote.spawn(spec)
    daemon = run(one, DAEMON)
    os.kill(one.supervisor_pid, signal.SIGSTOP)
    one.kill()
    assert not one.is_alive
    wait_until(lambda: not is_running(one.pid) and not is_running(daemon))


def test_closing_a_zygote_kills_its_children(spec):
    zygote = Zygote(service=SERVICE, preload=[])
    one = zygote.spawn(spec)
    daemon = run(one, DAEMON)
    process = zygote.pid
    zygote.close()
    assert not any(map(is_running, (one.pid, daemon, process)))
    assert not one.is_alive


def test_a_handle_that_is_dropped_ends_its_child(zygote, spec, wait_until):
    one = zygote.spawn(spec)
    pid = one.pid
    with pytest.warns(ResourceWarning):
        del one
    wait_until(lambda: not is_running(pid))
