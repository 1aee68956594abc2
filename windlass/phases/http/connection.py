"""Connections of `requests` that go only to checked addresses, and that another thread can cut.

The host's name is still what `Host`, TLS and the certificate's check use.
"""

import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from windlass.clock import boot_s

# How often a waiting request looks whether it must end: quick for a person, nothing for a processor.
_LOOK_S = 0.1


class Cutter:
    """Cuts a request's connections when it must stop or its time is over, from a thread of its own.

    A read from a server that says nothing can't be interrupted otherwise. Used as a context manager
    around a request; its thread ends with the block.

    Args:
        stop: set when the work must end.
        deadline_s: when it must be done, on `clock.boot_s`, or None.
    """

    def __init__(self, *, stop: threading.Event, deadline_s: float | None) -> None:
        self._stop = stop
        self._deadline_s = deadline_s
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._has_cut = False
        self._thread = threading.Thread(target=self._watch, name="http-cutter", daemon=True)

    def __enter__(self) -> "Cutter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    @property
    def has_cut(self) -> bool:
        """Was the request cut? A cut answer may look like one that just ended."""
        with self._lock:
            return self._has_cut

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection too, when the time comes."""
        with self._lock:
            # A duplicate shares the connection but not the object, which TLS takes apart.
            self._sockets.append(connection.dup())
            if self._has_cut:
                self._cut()

    def _watch(self) -> None:
        while not self._finished.wait(_LOOK_S):
            if self._stop.is_set() or (self._deadline_s is not None and boot_s() > self._deadline_s):
                with self._lock:
                    self._cut()
                return

    def _cut(self) -> None:
        self._has_cut = True
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already


def pinned_adapter(addresses: Sequence[str], cutter: Cutter) -> Any:
    """A `requests` adapter whose connections go to `addresses` only, whatever the host's name says."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import NewConnectionError

    class Pinned(HTTPConnection):
        """A connection to the checked addresses."""

        def _new_conn(self) -> socket.socket:
            try:
                connection = _connect(addresses, int(self.port or 0), self.timeout)
            except OSError as error:
                raise NewConnectionError(self, str(error)) from error
            cutter.watch(connection)
            return connection

    class PinnedTls(Pinned, HTTPSConnection):
        """The same under TLS; the certificate is checked against the name."""

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Pinned

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = PinnedTls

    class Adapter(HTTPAdapter):
        """Uses those connections."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            """As the base class does, with our pools."""
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    return Adapter(max_retries=0)


def _connect(addresses: Sequence[str], port: int, timeout_s: Any) -> socket.socket:
    """A connection to the first address that answers; all of them together get `timeout_s`."""
    error = OSError("the host has no address")
    limit_s = float(timeout_s)
    ends_at = boot_s() + limit_s
    for address in addresses:
        try:
            return socket.create_connection((address, port), max(0.01, ends_at - boot_s()))
        except OSError as caught:
            error = caught
    raise error
