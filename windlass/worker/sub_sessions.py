"""Sub-cascades: each is a session of its own, named after the phase that runs it.

The name is the same for the same try, so a parent that is resumed finds the child it had begun
and takes it up where it stands, instead of starting it again.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from windlass.errors import AuthorError
from windlass.model import Cascade, load_cascade
from windlass.phases import Done, Failed, Outcome, Stop
from windlass.records import Failure, JsonObject, Session, Status
from windlass.runner import Position
from windlass.worker.ids import child_session_id

# Runs a session of the cascade (submitted if it is new) under its parent's stop; gives its final position.
RunSession: TypeAlias = Callable[[Cascade, Session, Stop], Position]


class SubSessions:
    """Runs the sub-cascades of one session (see `windlass.phases.ChildSessions`).

    Args:
        session: the parent.
        cascade: the parent's.
        depth_max: how deep sessions may nest.
    """

    def __init__(
        self, *, session: Session, cascade: Cascade, depth_max: int, run_session: RunSession, stop: Stop
    ) -> None:
        self._session = session
        self._cascade = cascade
        self._depth_max = depth_max
        self._run_session = run_session
        self._stop = stop

    def run(self, *, cascade: Path, input: JsonObject, phase: str, visit: int, attempt: int) -> Outcome:
        """Run the cascade at `cascade` with `input` to its end.

        Returns:
            Done with {session_id, status, result, outputs, state} of the child, or Failed.
        """
        if self._session.depth >= self._depth_max:
            return Failed(self._too_deep(phase))
        try:
            loaded = load_cascade(cascade, search=self._cascade.search)
            child = replace(
                self._session,
                session_id=child_session_id(self._session.session_id, phase, visit, attempt),
                cascade_id=loaded.cascade_id,
                input=input,
                parent_session_id=self._session.session_id,
                parent_phase=phase,
                depth=self._session.depth + 1,
                worker_id="",
            )
            position = self._run_session(loaded, child, self._stop)
            self._stop.check()  # what cancelled the child may have cancelled us
            return _outcome(child, position, phase)
        except AuthorError as error:
            failure = Failure(phase, "cascade", error.message, hint=error.hint, retryable=False)
            return Failed(failure)

    def _too_deep(self, phase: str) -> Failure:
        return Failure(
            phase=phase,
            kind="depth",
            message=f"sub-cascades are nested deeper than {self._depth_max}",
            hint="a cascade that runs itself needs a `when`; WINDLASS_DEPTH_MAX raises the limit",
            retryable=False,
        )


def _outcome(child: Session, position: Position, phase: str) -> Outcome:
    if position.status is Status.COMPLETED:
        output = {
            "session_id": child.session_id,
            "status": str(position.status),
            "result": position.result,
            "outputs": dict(position.echo.outputs),
            "state": dict(position.echo.state),
        }
        return Done(output=output)
    error = (position.end or {}).get("error") or {}
    reason = error.get("message", "")
    if error.get("kind") == "cascade":  # it only passes on what its own sub-cascade said
        return Failed(Failure(phase=phase, kind="cascade", message=reason, detail=error.get("detail", "")))
    message = f"sub-cascade {child.cascade_id} (session {child.session_id}) {position.status}: {reason}"
    return Failed(Failure(phase=phase, kind="cascade", message=message, detail=error.get("detail", "")))
