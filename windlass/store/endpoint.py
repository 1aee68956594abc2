"""ClickHouse's HTTP protocol over the embedded engine, so that other processes can use its folder.

It passes statements on: it knows no table and no claim. An ordinary clickhouse-connect client with
an `http://` URL works against it. For one machine and its tests; a server is for more than that.

    POST /?query=…&database=…&param_x=…&setting=…   the statement is the query and the body, joined
    GET  /ping                                      "Ok."

Who may use it: whoever knows user and password. Those of a process that happens to hold a folder are random
and stand in its URL file (mode 0600); `windlass clickhouse` has them from whoever starts it.

    serving ── close() ──▶ no new connections, statements that run may end ── 10 s ──▶ cancelled ──▶ closed
"""

import hmac
import secrets
import socket
import threading
import time
from base64 import b64decode
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from windlass.store.address import Address
from windlass.store.endpoint_handles import Handles
from windlass.store.endpoint_http import Handler

# Connections at once, each a thread: eight clients of eight connections each, four times over.
CONNECTIONS_MAX = 256
# How long closing waits for statements that still run, and for those that it then cancelled.
_CLOSE_S_MAX = 10.0
_CANCEL_S_MAX = 5.0


class Endpoint:
    """One endpoint over one folder. `start` serves in a thread of its own until `close`.

    Args:
        folder: the embedded engine's folder; this process must hold its lock.
        host, port: where to listen; port 0 is any free one.
        user, password: what clients have to say; by default a random password. "" lets everybody in who
            gives none.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(
        self,
        *,
        folder: str,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "windlass",
        password: str | None = None,
    ) -> None:
        self._handles = Handles(folder)
        self._user = user
        self._password = secrets.token_urlsafe(24) if password is None else password
        server = _Server if ":" not in host else _Server6
        self._server = server((host, port), Handler)
        self._server.handles = self._handles
        self._server.admits = self._admits
        self._thread = threading.Thread(target=self._serve, name="store-endpoint", daemon=True)
        self.address = Address(
            database="default",
            host=host,
            port=self._server.server_address[1],
            user=self._user,
            password=self._password,
        )

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def close(self) -> bool:
        """Take no more connections, let running statements end (10 s at most), close the handles.

        Returns:
            False when something still runs that could not be cancelled; this process must then end
            without the interpreter's tidying up, which would take the engine away under it.
        """
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_CLOSE_S_MAX)
        self._server.server_close()
        self._handles.refuse()
        self._server.stop_reading()
        if not self._server.wait_until_idle(_CLOSE_S_MAX):
            self._handles.cancel()
            self._server.cut_connections()
            self._server.wait_until_idle(_CANCEL_S_MAX)
        return self._handles.close()

    def _serve(self) -> None:
        # The interval is how long `shutdown` may take to be noticed; requests do not wait for it.
        self._server.serve_forever(poll_interval=0.05)

    def _admits(self, headers: Any, params: dict[str, str]) -> bool:
        """Does the request know user and password, in any of the three ways that ClickHouse takes them?"""
        user, password = headers.get("X-ClickHouse-User"), headers.get("X-ClickHouse-Key")
        scheme, _, encoded = (headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "basic":
            try:
                user, _, password = b64decode(encoded, validate=True).decode().partition(":")
            except ValueError:
                return False
        user, password = user or params.get("user", "default"), password or params.get("password", "")
        same_user = hmac.compare_digest(user.encode(), self._user.encode())
        return hmac.compare_digest(password.encode(), self._password.encode()) and same_user


class _Server(ThreadingHTTPServer):
    """Threads, bounded: over the limit a connection is closed at once, which clients try again."""

    daemon_threads = True
    allow_reuse_port = False  # Some Pythons let two servers share a port, each with a part of the clients.
    request_queue_size = 128
    handles: Handles
    admits: Any

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._connections: set[socket.socket] = set()
        self._change = threading.Condition()
        self.is_closing = False
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As the base class's, without asking the network for this machine's name."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._change:
            self._connections.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._change:
                self._connections.discard(request)
                self._change.notify_all()
            self._slots.release()

    def stop_reading(self) -> None:
        """Stop reading from every connection: one that is idle ends, one that runs answers first."""
        self.is_closing = True
        self._shut(socket.SHUT_RD)

    def cut_connections(self) -> None:
        """End every connection, whatever it is doing."""
        self._shut(socket.SHUT_RDWR)

    def wait_until_idle(self, limit_s: float) -> bool:
        """Wait for all connections to end; False when some did not within the limit."""
        deadline = time.monotonic() + limit_s
        with self._change:
            while self._connections:
                if not self._change.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    return False
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; `Handler` answers for everything else."""

    def _shut(self, how: int) -> None:
        with self._change:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(how)
            except OSError:
                continue  # It has gone by itself.


class _Server6(_Server):
    """The same for a host that is an IPv6 address."""

    address_family = socket.AF_INET6
