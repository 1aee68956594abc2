"""clickhouse-connect clients, made the way the store needs them, and a bounded pool of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from windlass.errors import OperatorError, StoreUnavailable
from windlass.store.address import Address
from windlass.store.faults import explain

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Statements at once. The writer's two lanes, heartbeats and a poll use four; the rest is for readers.
CLIENTS_MAX = 8
# Longest a statement waits for a free client before the caller is told that the store is busy.
_CHECKOUT_S_MAX = 30.0
_CONNECT_S_MAX = 5
# Longest a statement runs before its fate counts as unknown. A tenth of it is slow for our statements.
_ANSWER_S_MAX = 60

# Set once on each handle, so that no statement carries them: a one-row insert takes 2.2 ms of the
# engine's time with them and 4 to 5 without, most of it for starting and joining threads.
_FAST = {
    "max_threads": "1",
    "max_insert_threads": "1",
    "input_format_parallel_parsing": "0",
    "optimize_on_insert": "0",
}
# Said on every transport: asynchronous inserts (on by default since 26.3) would be acknowledged before
# they are kept, and only the statements of a compare-and-set ask for deduplication.
_EXACT = {"async_insert": "0", "insert_deduplicate": "0"}
_QUORUM = {
    "insert_quorum": "auto",
    "insert_quorum_parallel": "0",
    "select_sequential_consistency": "1",
}


class Pool:
    """At most `CLIENTS_MAX` statements at once on one address. Any thread may use it.

    An embedded client is one engine handle that runs one statement at a time, so each statement
    gets a client for itself; an HTTP client takes many threads, so all share one.
    """

    def __init__(self, address: Address, *, database: str, replicated: bool = False) -> None:
        self._address = address
        self._database = database
        self._replicated = replicated
        self._free = threading.BoundedSemaphore(CLIENTS_MAX)
        self._lock = threading.Lock()
        self._idle: list[Client] = []
        self._made: list[Client] = []
        self._closed = False

    @contextmanager
    def client(self) -> Iterator["Client"]:
        """A client for one statement.

        Raises:
            StoreUnavailable: the store cannot be reached, or all clients are busy for long.
            OperatorError: it can be reached and lets nobody in, or is no ClickHouse.
        """
        if not self._free.acquire(timeout=_CHECKOUT_S_MAX):
            raise StoreUnavailable(
                f"all {CLIENTS_MAX} connections to the store have been busy for {_CHECKOUT_S_MAX} s"
            )
        try:
            client = self._take()
            try:
                yield client
            finally:
                with self._lock:
                    if self._address.is_embedded:
                        self._idle.append(client)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close every client; statements that run are waited for. Idempotent."""
        with self._lock:
            self._closed = True
            made, self._made, self._idle = self._made, [], []
        for client in made:
            disconnect(client)

    def _take(self) -> "Client":
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._idle:
                return self._idle.pop()
            if self._made and not self._address.is_embedded:
                return self._made[0]
            # Made under the lock: the engine starts once, and an HTTP client is made once.
            client = connect(self._address, replicated=self._replicated)
            client.database = self._database
            self._made.append(client)
            return client


def connect(address: Address, *, replicated: bool = False, fast: bool = True) -> "Client":
    """One client. It selects no database, since that may have to be created first.

    Raises:
        StoreUnavailable: nobody answers there.
        OperatorError: wrong credentials, or the embedded engine is not installed or cannot open the folder.
    """
    import clickhouse_connect

    settings = {**_EXACT, **(_FAST if fast else {}), **(_QUORUM if replicated else {})}
    try:
        if address.is_embedded:
            settings["log_queries"] = "0"
            return clickhouse_connect.get_client(interface="chdb", path=address.folder, settings=settings)
        return clickhouse_connect.get_client(
            **_http_arguments(address), settings={**settings, "wait_end_of_query": "1"}
        )
    except ImportError as error:
        raise OperatorError(
            f"the embedded ClickHouse engine is not installed ({error})",
            hint="pip install 'windlass[embedded]', or point WINDLASS_CLICKHOUSE_URL at a server",
        ) from None
    except Exception as error:  # The client's own error types are many; each is explained, none is hidden.
        raise explain(error, where=address.safe) from error


def disconnect(client: "Client") -> None:
    """Close a client and the connections that `connect` made for it."""
    client.close()
    connections = getattr(client, "http", None)
    if connections is not None:
        connections.clear()


def _http_arguments(address: Address) -> dict[str, Any]:
    from clickhouse_connect.driver.httputil import get_pool_manager

    # Each client has connections of its own, so that closing it closes them.
    arguments: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "username": address.user,
        "password": address.password,
        "secure": address.secure,
        "autogenerate_session_id": False,
        "query_retries": 0,
        "connect_timeout": _CONNECT_S_MAX,
        "send_receive_timeout": _ANSWER_S_MAX,
    }
    if address.host in ("127.0.0.1", "localhost", "::1"):
        # Never through a proxy that the environment names, and not worth compressing.
        arguments |= {"compress": False, "pool_mgr": get_pool_manager(maxsize=CLIENTS_MAX, num_pools=1)}
    return arguments
