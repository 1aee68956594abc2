"""The worker's side of the zygote: start it, ask it for children, replace it when it died.

The zygote's imports run while the worker goes on with its own start; a request waits in the control socket
until they are done. See `windlass.sandbox.zygote` for the tree of processes.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Self

from windlass.errors import OperatorError
from windlass.sandbox.child import Child, OnOutput
from windlass.sandbox.spec import ChildDied, ChildSpec, ChildTimeout, ServiceFailed

# Imports of pandas, pyarrow and duckdb take 1 s here and half a minute on a cold network disk.
SPAWN_S_MAX = 60.0
# A zygote that died between two children is replaced once for each; dying twice in a row is a fault to tell.
SPAWN_ATTEMPTS_MAX = 2
# It has nothing to do at its end but to see that its socket is closed.
CLOSE_S = 5.0
# The end of what it or a service said on stderr, for a message.
STDERR_BYTES_MAX = 4096
# What libraries need to find their files and to speak the right language; nothing else of the worker's.
_ENVIRON_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
# A fork takes only the thread that forks, so imports must not start others: these pools would.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Zygote:
    """Children of one service, forked from a process that has its libraries imported.

    Thread-safe. As a context manager it starts on entry and closes on exit.

    Args:
        service: "package.module:Class" of the service.
        preload: modules to import before the first fork.
        keep_fds: descriptors that the zygote and all supervisors hold until they end, and children don't;
            for instance the worker's locked lock file.
    """

    def __init__(self, *, service: str, preload: Sequence[str], keep_fds: Sequence[int] = ()) -> None:
        self._service = service
        self._preload = list(preload)
        self._keep_fds = list(keep_fds)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._stderr: IO[bytes] | None = None
        self._is_closed = False
        self._children: weakref.WeakSet[Child] = weakref.WeakSet()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The zygote's process id, None while there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process and return at once; it imports meanwhile.

        Raises:
            OperatorError: this is not Linux.
        """
        if not sys.platform.startswith("linux"):
            raise OperatorError(
                f"isolated phases need Linux, and this is {sys.platform}",
                hint="run Windlass in a Linux container, or give the phases `isolation: inline`",
            )
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._end_process()
                self._start_process()

    def spawn(self, spec: ChildSpec) -> Child:
        """A child whose service is ready to be called. Starts the zygote where there is none.

        Raises:
            OperatorError: the zygote can't start, its imports fail, or the child can't.
            ServiceFailed: the service's constructor raised.
        """
        said = bytearray()

        def keep_end(stream: str, chunk: bytes) -> None:
            said.extend(chunk)
            del said[:-STDERR_BYTES_MAX]

        why = ""
        for _ in range(SPAWN_ATTEMPTS_MAX):
            self.start()
            try:
                return self._spawn(spec, keep_end)
            except (ChildDied, ChildTimeout) as ended:
                why = f"{ended.message}\n{self._said()}\n{said.decode(errors='replace')}".strip()
        modules = ", ".join([*self._preload, self._service.split(":")[0]])
        raise OperatorError(
            f"no child could be started for session {spec.session_id}: {why}",
            hint=f"see whether its modules can be imported: {sys.executable} -c 'import {modules}'",
        )

    def close(self) -> None:
        """Kill all children, end the zygote. Idempotent."""
        with self._lock:
            self._is_closed = True
            children = list(self._children)
        for child in children:
            child.kill()
        with self._lock:
            self._end_process()

    def _start_process(self) -> None:
        if self._is_closed:
            raise OperatorError("the zygote is closed; no more children can be started")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = {"service": self._service, "preload": self._preload, "control": theirs.fileno()}
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "windlass.sandbox.zygote", json.dumps(config)],
                pass_fds=[theirs.fileno(), *self._keep_fds],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=_environ(),
                cwd="/",
                start_new_session=True,  # Ctrl-C in the worker's terminal is the worker's to handle
            )
        self._control = ours

    def _spawn(self, spec: ChildSpec, on_output: OnOutput) -> Child:
        child = self._request(spec)
        message = {
            "folder": os.fspath(spec.folder),
            "environ": dict(spec.environ),
            "options": spec.options,
        }
        try:
            child.set_up(message, timeout_s=SPAWN_S_MAX, on_output=on_output)
        except ServiceFailed as failed:
            raise ServiceFailed(f"{self._service}: {failed.message}", failed.detail) from None
        with self._lock:
            self._children.add(child)
        return child

    def _request(self, spec: ChildSpec) -> Child:
        """Ask for a supervisor and child; the handle exists before they do."""
        request = json.dumps({"limits": asdict(spec.limits), "name": spec.session_id[-64:]}).encode()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            rpc, child_rpc = socket.socketpair()
            ours.enter_context(rpc)
            theirs.enter_context(child_rpc)
            status, supervisor_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(status)
            theirs.enter_context(supervisor_status)
            pipes: list[tuple[int, int]] = []
            for _ in range(2):
                pipes.append(os.pipe())
                ours.callback(os.close, pipes[-1][0])
                theirs.callback(os.close, pipes[-1][1])
            (out, child_out), (err, child_err) = pipes
            with self._lock:
                # A zygote that is dead drops the descriptors, which the child's handle sees as its end.
                if self._control is not None:
                    fds = [child_rpc.fileno(), supervisor_status.fileno(), child_out, child_err]
                    with contextlib.suppress(ConnectionError):
                        socket.send_fds(self._control, [request], fds)
            child = Child(rpc=rpc, status=status, out=out, err=err, session_id=spec.session_id)
            ours.pop_all()  # they are the handle's now
        return child

    def _end_process(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(CLOSE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(CLOSE_S)
            self._process = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def _said(self) -> str:
        """The end of the zygote's stderr."""
        with self._lock:
            if self._stderr is None:
                return ""
            fd = self._stderr.fileno()
            size = os.fstat(fd).st_size
            tail = os.pread(fd, STDERR_BYTES_MAX, max(0, size - STDERR_BYTES_MAX))
        return tail.decode(errors="replace").strip()


def _environ() -> dict[str, str]:
    """The zygote's environment: where to find things, one thread, and this process's module path."""
    environ = {name: os.environ[name] for name in _ENVIRON_KEPT if name in os.environ}
    environ |= dict.fromkeys(_ONE_THREAD, "1")
    environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    return environ
