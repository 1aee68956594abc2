"""ClickHouse's HTTP protocol over the embedded engine, so that other processes can use its folder.

It passes statements on: it knows no table and no claim. An ordinary clickhouse-connect client with
an `http://` URL works against it. For one machine and its tests; a server is for more than that.

    POST /?query=…&database=…&param_x=…&setting=…   the statement is the query and the body, joined
    GET  /ping                                      "Ok."

Who may use it: whoever knows the random password, which stands in the holder's URL file (mode 0600).
It listens on the loopback interface only.
"""

import hmac
import secrets
import threading
from base64 import b64decode
from http.server import ThreadingHTTPServer
from typing import Any

from windlass.store.address import Address
from windlass.store.endpoint_handles import Handles
from windlass.store.endpoint_http import Handler

# Connections at once, each a thread: eight clients of eight connections each, four times over.
CONNECTIONS_MAX = 256
# How long closing waits for statements that still run.
_CLOSE_S_MAX = 10.0


class Endpoint:
    """One endpoint over one folder. `start` serves in a thread of its own until `close`.

    Args:
        folder: the embedded engine's folder; this process must hold its lock.
        host, port: where to listen; port 0 is any free one.
        user, password: what clients have to say; a random password when none is given.
    """

    def __init__(
        self,
        *,
        folder: str,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "windlass",
        password: str = "",
    ) -> None:
        self._handles = Handles(folder)
        self._user = user
        self._password = password or secrets.token_urlsafe(24)
        self._server = _Server((host, port), Handler)
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

    def close(self) -> None:
        """Take no more connections, let running statements end (10 s at most), close the handles."""
        self._server.shutdown()
        self._thread.join(_CLOSE_S_MAX)
        self._server.close_connections()
        self._server.server_close()
        self._handles.close(wait_s=_CLOSE_S_MAX)

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
        user, password = user or params.get("user", ""), password or params.get("password", "")
        same_user = hmac.compare_digest(user.encode(), self._user.encode())
        return hmac.compare_digest(password.encode(), self._password.encode()) and same_user


class _Server(ThreadingHTTPServer):
    """Threads, bounded: over the limit a connection is closed at once, which clients try again."""

    daemon_threads = True
    request_queue_size = 128
    handles: Handles
    admits: Any

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._connections: set[Any] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.discard(request)
            self._slots.release()

    def close_connections(self) -> None:
        """Stop reading from every connection: one that is idle ends, one that runs answers first."""
        import socket

        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                continue  # It has gone by itself.

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; `Handler` answers for everything else."""
