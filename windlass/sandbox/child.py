"""The worker's handle on one child: call it, extend its deadline, kill it.

    ready ──call──> calling ──reply──> ready
      │               ├──(timeout, stop, an error in the caller's callback)──> killing ──> closed
      │               └──(the child ends, or speaks nonsense)────────────────> killing ──> closed
      └──(kill, close)───────────────────────────────────────────────────────────────────> closed

A call runs in the thread that makes it and one at a time; `extend` and `kill` may come from any thread.

Failure:
    * Whatever ends a child, the exception is raised only after its supervisor has said that everything the
      child had started is dead and reaped.
    * A supervisor that doesn't say so within `END_S_MAX` is killed itself, and its child with it. Then, and
      when somebody else killed it, the reason is "lost", and the zygote kills what is left a moment later.
"""

import contextlib
import io
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from windlass.clock import boot_s
from windlass.records import JsonObject
from windlass.sandbox.frames import FrameError, FrameReader, pack
from windlass.sandbox.spec import ChildDied, ChildEnd, ChildStopped, ChildTimeout, ServiceFailed
from windlass.sandbox.status import Status

# How soon a set stop event is seen; `threading.Event` has nothing that could be polled.
TICK_S = 0.1
# A call that is not answered by then is worth its supervisor's attention.
BUSY_AFTER_S = 0.05
# Longer than the supervisor's own KILL_S_MAX, so that it answers first.
END_S_MAX = 15.0
# A child whose socket ended is dying; this long it may take until its supervisor says how.
DYING_S = 2.0
# What a service may take to close in peace: DuckDB writes its file.
CLOSE_S = 10.0
# A pipe's default capacity: one read takes all there is.
READ_BYTES = 65_536
# More than any pipe holds unless root made it larger: all that was printed before a reply is below it.
DRAIN_BYTES_MAX = 1 << 20

OnOutput = Callable[[str, bytes], None]


