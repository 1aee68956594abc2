"""The supervisor: watches one child and all that it starts, and lets none of it outlive its right to run.

Forked from the zygote, one for each child, in a session of its own. It is a subreaper: a descendant that
loses its parent (a daemon that forked twice and called setsid) becomes the supervisor's child, so none can
slip away, and `waitpid` saying that there are no children is the proof that nothing is left.

    watching ──(a reason to end)──> killing ──(ECHILD)──> told ──> gone

Reasons: the child exited; the worker's end of the status socket is closed (the worker died or let go); the
worker says "kill"; the deadline passed; the tree is over its limit of memory or processes. The deadline is in
CLOCK_BOOTTIME seconds and comes from the worker, which moves it on as it renews its lease: children of a
worker that is stopped, or cut off from the store, stop too.

Memory is Σ PSS of anonymous and shared pages, because pages that a fork shares with the zygote cost nothing
and would be counted for every process by RSS. As reading PSS walks page tables, it is read only when Σ RSS,
which is never smaller, is over the limit. Files in a memory file system that nobody maps are not seen.

Failure:
    * A descendant can't be killed (it hangs in the kernel): after `KILL_S_MAX` the end is told all the same,
      with `"left": n`; the supervisor stays until they are gone, and with it the worker's lock.
    * The supervisor is killed: see `windlass.sandbox.zygote`.
    * Between two looks a tree can be over its limits; what it forked is killed at the next.
    * Author's code runs as the same user and can signal its supervisor. This guards against accidents, not
      against an attacker; that is what `isolation: sandbox` is for.
"""

import contextlib
import json
import os
import select
import signal
import socket
import time
from typing import Any

from windlass.clock import boot_s
from windlass.sandbox import descendants, linux, service

# A look at a tree of one costs 0.1 ms, so 5 a second cost a working session 0.05 % of a core.
WATCH_S = 0.2
# An idle child can only be over its limits by threads or processes it left behind.
IDLE_S = 1.0
# Killing 500 processes takes 50 ms here; what is left after 10 s hangs in the kernel.
KILL_S_MAX = 10.0
# How long to wait for the dead before the next walk over the tree.
KILL_TICK_S = 0.005
# An order is a short JSON object.
ORDER_BYTES_MAX = 4096


def run(request: dict[str, Any], fds: list[int], service_class: Any) -> None:
    """Fork the child and watch it until nothing of it is left.

    Args:
        request: {"limits": {…}, "name": …} as `ChildSpec` has them.
        fds: the child's rpc socket, our status socket, the child's stdout and stderr.
        service_class: what the child makes its service of.
    """
    rpc, status, out, err = fds
    os.setsid()
    linux.become_subreaper()
    # Blocked, so that `sigtimedwait` can wait for it; the child unblocks it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    own_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(status)
        service.run(request, (rpc, out, err), service_class, parent=own_pid)
        os._exit(0)  # not reached: service.run ends the process
    for fd in (rpc, out, err):
        os.close(fd)
    linux.set_process_name("wl-" + str(request["name"])[-12:])
    _Supervisor(socket.socket(fileno=status), child=pid, limits=request["limits"]).watch()


class _Supervisor:
    def __init__(self, status: socket.socket, *, child: int, limits: dict[str, Any]) -> None:
        self._status = status
        self._child = child
        self._limits = limits
        self._exit: int | None = None  # as os.waitstatus_to_exitcode gives it, once the child is reaped
        self._reason = ""
        self._deadline_s: float | None = None
        self._is_busy = True

    def watch(self) -> None:
        """Until there is a reason to end; then kill, reap and tell."""
        self._tell({"child": self._child, "supervisor": os.getpid()})
        poller = select.poll()
        poller.register(self._status, select.POLLIN)
        poller.register(os.pidfd_open(self._child), select.POLLIN)
        while not self._reason:
            poller.poll(self._wait_ms())
            self._reap()
            self._take_orders()
            self._check_deadline()
            self._check_limits()
        left = self._kill()
        self._tell({"ended": self._ending(), "left": left})
        while left:
            time.sleep(IDLE_S)
            left = self._kill()

    def _wait_ms(self) -> int:
        wait_s = WATCH_S if self._is_busy else IDLE_S
        if self._deadline_s is not None:
            wait_s = min(wait_s, max(0.0, self._deadline_s - boot_s()))
        return int(wait_s * 1000) + 1

    def _tell(self, message: dict[str, Any]) -> None:
        # A worker that is gone needs to be told nothing.
        with contextlib.suppress(OSError):
            self._status.send(json.dumps(message).encode())

    def _take_orders(self) -> None:
        while True:
            try:
                data = self._status.recv(ORDER_BYTES_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                self._end("killed")
                return
            order = json.loads(data)
            if "deadline_s" in order:
                self._deadline_s = order["deadline_s"]
            if "busy" in order:
                self._is_busy = order["busy"]
            if "kill" in order:
                self._end("killed")

    def _check_deadline(self) -> None:
        if self._deadline_s is not None and boot_s() >= self._deadline_s:
            self._end("deadline")

    def _check_limits(self) -> None:
        if self._reason:
            return
        tree = descendants.descendants(os.getpid())
        if len(tree) > self._limits["processes"]:
            self._end("processes")
            return
        limit = self._limits["memory_bytes"]
        if (
            sum(map(descendants.resident_bytes, tree)) > limit
            and sum(map(descendants.proportional_bytes, tree)) > limit
        ):
            self._end("memory")

    def _end(self, reason: str) -> None:
        # The first reason is the true one: what comes later is often its consequence.
        self._reason = self._reason or reason

    def _kill(self) -> int:
        """Kill and reap all descendants; how many are left, 0 but for those that can't be killed."""
        until_s = time.monotonic() + KILL_S_MAX
        while not self._reap():
            tree = descendants.descendants(os.getpid())
            if time.monotonic() > until_s:
                return max(1, len(tree))
            descendants.kill_all(tree)
            signal.sigtimedwait({signal.SIGCHLD}, KILL_TICK_S)
        return 0

    def _reap(self) -> bool:
        """Collect the dead; True when no child, and so no descendant, is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._child:
                self._exit = os.waitstatus_to_exitcode(status)
                self._end(_reason_of(self._exit))

    def _ending(self) -> dict[str, Any]:
        code = self._exit if self._exit is not None else -signal.SIGKILL
        return {
            "reason": self._reason,
            "exit_code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
        }


def _reason_of(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "cpu"
    return f"exited {code}" if code >= 0 else f"signal {-code}"
