"""Where an `http` phase may go, and what another place is told."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.http_bench import Server, call, context, failure, serving
from windlass.config import Settings
from windlass.phases import Done
from windlass.phases.failure import PhaseError
from windlass.phases.http import run_http
from windlass.phases.http.address import is_public


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


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
