"""The core loop: one session, from the place its history leaves off to its end.

        takeover row stands
               │
               v                 one visit (see windlass.runner.visit)
        ┌── between ────────────────────────────────> in phase
        │      ^                                          │
        │      │ row acknowledged (pure: only sent)       v
        │      └────────────────────────────────────  committing
        │ nothing is next, failed for good, out of time, cancelled
        v
      ending ── end row acknowledged, claim still the highest ──> over

        any state ── asked to leave (Ctrl-C) ──> release row ──> left (to be resumed)

Invariants:

* Nothing starts before every row before it is acknowledged, except after phases that say `pure`.
* A phase visit ends with exactly one row, which holds its outcome *and* what comes next: a
  resumed session repeats no decision.
* A phase that has a row on the adopted history is never run again.
* The end is told only after the end row is acknowledged and a later read of the claims shows no
  higher epoch.
* A failed phase is a failed phase: it goes to its `on_error`, or the session fails.

Failure: when this process dies, rows that were sent may or may not be there; both are fine, since
the next owner adopts what it finds. What ran without its row runs again with the same
idempotency key.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.clock import boot_s, iso, now
from windlass.errors import Cancelled, Interrupted, LeaseLost
from windlass.records import Failure, Json, RowKind, Status
from windlass.runner.parts import SessionParts, TimeBudget
from windlass.runner.replay import Position
from windlass.runner.visit import Visit


class SessionRunner:
    """Runs one session to its end in the calling thread."""

    def __init__(self, parts: SessionParts, position: Position) -> None:
        self._parts = parts
        self._position = position
        self._budget = TimeBudget(limit_s=parts.cascade.timeout_s, spent_s=position.spent_s)

    def run(self) -> Position:
        """Run until the session is over.

        Returns:
            The final position; its `end` says how it ended.

        Raises:
            Interrupted: this process was asked to leave; a release row says so.
            LeaseLost: another worker took the session over; nothing may be told.
            StoreUnavailable: the store stopped answering; the session can be resumed.
        """
        while self._position.end is None:
            try:
                self._parts.stop.check()
                self._advance()
            except Cancelled as cancelled:
                failure = Failure(phase="", kind="cancelled", message=cancelled.message, retryable=False)
                self._end(Status.CANCELLED, failure, handled=[cancelled.signal_id])
            except Interrupted:
                self._release()
                raise
        return self._position

    def _advance(self) -> None:
        """Run the next phase, or end the session when none is left."""
        position = self._position
        if self._budget.is_spent:
            self._end(Status.FAILED, self._budget.failure())
        elif position.next is not None:
            self._run_next()
        elif position.failure is not None:
            self._end(Status.FAILED, position.failure)
        else:
            self._end(Status.COMPLETED, None)

    def _run_next(self) -> None:
        """Run one visit of the next phase and commit its row."""
        visit = Visit(self._parts, self._position, self._budget)
        if not visit.phase.pure:
            self._parts.ledger.settle()
        started_at, began_s = now(), boot_s()
        body = visit.run()
        body["started_at"] = iso(started_at)
        body["duration_s"] = round(boot_s() - began_s, 6)
        self._parts.ledger.append(RowKind.PHASE, body, phase=visit.phase.name, visit=visit.number)
        self._position.fold(RowKind.PHASE, body, phase=visit.phase.name)
        if not visit.phase.pure:
            self._parts.ledger.settle()
        self._log_visit(visit, body)

    def _log_visit(self, visit: Visit, body: Mapping[str, Any]) -> None:
        self._parts.journal.event(
            f"phase.{body['status']}",
            phase=visit.phase.name,
            visit=visit.number,
            status=body["status"],
            duration_s=body["duration_s"],
            level="error" if body["status"] == "failed" else "info",
            message=(body["error"] or {}).get("message", ""),
            data={
                "kind": str(visit.phase.kind),
                "attempts": body["attempts"],
                "next": body["next"],
                "error": body["error"],
            }
            | _table_facts(body["output"]),
        )

    def _end(self, status: Status, failure: Failure | None, *, handled: Sequence[str] = ()) -> None:
        """Write the last row; tell nobody before it stands."""
        body = {
            "status": str(status),
            "error": failure.as_json() if failure else None,
            "duration_s": round(self._budget.spent_s, 6),
            "handled": [signal for signal in handled if signal],
        }
        self._parts.ledger.append(RowKind.END, body)
        self._parts.ledger.settle(stoppable=False)
        if not self._parts.is_owner():
            raise LeaseLost(f"session {self._parts.session.session_id} was taken over by another worker")
        self._position.fold(RowKind.END, body)
        self._parts.journal.event(
            "session.ended",
            status=str(status),
            level="info" if status is Status.COMPLETED else "error",
            message=failure.message if failure else "",
            duration_s=body["duration_s"],
        )

    def _release(self) -> None:
        """Let go of the session so that it can be resumed at once.

        The releasing row is the last of its epoch, sent when all before it are acknowledged.
        """
        self._parts.ledger.settle(stoppable=False)
        self._parts.ledger.append(RowKind.RELEASE, {"reason": "interrupted"})
        self._parts.ledger.settle(stoppable=False)
        self._parts.journal.event("session.released", message="interrupted")


def _table_facts(output: object) -> dict[str, Json]:
    """How many rows a phase made, where its output says so."""
    if isinstance(output, dict) and "row_count" in output:
        return {"rows": output["row_count"]}
    return {}
