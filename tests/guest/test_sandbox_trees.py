import contextlib
import os

import pytest

from tests.guest.sandbox_support import DAEMON, Said, exists, run
from windlass.clock import boot_s
from windlass.sandbox import (
    ChildDied,
    descendants,
)

# --- descendants


def test_a_fork_that_comes_back_answers_nothing(spawn):
    one = spawn()
    for turn in range(5):
        assert run(one, f"os.fork(); result = {turn}") == turn


def test_a_fork_of_a_child_ends_quietly_and_has_no_socket_and_no_deafness(spawn):
    code = """
import signal
pid = os.fork()
if pid:
    result = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
else:
    deaf = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    if deaf or os.path.exists("/proc/self/fd/3"):
        os._exit(9)
"""
    one, said = spawn(), Said()
    assert run(one, code, on_output=said) == 0
    assert said.chunks == []


def test_a_daemon_lives_while_its_child_does_and_not_longer(spawn):
    one = spawn()
    daemon = run(one, DAEMON)
    assert exists(daemon)
    assert run(one, "result = 1") == 1
    one.kill()
    assert not exists(daemon)


def test_a_daemon_does_not_outlive_a_child_that_exits(spawn):
    one = spawn()
    daemon = run(one, DAEMON)
    with pytest.raises(ChildDied, match="exited 0"):
        run(one, "os._exit(0)")
    assert not exists(daemon)


def test_a_fork_bomb_is_killed_and_leaves_nothing(spawn, zygote, wait_until):
    one = spawn()
    # Bounded in depth and time, should the limit fail.
    code = """
import time
until = time.time() + 5
for _ in range(8):
    os.fork()
while time.time() < until:
    time.sleep(0.1)
os._exit(0)
"""
    with pytest.raises(ChildDied) as caught:
        run(one, code)
    assert caught.value.reason == "processes"
    wait_until(lambda: one.supervisor_pid not in descendants.children_of(zygote.pid))
    assert not exists(one.pid)


def test_processes_left_behind_by_a_quick_call_are_counted_too(spawn, wait_until):
    one = spawn(processes=4)
    with contextlib.suppress(ChildDied):  # on a busy machine the call is not quick enough
        run(one, "import subprocess; [subprocess.Popen(['sleep', '60']) for _ in range(6)]")
    wait_until(lambda: not one.is_alive)
    with pytest.raises(ChildDied, match="processes"):
        run(one, "result = 1")


def test_the_walk_over_all_of_proc_finds_the_same_tree(spawn, monkeypatch, wait_until):
    one = spawn()
    run(one, DAEMON)
    wait_until(lambda: len(descendants.descendants(one.supervisor_pid)) == 3)
    quick = descendants.descendants(one.supervisor_pid)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert sorted(descendants.descendants(one.supervisor_pid)) == sorted(quick)


# --- limits


def test_an_allocation_far_over_the_limit_is_a_memory_error(spawn):
    code = """
try:
    bytearray(4 << 30)
except MemoryError:
    result = "MemoryError"
"""
    assert run(spawn(), code) == "MemoryError"


def test_processes_that_together_use_too_much_memory_are_killed(spawn):
    one = spawn(memory_bytes=120 << 20)
    code = """
import time
for _ in range(2):
    os.fork()
held = b"x" * (50 << 20)
time.sleep(60)
"""
    with pytest.raises(ChildDied) as caught:
        run(one, code)
    assert caught.value.reason == "memory"


def test_memory_that_forks_share_counts_once(spawn):
    one = spawn(memory_bytes=120 << 20)
    code = """
import time
held = b"x" * (60 << 20)
for _ in range(2):
    if os.fork() == 0:
        time.sleep(60)
time.sleep(1)
result = 1
"""
    assert run(one, code) == 1


def test_processor_time_over_the_limit_is_killed(spawn):
    with pytest.raises(ChildDied) as caught:
        run(spawn(cpu_s=1), "while True: pass")
    assert caught.value.reason == "cpu"


def test_files_and_descriptors_are_limited(spawn):
    code = """
import resource
result = []
try:
    with open("big", "wb") as file:
        file.write(b"x" * (2 << 20))
except OSError as error:
    result.append(error.errno)
try:
    held = [open("/dev/null") for _ in range(300)]
except OSError as error:
    result.append(error.errno)
result.append(resource.getrlimit(resource.RLIMIT_CORE)[1])
"""
    assert run(spawn(file_bytes=1 << 20, open_files=64), code) == [27, 24, 0]


def test_a_child_is_killed_at_its_deadline_unless_that_is_moved(spawn):
    one = spawn()
    one.extend(boot_s() + 0.3)
    one.extend(boot_s() + 60)
    assert run(one, "import time; time.sleep(0.5); result = 1") == 1
    one.extend(boot_s() + 0.2)
    with pytest.raises(ChildDied) as caught:
        run(one, "import time; time.sleep(60)")
    assert caught.value.reason == "deadline"


# --- nothing leaks


def test_many_children_leave_no_descriptor_and_no_zombie(spawn, zygote, wait_until):
    spawn().kill()
    before = len(os.listdir("/proc/self/fd"))
    before_zygote = len(os.listdir(f"/proc/{zygote.pid}/fd"))
    for turn in range(200):
        one = spawn()
        if turn % 3 == 0:
            one.close()
        elif turn % 3 == 1:
            with pytest.raises(ChildDied):
                run(one, "os._exit(1)")
        else:
            one.kill()
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(os.listdir(f"/proc/{zygote.pid}/fd")) == before_zygote
    wait_until(lambda: not descendants.children_of(zygote.pid))