class Child:
    """One warm child with its service. Made by `Zygote.spawn`.

    Attributes:
        session_id: as in its spec.
    """

    def __init__(
        self, *, rpc: socket.socket, status: socket.socket, out: int, err: int, session_id: str
    ) -> None:
        self.session_id = session_id
        self._rpc = rpc
        self._reader = FrameReader(rpc)
        self._status = Status(status)
        self._streams = {fd: (name, io.FileIO(fd)) for fd, name in ((out, "stdout"), (err, "stderr"))}
        self._request_id = 0
        self._is_closed = False
        self._told_busy = False
        self._calling = threading.Lock()  # held for a call, and to let go of the descriptors
        rpc.setblocking(False)
        self._epoll = select.epoll()
        for fd in (rpc.fileno(), self._status.fileno(), out, err):
            os.set_blocking(fd, False)
            self._epoll.register(fd, select.EPOLLIN)

    @property
    def is_alive(self) -> bool:
        """False once the child ended or was closed; it can't be called again."""
        if self._status.hear() is not None:
            self._release()
            return False
        return not self._is_closed

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._status.pids["child"]

    @property
    def supervisor_pid(self) -> int:
        """Its supervisor's process id."""
        return self._status.pids["supervisor"]

    def call(
        self,
        method: str,
        params: JsonObject,
        *,
        timeout_s: float | None,
        stop: threading.Event,
        on_output: OnOutput,
    ) -> JsonObject:
        """What the service's `handle(method, params)` returns.

        Args:
            method: what is asked of the service.
            params: JSON.
            timeout_s: seconds after which the child is killed; None for no limit.
            stop: kills the child when set; looked at every `TICK_S`.
            on_output: called in this thread with ("stdout" | "stderr", chunk) as output comes; all that
                was printed before the reply is given before this returns. A chunk may end inside a
                character. If it raises, the child is killed.

        Raises:
            ChildTimeout, ChildStopped: and the child is gone.
            ChildDied: it ended by itself, or was killed by a limit, its deadline or another thread.
            ServiceFailed: the service raised; the child lives on.
        """
        message = {"method": method, "params": params}
        reply = self._exchange(message, timeout_s=timeout_s, stop=stop, on_output=on_output)
        if "error" in reply:
            raise ServiceFailed(f"{method}: {reply['error']}", str(reply.get("detail", "")))
        result: JsonObject = reply["result"]
        return result

    def set_up(self, message: dict[str, Any], *, timeout_s: float, on_output: OnOutput) -> None:
        """Give the new child its folder, environment and options, and wait until its service is made.

        Raises:
            ServiceFailed: the service can't be made; the child is gone.
            ChildDied, ChildTimeout: as `call`.
        """
        never = threading.Event()
        reply = self._exchange(message, timeout_s=timeout_s, stop=never, on_output=on_output)
        if "error" in reply:
            self.kill()
            raise ServiceFailed(str(reply["error"]), str(reply.get("detail", "")))
        # The supervisor tells them too, but perhaps a moment later.
        self._status.pids.update(reply["pids"])

    def extend(self, deadline_boot_s: float) -> None:
        """Have the child killed at `deadline_boot_s` on CLOCK_BOOTTIME, unless extended again before."""
        self._status.order({"deadline_s": deadline_boot_s})

    def kill(self) -> None:
        """Kill the child and all it started; returns when they are gone. Idempotent.

        A call in another thread sees `ChildDied`.
        """
        self._force_end()
        self._release()

    def close(self) -> None:
        """Let the service close in peace, then kill what is left. Idempotent; waits for a call to end."""
        with self._calling:
            if self.is_alive:
                with contextlib.suppress(OSError):
                    self._rpc.shutdown(socket.SHUT_WR)
                self._status.wait_end(CLOSE_S)
            self._force_end()
            self._close_descriptors()

    def _exchange(
        self, message: dict[str, Any], *, timeout_s: float | None, stop: threading.Event, on_output: OnOutput
    ) -> dict[str, Any]:
        """Send one message, forward output until its answer is there, and see to what goes wrong."""
        with self._calling:
            if not self.is_alive:
                self._close_descriptors()
                self._raise_died()
            self._request_id += 1
            frame = pack(message | {"id": self._request_id})
            until_s = None if timeout_s is None else boot_s() + timeout_s
            try:
                reply = self._converse(frame, until_s=until_s, stop=stop, on_output=on_output)
                self._drain(on_output)
                if reply.get("id") != self._request_id:
                    raise FrameError("an answer to another question")
                return reply
            except EOFError:
                # It may have closed the socket and live on: then it is killed after all.
                self._status.wait_end(DYING_S)
                self._finish(on_output)
                self._raise_died()
            except FrameError as error:
                self._finish(on_output)
                end = ChildEnd("protocol", signal=signal.SIGKILL)
                raise ChildDied(f"the child of session {self.session_id} sent {error}", end) from None
            except _Late:
                self._finish(on_output)
                end = ChildEnd("timeout", signal=signal.SIGKILL)
                raise ChildTimeout(f"no answer within {timeout_s:g} s", end) from None
            except _Stopped:
                self._finish(on_output)
                end = ChildEnd("stopped", signal=signal.SIGKILL)
                raise ChildStopped("stopped while it worked", end) from None
            except BaseException:
                # The callback, or a signal's handler, raised: the answer that is due will never be read.
                self._finish(None)
                raise
            finally:
                self._tell_busy(False)

    def _converse(
        self, frame: bytes, *, until_s: float | None, stop: threading.Event, on_output: OnOutput
    ) -> dict[str, Any]:
        to_send = self._send(memoryview(frame))
        wait_s = BUSY_AFTER_S
        while True:
            if until_s is not None:
                wait_s = min(wait_s, max(0.0, until_s - boot_s()))
            for fd, events in self._epoll.poll(wait_s):
                if fd in self._streams:
                    self._forward(fd, on_output)
                elif fd == self._rpc.fileno():
                    if events & select.EPOLLOUT:
                        to_send = self._send(to_send)
                    reply = self._reader.read()
                    if reply is not None:
                        return reply
            self._check(until_s, stop)
            wait_s = TICK_S

    def _check(self, until_s: float | None, stop: threading.Event) -> None:
        """Is there a reason to wait no longer?"""
        if self._status.hear() is not None:
            raise EOFError
        if stop.is_set():
            raise _Stopped
        if until_s is not None and boot_s() >= until_s:
            raise _Late
        self._tell_busy(True)

    def _send(self, data: memoryview) -> memoryview:
        """Send what the socket takes; the rest, and the socket is watched for room while there is one."""
        try:
            while data:
                data = data[self._rpc.send(data) :]
        except BlockingIOError:
            self._epoll.modify(self._rpc, select.EPOLLIN | select.EPOLLOUT)
            return data
        except ConnectionError:
            raise EOFError from None
        self._epoll.modify(self._rpc, select.EPOLLIN)
        return data

    def _forward(self, fd: int, on_output: OnOutput) -> int:
        """Give one chunk to the caller; its size, 0 when there is none now."""
        name, file = self._streams[fd]
        chunk = file.read(READ_BYTES)
        if chunk:
            on_output(name, chunk)
            return len(chunk)
        if chunk is not None:
            # Not merely nothing now: everybody closed their end.
            self._epoll.unregister(fd)
            del self._streams[fd]
            file.close()
        return 0

    def _drain(self, on_output: OnOutput) -> None:
        """Give the caller what is in the pipes, and not what a process left behind goes on printing."""
        for fd in list(self._streams):
            left = DRAIN_BYTES_MAX
            while left > 0:
                count = self._forward(fd, on_output)
                if count == 0:
                    break
                left -= count

    def _finish(self, on_output: OnOutput | None) -> None:
        """In the calling thread: kill, wait, give the last output, and let go of the descriptors."""
        self._force_end()
        try:
            if on_output is not None:
                self._drain(on_output)
        finally:
            self._close_descriptors()

    def _force_end(self) -> None:
        self._status.order({"kill": True})
        if self._status.wait_end(END_S_MAX) is None:
            self._status.kill_supervisor()
            self._status.wait_end(DYING_S)

    def _tell_busy(self, is_busy: bool) -> None:
        if is_busy != self._told_busy:
            self._told_busy = is_busy
            self._status.order({"busy": is_busy})

    def _raise_died(self) -> NoReturn:
        end = self._status.end or ChildEnd("killed", signal=signal.SIGKILL)
        message = f"the child of session {self.session_id} ended: {end.reason}"
        raise ChildDied(message, end) from None

    def _release(self) -> None:
        """Let go of the descriptors, unless a call still uses them; it will do so itself."""
        if self._calling.acquire(blocking=False):
            try:
                self._close_descriptors()
            finally:
                self._calling.release()

    def _close_descriptors(self) -> None:
        """Only with `_calling` held. Idempotent."""
        self._is_closed = True
        self._epoll.close()
        self._rpc.close()
        self._status.close()
        for _, file in self._streams.values():
            file.close()
        self._streams.clear()


class _Late(Exception):
    """The call's time is over."""


class _Stopped(Exception):
    """The stop event is set."""
