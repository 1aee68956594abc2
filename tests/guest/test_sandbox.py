import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.guest.sandbox_support import LIMIT_S, SERVICE, Said, exists, run
from windlass.clock import boot_s
from windlass.errors import OperatorError
from windlass.sandbox import (
    ChildDied,
    ChildLimits,
    ChildSpec,
    ChildStopped,
    ChildTimeout,
    ServiceFailed,
    Zygote,
    child,
)

# --- a call


def test_a_call_gives_back_what_the_service_returned(spawn):
    value = {"text": "Grüße \ud800 \0", "list": [1, 2.5, None, True], "deep": {"": {}}}
    one = spawn()
    assert one.call("echo", value, timeout_s=LIMIT_S, stop=threading.Event(), on_output=print) == value
    assert one.is_alive


def test_requests_and_replies_may_be_larger_than_any_socket_buffer(spawn):
    value = {"text": "x" * 20_000_000}
    assert spawn().call("echo", value, timeout_s=LIMIT_S, stop=threading.Event(), on_output=print) == value


def test_all_that_was_printed_comes_before_the_call_returns_even_without_a_newline(spawn):
    one = spawn()
    for turn in range(20):
        said = Said()
        run(one, f"print('out {turn}', end=''); print('err {turn}', end='', file=sys.stderr)", on_output=said)
        assert (said.text("stdout"), said.text("stderr")) == (f"out {turn}", f"err {turn}")


def test_a_printed_line_comes_while_the_call_still_runs(spawn):
    stop = threading.Event()
    with pytest.raises(ChildStopped):
        run(
            spawn(),
            "import time\nprint('now')\ntime.sleep(60)",
            stop=stop,
            on_output=lambda stream, chunk: stop.set(),
        )


def test_a_hundred_megabytes_of_output_are_forwarded_whole(spawn):
    count = 0

    def add(stream, chunk):
        nonlocal count
        count += len(chunk)

    run(spawn(), "for _ in range(1000): print('x' * 99_999)", on_output=add)
    assert count == 100_000_000


def test_a_process_left_printing_does_not_hold_up_the_reply(spawn):
    def slow(stream, chunk):
        time.sleep(0.01)  # so that the pipe is full again whenever it is read

    one = spawn()
    code = "import subprocess; subprocess.Popen(['yes']); result = 1"
    assert run(one, code, on_output=slow) == 1
    assert run(one, "result = 2", on_output=slow) == 2


def test_a_child_that_closed_its_standard_output_goes_on(spawn):
    one, said = spawn(), Said()
    assert run(one, "os.close(1); result = 1") == 1
    assert run(one, "sys.stderr.write('still here'); result = 2", on_output=said) == 2
    assert said.text("stderr") == "still here"


def test_an_error_that_the_service_lets_through_leaves_the_child_alive(spawn):
    one = spawn()
    for code in ("raise ValueError('oops')", "raise SystemExit(3)", "result = {1, 2}"):
        with pytest.raises(ServiceFailed) as caught:
            run(one, code)
        assert "Traceback" in caught.value.detail
    assert run(one, "result = 1") == 1


def test_children_are_called_from_many_threads_at_once(spawn):
    children = [spawn() for _ in range(4)]

    def many(number):
        said = Said()
        values = [
            run(children[number % 4], f"print({number}); result = {number}", on_output=said)
            for _ in range(20)
        ]
        return set(values), set(said.text("stdout").split())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(many, range(8)))
    assert found == [({number}, {str(number)}) for number in range(8)]


# --- what a child starts with


def test_a_child_has_a_clean_environment_its_folder_and_no_descriptors_but_its_own(
    spawn, tmp_path, monkeypatch
):
    monkeypatch.setenv("WINDLASS_SECRET_FOR_TEST", "hunter2")
    with Zygote(service=SERVICE, preload=[]) as fresh:
        one = spawn(environ={"GREETING": "hello", "TZ": "Asia/Tokyo"}, by=fresh)
        code = """
import time
result = {
    "environ": dict(os.environ),
    "inherited": open("/proc/self/environ").read() + open(f"/proc/{os.getppid()}/environ").read(),
    "cwd": os.getcwd(),
    "fds": [fd for fd in range(300) if os.path.exists(f"/proc/self/fd/{fd}")],
    "stdin": sys.stdin.read(),
    "session": os.getsid(0) == os.getpid(),
    "zone": time.tzname[0],
    "status": open("/proc/self/status").read(),
}
"""
        found = run(one, code)
    assert found["environ"] == {"GREETING": "hello", "TZ": "Asia/Tokyo"}
    assert "hunter2" not in found["inherited"]
    assert found["cwd"] == str(tmp_path)
    assert found["fds"] == [0, 1, 2, 3]
    assert found["stdin"] == ""
    assert found["session"]
    assert found["zone"] == "JST"
    assert "NoNewPrivs:\t1" in found["status"]
    assert "Umask:\t0077" in found["status"]


