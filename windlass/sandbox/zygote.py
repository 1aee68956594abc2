"""The zygote: a small process with the heavy libraries imported, which forks a supervisor for each child.

Run as `python -P -m windlass.sandbox.zygote CONFIG` by `windlass.sandbox.Zygote`, never by people. It is a
program of its own because the worker has threads (chDB's, its own) and may not fork itself.

    worker ──exec──> zygote ──fork──> supervisor ──fork──> child, and whatever the child starts
       │  control      │                 ▲                   ▲
       └───────────────┘                 │                   │
       ├──────────── status ─────────────┘                   │
       └──────────── rpc, stdout, stderr ────────────────────┘

It imports what it was told to, then answers the control socket: each request is one datagram of JSON with
the four descriptors of a child's sockets and pipes, and is answered by the supervisor it forks, on the status
socket. It has one thread and goes through these states:

    importing ──> serving ──(worker's end closed)──> gone
        └──(an import fails: the traceback is on stderr)──> gone

Failure:
    * The worker dies, even by SIGKILL: the control socket ends, and so does the zygote. Its supervisors
      notice by themselves. `keep` descriptors (the worker's lock file) stay open in it and in every
      supervisor, so that the lock is free only when every descendant is dead and reaped.
    * The zygote is killed: children go on under their supervisors, which hold their own line to the worker;
      the worker starts a fresh zygote for the next child.
    * A supervisor is killed: its child dies with it (parent-death signal), and what else it had falls to
      the zygote, which is a subreaper too and kills every child that is no supervisor of its own.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
import warnings
from typing import Any

from windlass.sandbox import descendants, linux, supervisor

# A request is the limits and a name; descriptors travel beside it.
REQUEST_BYTES_MAX = 4096
REQUEST_FDS = 4


def main() -> None:
    """Import, then fork children until the worker is gone."""
    config = json.loads(sys.argv[1])
    linux.become_subreaper()
    # A service manager that stops the machine signals every process; the worker alone decides what ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for name in config["preload"]:
        importlib.import_module(name)
    module, _, attribute = str(config["service"]).rpartition(":")
    service = getattr(importlib.import_module(module), attribute)
    # Newer Pythons warn of a fork where a library has a thread. jemalloc, which Arrow brings, has one, and
    # stops and restarts it around a fork by itself.
    warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
    # What exists now is never collected, so that the collector doesn't touch, and so copy, shared pages.
    gc.collect()
    gc.freeze()
    _Zygote(control=socket.socket(fileno=config["control"]), service=service).serve()


class _Zygote:
    def __init__(self, *, control: socket.socket, service: Any) -> None:
        self._control = control
        self._service = service
        self._supervisors: set[int] = set()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poller.poll()}
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
                self._reap()
            if self._control.fileno() in ready and not self._answer():
                return

    def _answer(self) -> bool:
        """Fork the supervisor that one request asks for; False when the worker is gone."""
        request, fds, _, _ = socket.recv_fds(self._control, REQUEST_BYTES_MAX, REQUEST_FDS)
        if not request:
            return False
        try:
            pid = os.fork()
        except OSError:
            # The worker sees the closed sockets, and reads why in our stderr.
            traceback.print_exc()
            pid = -1
        if pid == 0:
            self._become_supervisor(request, fds)
        if pid > 0:
            self._supervisors.add(pid)
        for fd in fds:
            os.close(fd)
        return True

    def _become_supervisor(self, request: bytes, fds: list[int]) -> None:
        """Supervise one child; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for sock in (self._control, self._wake, self._waker):
                sock.close()
            supervisor.run(json.loads(request), fds, self._service)
            code = 0
        except BaseException:
            # Whatever happens in this copy, it must not go on as a second zygote.
            traceback.print_exc()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Collect the dead, and kill what a killed supervisor left to us."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            self._supervisors.discard(pid)
        for stray in descendants.children_of(os.getpid()):
            if stray not in self._supervisors:
                descendants.kill_all([stray, *descendants.descendants(stray)])


if __name__ == "__main__":
    main()
