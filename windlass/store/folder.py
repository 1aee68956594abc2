"""The embedded folder's lock, and beside it the holder's URL.

One process holds a folder: ClickHouse's engine allows no second. Holding the lock proves that every
earlier holder is dead, since the kernel lets go of it with the process. A second command finds the
holder's URL beside the lock and speaks HTTP with it.

    free ── take() ──▶ held ── announce(url) ──▶ held, URL readable ── release() ──▶ free

Failure: a holder that is killed leaves its URL behind. That URL is believed only while the lock is
held, and a holder removes the old one before it announces its own.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from windlass.errors import OperatorError, StoreUnavailable

# How long a second command waits for a holder that is just starting: its engine needs about a
# second, several on a busy machine.
_START_S_MAX = 20.0
_LOOK_S = 0.05


class FolderLock:
    """The lock of one folder. Not inherited by programs that are started from here."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        # Beside the folder and not in it: what is in it belongs to the engine.
        self._lock_file = self._folder.with_name(self._folder.name + ".lock")
        self._url_file = self._folder.with_name(self._folder.name + ".url")
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Take the lock if it is free; False, at once, when another process holds it.

        Raises:
            OperatorError: the folder cannot be made or written to.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperatorError(
                f"cannot use the store's folder {self._folder}: {error.strerror}",
                hint="WINDLASS_ROOT names the folder for everything Windlass keeps; it must be writable",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._url_file.unlink(missing_ok=True)
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # For people only; a full disk must not keep the store from starting.
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return True

    def holder(self) -> str:
        """Who holds the lock, in words: "process 4711"; "" when it is free."""
        if not self._is_held_by_somebody():
            return ""
        pid = self._lock_file.read_text(encoding="ascii", errors="replace").strip()
        return f"process {pid}" if pid.isdigit() else "another process"

    def announce(self, url: str) -> None:
        """Write the holder's URL, whole or not at all, readable by this user only."""
        assert self.is_held
        draft = self._url_file.with_name(f"{self._url_file.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(url + "\n")
        os.replace(draft, self._url_file)

    def holder_url(self) -> str:
        """The URL of whoever holds the lock, "" when by now it is free.

        Raises:
            StoreUnavailable: the folder is held, and its holder gave no URL in time.
        """
        deadline = time.monotonic() + _START_S_MAX
        while time.monotonic() < deadline:
            if not self._is_held_by_somebody():
                return ""
            try:
                url = self._url_file.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                url = ""
            if url:
                return url
            time.sleep(_LOOK_S)
        raise StoreUnavailable(
            f"another process holds {self._folder} and does not say how to reach it",
            hint=f"it may be starting or stuck; `fuser {self._lock_file}` names it",
        )

    def release(self) -> None:
        """Let go. Idempotent; the URL goes first, so that nobody reads one of a free folder."""
        if self._descriptor is None:
            return
        self._url_file.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def _is_held_by_somebody(self) -> bool:
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False
