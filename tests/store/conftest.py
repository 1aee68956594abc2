"""Real stores for the tests: one engine per process, a database per test, embedded and over HTTP."""

import http.client
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from windlass.config import Settings
from windlass.store import Store, open_store
from windlass.store.address import Address
from windlass.store.connect import Pool
from windlass.store.database import Database
from windlass.store.migrate import Migrator, Wanted
from windlass.store.reach import Reach

# fsync costs time and is covered by the tests that kill processes.
WANTED = Wanted(cluster="", fsync=False, retention_days=90)


class SharedEngine(Reach):
    """Reaches a folder whose lock this process holds already, as one more database of the same engine."""

    def pool(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self._address, database=self._address.database)
        return self._pool

    @property
    def is_holder(self) -> bool:
        return True


# Per file: a process has one engine, and some files want it on a folder of their own.
@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store that holds this process's one engine and serves its endpoint."""
    root = tmp_path_factory.mktemp("store")
    with open_store(Settings(root=root, fsync=False)) as store:
        yield store


@pytest.fixture
def database_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def open_on(holder: Store) -> Iterator[Callable[..., Store]]:
    """Opens stores on a database of this process's engine: open_on(transport, name, url=…)."""
    with ExitStack() as stack:

        def opened(transport: str, name: str, *, url: str = "", rows_max: int = 10_000) -> Store:
            if transport == "embedded":
                folder = holder._database.reach.target
                database = Database(SharedEngine(replace(folder, database=name)), name=name)
                applied = Migrator(database, wanted=WANTED).migrate()
                store = Store(database=database, writer_rows_max=rows_max, applied=applied)
            else:
                address = url or holder.holder_url.rsplit("/", 1)[0]
                store = open_store(
                    Settings(clickhouse_url=f"{address}/{name}", fsync=False, writer_rows_max=rows_max)
                )
            stack.callback(store.close, limit_s=1.0)
            return store

        yield opened


@pytest.fixture(params=["embedded", "http"])
def store(request: pytest.FixtureRequest, open_on: Callable[..., Store], database_name: str) -> Store:
    """A store of the test's own, on both transports."""
    return open_on(request.param, database_name)


class Proxy:
    """Passes requests on to an endpoint, and misbehaves with inserts when told to.

    Attributes:
        lose_replies: how many inserts from now on are carried out without their answer being passed back.
        is_down: while True, connections are closed unanswered.
        gate: cleared, inserts wait before they are passed on.
        inserts: how many inserts were passed on.
    """

    def __init__(self, target: Address) -> None:
        self.lose_replies = 0
        self.is_down = False
        self.gate = threading.Event()
        self.gate.set()
        self.inserts: list[bytes] = []
        self.seen = threading.Condition()
        proxy = self

        class Forward(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if proxy.is_down:
                    self.close_connection = True
                    return
                is_insert = body.startswith(b"INSERT")
                if is_insert:
                    with proxy.seen:
                        proxy.inserts.append(body)
                        proxy.seen.notify_all()
                    proxy.gate.wait(30)
                status, headers, data = proxy.forward(
                    target, self.command, self.path, body, dict(self.headers)
                )
                if is_insert and proxy.lose_replies > 0:
                    proxy.lose_replies -= 1
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("content-length", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = replace(target, port=self._server.server_address[1]).url.rsplit("/", 1)[0]

    @staticmethod
    def forward(
        target: Address, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=60)
        with closing(connection):
            connection.request(method, path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def wait_for_inserts(self, count: int) -> None:
        with self.seen:
            assert self.seen.wait_for(lambda: len(self.inserts) >= count, timeout=20)

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def proxy(holder: Store) -> Iterator[Proxy]:
    endpoint = holder._database.reach._endpoint
    assert endpoint is not None
    made = Proxy(endpoint.address)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for a store of its own, held by processes that the test starts."""
    return tmp_path / "root"
