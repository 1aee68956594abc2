"""Proof of death on one machine: a file lock that ends with a worker and all its descendants.

Each worker holds `<root>/workers/<worker_id>.lock` with flock for as long as it lives. The lock
belongs to the open file, which the zygote and every supervisor inherit: it is free only when
all of them are gone, that is when every process that could still have an effect was reaped.

Failure: a lock file that is missing proves nothing (another machine's worker, a cleaned folder).
"""

import fcntl
import os
from pathlib import Path


class WorkerLock:
    """This worker's lock, held until `release` or the end of the process and its descendants."""

    def __init__(self, home: Path, worker_id: str) -> None:
        self._path = _path(home, worker_id)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def fd(self) -> int:
        """The descriptor to hand on to descendants."""
        return self._fd

    def release(self, *, leave_proof: bool = False) -> None:
        """Let go.

        Args:
            leave_proof: keep the file, by which others see that this worker is dead: it may own a session
                whose rows don't say that it was let go of. Else nobody needs it, and it is removed.
        """
        if not leave_proof:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)


def is_proven_dead(home: Path, worker_id: str) -> bool:
    """Did a worker of this machine end, with every process it started?

    Returns:
        True only with proof; False while it lives or where nothing is known of it.
    """
    path = _path(home, worker_id)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def forget(home: Path, worker_id: str) -> None:
    """Remove a dead worker's lock file once its obituary stands."""
    _path(home, worker_id).unlink(missing_ok=True)


def _path(home: Path, worker_id: str) -> Path:
    return home / "workers" / f"{worker_id}.lock"
