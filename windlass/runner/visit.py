"""One visit of one phase: is it skipped, what do its attempts come to, and the row that says so.

    ┌─ skip_if / when ──> skipped ─────────────────────────────────┐
    │                                                              v
    start ──> attempt ── done ──> route ── no way on ──> failed ──> row
                 ^   │                └── next ──────────────────> row
                 │   └── failed ── no retry left ──> failed ─────> row
                 └── attempt row, pause ──┘ may retry

The row of a visit holds its outcome and what comes next (see `windlass.runner.ledger`).
"""

from typing import Any

from windlass.errors import AuthorError
from windlass.phases import Done, Failed, Outcome, PhaseContext, run_phase
from windlass.records import Failure, Json, RowKind
from windlass.runner import flow
from windlass.runner.parts import SessionParts, TimeBudget
from windlass.runner.replay import Position
from windlass.runner.retry import delay_s
from windlass.templates import TemplateError

# A phase that handoffs enter more often than this is taken for a loop without an end.
VISITS_MAX = 1_000


class Visit:
    """One visit of the phase that is next. Used once, by the session's own thread."""

    def __init__(self, parts: SessionParts, position: Position, budget: TimeBudget) -> None:
        assert position.next is not None
        self.phase = parts.cascade.phase(position.next)
        self.number = position.visits.get(self.phase.name, 0) + 1
        self._parts = parts
        self._position = position
        self._budget = budget

    def run(self) -> dict[str, Any]:
        """Skip or run the phase.

        Returns:
            The row's body, but for when it started and how long it took.

        Raises:
            Cancelled, Interrupted: the session was asked to end.
        """
        try:
            if self._is_skipped():
                return _row("skipped", next=flow.after_skipped(self._parts.cascade, self.phase))
            self._parts.journal.enter(self.phase.name, self.number)
            self._parts.journal.event("phase.started", phase=self.phase.name, visit=self.number)
            outcome, attempts = self._attempt_until_settled()
            return self._row_of(outcome) | {"attempts": attempts}
        except TemplateError as error:  # of `when`, `skip_if` or retry's `if`
            return self._failed_row(self._failure("template", error.message, hint=error.hint))

    def _is_skipped(self) -> bool:
        if self.phase.when is None and self.phase.skip_if is None:
            return False
        names = self._context(attempt=1).names
        if self.phase.when is not None and not self._parts.templates.test(self.phase.when, names):
            return True
        return self.phase.skip_if is not None and self._parts.templates.test(self.phase.skip_if, names)

    def _attempt_until_settled(self) -> tuple[Outcome, int]:
        """Try until the phase is done, or its retry rules say that it failed.

        Returns:
            The last outcome and how many attempts were made, those of earlier owners included.
        """
        if self.number > VISITS_MAX:
            message = f"{self.phase.name} was entered more than {VISITS_MAX} times"
            return Failed(self._failure("loop", message, hint="its handoffs seem to have no end")), 0
        attempt = self._position.failed_attempts
        while True:
            attempt += 1
            outcome = run_phase(self._context(attempt=attempt))
            if isinstance(outcome, Done) or not self._may_retry(outcome.failure, attempt):
                return outcome, attempt
            pause_s = self._pause_s(outcome.failure, attempt)
            self._commit_attempt(outcome.failure, attempt, pause_s)
            self._pause(pause_s)

    def _may_retry(self, failure: Failure, attempt: int) -> bool:
        retry = self.phase.retry
        if retry is None or not failure.retryable or attempt >= retry.max_attempts or self._budget.is_spent:
            return False
        if retry.retry_if is None:
            return True
        names = {**self._context(attempt=attempt).names, "error": failure.as_json()}
        return self._parts.templates.test(retry.retry_if, names)

    def _commit_attempt(self, failure: Failure, attempt: int, pause_s: float) -> None:
        body = {"attempt": attempt, "error": failure.as_json()}
        self._parts.ledger.append(RowKind.ATTEMPT, body, phase=self.phase.name, visit=self.number)
        self._position.fold(RowKind.ATTEMPT, body, phase=self.phase.name)
        self._parts.journal.event(
            "attempt.failed",
            phase=self.phase.name,
            visit=self.number,
            level="warning",
            message=failure.message,
            data={"attempt": attempt, "kind": failure.kind, "delay_s": round(pause_s, 3)},
        )
        self._parts.ledger.settle()

    def _pause_s(self, failure: Failure, attempt: int) -> float:
        assert self.phase.retry is not None
        return max(delay_s(self.phase.retry, attempt), failure.retry_after_s or 0.0)

    def _pause(self, pause_s: float) -> None:
        """Wait until the next attempt is due, or the session's time is over."""
        left_s = self._budget.left_s
        self._parts.stop.event.wait(pause_s if left_s is None else min(pause_s, left_s))
        self._parts.stop.check()

    def _row_of(self, outcome: Outcome) -> dict[str, Any]:
        if isinstance(outcome, Failed):
            return self._failed_row(outcome.failure)
        try:
            return _row(
                "done",
                output=outcome.output,
                route=outcome.route,
                state=dict(outcome.state),
                next=self._following(outcome),
                scratch=self._parts.keeper.store_objects(outcome.saved),
                files=self._parts.keeper.store_files(outcome.files),
            )
        except TemplateError:
            raise
        except flow.RouteError as error:
            return self._failed_row(self._failure("routing", error.message, hint=error.hint))
        except AuthorError as error:
            return self._failed_row(self._failure("files", error.message, hint=error.hint))

    def _following(self, outcome: Done) -> str | None:
        names: dict[str, Json] = {}
        if self.phase.routing is not None:  # only its conditions look; a copy for every phase would add up
            names = dict(self._context(attempt=1).names)
            names["outputs"] = {**self._position.echo.outputs, self.phase.name: outcome.output}
            names["output"] = outcome.output
        return flow.after_done(
            self._parts.cascade,
            self.phase,
            route=outcome.route,
            conditions=self._parts.templates,
            names=names,
        )

    def _failed_row(self, failure: Failure) -> dict[str, Any]:
        """The row of a failed visit: on to its handler, to the cascade's, or to the end."""
        if self._budget.is_spent:
            return _row("failed", error=self._budget.failure().as_json(), fails_session=True)
        if flow.is_handled(self.phase):
            following = flow.after_failed(self._parts.cascade, self.phase)
            return _row("failed", error=failure.as_json(), next=following)
        first = self._position.failure
        if first is not None:  # the failure handler failed itself: what it was called for stays the reason
            return _row("failed", error=first.as_json(), fails_session=True)
        handler = self._parts.cascade.on_failure
        return _row("failed", error=failure.as_json(), fails_session=True, next=handler)

    def _failure(self, kind: str, message: str, *, hint: str = "") -> Failure:
        return Failure(phase=self.phase.name, kind=kind, message=message, hint=hint, retryable=False)

    def _context(self, *, attempt: int) -> PhaseContext:
        parts = self._parts
        return PhaseContext(
            session_id=parts.session.session_id,
            cascade=parts.cascade,
            phase=self.phase,
            visit=self.number,
            attempt=attempt,
            echo=self._position.echo,
            templates=parts.templates,
            guest=parts.guest,
            inline=parts.inline,
            settings=parts.settings,
            stop=parts.stop,
            children=parts.children,
            deadline_s=self._budget.deadline_s(self.phase.timeout_s),
            error=self._position.error,
        )


def _row(status: str, **facts: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "output": None,
        "route": "",
        "state": {},
        "next": None,
        "error": None,
        "fails_session": False,
        "scratch": [],
        "files": [],
        "attempts": 0,
    }
    return {"status": status} | blank | facts