def test_a_program_that_a_child_starts_has_neither_its_socket_nor_its_signals(spawn):
    code = '''
import subprocess
program = """
import os, signal
print([signal.getsignal(s) for s in (15, 1)] == [signal.SIG_DFL] * 2, os.listdir("/proc/self/fd"))
"""
result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
'''
    assert run(spawn(), code).startswith("True ['0', '1', '2', '3']")  # 3 is the listing itself


def test_a_polite_signal_ends_nothing(spawn, zygote):
    one = spawn()
    pids = (one.pid, one.supervisor_pid, zygote.pid)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    assert run(one, "import time; time.sleep(0.2); result = 1") == 1
    another = spawn()
    assert (one.pid, one.supervisor_pid, zygote.pid) == pids
    assert run(another, "result = os.getppid()") == another.supervisor_pid


def test_a_service_whose_constructor_raises_says_why(spawn):
    with pytest.raises(ServiceFailed, match="no such luck"):
        spawn(options={"raise": "no such luck"})


def test_a_folder_that_is_not_there_is_named(zygote, tmp_path):
    limits = ChildLimits(memory_bytes=1 << 28, processes=5, file_bytes=1 << 20)
    with pytest.raises(ServiceFailed, match="nowhere"):
        zygote.spawn(ChildSpec(folder=tmp_path / "nowhere", environ={}, limits=limits))


def test_a_zygote_that_cannot_import_says_what(spawn):
    broken = Zygote(service=SERVICE, preload=["no_such_module_at_all"])
    broken.start()
    with pytest.raises(OperatorError, match="No module named 'no_such_module_at_all'"):
        spawn(by=broken)
    broken.close()


def test_a_closed_zygote_starts_nothing_more(spawn):
    closed = Zygote(service=SERVICE, preload=[])
    closed.start()
    closed.close()
    closed.close()
    with pytest.raises(OperatorError, match="closed"):
        spawn(by=closed)


# --- how a child ends


@pytest.mark.parametrize(
    ("code", "reason", "exit_code", "number"),
    [
        ("os._exit(0)", "exited 0", 0, None),
        ("os._exit(7)", "exited 7", 7, None),
        ("os.kill(os.getpid(), 9)", "signal 9", None, 9),
        ("import ctypes; ctypes.string_at(0)", "signal 11", None, 11),
        ("print('last', flush=True); os.abort()", "signal 6", None, 6),
    ],
)
def test_a_child_that_ends_in_a_call_says_how(spawn, code, reason, exit_code, number):
    one, said = spawn(), Said()
    with pytest.raises(ChildDied) as caught:
        run(one, code, on_output=said)
    assert (caught.value.reason, caught.value.exit_code, caught.value.signal) == (reason, exit_code, number)
    assert not one.is_alive
    assert ("last" in code) == (said.text("stdout") == "last\n")
    with pytest.raises(ChildDied, match=reason):
        run(one, "result = 1")


def test_a_call_that_takes_too_long_is_killed_with_all_it_started(spawn):
    one, said = spawn(), Said()
    code = """
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen(["bash", "-c", "trap '' TERM; while true; do sleep 60; done"]).pid)
while True:
    time.sleep(60)
"""
    began_s = boot_s()
    with pytest.raises(ChildTimeout):
        run(one, code, timeout_s=0.5, on_output=said)
    assert 0.5 <= boot_s() - began_s < 5
    assert not one.is_alive
    assert not exists(int(said.text("stdout")))
    assert not exists(one.pid)


def test_a_stop_event_kills_the_call(spawn):
    one, stop = spawn(), threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(ChildStopped):
        run(one, "import time; time.sleep(60)", stop=stop)
    assert not exists(one.pid)


def test_a_callback_that_raises_kills_the_child(spawn):
    one = spawn()

    def refuse(stream, chunk):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(one, "print('x')\nwhile True: pass", on_output=refuse)
    assert not one.is_alive
    assert not exists(one.pid)


def test_kill_from_another_thread_ends_a_call(spawn):
    one = spawn()
    threading.Timer(0.1, one.kill).start()
    with pytest.raises(ChildDied) as caught:
        run(one, "import time; time.sleep(60)")
    assert caught.value.reason == "killed"
    one.kill()
    one.close()


def test_closing_lets_the_service_close_first(spawn, tmp_path):
    one = spawn(options={"closed": str(tmp_path / "closed")})
    one.close()
    assert (tmp_path / "closed").read_text() == "closed"
    assert not exists(one.pid)


def test_nonsense_on_the_childs_socket_kills_it(spawn):
    for code in ("os.write(3, b'x' * 100)", "os.write(3, (5).to_bytes(8, 'big') + b'nope!')"):
        one = spawn()
        with pytest.raises(ChildDied) as caught:
            run(one, code + "; import time; time.sleep(60)")
        assert caught.value.reason == "protocol"
        assert not exists(one.pid)


def test_a_child_that_closed_its_socket_and_lives_on_is_killed(spawn, monkeypatch):
    monkeypatch.setattr(child, "DYING_S", 0.2)
    one = spawn()
    with pytest.raises(ChildDied):
        run(one, "import socket, time; socket.socket(fileno=3).shutdown(2); time.sleep(60)")
    assert not exists(one.pid)
