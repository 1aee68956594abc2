"""Templates and conditions that could never be rendered, found when the cascade is loaded.

Only the syntax is looked at: what a name stands for is known when the phase runs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from windlass.model.document import Document
from windlass.model.kinds_work import CascadePhase, HttpPhase, ShellPhase, SqlPhase, ToolPhase
from windlass.model.phase import Phase
from windlass.model.problems import KeyPath, Problem
from windlass.model.written import at_path

# Longer texts are left to the phase, which refuses them; parsing this much takes half a second.
_PARSED_CHARS_MAX = 1 << 20
# As in `windlass.templates`: a mark that nobody writes, since shell text is full of `${#name}`.
_NO_COMMENTS = {"comment_start_string": "{##", "comment_end_string": "##}"}

# What Jinja calls them, and what an author sees.
_MARKS = {
    "end of print statement": "}}",
    "end of statement block": "%}",
    "the following tags: ": "",
    "The innermost block that needs to be closed is": "the innermost open block is",
}


def check_templates(phases: Sequence[Phase], document: Document) -> list[Problem]:
    """The templates and conditions of `phases` that are not valid, at their own line."""
    problems = []
    for phase in phases:
        for path, text in _templates_of(phase):
            if "{{" in text or "{%" in text:
                bad = _mistake(text, **(_NO_COMMENTS if path == ("shell",) else {}))
                problems += [_problem(document, phase, path, *bad, "template")] if bad else []
        for path, text in _conditions_of(phase):
            whole = text if "{{" in text or "{%" in text else "{{ " + text + "\n}}"
            bad = _mistake(whole)
            problems += [_problem(document, phase, path, *bad, "condition")] if bad else []
    return problems


def _templates_of(phase: Phase) -> Iterator[tuple[KeyPath, str]]:
    """(path in the phase, text) of everything that is rendered before the phase does its work."""
    if isinstance(phase, SqlPhase):
        yield ("sql",), phase.sql
        yield from _texts(phase.params, ("params",))
    elif isinstance(phase, ShellPhase):
        yield ("shell",), phase.shell
        yield from _texts(phase.env, ("env",))
    elif isinstance(phase, HttpPhase):
        yield from _texts(phase.http.model_dump(by_alias=True, exclude_unset=True), ("http",))
    elif isinstance(phase, ToolPhase):
        yield from _texts(phase.inputs, ("inputs",))
    elif isinstance(phase, CascadePhase):
        yield from _texts(phase.input, ("input",))


def _conditions_of(phase: Phase) -> Iterator[tuple[KeyPath, str]]:
    """(path in the phase, text) of everything that is asked whether it holds."""
    asked: list[tuple[KeyPath, object]] = [(("when",), phase.when), (("skip_if",), phase.skip_if)]
    if phase.retry is not None:
        asked.append((("retry", "if"), phase.retry.retry_if))
    if phase.routing is not None:
        asked += [(("routing",), route.when) for route in phase.routing.routes]
    yield from ((path, text) for path, text in asked if isinstance(text, str))


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*path, name))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _texts(item, (*path, at))


def _mistake(text: str, **marks: str) -> tuple[int, str] | None:
    """(line from 1, what is wrong) with a template, or None."""
    from jinja2 import Environment, TemplateSyntaxError  # most cascades are checked without a template

    if len(text) > _PARSED_CHARS_MAX:
        return None
    try:
        Environment(autoescape=False, **marks).parse(text)  # type: ignore[arg-type]  # noqa: S701
    except TemplateSyntaxError as error:
        message = str(error.message).replace("Jinja was looking for", "it lacks one of")
        for word, mark in _MARKS.items():
            message = message.replace(word, mark)
        return error.lineno, message
    except RecursionError:
        return 1, "it is nested too deeply"
    return None


def _problem(document: Document, phase: Phase, path: KeyPath, line: int, message: str, word: str) -> Problem:
    place = ("phases", phase.index, *path)
    said = f"this {word} is not valid: {message[:1].lower()}{message[1:].rstrip('.')}"
    raw = document.value["phases"][phase.index]
    for step in path:
        raw = raw.get(step) if isinstance(raw, dict) else None
    name = at_path(raw) if isinstance(raw, str) else ""
    if name:
        return document.problem(place, f"{name}:{line}: {said}")
    if isinstance(raw, str) and "\n" in raw:
        return document.problem(place, said, line=document.spot_at(place).text_line + line - 1)
    return document.problem(place, said)
