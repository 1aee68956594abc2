"""What code of authors is told besides the session's values, and the child's reply as an outcome."""

from windlass.guest import Guest, GuestReply, InlinePython
from windlass.phases.contract import Done, PhaseContext
from windlass.records import Json


def code_names(context: PhaseContext) -> dict[str, Json]:
    """Variables of Python and JavaScript besides input, data, outputs and state."""
    return {
        "session_id": context.session_id,
        "idempotency_key": context.idempotency_key,
        "row": None,
        "item": None,
        "error": context.error.as_json() if context.error else None,
    }


def python_of(context: PhaseContext) -> Guest | InlinePython:
    """Where the phase's Python runs, as its `isolation` says."""
    if context.phase.isolation != "inline":
        return context.guest
    if context.inline is None:
        raise RuntimeError("the runner gave the phase nothing to run inline Python with")
    return context.inline


def shell_names(context: PhaseContext) -> dict[str, str]:
    """Variables of every script's environment."""
    return {
        "WINDLASS_SESSION_ID": context.session_id,
        "WINDLASS_IDEMPOTENCY_KEY": context.idempotency_key,
    }


def is_list_of_objects(value: Json) -> bool:
    """Is it what makes a table?"""
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def done(reply: GuestReply) -> Done:
    """The reply as the phase's outcome."""
    return Done(
        output=reply.output, route=reply.route, state=reply.state, saved=reply.saved, files=reply.files
    )
