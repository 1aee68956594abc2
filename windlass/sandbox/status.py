"""The worker's end of the line to one supervisor: orders go down it, the child's end comes up.

Datagrams of JSON. Down: {"deadline_s": t}, {"busy": true}, {"kill": true}. Up: {"child": pid, "supervisor":
pid} at the start, {"ended": {…}, "left": n} at the end. The closed line is an order as well (kill), and a
message: the supervisor is gone, and if it had not told the end, somebody killed it.

Safe for use by several threads; each may wait for the end, and whoever reads it remembers it for all.
"""

import contextlib
import json
import os
import select
import signal
import socket
import threading
from typing import Any

from windlass.clock import boot_s
from windlass.sandbox.spec import ChildEnd

# How soon a thread notices that another one heard the end.
TICK_S = 0.1
# The messages hold a few numbers.
MESSAGE_BYTES_MAX = 4096


class Status:
    """What is known of a child's end.

    Attributes:
        end: how it ended, None while it runs as far as has been heard.
        pids: "child" and "supervisor", once told.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.end: ChildEnd | None = None
        self.pids: dict[str, int] = {}
        self._sock = sock
        self._lock = threading.Lock()
        sock.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._sock.fileno()

    def order(self, order: dict[str, Any]) -> None:
        """Tell the supervisor; nothing happens when it is gone or doesn't listen."""
        with contextlib.suppress(OSError):
            self._sock.send(json.dumps(order).encode())

    def hear(self) -> ChildEnd | None:
        """Take what the supervisor said since; `end`."""
        with self._lock:
            while self.end is None and self._sock.fileno() >= 0:
                try:
                    data = self._sock.recv(MESSAGE_BYTES_MAX)
                except BlockingIOError:
                    break
                except ConnectionError:
                    data = b""
                if not data:
                    self.end = ChildEnd("lost")
                    break
                message = json.loads(data)
                if "ended" in message:
                    self.end = ChildEnd(**message["ended"])
                else:
                    self.pids.update(message)
        return self.end

    def wait_end(self, limit_s: float) -> ChildEnd | None:
        """Wait until the child has ended and all it started is reaped; None after `limit_s`."""
        until_s = boot_s() + limit_s
        while self.hear() is None:
            fd = self._sock.fileno()
            left_s = until_s - boot_s()
            if left_s <= 0 or fd < 0:
                return None
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            poller.poll(min(left_s, TICK_S) * 1000)
        return self.end

    def kill_supervisor(self) -> None:
        """The last resort against one that doesn't answer: its child dies with it, the zygote kills the rest.

        Its id can't belong to another process: the line is open, and nobody else holds its other end.
        """
        if self.hear() is None and "supervisor" in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pids["supervisor"], signal.SIGKILL)

    def close(self) -> None:
        """Close the line; what has been heard stays known."""
        with self._lock:
            self._sock.close()
