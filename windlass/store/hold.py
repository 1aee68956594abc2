"""An embedded folder served to other processes for as long as somebody wants it: `windlass clickhouse`.

    hold_folder() ──▶ lock taken ──▶ engine started ──▶ listening, URL announced ── close() ──▶ folder free

It knows no table: what is in the folder is its clients' affair. Several workers on one machine, and the
tests, share one engine this way without a server. A server is for more than development and tests: here a
restart loses the cache, one process has all the work, and there is one password for all.

Failure: killed at any point, the folder's lock is free at once. What was acknowledged under fsync is there
when it is held again; clients find the same port and send again what was not acknowledged.
"""

import ipaddress
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from windlass.errors import OperatorError
from windlass.store.address import Address
from windlass.store.endpoint import Endpoint
from windlass.store.folder import FolderLock

# A second command that only looks at the lock holds it for an instant; a holder holds it for longer.
_LOCK_S_MAX = 1.0
_LOOK_S = 0.02


class Holder:
    """A folder that this process holds and serves. A context manager; made by `hold_folder`.

    Attributes:
        address: where it is served, and how to get in.
        version: of the engine.
    """

    def __init__(self, *, lock: FolderLock, engine: Any, endpoint: Endpoint, address: Address) -> None:
        self._lock = lock
        self._engine = engine
        self._endpoint = endpoint
        self.address = address
        self.version = str(engine.query("SELECT version()", "TabSeparated")).strip()

    def close(self) -> bool:
        """Let running statements end, 10 s at most, cancel those that do not, and let go of the folder.

        Returns:
            False when a statement could not be ended: this process must then end at once, as
            `Endpoint.close` says.
        """
        is_over = self._endpoint.close()
        if is_over:
            self._engine.close()
        self._lock.release()
        return is_over

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def hold_folder(folder: Path, *, host: str, port: int, user: str, password: str, database: str) -> Holder:
    """Take the folder's lock, start the engine on it, and serve ClickHouse's HTTP protocol.

    Args:
        host: where to listen; anything but this machine's loopback needs a password.
        port: 0 is any free one.
        user, password: what clients have to say.
        database: what the address that is given to clients names.

    Raises:
        OperatorError: the folder is held or unusable, the port is in use, the password is missing, or the
            engine is not installed.
    """
    if not password and not _is_loopback(host):
        raise OperatorError(
            f"on {host} whoever reaches this machine could use the store, so it needs a password",
            hint="give one in WINDLASS_CLICKHOUSE_PASSWORD, or listen on 127.0.0.1",
        )
    lock = _taken(folder)
    engine: Any = None
    try:
        engine = _engine(folder)
        try:
            endpoint = Endpoint(folder=str(folder), host=host, port=port, user=user, password=password)
        except OSError as error:
            raise OperatorError(
                f"cannot listen on {host}, port {port}: {error.strerror or error}",
                hint="choose another with --port; 0 takes any that is free",
            ) from None
        local = replace(endpoint.address, host=_reachable(host), database=database)
        holder = Holder(lock=lock, engine=engine, endpoint=endpoint, address=local)
        endpoint.start()
        lock.announce(local.url)
    except BaseException:
        if engine is not None:
            engine.close()
        lock.release()
        raise
    return holder


def _taken(folder: Path) -> FolderLock:
    lock = FolderLock(str(folder))
    deadline = time.monotonic() + _LOCK_S_MAX
    while not lock.take():
        if time.monotonic() > deadline:
            raise OperatorError(
                f"{lock.holder() or 'another process'} holds {folder}, and a folder has one holder",
                hint="commands on that folder reach its holder by themselves; to hold another one: --path",
            )
        time.sleep(_LOOK_S)
    return lock


def _engine(folder: Path) -> Any:
    """A handle that keeps the engine running for as long as it is open."""
    try:
        import chdb
    except ImportError as error:
        raise OperatorError(
            f"the embedded ClickHouse engine is not installed ({error})",
            hint="pip install 'windlass[embedded]'",
        ) from None
    try:
        return chdb.connect(str(folder))  # type: ignore[no-untyped-call]
    except (chdb.ChdbError, RuntimeError) as error:
        raise OperatorError(
            f"the engine cannot use {folder}: {' '.join(str(error).split())[:600]}"
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """How this machine's processes reach what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
