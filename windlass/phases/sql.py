"""`sql`: a rendered text with bound values, run in the session's child over its scratch."""

from windlass.model import SqlPhase
from windlass.phases.contract import Outcome, PhaseContext
from windlass.phases.failure import PhaseError
from windlass.phases.guest_call import done


def run_sql(context: PhaseContext) -> Outcome:
    """Run the query; its rows become the table `_<phase>` and the output."""
    phase = context.phase
    assert isinstance(phase, SqlPhase)
    if phase.connection is not None:
        raise PhaseError(
            "named connections are not built yet in this version",
            kind="unbuilt",
            hint="leave `connection` out: the query runs over the session's own tables",
            retryable=False,
        )
    text = str(context.render(phase.sql))
    params = context.render(phase.params) if phase.params is not None else None
    return done(context.guest.sql(phase=phase.name, text=text, params=params, timeout_s=context.left_s))
