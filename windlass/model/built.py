"""What this version runs, as tables. An issue that builds more adds its kinds and keys here.

A cascade may use everything that the model knows: `windlass check` warns of what is not built
yet, and `windlass run` refuses it. Nothing that is accepted is ignored.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from windlass.model.cascade import Cascade
from windlass.model.check import field_keys
from windlass.model.kinds_work import DATA_TOOL_CODE, CascadePhase, SqlPhase, ToolPhase
from windlass.model.phase import Phase, PhaseKind
from windlass.model.problems import KeyPath, Problem, sort_problems

KINDS = frozenset({
    PhaseKind.SQL, PhaseKind.PYTHON, PhaseKind.SHELL, PhaseKind.HTTP, PhaseKind.TOOL, PhaseKind.CASCADE,
})  # fmt: skip
# Attributes that every phase has. A kind's own are built with the kind, but for UNBUILT_KIND_KEYS.
PHASE_KEYS = frozenset({
    "name", "description", "handoffs", "routing", "when", "skip_if", "retry", "timeout_s", "on_error", "pure",
    "isolation",
})  # fmt: skip
UNBUILT_KIND_KEYS: Mapping[type[Phase], frozenset[str]] = {
    SqlPhase: frozenset({"connection"}),
    CascadePhase: frozenset({"state_in"}),
}
CASCADE_KEYS = frozenset({
    "cascade_id", "description", "inputs_schema", "phases", "on_failure", "timeout_s", "tags",
    "access", "files", "keep_scratch", "limits",
})  # fmt: skip
ISOLATIONS = frozenset({"child", "inline"})
TOOLS = frozenset(DATA_TOOL_CODE)
TOOL_PREFIXES = ("python:",)


def unbuilt(cascade: Cascade) -> list[Problem]:
    """What the cascade, or one it uses, asks for and this version does not run; severity warning."""
    found: list[Problem] = []
    seen: set[Path] = set()
    pending = [cascade]
    while pending:
        current = pending.pop()
        found.extend(_of_cascade(current))
        for ref, path in current.children.items():
            if path not in seen:
                seen.add(path)
                pending.append(current.child(ref))
    return sort_problems(found, first=cascade.source)


def _of_cascade(cascade: Cascade) -> Iterator[Problem]:
    for key in _asked_for(cascade, CASCADE_KEYS):
        yield _warning(cascade, (key,), f"'{key}' is not built yet in this version")
    for phase in cascade.phases:
        base: KeyPath = ("phases", phase.index)
        for path, what in _of_phase(phase):
            yield _warning(
                cascade, (*base, *path), f"phase '{phase.name}': {what} not built yet in this version"
            )


def _of_phase(phase: Phase) -> Iterator[tuple[KeyPath, str]]:
    if phase.kind not in KINDS:
        yield (phase.kind.value,), f"phases of the kind '{phase.kind.value}' are"
    common = set(Phase.model_fields)
    own = frozenset(type(phase).model_fields) - common
    hidden = UNBUILT_KIND_KEYS.get(type(phase), frozenset())
    for key in _asked_for(phase, PHASE_KEYS | (own - hidden)):
        yield (key,), f"'{key}' is"
    if phase.isolation not in ISOLATIONS:
        yield ("isolation",), f"'isolation: {phase.isolation}' is"
    if phase.on_error and phase.on_error.repair:
        yield ("on_error",), "repair by a model ('on_error') is"
    if isinstance(phase, ToolPhase) and phase.tool not in TOOLS and not phase.tool.startswith(TOOL_PREFIXES):
        yield ("tool",), f"the tool '{phase.tool}' is"


def _asked_for(model: BaseModel, built: frozenset[str]) -> Iterator[str]:
    """Keys outside `built` that were written and ask for something."""
    fields = type(model).model_fields
    for name in fields:
        value = getattr(model, name)
        if name in built or name not in model.model_fields_set:
            continue
        if (
            value is None
            or value is False
            or value in ("", (), [], {})
            or value == fields[name].get_default()
        ):
            continue
        yield field_keys(name, fields[name])[0]


def _warning(cascade: Cascade, path: KeyPath, message: str) -> Problem:
    problem = cascade.problem_at(path, message)
    return Problem(problem.file, problem.line, problem.column, problem.path, message, "", "warning")
