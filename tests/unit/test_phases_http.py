"""`http` phases against a real server on this machine; names are resolved by the test."""

import base64
import gzip
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from windlass.clock import boot_s
from windlass.config import Settings
from windlass.echo import Echo
from windlass.errors import Cancelled
from windlass.guest import GuestReply
from windlass.model import parse_cascade
from windlass.phases import Done, Failed, PhaseContext, Stop, run_phase
from windlass.phases.failure import PhaseError
from windlass.phases.http import run_http
from windlass.phases.http_address import is_public
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
            while not self.server.released.wait(0.02):
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


@pytest.fixture
def server() -> Iterator[Server]:
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
        "folder": Path("/"),
        "search": (),
        "settings": Settings(),
        "stop": stop or Stop(),
        "children": None,
        "log": lambda level, text: None,
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


def test_a_list_of_objects_is_the_output_and_a_table(server: Server) -> None:
    tables = Tables()
    output = call(f"'http://127.0.0.1:{server.port}/rows'", guest=tables)
    assert output["status"] == 200
    assert output["json"] == [{"a": 1}, {"a": 2}]
    assert output["headers"]["content-type"] == "application/json"
    assert tables.made == {"call": [{"a": 1}, {"a": 2}]}


def test_everything_in_a_request_is_rendered(server: Server) -> None:
    request = (
        f"{{method: post, url: 'http://127.0.0.1:{server.port}/{{{{ \"echo\" }}}}', "
        "params: {q: '{{ input.q }}', many: [1, x], none: null}, headers: {X-N: 'n{{ input.n }}'}, "
        "json: {n: '{{ input.n }}', list: ['{{ input.q }}']}, auth: {bearer: 't{{ input.n }}'}}"
    )
    seen = call(request)["json"]
    assert (seen["method"], seen["path"]) == ("POST", "/echo?q=a+b&many=1&many=x")
    assert json.loads(seen["body"]) == {"n": 3, "list": ["a b"]}
    assert seen["headers"]["x-n"] == "n3"
    assert seen["headers"]["authorization"] == "Bearer t3"
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["idempotency-key"] == "s1:call:2"


def test_basic_auth_and_a_text_body(server: Server) -> None:
    request = (
        f"{{method: PUT, url: 'http://127.0.0.1:{server.port}/echo', body: 'grün {{{{ input.n }}}}', "
        "headers: {idempotency-key: mine}, auth: {basic: {user: me, password: '{{ input.q }}'}}}"
    )
    seen = call(request)["json"]
    assert seen["body"] == "grün 3"
    assert base64.b64decode(seen["headers"]["authorization"].removeprefix("Basic ")) == b"me:a b"
    assert seen["headers"]["idempotency-key"] == "mine"


def test_text_comes_in_the_servers_character_set(server: Server) -> None:
    assert call(f"'http://127.0.0.1:{server.port}/text'")["text"] == "grün"
    forced = f"{{url: 'http://127.0.0.1:{server.port}/text', response: bytes}}"
    assert base64.b64decode(call(forced)["base64"]) == "grün".encode("latin-1")


def test_an_unexpected_status_is_a_failure_that_says_what_came(server: Server) -> None:
    made = failure(f"'http://127.0.0.1:{server.port}/no/such?key=secret'")
    assert made.message == f"GET http://127.0.0.1:{server.port}/no/such answered 404 Not Found"
    assert (made.kind, made.detail, made.retryable) == ("http", "nothing here", False)
    assert "secret" not in str(made)
    allowed = f"{{url: 'http://127.0.0.1:{server.port}/no/such', expect: [200, 404]}}"
    assert call(allowed)["status"] == 404


def test_a_busy_server_is_asked_again_when_it_says(server: Server) -> None:
    made = failure(f"'http://127.0.0.1:{server.port}/busy'")
    assert (made.retryable, made.retry_after_s) == (True, 7.0)


def test_an_answer_that_is_not_json_fails(server: Server) -> None:
    made = failure(f"'http://127.0.0.1:{server.port}/broken'")
    assert "NaN is not JSON" in made.message


@pytest.mark.parametrize("path", ["large", "zipped"])
def test_a_large_answer_is_given_up_before_it_is_in_memory(server: Server, path: str) -> None:
    made = failure(f"{{url: 'http://127.0.0.1:{server.port}/{path}', max_bytes: 1000000}}")
    assert "more than 1,000,000 bytes" in made.message
    assert not made.retryable


def test_a_server_that_is_not_there_is_a_failure_that_passes(server: Server) -> None:
    server.server_close()
    made = failure(f"'http://127.0.0.1:{server.port}/rows'")
    assert "the connection failed" in made.message
    assert made.retryable


@pytest.mark.parametrize(
    "url", ["ftp://example.org/x", "file:///etc/passwd", "nowhere", "http://[::1", "http:///x"]
)
def test_only_http_urls_are_called(url: str) -> None:
    made = failure(f"'{url}'")
    assert "not a" in made.message
    assert "URL" in made.message
    assert not made.retryable


