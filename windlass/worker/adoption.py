"""How a worker comes to own a session that was there before it asked.

    judge ── completed ──────────────────────────────> nothing to own
      │   ── its owner lives ────────────────────────> Busy
      │ free: never claimed, let go, over and asked for again, or its owner is proven dead
      v
    claim the next epoch by compare-and-set ── lost ──> Busy
      │ held
      v
    read again ──> Adoption: which rows are kept, which signals were handled

Failure: death is believed only with proof (an obituary, or the worker's free lock), never by a clock.
A claim that is made and never followed by a takeover row leaves the history as it was.
"""

from dataclasses import dataclass
from pathlib import Path

from windlass.errors import NotFound, OperatorError
from windlass.protocol import History, read_history
from windlass.records import Checkpoint, RowKind
from windlass.runner import base_before, base_for_retry, handled_signals
from windlass.store import Held, Lost, Snapshot, Store
from windlass.worker.lock import forget, is_proven_dead

# What a session's first owner gives as its reason.
SUBMITTED = "submitted"

# A burnt epoch is what a crash of the store leaves; several in a row mean that something else is wrong.
BURNT_MAX = 10


class Busy(OperatorError):
    """Another living worker runs the session."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """A claimed epoch and what its owner takes over.

    Attributes:
        base: the last row that is kept, (0, 0) for none.
        handled: signals that earlier owners dealt with.
        rows: the rows that count up to the base, oldest first.
        reason: why it was taken over, for people.
    """

    epoch: int
    base: tuple[int, int]
    rows: tuple[Checkpoint, ...]
    reason: str
    handled: tuple[str, ...] = ()


class Adopter:
    """Takes sessions over for one worker.

    Args:
        home: WINDLASS_ROOT, below which the locks of this machine's workers are.
    """

    def __init__(self, *, store: Store, home: Path, worker_id: str) -> None:
        self._store = store
        self._home = home
        self._worker_id = worker_id

    def adopt(self, snapshot: Snapshot, *, restart_at: str = "") -> Adoption | None:
        """Claim the session if it may be run; None when it is completed and stays so.

        Args:
            snapshot: the session as it stood just before.
            restart_at: keep only what came before the last visit of this phase.

        Raises:
            Busy: a living worker has it.
            NotFound: it never ran `restart_at`.
        """
        history = read_history(snapshot.rows)
        session = snapshot.session
        highest = max((claim.epoch for claim in snapshot.claims), default=0)
        if highest == 1 and session.worker_id == self._worker_id and history.epoch == 0:
            return Adoption(epoch=1, base=(0, 0), rows=(), reason=SUBMITTED)
        base, reason = _base(history, restart_at=restart_at)
        if base is None:
            return None
        if highest and not (history.is_settled(highest) and _is_free(history)):
            self._make_sure_of_death(snapshot, highest)
        held = self._claim(session.session_id, highest + 1)
        return self._adoption(session.session_id, held.epoch, restart_at=restart_at, reason=reason)

    def _adoption(self, session_id: str, epoch: int, *, restart_at: str, reason: str) -> Adoption:
        """What the owner of a claimed epoch takes over.

        Rows may have come between the judgement and the claim, so this reads again; an end that came
        meanwhile is kept.
        """
        snapshot = self._store.snapshot(session_id)
        assert snapshot is not None, "it was there before the claim, and rows never go"
        history = read_history(snapshot.rows)
        base = _base(history, restart_at=restart_at)[0] or history.tip
        takeover = Checkpoint(session_id, epoch, 0, RowKind.TAKEOVER, base_epoch=base[0], base_seq=base[1])
        rows = read_history([*snapshot.rows, takeover]).rows
        return Adoption(epoch, base=base, rows=rows, reason=reason, handled=handled_signals(history))

    def _claim(self, session_id: str, epoch: int) -> Held:
        for candidate in range(epoch, epoch + BURNT_MAX):
            result = self._store.claims.claim(session_id, candidate, self._worker_id)
            if isinstance(result, Held):
                return result
            if isinstance(result, Lost):
                break
        raise Busy(f"session {session_id} was claimed by another worker at the same moment")

    def _make_sure_of_death(self, snapshot: Snapshot, highest: int) -> None:
        """Prove that the owner of the highest epoch is dead and record it, or refuse."""
        owner = next(claim.worker_id for claim in snapshot.claims if claim.epoch == highest)
        if owner == self._worker_id or owner in self._store.workers.dead_ids([owner]):
            return
        if is_proven_dead(self._home, owner):
            self._store.workers.obituary(owner, "its lock was free: the process and its descendants are gone")
            forget(self._home, owner)
            return
        raise Busy(
            f"session {snapshot.session.session_id} is being run by worker {owner}",
            hint="watch it with windlass logs -f; it can be taken over once that worker has ended",
        )


def _base(history: History, *, restart_at: str) -> tuple[tuple[int, int] | None, str]:
    """Which rows the next owner keeps, and why it takes over; no base where nothing is to be done."""
    if restart_at:
        base = base_before(history, restart_at)
        if base is None:
            raise NotFound(
                f"the session has not run a phase {restart_at!r}",
                hint="windlass sessions show ID lists its phases",
            )
        return base, f"resume-from {restart_at}"
    if history.end is None:
        return history.tip, "resumed"
    return base_for_retry(history), "retry"


def _is_free(history: History) -> bool:
    """Did the last owner let go of it, or bring it to its end?"""
    return history.last is not None and history.last.kind in (RowKind.RELEASE, RowKind.END, RowKind.SUSPEND)
