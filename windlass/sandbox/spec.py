"""What a child is given, and how the worker is told that it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from windlass.errors import WindlassError
from windlass.records import JsonObject


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child and everything it starts may use.

    Attributes:
        memory_bytes: memory of the whole tree that is not shared with the zygote. A single process meets
            a `MemoryError` near it; a tree that is over it together is killed ("memory").
        processes: processes of the tree, the child included; more is killed ("processes").
        file_bytes: the largest file that one process may write; more is an `OSError` (EFBIG).
        open_files: descriptors that one process may have.
        cpu_s: seconds of processor time of one process, None for no limit; more is killed ("cpu").
    """

    memory_bytes: int
    processes: int
    file_bytes: int
    open_files: int = 256
    cpu_s: int | None = None


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child.

    Attributes:
        folder: its working directory; must exist.
        environ: its whole environment; nothing of the worker's is added.
        options: given to the service's constructor.
        session_id: for messages, and for the name that `ps -o comm` shows.
    """

    folder: Path
    environ: Mapping[str, str]
    limits: ChildLimits
    options: JsonObject = field(default_factory=dict)
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a child ended, as its supervisor says.

    Attributes:
        reason: "memory", "processes", "cpu", "deadline", "killed", "exited n", "signal n"; "lost" when
            the supervisor itself was killed and nobody knows; "protocol" when the child spoke nonsense.
        exit_code: what it exited with, None when a signal ended it.
        signal: the signal that ended it, None when it exited.
    """

    reason: str
    exit_code: int | None = None
    signal: int | None = None


class ChildEnded(WindlassError):
    """The child is gone, and so is everything that it had started.

    Attributes:
        reason, exit_code, signal: as in `ChildEnd`.
    """

    def __init__(self, message: str, end: ChildEnd) -> None:
        super().__init__(message)
        self.reason = end.reason
        self.exit_code = end.exit_code
        self.signal = end.signal


class ChildDied(ChildEnded):
    """The child ended by itself, or was killed because of a limit or its deadline."""


class ChildTimeout(ChildEnded):
    """The call took longer than its time; the child was killed for it."""


class ChildStopped(ChildEnded):
    """The stop event was set during the call; the child was killed for it."""


class ServiceFailed(WindlassError):
    """The service raised where it should have answered: a bug of ours. The child lives on.

    Attributes:
        detail: the traceback from inside the child.
    """

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(message)
        self.detail = detail