def test_a_silent_server_costs_the_requests_timeout(server: Server) -> None:
    began = time.monotonic()
    made = failure(f"{{url: 'http://127.0.0.1:{server.port}/silent', timeout: 0.3}}")
    assert "no answer in time" in made.message
    assert time.monotonic() - began < 5


def test_a_dripping_server_costs_the_phases_timeout(server: Server) -> None:
    began = time.monotonic()
    made = failure(f"'http://127.0.0.1:{server.port}/dripping'", deadline_s=boot_s() + 0.3)
    assert made.kind == "timeout"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["silent", "dripping"])
def test_a_stop_cuts_a_request_that_waits(server: Server, path: str) -> None:
    stop = Stop()

    def cancel() -> None:
        server.asked.wait(10)
        stop.set(Cancelled("enough"))

    thread = threading.Thread(target=cancel)
    thread.start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_phase(context(f"'http://127.0.0.1:{server.port}/{path}'", stop=stop))
    thread.join(5)
    assert time.monotonic() - began < 5


def test_redirects_to_private_addresses_are_refused_unless_allowed(server: Server) -> None:
    server.target = f"http://127.0.0.1:{server.port}/rows"
    request = f"{{url: 'http://127.0.0.1:{server.port}/away'}}"
    made = failure(request)
    assert "127.0.0.1, a private address" in made.message
    assert "allow_private" in made.message
    assert [seen["path"] for seen in server.seen] == ["/away"]
    assert call(request.replace("}", ", allow_private: true}"))["status"] == 200


def test_private_addresses_can_be_forbidden_altogether(server: Server) -> None:
    made = failure(f"'http://127.0.0.1:{server.port}/rows'", settings=Settings(http_private=False))
    assert "WINDLASS_HTTP_PRIVATE" in made.message
    assert not server.seen


def test_a_name_that_leads_inside_is_refused_whatever_it_is_called() -> None:
    forbidden = Settings(http_private=False)
    with pytest.raises(PhaseError, match=r"harmless\.example is at 10\.0\.0\.7, a private address"):
        run_http(
            context("'http://harmless.example/'", settings=forbidden),
            resolve=lambda host, port: ["93.184.216.34", "10.0.0.7"],
        )


def test_the_connection_goes_to_the_address_that_was_checked(server: Server) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    made = run_http(context(f"'http://public.example:{server.port}/echo'"), resolve=resolve)
    assert isinstance(made, Done)
    assert asked == ["public.example"]
    assert made.output["json"]["headers"]["host"] == f"public.example:{server.port}"


def test_another_origin_gets_no_headers_of_the_author(server: Server) -> None:
    server.target = f"http://other.example:{server.port}/echo"
    request = (
        f"{{method: POST, url: 'http://one.example:{server.port}/kept', allow_private: true, json: {{a: 1}}, "
        "headers: {X-Api-Key: k, Accept: text/plain}, auth: {bearer: t}}"
    )
    made = run_http(context(request), resolve=lambda host, port: ["127.0.0.1"])
    assert isinstance(made, Done)
    seen = made.output["json"]
    assert (seen["method"], seen["body"]) == ("POST", '{"a": 1}')
    assert seen["headers"]["accept"] == "text/plain"
    assert not {"authorization", "x-api-key", "idempotency-key"} & seen["headers"].keys()


def test_a_post_that_is_sent_elsewhere_becomes_a_get(server: Server) -> None:
    server.target = "/echo"
    request = (
        f"{{method: POST, url: 'http://127.0.0.1:{server.port}/away', allow_private: true, json: {{a: 1}}}}"
    )
    seen = call(request)["json"]
    assert (seen["method"], seen["body"]) == ("GET", "")
    assert seen["headers"]["idempotency-key"] == "s1:call:2"


def test_redirects_end(server: Server) -> None:
    made = failure(f"{{url: 'http://127.0.0.1:{server.port}/loop', allow_private: true}}")
    assert "more than 5 redirects" in made.message


def test_redirects_can_be_left_alone(server: Server) -> None:
    server.target = "/rows"
    request = f"{{url: 'http://127.0.0.1:{server.port}/away', allow_redirects: false, expect: 302}}"
    assert call(request)["headers"]["location"] == "/rows"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("not an address", False),
    ],
)
def test_public_addresses_are_told_from_private_ones(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_certificate_is_checked(server: Server, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=one.example"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    safe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    safe.load_cert_chain(certificate, key)
    server.socket = safe.wrap_socket(server.socket, server_side=True)
    made = run_phase_at(server, "https://one.example:{port}/rows")
    assert isinstance(made, PhaseError)
    assert "the connection is not safe" in made.message
    assert "certificate" in made.message
    assert not made.retryable
    assert not server.seen


def run_phase_at(server: Server, url: str) -> Any:
    try:
        return run_http(
            context(f"'{url.format(port=server.port)}'"), resolve=lambda host, port: ["127.0.0.1"]
        )
    except PhaseError as error:
        return error


def test_a_request_leaves_no_thread_behind(server: Server) -> None:
    before = {thread.name for thread in threading.enumerate()}
    call(f"'http://127.0.0.1:{server.port}/text'")
    after = [thread.name for thread in threading.enumerate() if thread.name == "http-cutter"]
    assert not after
    assert "http-cutter" not in before
