"""Values into models: which kind a phase is, and pydantic's complaints in words that help."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from windlass.model.document import Document
from windlass.model.kinds import PHASE_CLASSES, class_of
from windlass.model.phase import Phase, PhaseKind
from windlass.model.problems import KeyPath, Problem, did_you_mean, one_of
from windlass.model.written import TextSource

_Model = TypeVar("_Model", bound=BaseModel)
_KINDS = {kind.value: kind for kind in PhaseKind}
# What people write who come from other tools, and what it is called here.
_OTHER_WORDS = {
    "depends_on": "needs", "dependencies": "needs", "next": "handoffs", "transitions": "handoffs", "if":
    "when", "condition": "when", "code": "python", "query": "sql", "prompt": "instructions", "command":
    "shell", "run": "shell", "bash": "shell", "cmd": "shell", "javascript": "tool", "js": "tool", "url":
    "http", "request": "http", "loop": "for_each", "foreach": "for_each", "map": "for_each", "tools":
    "tackle", "id": "name", "retries": "retry", "max_attempts": "retry", "attempts": "retry", "backoff":
    "retry", "args": "inputs", "arguments": "inputs", "parameters": "inputs", "catch": "on_error",
    "steps": "phases", "tasks": "phases", "inputs": "inputs_schema", "input_schema": "inputs_schema",
    "inputSchema": "inputs_schema", "schedule": "triggers", "cron": "triggers", "environment": "env",
    "skip": "skip_if", "subflow": "cascade",
}  # fmt: skip
_BUT = ", but is "
_TYPE_WORDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "absent",
}


def phase_from(
    raw: Any, *, at: int, document: Document, context: TextSource | None
) -> tuple[Phase | None, list[Problem]]:
    """The phase that `raw` (the file's phases[at]) describes, or what is wrong with it."""
    base: KeyPath = ("phases", at)
    if not isinstance(raw, dict):
        hint = "write it as '- name: …' with the key of its kind below"
        return None, [document.problem(base, f"a phase must be a mapping, but is {_shown(raw)}", hint)]
    values, moved = _unfold_rows(raw)
    kinds = _kinds_of(values)
    if len(kinds) != 1:
        return None, [_kind_problem(raw, kinds, base, document)]
    cls = class_of(kinds[0])
    phase, problems = validated(cls, values, base=base, document=document, context=context, moved=moved)
    if phase is not None:
        phase._index = at
    return phase, problems


def validated(
    model: type[_Model],
    values: Mapping[str, Any],
    *,
    base: KeyPath,
    document: Document,
    context: TextSource | None,
    moved: Mapping[str, KeyPath] | None = None,
) -> tuple[_Model | None, list[Problem]]:
    """The model made of `values`, or the problems, each at its place in the file.

    Args:
        model: the class to make.
        values: what was written, at `base` in the document.
        base: the key path of `values`.
        document: where the places of keys are found.
        context: where `@path` texts come from.
        moved: keys of `values` that stand elsewhere in the file, with their path below `base`.
    """
    try:
        return model.model_validate(values, context=context), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    problems: dict[KeyPath, Problem] = {}
    extra: list[Problem] = []
    for item in found:
        loc = item["loc"]
        if moved and loc and loc[0] in moved:
            loc = (*moved[str(loc[0])], *loc[1:])
        path = _written_path(document, base, loc)
        message, suggestion = _in_words(item, model=model, loc=item["loc"])
        problem = document.problem(path, message, suggestion)
        if path in problems and _BUT in message:  # each member of a union has complained of the value
            problems[path] = _joined(problems[path], problem)
        elif path in problems:
            extra.append(problem)
        else:
            problems[path] = problem
    return None, [*problems.values(), *extra]


def _joined(one: Problem, other: Problem) -> Problem:
    """`must be text or a list, but is the number 3`, of two complaints about one value."""
    wanted = one.message.split(_BUT)[0]
    if _BUT not in one.message or other.message.split(_BUT)[0] == wanted:
        return one
    return replace(one, message=f"{wanted} or {other.message.removeprefix('must be ')}")


def _unfold_rows(raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, KeyPath]]:
    """The first Windlass's `for_each_row` as what it means here: a kind, and `for_each`."""
    rows = raw.get("for_each_row")
    if not isinstance(rows, dict):
        return raw, {}
    values = {key: value for key, value in raw.items() if key != "for_each_row"}
    moved: dict[str, KeyPath] = {"for_each": ("for_each_row",)}
    for key in ("cascade", "instructions", "inputs"):
        if key in rows and (key != "inputs" or "cascade" in rows):
            values[key] = rows[key]
            moved[key] = ("for_each_row", key)
    values["for_each"] = {key: value for key, value in rows.items() if key not in moved}
    return values, moved


