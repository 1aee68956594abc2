"""From a session's history to the place where it goes on.

Replaying is a fold: each row changes the position, and running a phase folds the row it wrote
with the same function. So a resumed session stands exactly where the one that died stood.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from windlass.echo import Echo
from windlass.protocol import History
from windlass.records import Checkpoint, Failure, Json, JsonObject, RowKind, Status


@dataclass(slots=True)
class Position:
    """Where a session stands between two phases.

    Attributes:
        echo: what is known so far.
        next: the phase to run now, None when only the end remains.
        visits: how often each phase has ended.
        failed_attempts: failed tries of `next` in its present visit.
        error: the failure that a handler phase sees.
        failure: the failure that the session ends with, once its handler has run.
        scratch: what the scratch holds (stored form) by "kind:name", in the order it was made.
        files: artifacts by name (stored form).
        spent_s: seconds that its phases took.
        end: the terminal row's body, or None.
    """

    echo: Echo
    next: str | None
    visits: dict[str, int] = field(default_factory=dict)
    failed_attempts: int = 0
    error: Failure | None = None
    failure: Failure | None = None
    scratch: dict[str, JsonObject] = field(default_factory=dict)
    files: dict[str, JsonObject] = field(default_factory=dict)
    phases: list[dict[str, Json]] = field(default_factory=list)
    spent_s: float = 0.0
    end: JsonObject | None = None

    @property
    def status(self) -> Status:
        """The status that the history so far gives."""
        return Status(self.end["status"]) if self.end else Status.RUNNING

    @property
    def result(self) -> Json:
        """The output of the phase that ended last, None before the first."""
        return self.echo.outputs.get(self.echo.lineage[-1]) if self.echo.lineage else None

    def fold(self, kind: RowKind, body: JsonObject, *, phase: str = "") -> None:
        """Take one row in."""
        if kind is RowKind.PHASE:
            self._fold_phase(phase, body)
        elif kind is RowKind.ATTEMPT:
            self.failed_attempts = int(body["attempt"])
        elif kind is RowKind.END:
            self.end = body

    def _fold_phase(self, phase: str, body: JsonObject) -> None:
        self.visits[phase] = self.visits.get(phase, 0) + 1
        self.failed_attempts = 0
        self.echo.learn(phase=phase, output=body["output"], state=body["state"])
        for made in body["scratch"]:
            key = f"{made['kind']}:{made['name']}"
            self.scratch.pop(key, None)  # made again by a later visit: it now comes after what it depends on
            self.scratch[key] = made
        self.files.update((file["name"], file) for file in body["files"])
        self.spent_s += float(body["duration_s"])
        self.next = body["next"]
        failure = Failure.from_json(body["error"]) if body["error"] else None
        self.error = failure if self.next else None
        if body["fails_session"]:
            self.failure = failure
        self.phases.append(
            {"name": phase, "visit": self.visits[phase]}
            | {name: body[name] for name in ("status", "attempts", "started_at", "duration_s", "error")}
        )


def replay(history: Iterable[Checkpoint], *, session_input: Mapping[str, Json], first: str) -> Position:
    """The position after all of `history` (the rows that count, oldest first)."""
    position = Position(echo=Echo(input=session_input), next=first)
    for row in history:
        position.fold(row.kind, row.body, phase=row.phase)
    return position


def handled_signals(history: History) -> tuple[str, ...]:
    """Ids of the signals that the session's owners have dealt with, in the order they did."""
    told = (row.body.get("handled", ()) for row in (*history.takeovers, *history.rows))
    return tuple(dict.fromkeys(signal for signals in told for signal in signals))


def base_before(history: History, phase: str) -> tuple[int, int] | None:
    """Where a new epoch must start so that the last visit of `phase` runs again.

    Returns:
        (epoch, seq) of the last row to keep, (0, 0) to keep none; None when `phase` never ended.
    """
    at = max(
        (n for n, row in enumerate(history.rows) if row.kind is RowKind.PHASE and row.phase == phase),
        default=None,
    )
    if at is None:
        return None
    visit = history.rows[at].visit
    while at and history.rows[at - 1].kind is RowKind.ATTEMPT and history.rows[at - 1].visit == visit:
        at -= 1
    return (history.rows[at - 1].epoch, history.rows[at - 1].seq) if at else (0, 0)


def base_for_retry(history: History) -> tuple[int, int] | None:
    """Where a new epoch starts to go on from what failed or was cancelled; None if it did not fail.

    A session that failed in a phase goes on from that phase; one that was cancelled or ran out
    of time goes on after the last phase that ended.
    """
    end = history.end
    if end is None or end.body["status"] == Status.COMPLETED:
        return None
    failed = (end.body["error"] or {}).get("phase", "")
    if failed:
        return base_before(history, failed)
    kept = [row for row in history.rows if row.kind is not RowKind.END]
    return (kept[-1].epoch, kept[-1].seq) if kept else (0, 0)
