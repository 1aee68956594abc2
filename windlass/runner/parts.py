"""What a running session works with."""

from collections.abc import Callable
from dataclasses import dataclass

from windlass.clock import boot_s
from windlass.config import Settings
from windlass.guest import Guest, InlinePython
from windlass.model import Cascade
from windlass.phases import ChildSessions, Stop
from windlass.records import Failure, Session
from windlass.runner.journal import Journal
from windlass.runner.keeper import Keeper
from windlass.runner.ledger import Ledger
from windlass.templates import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """Everything one running session works with, put together by its worker.

    Attributes:
        is_owner: asks the store if this epoch is still the highest claimed.
    """

    session: Session
    cascade: Cascade
    settings: Settings
    ledger: Ledger
    journal: Journal
    keeper: Keeper
    guest: Guest
    inline: InlinePython
    templates: Templates
    children: ChildSessions
    stop: Stop
    is_owner: Callable[[], bool]


class TimeBudget:
    """How long a session may still run: its cascade's timeout less what its phases took.

    Time between two owners does not count: a session that waited overnight to be resumed is not late.

    Args:
        limit_s: the cascade's timeout in seconds, None for no limit.
        spent_s: what earlier owners used.
    """

    def __init__(self, *, limit_s: float | None, spent_s: float) -> None:
        self._limit_s = limit_s
        self._spent_before_s = spent_s
        self._began_s = boot_s()

    @property
    def spent_s(self) -> float:
        """Seconds the session has run, all its owners together."""
        return self._spent_before_s + boot_s() - self._began_s

    @property
    def left_s(self) -> float | None:
        """Seconds that are left (never below 0), None without a limit."""
        return None if self._limit_s is None else max(0.0, self._limit_s - self.spent_s)

    @property
    def is_spent(self) -> bool:
        """True when there is a limit and nothing is left of it."""
        return self.left_s == 0.0

    def deadline_s(self, limit_s: float | None) -> float | None:
        """When work that may take `limit_s` must end, on `clock.boot_s`; None for never."""
        limits_s = [limit for limit in (limit_s, self.left_s) if limit is not None]
        return boot_s() + min(limits_s) if limits_s else None

    def failure(self) -> Failure:
        """Why a session that is out of time failed."""
        message = f"the session ran longer than its cascade's timeout of {self._limit_s or 0:g} s"
        return Failure(phase="", kind="timeout", message=message, retryable=False)
