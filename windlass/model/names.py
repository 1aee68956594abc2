"""Whether a cascade agrees with itself: its phases' names, Python that parses, schemas that are schemas."""

from collections.abc import Iterator, Sequence
from typing import Any

from windlass.model.cascade import Cascade
from windlass.model.document import Document
from windlass.model.kinds_work import PythonPhase, ToolPhase
from windlass.model.phase import Phase
from windlass.model.problems import KeyPath, Problem, did_you_mean
from windlass.model.python_text import BadPython, parse
from windlass.model.written import at_path

_CONTEXT_WORDS = frozenset({"previous", "first", "all"})


def duplicate_names(phases: Sequence[Any], document: Document) -> list[Problem]:
    """Phases that are called the same; tables of the scratch don't tell upper case from lower.

    Args:
        phases: the phases as they were written, valid or not.
        document: where they stand.
    """
    first: dict[str, int] = {}
    problems = []
    for at, raw in enumerate(phases):
        name = raw.get("name") if isinstance(raw, dict) else None
        if not isinstance(name, str):
            continue
        before = first.setdefault(name.lower(), at)
        if before == at:
            continue
        line = document.spot_at(("phases", before, "name")).line
        same = phases[before]["name"]
        said = f"the name '{name}' is taken" if same == name else f"'{name}' and '{same}' differ only in case"
        problems.append(
            document.problem(
                ("phases", at, "name"), said, f"the first is on line {line}; call this otherwise"
            )
        )
    return problems


def written_names(phases: Sequence[Any]) -> list[str]:
    """The names of all phases that have one, valid or not, so that one bad phase isn't reported twice."""
    return [raw["name"] for raw in phases if isinstance(raw, dict) and isinstance(raw.get("name"), str)]


def check_targets(phases: Sequence[Phase], *, known: Sequence[str], document: Document) -> list[Problem]:
    """Handoffs, routes and the like that lead to no phase, and `needs` that go in a circle."""
    problems = []
    for phase in phases:
        for path, name, word in _mentions(phase):
            if name not in known:
                place = ("phases", phase.index, *path)
                said = f"{word} names the phase '{name}', which does not exist"
                problems.append(document.problem(place, said, _guess(name, known)))
    problems.extend(_circles(phases, document))
    return problems


def missing_phase(path: KeyPath, name: str, *, known: Sequence[str], document: Document) -> list[Problem]:
    """The problem of a key at the cascade's level that names no phase."""
    if name in known:
        return []
    said = f"{path[-1]} names the phase '{name}', which does not exist"
    return [document.problem(path, said, _guess(name, known))]


def check_python(phases: Sequence[Phase], document: Document) -> list[Problem]:
    """Python that does not parse, at its own line."""
    problems = []
    for phase in phases:
        code, path = _code_of(phase)
        bad = parse(code) if code else None
        if not isinstance(bad, BadPython):
            continue
        place = ("phases", phase.index, *path)
        raw = document.value["phases"][phase.index]
        for step in path:
            raw = raw.get(step) if isinstance(raw, dict) else None
        name = at_path(raw) if isinstance(raw, str) else ""
        said = f"this is not valid Python: {bad.message}"
        if name:
            problems.append(document.problem(place, f"{name}:{bad.line}: {said}"))
        else:
            line = document.spot_at(place).text_line + bad.line - 1
            problems.append(document.problem(place, said, line=line))
    return problems


def check_schemas(cascade: Cascade, document: Document, *, shorthand: bool) -> list[Problem]:
    """JSON Schemas that are not valid as such."""
    problems = []
    if not shorthand and "inputs_schema" in cascade.model_fields_set:
        if cascade.inputs_schema.get("type", "object") != "object":
            said = "a session's input is an object, so its schema must have 'type: object'"
            problems.append(document.problem(("inputs_schema", "type"), said))
        problems.extend(_schema_problems(cascade.inputs_schema, ("inputs_schema",), document))
    for phase in cascade.phases:
        if phase.output_schema is not None:
            path: KeyPath = ("phases", phase.index, "output_schema")
            problems.extend(_schema_problems(phase.output_schema, path, document))
    return problems


def _mentions(phase: Phase) -> Iterator[tuple[KeyPath, str, str]]:
    """Everything in a phase that names a phase: (path in the phase, name, the key that says it)."""
    for path, name in phase.named_targets():
        yield path, name, str(path[0])
    for at, name in enumerate(phase.needs):
        yield ("needs", at), name, "needs"
    if phase.context:
        for at, source in enumerate(phase.context.sources):
            if source.phase not in _CONTEXT_WORDS:
                yield ("context", "from", at), source.phase, "context"
        for at, name in enumerate(phase.context.exclude):
            yield ("context", "exclude", at), name, "context"


def _guess(name: str, known: Sequence[str]) -> str:
    return did_you_mean(name, known) or f"the phases are {', '.join(list(dict.fromkeys(known))[:20])}"


def _circles(phases: Sequence[Phase], document: Document) -> list[Problem]:
    """The first phase, in file order, whose needs lead back to itself."""
    needs = {phase.name: phase.needs for phase in phases}
    done: set[str] = set()
    for phase in phases:
        trail: list[str] = [phase.name]
        pending = [iter(needs[phase.name])]
        while pending:
            name = next(pending[-1], None)
            if name is None:
                pending.pop()
                done.add(trail.pop())
            elif name in trail:
                circle = " → ".join([*trail[trail.index(name) :], name])
                place = ("phases", phase.index, "needs")
                return [
                    document.problem(
                        place, f"the phases need each other in a circle: {circle}", "remove one need"
                    )
                ]
            elif name in needs and name not in done:
                trail.append(name)
                pending.append(iter(needs[name]))
    return []


def _code_of(phase: Phase) -> tuple[str, KeyPath]:
    if isinstance(phase, PythonPhase):
        return phase.python, ("python",)
    if isinstance(phase, ToolPhase) and phase.tool == "python_data":
        code = phase.inputs.get("code")
        if isinstance(code, str) and "{{" not in code and "{%" not in code:
            return code, ("inputs", "code")
    return "", ()


def _schema_problems(schema: dict[str, Any], path: KeyPath, document: Document) -> list[Problem]:
    from jsonschema import (  # slow to import; most cascades use the short form
        Draft202012Validator,
        SchemaError,
    )

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        steps = tuple(error.absolute_path)
        return [document.problem((*path, *steps), f"this is not a valid JSON Schema: {error.message}"[:500])]
    return []
