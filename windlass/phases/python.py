"""`python`: the author's code as it stands, never rendered, in the session's child or inline."""

from windlass.model import PythonPhase
from windlass.phases.contract import Outcome, PhaseContext
from windlass.phases.guest_call import code_names, done, python_of


def run_python(context: PhaseContext) -> Outcome:
    """Run the code; the output is the value it set as `result`."""
    phase = context.phase
    assert isinstance(phase, PythonPhase)
    names = code_names(context)
    runner = python_of(context)
    return done(runner.python(phase=phase.name, code=phase.python, names=names, timeout_s=context.left_s))
