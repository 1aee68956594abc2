"""What a cascade names outside itself (cascades, tools, validators, scripts), and whether it is there."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from windlass.model.cascade import Cascade
from windlass.model.document import Document
from windlass.model.files import Finder
from windlass.model.kinds_agent import LlmPhase
from windlass.model.kinds_work import DATA_TOOL_CODE, CascadePhase, ScriptPhase, ToolPhase
from windlass.model.phase import Phase
from windlass.model.problems import KeyPath, Problem, did_you_mean
from windlass.model.python_text import BadPython, defined_names, parse

# The tools that files of the first Windlass use by name, besides the data tools.
BUILT_IN_TOOLS = frozenset(DATA_TOOL_CODE) | frozenset({
    "windlass_data", "set_state", "route_to", "smart_sql_run", "sql_search", "sql_query", "spawn_cascade",
    "map_cascade", "ask_human", "ask_human_custom", "request_decision", "create_chart", "create_plotly",
    "create_vega_lite", "create_artifact", "list_artifacts", "get_artifact", "read_file", "write_file",
    "append_file", "list_files", "run_code", "linux_shell", "await_signal", "fire_signal",
    "control_browser", "extract_page_content", "take_screenshot", "say", "transcribe_audio",
})  # fmt: skip
_DATA_TOOL_KEYS: Mapping[str, frozenset[str]] = {
    "sql_data": frozenset({"query", "connection", "limit", "materialize"}),
    "python_data": frozenset({"code"}),
    "js_data": frozenset({"code"}),
    "bash_data": frozenset({"script", "input_table", "output_format", "persist_session"}),
}
_NOT_OURS = ("windlass.demo_tools", "windlass.triggers")


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a cascade that something outside it must answer to."""

    kind: Literal["cascade", "tool", "validator", "file"]
    name: str
    path: KeyPath


# Loads the cascade in a file, remembers it as a child under the name that was written.
LoadChild = Callable[[str, Path], None]


def check_references(
    cascade: Cascade, *, document: Document, finder: Finder, load_child: LoadChild
) -> list[Problem]:
    """What is wrong with the names; files that are found are remembered by `finder`."""
    checker = _Checker(cascade, document, finder, load_child)
    problems = [problem for reference in references(cascade) if (problem := checker.check(reference))]
    for phase in cascade.phases:
        if isinstance(phase, ToolPhase) and phase.tool in _DATA_TOOL_KEYS:
            problems.extend(_data_tool_problems(phase, ("phases", phase.index), document))
    return problems


def references(cascade: Cascade) -> Iterator[Reference]:
    """Every name that a cascade uses of something outside it."""
    for at, trigger in enumerate(cascade.triggers):
        for key, name in (("check", trigger.check), ("preprocess", trigger.preprocess)):
            if name:
                yield Reference("tool", name, ("triggers", at, key))
    if cascade.preprocess and cascade.preprocess.tool:
        yield Reference("tool", cascade.preprocess.tool, ("preprocess", "tool"))
    if cascade.soundings and cascade.soundings.validator:
        yield Reference("validator", cascade.soundings.validator, ("soundings", "validator"))
    for phase in cascade.phases:
        base: KeyPath = ("phases", phase.index)
        for reference in _of_phase(phase):
            yield Reference(reference.kind, reference.name, (*base, *reference.path))


def _of_phase(phase: Phase) -> Iterator[Reference]:
    if isinstance(phase, CascadePhase):
        yield Reference("cascade", phase.cascade, ("cascade",))
    elif isinstance(phase, ToolPhase):
        yield Reference("tool", phase.tool, ("tool",))
    elif isinstance(phase, ScriptPhase):
        yield Reference("file", phase.script, ("script",))
    elif isinstance(phase, LlmPhase):
        for at, name in enumerate(phase.tackle):
            if name != "manifest":
                yield Reference("tool", name, ("tackle", at))
    yield from _beside_phase(phase)


def _beside_phase(phase: Phase) -> Iterator[Reference]:
    """What any kind of phase may name: cascades beside it, and validators."""
    for at, sub in enumerate(phase.sub_cascades):
        yield Reference("cascade", sub.ref, ("sub_cascades", at, "ref"))
    for at, sub in enumerate(phase.async_cascades):
        yield Reference("cascade", sub.ref, ("async_cascades", at, "ref"))
    if phase.rules and isinstance(phase.rules.loop_until, str):
        yield Reference("validator", phase.rules.loop_until, ("rules", "loop_until"))
    if phase.soundings and phase.soundings.validator:
        yield Reference("validator", phase.soundings.validator, ("soundings", "validator"))
    if phase.wards:
        for moment in ("pre", "post", "turn"):
            for at, ward in enumerate(getattr(phase.wards, moment)):
                yield Reference("validator", ward.validator, ("wards", moment, at, "validator"))


