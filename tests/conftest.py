"""What every test may count on: a clean environment, a folder of its own, and no way to the internet."""

import ipaddress
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The machine may be shared and slow: a law holds or it doesn't, how long an example takes says nothing.
settings.register_profile("windlass", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("windlass")

WAIT_S = 30.0  # several times the slowest start of an engine seen on two busy cores
LOOK_EVERY_S = 0.01  # short against anything a test waits for, long against one look


def pytest_configure() -> None:
    """Forget the settings of whoever runs the tests, before any fixture can read them."""
    for name in [name for name in os.environ if name.startswith("WINDLASS_")]:
        del os.environ[name]
    socket.socket.connect = _connect_to_this_machine  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def windlass_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `WINDLASS_ROOT` for this test alone, set in its environment."""
    root = tmp_path / "windlass"
    monkeypatch.setenv("WINDLASS_ROOT", str(root))
    return root


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """`wait_until(look, limit_s=30)`: call `look` until it answers something true; return that."""
    return _wait_until


def _wait_until(look: Callable[[], Any], *, limit_s: float = WAIT_S) -> Any:
    pause = threading.Event()  # never set: its wait is the pause between two looks
    for _ in range(int(limit_s / LOOK_EVERY_S)):
        if found := look():
            return found
        pause.wait(LOOK_EVERY_S)
    pytest.fail(f"{getattr(look, '__qualname__', look)} was still not true after {limit_s:g} s")


_connect = socket.socket.connect


def _connect_to_this_machine(connection: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and not _is_here(str(address[0])):  # a Unix socket's address is no tuple
        raise PermissionError(f"a test tried to connect to {address[0]}; tests stay on this machine")
    _connect(connection, address)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:  # a name
        return host == "localhost"
