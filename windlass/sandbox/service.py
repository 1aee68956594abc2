"""The child's side: become a limited process with a clean environment, then answer requests.

    limited ──(set-up frame)──> set up ──> ready ──> answering, one request at a time ──(EOF)──> closed

The service is any class with `__init__(options)`, `handle(method, params) -> dict` and, if it likes,
`close()`, which is called when the worker lets go in peace. Frames are as `windlass.sandbox.frames` says:
set-up {id, folder, environ, options} → {id, pids}; {id, method, params} → {id, result} or {id, error}.

Failure: an error of the author's is for the service to catch; what it lets through is answered as
{id, error, detail} and the child lives on. Exit, crash or kill end the socket, and the supervisor tells why.
A fork that the author's code makes has no rpc socket and can't answer in the child's place.
"""

import contextlib
import fcntl
import io
import os
import resource
import signal
import socket
import sys
import time
import traceback
from typing import Any

from windlass.sandbox import linux
from windlass.sandbox.frames import FrameError, FrameReader, pack

RPC_FD = 3
# Room for what libraries reserve and never touch: a DuckDB-to-pandas-to-Arrow trip that used 0.4 GiB had
# 1.6 GiB reserved here (an arena of 1 GiB, thread stacks of 8 MiB). What is touched the supervisor counts.
DATA_SLACK_BYTES = 1 << 30
# The kernel's out-of-memory killer takes a child before a worker or a database.
OOM_SCORE = "500"


def run(request: dict[str, Any], fds: tuple[int, int, int], service_class: Any, *, parent: int) -> None:
    """Be the child; ends the process and never returns."""
    code = 1
    try:
        sock = _isolate(request, fds, parent)
        _serve(sock, service_class)
        code = 0
    except BaseException:
        # Whatever happens in this copy, it must not go on as a second supervisor.
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _isolate(request: dict[str, Any], fds: tuple[int, int, int], parent: int) -> socket.socket:
    """A session, limits and descriptors of its own; the rpc socket."""
    linux.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel was asked
    os.setsid()
    os.umask(0o077)
    _take_descriptors(*fds)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(OOM_SCORE)
    _limit(request["limits"])
    linux.set_process_name("wl:" + str(request["name"])[-12:])
    linux.forbid_new_privileges()
    # A service manager that stops the machine signals every process; the worker drains meanwhile and
    # decides. A handler, not SIG_IGN, because programs started from here would inherit that.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGHUP, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    sock = socket.socket(fileno=RPC_FD)
    own_pid = os.getpid()
    os.register_at_fork(after_in_child=lambda: _leave_to_parent(sock, own_pid))
    return sock


def _take_descriptors(rpc: int, out: int, err: int) -> None:
    """Standard input empty, stdout and stderr to the worker, rpc as 3, and nothing else."""
    # First out of the way of 0 to 3, whatever their numbers are.
    rpc, out, err = (_duplicate(fd) for fd in (rpc, out, err))
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    os.dup2(rpc, RPC_FD, inheritable=False)
    os.closerange(RPC_FD + 1, max(os.sysconf("SC_OPEN_MAX"), 1 << 20))
    sys.stdin = _text(0, "rb")
    sys.stdout = _text(1, "wb")
    sys.stderr = _text(2, "wb")


def _duplicate(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, RPC_FD + 1)


def _text(fd: int, mode: str) -> io.TextIOWrapper:
    """A standard stream: what is printed goes out line by line, and a part of a line before each reply."""
    file: Any = open(fd, mode, closefd=False)  # noqa: SIM115  # it lives as long as the process
    return io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _limit(limits: dict[str, Any]) -> None:
    """What one process may use; the tree as a whole is the supervisor's to watch.

    RLIMIT_AS would break libraries that reserve far more addresses than they use; RLIMIT_DATA counts
    private writable memory only, and gives a Python program a MemoryError. RLIMIT_NPROC is left alone: it
    counts all threads of the user on the machine, so it would fail the innocent, and doesn't bind root.
    """
    data = _data_bytes() + int(limits["memory_bytes"]) + DATA_SLACK_BYTES
    wanted = {
        resource.RLIMIT_DATA: (data, data),
        resource.RLIMIT_FSIZE: (limits["file_bytes"], limits["file_bytes"]),
        resource.RLIMIT_NOFILE: (limits["open_files"], limits["open_files"]),
        resource.RLIMIT_CORE: (0, 0),
    }
    if limits["cpu_s"] is not None:
        # The soft limit's signal says what happened; the hard one is a plain SIGKILL.
        wanted[resource.RLIMIT_CPU] = (limits["cpu_s"], limits["cpu_s"] + 1)
    for kind, pair in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = hard if hard != resource.RLIM_INFINITY else max(pair)
        resource.setrlimit(kind, (min(pair[0], most), min(pair[1], most)))


def _data_bytes() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def _leave_to_parent(sock: socket.socket, main_pid: int) -> None:
    """In a process that the author's code forked: no rpc, and signals as a program expects them."""
    sock.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _serve(sock: socket.socket, service_class: Any) -> None:
    """Make the service and answer until the worker closes its end."""
    reader = FrameReader(sock)
    main_pid = os.getpid()
    message = _read(reader)
    try:
        service = service_class(_set_up(message))
    except Exception as error:
        # The constructor is the service's, so anything may come out of it; the worker says what.
        sock.sendall(pack(_failure(message["id"], error)))
        return
    sock.sendall(pack({"id": message["id"], "pids": {"child": main_pid, "supervisor": os.getppid()}}))
    while True:
        try:
            request = reader.read()
        except EOFError:
            break
        assert request is not None  # the socket is blocking
        frame = _answer(service, request)
        if os.getpid() != main_pid:
            os._exit(0)  # a fork of the author's that came back as far as this
        sock.sendall(frame)
    close = getattr(service, "close", None)
    if close is not None:
        close()


def _read(reader: FrameReader) -> dict[str, Any]:
    message = reader.read()
    assert message is not None  # the socket is blocking
    return message


def _set_up(message: dict[str, Any]) -> Any:
    """The folder and environment that the worker says; the service's options."""
    os.environ.clear()
    os.environ.update(message["environ"])
    time.tzset()
    os.chdir(message["folder"])
    return message["options"]


def _answer(service: Any, request: dict[str, Any]) -> bytes:
    try:
        result = service.handle(request["method"], request["params"])
        frame = pack({"id": request["id"], "result": result})
    except BaseException as error:
        # The last resort: authors' errors, SystemExit included, are the service's to catch.
        frame = pack(_failure(request["id"], error))
    for stream in (sys.stdout, sys.stderr):
        # The author may have closed it or put anything in its place.
        with contextlib.suppress(Exception):
            stream.flush()
    return frame


def _failure(request_id: int, error: BaseException) -> dict[str, Any]:
    if isinstance(error, FrameError):
        return {"id": request_id, "error": str(error), "detail": ""}
    detail = "".join(traceback.format_exception(error))
    return {"id": request_id, "error": f"{type(error).__name__}: {error}", "detail": detail}
