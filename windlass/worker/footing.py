"""What a worker has before its store answers: an id, the lock that proves its life, and a zygote.

Apart from `LocalWorker` because both starts are slow and independent: the zygote imports its
libraries in a process of its own while this one opens the store.

    Footing entered ──> store opened ──> LocalWorker entered … left ──> store closed ──> Footing left
"""

from types import TracebackType
from typing import Self

from windlass.config import Settings
from windlass.sandbox import Zygote
from windlass.worker.ids import new_worker_id
from windlass.worker.lock import WorkerLock

# What a session's child imports before it is needed, so that a new child has it at no cost.
PRELOADED = ("duckdb", "pandas", "pyarrow", "pyarrow.pandas_compat", "pyarrow.parquet")
SERVICE = "windlass.guest.service:Service"


class Footing:
    """A worker's id, lock and zygote. A context manager around the store and the worker.

    Attributes:
        worker_id: new for each footing.
        zygote: started on entry; closed at the latest on exit.
        leave_proof: set it when a session may be left without a row that lets go of it;
            see `WorkerLock.release`.
    """

    def __init__(self, settings: Settings) -> None:
        self.worker_id = new_worker_id()
        self.leave_proof = False
        self._lock = WorkerLock(settings.home, self.worker_id)
        self.zygote = Zygote(service=SERVICE, preload=PRELOADED, keep_fds=(self._lock.fd,))

    def __enter__(self) -> Self:
        self.zygote.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.zygote.close()
        self._lock.release(leave_proof=self.leave_proof)
