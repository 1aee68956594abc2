"""A session's write side: rows with an epoch and a seq, in order, and the wait for them.

What the body of a row says, by kind:

    takeover  {reason, handled: [signal ids]}            base_epoch and base_seq are columns
    phase     {status: done|skipped|failed, output, route, state, next, error, fails_session,
               scratch: [stored objects], files: [stored files], attempts, started_at, duration_s}
    attempt   {attempt, error}
    release   {reason}
    end       {status, error, duration_s, handled: [signal ids]}

Invariants:

* seqs of an epoch count from 0 without gaps, in the order of `append`;
* a row is never replaced: the writer sends the same row again until it is acknowledged;
* `settle` returns only when every appended row is acknowledged.

Failure: when the store gives no acknowledgement within the limit nothing is known of the last
rows. The ledger then refuses to go on (`StoreUnavailable`); whoever resumes reads what is there.
"""

import concurrent.futures
from collections.abc import Callable, Sequence
from typing import Protocol

from windlass.clock import boot_s
from windlass.errors import StoreUnavailable
from windlass.records import Checkpoint, JsonObject, RowKind

# How often a wait for the store looks whether it should stop. Short enough that Ctrl-C feels immediate.
_LOOK_S = 0.2


class Checkpoints(Protocol):
    """Where rows go."""

    def append(self, row: Checkpoint) -> concurrent.futures.Future[None]:
        """Send `row`; the future ends when it is acknowledged."""


class Ledger:
    """The rows that one owner writes in one epoch. Used by the session's own thread.

    Args:
        ack_limit_s: how long to wait for an acknowledgement before giving the session up.
        check: called while waiting; raises when the wait should end.
    """

    def __init__(
        self,
        *,
        checkpoints: Checkpoints,
        session_id: str,
        epoch: int,
        worker_id: str,
        ack_limit_s: float,
        check: Callable[[], None],
    ) -> None:
        self.session_id = session_id
        self.epoch = epoch
        self._checkpoints = checkpoints
        self._worker_id = worker_id
        self._ack_limit_s = ack_limit_s
        self._check = check
        self._seq = 0
        self._unacknowledged: list[concurrent.futures.Future[None]] = []

    def take_over(self, *, base: tuple[int, int], reason: str, handled: Sequence[str] = ()) -> None:
        """Write the takeover row and wait until it stands; nothing of the epoch precedes it.

        Args:
            base: (epoch, seq) of the last row that is kept, (0, 0) for none.
            reason: why this owner took over, for people.
            handled: signals that earlier owners dealt with, on rows that the base may leave behind.
        """
        self._send(
            Checkpoint(
                session_id=self.session_id,
                epoch=self.epoch,
                seq=0,
                kind=RowKind.TAKEOVER,
                body={"reason": reason, "handled": list(handled)},
                base_epoch=base[0],
                base_seq=base[1],
                worker_id=self._worker_id,
            )
        )
        self.settle(stoppable=False)

    def append(self, kind: RowKind, body: JsonObject, *, phase: str = "", visit: int = 0) -> None:
        """Send the next row without waiting for it."""
        self._seq += 1
        self._send(
            Checkpoint(
                session_id=self.session_id,
                epoch=self.epoch,
                seq=self._seq,
                kind=kind,
                phase=phase,
                visit=visit,
                body=body,
                worker_id=self._worker_id,
            )
        )

    def settle(self, *, stoppable: bool = True) -> None:
        """Wait until every row so far is acknowledged.

        Args:
            stoppable: False for the last row of a session that is being stopped.

        Raises:
            StoreUnavailable: no acknowledgement within the limit.
        """
        give_up_at = boot_s() + self._ack_limit_s
        while self._unacknowledged:
            try:
                self._unacknowledged[0].result(timeout=_LOOK_S)
            except concurrent.futures.TimeoutError:
                self._look(give_up_at, stoppable)
            else:
                del self._unacknowledged[0]

    def _look(self, give_up_at: float, stoppable: bool) -> None:
        if stoppable:
            self._check()
        if boot_s() > give_up_at:
            raise StoreUnavailable(
                f"the store has not acknowledged the last step of session {self.session_id}",
                hint=f"once the store answers: windlass run --session {self.session_id}",
            )

    def _send(self, row: Checkpoint) -> None:
        self._unacknowledged.append(self._checkpoints.append(row))