class _Checker:
    def __init__(self, cascade: Cascade, document: Document, finder: Finder, load_child: LoadChild) -> None:
        self._cascade = cascade
        self._document = document
        self._finder = finder
        self._load_child = load_child

    def check(self, reference: Reference) -> Problem | None:
        """The problem with one reference, or None."""
        name = reference.name
        if "{{" in name or "{%" in name:
            said = f"the {reference.kind} must be a fixed name, not a template"
            return self._problem(reference, said, "a session runs exactly the files that it was started with")
        if reference.kind == "cascade":
            return self._check_cascade(reference)
        if reference.kind == "file":
            return self._check_file(reference, name)
        if reference.kind == "validator" and name in self._cascade.validators:
            return None
        return self._check_tool(reference)

    def _check_cascade(self, reference: Reference) -> Problem | None:
        path = self._finder.find_cascade(reference.name)
        if path is None:
            said = f"there is no cascade '{reference.name}'"
            guess = did_you_mean(reference.name, self._finder.cascade_names())
            hint = guess or "give its file's path relative to this file, or its cascade_id"
            return self._problem(reference, said, hint)
        self._finder.remember(path)
        self._load_child(reference.name, path)
        return None

    def _check_file(self, reference: Reference, name: str) -> Problem | None:
        path = self._finder.find(name)
        if path is None:
            return self._problem(reference, self._finder.missing(name), "")
        self._finder.remember(path)
        return None

    def _check_tool(self, reference: Reference) -> Problem | None:
        name = reference.name
        prefix, _, rest = name.partition(":")
        if prefix == "python" and rest:
            return self._check_python(reference, rest)
        if prefix in ("sql", "shell") and rest:
            return self._check_file(reference, rest)
        if name in BUILT_IN_TOOLS or (prefix == "mcp" and rest):
            return None
        if name.endswith(".tool.json"):
            return self._check_file(reference, name)
        found = self._finder.find_first([name + ".tool.json"])
        if found:
            self._finder.remember(found)
            return None
        path = self._finder.find_cascade(name)
        if path is not None:
            self._finder.remember(path)
            self._load_child(name, path)
            return None
        tools = self._cascade.validators if reference.kind == "validator" else BUILT_IN_TOOLS
        known = [*tools, *self._finder.cascade_names()]
        guess = did_you_mean(name, known)
        hint = guess or "a function of your own is written as 'python:module.function'"
        return self._problem(reference, f"unknown {reference.kind} '{name}'", hint)

    def _check_python(self, reference: Reference, dotted: str) -> Problem | None:
        """Is there a module with that function? Modules of the folder are read, never run."""
        for foreign in _NOT_OURS:
            if dotted == foreign or dotted.startswith(foreign + "."):
                said = f"'{foreign}' belonged to the first Windlass and does not exist here"
                return self._problem(reference, said, "put the function into a module beside the cascade")
        module, _, function = dotted.rpartition(".")
        if not module or not function.isidentifier():
            return self._problem(
                reference, f"'python:{dotted}' names no function", "write 'python:module.function'"
            )
        place = module.replace(".", "/")
        found = self._finder.find_first([place + ".py", place + "/__init__.py"])
        if found is None:
            return self._check_installed(reference, module)
        self._finder.remember(found)
        tree = parse(_text(found))
        if isinstance(tree, BadPython):
            return self._problem(reference, f"{found.name}:{tree.line}: not valid Python: {tree.message}", "")
        names = defined_names(tree)
        if names is None or function in names:
            return None
        public = [name for name in names if not name.startswith("_")]
        return self._problem(
            reference, f"{found.name} has no function '{function}'", did_you_mean(function, public)
        )

    def _check_installed(self, reference: Reference, module: str) -> Problem | None:
        """A module that isn't among the files may still be an installed package."""
        top = module.split(".", maxsplit=1)[0]
        try:
            installed = top.isidentifier() and find_spec(top) is not None
        except (ImportError, ValueError):
            installed = False
        if installed:
            return None
        said = (
            f"there is no module '{module}' (looked for {module.replace('.', '/')}.py in the cascade's folder"
        )
        said += (
            ", in the searched folders and among the installed packages)"
            if self._finder.search
            else " and installed)"
        )
        return self._problem(reference, said, "")

    def _problem(self, reference: Reference, message: str, suggestion: str) -> Problem:
        path = reference.path
        if path[2:] == ("cascade",) and self._document.spot_at(path) is self._document.spot_at(path[:2]):
            path = (*path[:2], "for_each_row", "cascade")
        return self._document.problem(path, message, suggestion)


def _data_tool_problems(phase: ToolPhase, base: KeyPath, document: Document) -> Iterator[Problem]:
    known = _DATA_TOOL_KEYS[phase.tool]
    needed = DATA_TOOL_CODE[phase.tool]
    for key in phase.inputs:
        if key not in known and not key.startswith("_"):
            hint = did_you_mean(key, known) or f"it takes {', '.join(sorted(known))}"
            yield document.problem((*base, "inputs", key), f"{phase.tool} has no argument '{key}'", hint)
    if needed not in phase.inputs:
        yield document.problem((*base, "inputs"), f"{phase.tool} needs the argument '{needed}'", "")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
