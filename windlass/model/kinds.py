"""All kinds of phases, one class each.

Kinds that this version doesn't run are here all the same, so that a cascade is checked in full;
`windlass.model.built` says which they are.
"""

from windlass.model.kinds_agent import BrowserPhase, HumanPhase, LlmPhase, WaitPhase
from windlass.model.kinds_control import (
    BranchPhase,
    EmitPhase,
    ParallelPhase,
    ProducerPhase,
    QueueWritePhase,
    WhilePhase,
)
from windlass.model.kinds_work import (
    CascadePhase,
    HttpPhase,
    PythonPhase,
    ScriptPhase,
    ShellPhase,
    SqlPhase,
    ToolPhase,
)
from windlass.model.phase import Phase, PhaseKind

PHASE_CLASSES: tuple[type[Phase], ...] = (
    SqlPhase, PythonPhase, ShellPhase, ScriptPhase, HttpPhase, ToolPhase, CascadePhase, LlmPhase,
    HumanPhase, WaitPhase, BranchPhase, ParallelPhase, WhilePhase, EmitPhase, ProducerPhase,
    QueueWritePhase, BrowserPhase,
)  # fmt: skip


def class_of(kind: PhaseKind) -> type[Phase]:
    """The class of a kind's phases."""
    return next(phase for phase in PHASE_CLASSES if phase.kind is kind)