def _kinds_of(values: Mapping[str, Any]) -> list[PhaseKind]:
    """The kinds whose key is present; a browser phase is steered by instructions."""
    kinds = [_KINDS[key] for key in values if key in _KINDS]
    if set(kinds) == {PhaseKind.BROWSER, PhaseKind.LLM}:
        return [PhaseKind.BROWSER]
    return kinds


def _kind_problem(
    raw: Mapping[str, Any], kinds: list[PhaseKind], base: KeyPath, document: Document
) -> Problem:
    if kinds:
        keys = " and ".join(f"'{kind.value}'" for kind in kinds)
        message = f"a phase does one thing, but this one has {keys}"
        return document.problem((*base, kinds[1].value), message, "make it two phases")
    known = {name for cls in PHASE_CLASSES for name in _keys_of(cls)}
    for key in raw:
        meant = _OTHER_WORDS.get(key) if key not in known else None
        guess = (
            f"did you mean '{meant}'?"
            if meant in _KINDS
            else ""
            if key in known
            else did_you_mean(key, _KINDS)
        )
        if guess:
            return document.problem(
                (*base, key), f"unknown key '{key}', and the phase says nothing to do", guess
            )
    hint = f"give it one of {one_of(_KINDS, most=20)}"
    return document.problem(base, "the phase says nothing to do", hint)


def _written_path(document: Document, base: KeyPath, loc: tuple[int | str, ...]) -> KeyPath:
    """The key path in the file for one of pydantic's: its own steps (union members …) left out."""
    path = base
    spot = document.spot_at(base)
    for step in loc:
        below = spot.child(step)
        if below is not None:
            spot, path = below, (*path, step)
    return path


def _in_words(item: Any, *, model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, str]:
    """Message and suggestion for one of pydantic's errors."""
    kind: str = item["type"]
    given = item.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(str(loc[-1]), model, loc[:-1])
    if kind == "missing":
        owner = _model_at(model, loc[:-1])
        described = _description(owner, str(loc[-1]))
        return f"the key '{loc[-1]}' is missing", f"it is: {described}" if described else ""
    if kind in _TYPE_WORDS:
        return f"must be {_TYPE_WORDS[kind]}{_BUT}{_shown(given)}", ""
    if kind in ("literal_error", "enum"):
        options = [text.strip("'") for text in item["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f"must be one of {one_of(options)}; it is {_shown(given)}", did_you_mean(str(given), options)
    message = str(item["msg"]).replace("Input should be", "must be").replace("Value should", "must")
    if kind in ("too_short", "string_too_short"):
        return "must not be empty", ""
    if kind.startswith(("greater_than", "less_than", "finite", "string_too_long", "too_long")):
        return f"{message}; it is {_shown(given)}", ""
    return message, ""


def _unknown_key(key: str, model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, str]:
    owner = _model_at(model, loc)
    known = _keys_of(owner)
    message = f"unknown key '{key}'"
    if issubclass(owner, Phase):
        homes = [cls.kind.value for cls in PHASE_CLASSES if key in _keys_of(cls)]
        if homes:
            return f"'{key}' is for phases with {one_of(homes)}, not for '{owner.kind.value}'", "remove it"
    meant = _OTHER_WORDS.get(key, "")
    guess = f"did you mean '{meant}'?" if meant in known else did_you_mean(key, known)
    return message, guess or f"known here: {one_of(known, most=40)}"


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model class that the steps of `loc` lead to, from `model` on."""
    for step in loc:
        for field_name, field in model.model_fields.items():
            if step in field_keys(field_name, field):
                model = _model_in(field.annotation) or model
                break
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model class inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def field_keys(field_name: str, field: FieldInfo) -> list[str]:
    """The keys that a field is written as, the usual one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias] if isinstance(alias, str) else [field.alias or field_name]


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [
        name for field_name, field in model.model_fields.items() for name in field_keys(field_name, field)
    ]


def _description(model: type[BaseModel], key: str) -> str:
    for field_name, field in model.model_fields.items():
        if key in field_keys(field_name, field):
            return (field.description or "").rstrip(".")
    return ""


def _shown(value: Any) -> str:
    """A value as a message shows it: what it is, and what it says when that is short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int | float) and not isinstance(value, Enum):
        return f"the number {value}" if abs(value) < 1e15 else "a number"
    text = str(value)
    return repr(text) if len(text) <= 60 else repr(text[:57] + "...")
