"""`cascade`: another cascade, run as a session of its own."""

from dataclasses import replace

from windlass.model import CascadePhase
from windlass.phases.contract import Done, Outcome, PhaseContext
from windlass.phases.failure import PhaseError


def run_cascade(context: PhaseContext) -> Outcome:
    """Run the sub-cascade to its end; the output is what the child session came to.

    `state_out` adds the child's state to this session's.
    """
    phase = context.phase
    assert isinstance(phase, CascadePhase)
    path = context.cascade.children.get(phase.cascade)
    if path is None:
        raise PhaseError(
            f"the cascade {phase.cascade!r} was not found beside this one", kind="cascade", retryable=False
        )
    if phase.state_in:
        raise PhaseError(
            "`state_in` is not built yet in this version",
            kind="unbuilt",
            hint="hand over what the child needs in `input`: {name: '{{ state.name }}'}",
            retryable=False,
        )
    outcome = context.children.run(
        cascade=path,
        input=context.render(phase.input),
        phase=phase.name,
        visit=context.visit,
        attempt=context.attempt,
    )
    if isinstance(outcome, Done) and phase.state_out:
        return replace(outcome, state=outcome.output["state"])
    return outcome
