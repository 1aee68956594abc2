"""A session as people and programs are shown it: one object, the same everywhere."""

from windlass.protocol import History, read_history
from windlass.records import Json, RowKind, Session, Status
from windlass.runner.replay import Position, replay
from windlass.store import Snapshot


def session_report(
    session: Session, position: Position, *, epoch: int, worker_id: str, status: Status | None = None
) -> dict[str, Json]:
    """The object that `run -o json` prints and that `sessions show` reads.

    Returns:
        {session_id, cascade_id, status, outputs, result, error, cost, duration_s, epoch, worker_id,
        phases, artifacts}; outputs by phase name, phases in the order they ended.
    """
    end = position.end or {}
    return {
        "session_id": session.session_id,
        "cascade_id": session.cascade_id,
        "status": str(status or position.status),
        "outputs": dict(position.echo.outputs),
        "result": position.result,
        "error": end.get("error"),
        "cost": 0.0,
        "duration_s": end.get("duration_s", round(position.spent_s, 6)),
        "epoch": epoch,
        "worker_id": worker_id,
        "phases": position.phases,
        "artifacts": [
            {name: file[name] for name in ("name", "bytes", "sha256", "media_type")}
            for file in position.files.values()
        ],
    }


def status_of(history: History, highest_claim: int) -> Status:
    """The status that rows and claims give a session.

    Args:
        highest_claim: the highest epoch claimed, 0 for none; read with the rows or after them.
    """
    if history.end is not None and history.is_settled(highest_claim):
        return Status(history.end.body["status"])
    if highest_claim == 0:
        return Status.QUEUED
    last = history.last
    if last is not None and last.kind is RowKind.RELEASE and last.epoch == highest_claim:
        return Status.QUEUED
    if last is not None and last.kind is RowKind.SUSPEND and last.epoch == highest_claim:
        return Status.WAITING
    return Status.RUNNING


def report_snapshot(snapshot: Snapshot) -> dict[str, Json]:
    """`session_report` of a session that somebody else runs or ran, as its rows and claims have it."""
    history = read_history(snapshot.rows)
    position = replay(history.rows, session_input=snapshot.session.input, first="")
    return session_report(
        snapshot.session,
        position,
        epoch=snapshot.highest_claim,
        worker_id=snapshot.claims[-1].worker_id if snapshot.claims else "",
        status=status_of(history, snapshot.highest_claim),
    )
