"""`python`: the author's code as it stands, never rendered, in the session's child or inline."""

from windlass.model import PythonPhase
from windlass.phases.contract import Outcome, PhaseContext
from windlass.phases.guest_call import code_names, done, python_of


def run_python(context: PhaseContext) -> Outcome:
    """Run the code; the output is the value it set as `result`."""
    phase = context.phase
    assert isinstance(phase, PythonPhase)
    run = context.guest.python_inline if phase.isolation == "inline" else context.guest.python
    return done(run(phase=phase.name, code=phase.python, names=code_names(context), timeout_s=context.left_s))
