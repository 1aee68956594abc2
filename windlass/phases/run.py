"""`run_phase`: the one door to every kind of phase, and the one place that turns errors into outcomes."""

import logging
import traceback
from collections.abc import Callable, Mapping

from windlass.errors import AuthorError, WindlassError
from windlass.guest import GuestFailure
from windlass.model import PhaseKind
from windlass.phases.cascade import run_cascade
from windlass.phases.contract import Failed, Outcome, PhaseContext
from windlass.phases.failure import PhaseError
from windlass.phases.http import run_http
from windlass.phases.python import run_python
from windlass.phases.shell import run_shell
from windlass.phases.sql import run_sql
from windlass.phases.tool import run_tool
from windlass.records import Failure
from windlass.sandbox import ChildStopped, ServiceFailed
from windlass.templates import TemplateError

_log = logging.getLogger(__name__)

_KINDS: Mapping[PhaseKind, Callable[[PhaseContext], Outcome]] = {
    PhaseKind.SQL: run_sql,
    PhaseKind.PYTHON: run_python,
    PhaseKind.SHELL: run_shell,
    PhaseKind.HTTP: run_http,
    PhaseKind.TOOL: run_tool,
    PhaseKind.CASCADE: run_cascade,
}


def run_phase(context: PhaseContext) -> Outcome:
    """Run one try of one phase to its end.

    Returns:
        Done, or Failed with a failure that its author can act on. A bug of ours is a failure of
        kind "internal", and its traceback is logged.

    Raises:
        Cancelled, Interrupted: the session was asked to stop while the phase ran.
        WindlassError: what is not the author's to mend (the store is away, the lease is lost).
    """
    context.stop.check()
    run = _KINDS.get(context.phase.kind)
    if run is None:
        return Failed(
            Failure(
                phase=context.phase.name,
                kind="unbuilt",
                message=f"phases of kind {str(context.phase.kind)!r} are not built yet in this version",
                retryable=False,
            )
        )
    try:
        return run(context)
    except ChildStopped:
        context.stop.check()
        return Failed(_failure(context, "died", "the session's child was stopped, and nobody asked for it"))
    except GuestFailure as error:
        return Failed(error.failure)
    except AuthorError as error:
        return Failed(_from_author(context, error))
    except WindlassError as error:
        if not isinstance(error, ServiceFailed):
            raise
        return Failed(_internal(context, error))
    except Exception as error:  # a bug of ours must end this phase, and not the worker's other sessions
        _log.exception("phase.bug", extra={"session_id": context.session_id, "phase": context.phase.name})
        return Failed(_internal(context, error))


def _from_author(context: PhaseContext, error: AuthorError) -> Failure:
    if isinstance(error, TemplateError):
        return Failure(
            phase=context.phase.name,
            kind="template",
            message=str(error),
            hint=error.hint,
            line=error.line,
            retryable=False,
        )
    if isinstance(error, PhaseError):
        return Failure(
            phase=context.phase.name,
            kind=error.kind,
            message=error.message,
            detail=error.detail,
            hint=error.hint,
            retryable=error.retryable,
            retry_after_s=error.retry_after_s,
        )
    kind = context.phase.kind.value
    return Failure(
        phase=context.phase.name, kind=kind, message=error.message, hint=error.hint, retryable=False
    )


def _internal(context: PhaseContext, error: Exception) -> Failure:
    return Failure(
        phase=context.phase.name,
        kind="internal",
        message=f"a bug of Windlass: {type(error).__name__}: {error}",
        detail="".join(traceback.format_exception(error)) + getattr(error, "detail", ""),
        hint="please report it with the traceback in the detail",
    )


def _failure(context: PhaseContext, kind: str, message: str) -> Failure:
    return Failure(phase=context.phase.name, kind=kind, message=message)
