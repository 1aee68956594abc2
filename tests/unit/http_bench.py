"""A real HTTP server of this machine, and a way to run `http` phases against it."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from windlass.config import Settings
from windlass.echo import Echo
from windlass.guest import GuestReply
from windlass.model import parse_cascade
from windlass.phases import Done, Failed, PhaseContext, Stop, run_phase
from windlass.templates import Templates


class Handler(BaseHTTPRequestHandler):
    """Answers as the path asks, and remembers what came."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append({"path": self.path, "method": self.command, "headers": headers, "body": body})
        route = getattr(self, "on_" + self.path.split("?")[0].strip("/").replace("/", "_"), self.on_missing)
        route()

    do_POST = do_PUT = do_DELETE = do_GET

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def on_missing(self) -> None:
        self.answer(404, b"nothing here", Content_Type="text/plain")

    def on_rows(self) -> None:
        self.answer(200, b'[{"a": 1}, {"a": 2}]', Content_Type="application/json")

    def on_echo(self) -> None:
        seen = self.server.seen[-1]
        told = {**seen, "body": seen["body"].decode()}
        self.answer(200, json.dumps(told).encode(), Content_Type="application/json; charset=utf-8")

    def on_text(self) -> None:
        self.answer(200, "grün".encode("latin-1"), Content_Type="text/plain; charset=latin-1")

    def on_broken(self) -> None:
        self.answer(200, b'{"a": NaN}', Content_Type="application/json")

    def on_busy(self) -> None:
        self.answer(503, b"later", Retry_After="7")

    def on_large(self) -> None:
        self.answer(200, b"x" * 3_000_000)

    def on_zipped(self) -> None:
        self.answer(200, gzip.compress(b"x" * 50_000_000), Content_Encoding="gzip")

    def on_silent(self) -> None:
        self.server.asked.set()
        self.server.released.wait(20)
        self.close_connection = True

    def on_dripping(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        try:
            for _ in range(1000):  # 20 s, so that a client that never gives up fails and does not hang
                if self.server.released.wait(0.02):
                    return
                self.wfile.write(b"x")
                self.server.asked.set()
        except OSError:
            return

    def on_away(self) -> None:
        self.answer(302, Location=self.server.target)

    def on_kept(self) -> None:
        self.answer(307, Location=self.server.target)

    def on_loop(self) -> None:
        self.answer(302, Location="/loop")

    def log_message(self, *_: Any) -> None:
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.target = ""
        self.asked = threading.Event()
        self.released = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # clients that cut the connection are what some tests are about


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers until the block ends."""
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    made.server_close()
    thread.join(5)


class Tables:
    """Stands for the child where only the making of a table is asked of it."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def table(self, *, phase: str, rows: Any, timeout_s: float | None) -> GuestReply:
        self.made[phase] = rows
        return GuestReply(output=None)


def context(request: str, *, stop: Stop | None = None, **changes: Any) -> PhaseContext:
    """A context for the phase `call` whose `http` is `request` (flow YAML)."""
    text = f"cascade_id: c\nphases: [{{name: call, http: {request}}}]"
    cascade = parse_cascade(text, source="c.yaml", folder=Path("/"))
    parts: dict[str, Any] = {
        "session_id": "s1",
        "cascade": cascade,
        "phase": cascade.phase("call"),
        "visit": 2,
        "attempt": 1,
        "echo": Echo(input={"q": "a b", "n": 3}),
        "templates": Templates(environ={}),
        "guest": Tables(),
        "settings": Settings(),
        "stop": stop or Stop(),
        "children": None,
    }
    return PhaseContext(**{**parts, **changes})


def call(request: str, **changes: Any) -> Any:
    outcome = run_phase(context(request, **changes))
    assert isinstance(outcome, Done), outcome
    return outcome.output


def failure(request: str, **changes: Any) -> Any:
    outcome = run_phase(context(request, **changes))
    assert isinstance(outcome, Failed), outcome
    return outcome.failure
