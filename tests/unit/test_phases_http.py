"""`http` phases against a real server on this machine; names are resolved by the test."""

import base64
import json
import threading
import time
from collections.abc import Iterator

import pytest

from tests.unit.http_bench import Server, Tables, call, context, failure, serving
from windlass.clock import boot_s
from windlass.errors import Cancelled
from windlass.phases import Stop, run_phase


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


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


def test_a_request_leaves_no_thread_behind(server: Server) -> None:
    before = {thread.name for thread in threading.enumerate()}
    call(f"'http://127.0.0.1:{server.port}/text'")
    after = [thread.name for thread in threading.enumerate() if thread.name == "http-cutter"]
    assert not after
    assert "http-cutter" not in before
