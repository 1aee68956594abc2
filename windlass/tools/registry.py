"""The tools by name. A tool here is a description; phases run it, in the session's child.

`sql_data`, `python_data`, `js_data` and `bash_data` are built in. `python:mod.fn` is a function of a
module beside the cascade; its inputs are its keyword arguments, which only the child can check,
because only the child may import it.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from windlass.errors import AuthorError
from windlass.records import Json, JsonObject

_FUNCTION = re.compile(r"python:([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)")


class ToolError(AuthorError):
    """A tool does not exist, or is given what it does not take."""


class ToolRuns(StrEnum):
    """How a tool runs."""

    SQL = "sql"
    PYTHON = "python"
    JS = "js"
    SHELL = "shell"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class ToolInput:
    """One input of a tool.

    Attributes:
        schema: JSON Schema of its value.
        required: must be given.
        default: its value when it is not given, None for no value.
    """

    schema: JsonObject
    required: bool = False
    default: Json = None


@dataclass(frozen=True, slots=True)
class Tool:
    """Something with a name that a phase or a model can run.

    Attributes:
        function: `mod.fn` for a function, "" otherwise.
        inputs: by name; open for functions, whose signature only the child knows.
    """

    name: str
    description: str
    runs: ToolRuns
    inputs: Mapping[str, ToolInput] = field(default_factory=dict)
    function: str = ""

    @property
    def is_open(self) -> bool:
        """True when any input is let through here and checked where the tool runs."""
        return self.runs is ToolRuns.FUNCTION

    def schema(self) -> dict[str, Json]:
        """JSON Schema of the inputs, as a model is shown them."""
        return {
            "type": "object",
            "properties": {name: dict(each.schema) for name, each in self.inputs.items()},
            "required": [name for name, each in self.inputs.items() if each.required],
            "additionalProperties": self.is_open,
        }

    def accept(self, given: JsonObject) -> dict[str, Json]:
        """`given` with defaults; text that looks like JSON is read where something else than text is wanted.

        Raises:
            ToolError: an input is unknown, missing or of another type.
        """
        if self.is_open:
            return dict(given)
        for name in given:
            if name not in self.inputs:
                raise ToolError(f"{self.name} has no input {name!r}", hint=_suggest(name, self.inputs))
        values: dict[str, Json] = {}
        for name, each in self.inputs.items():
            if given.get(name) is not None:
                values[name] = self._value(name, each, given[name])
            elif each.required:
                raise ToolError(f"{self.name} needs the input {name!r}", hint=str(each.schema["description"]))
            else:
                values[name] = each.default
        return values

    def _value(self, name: str, wanted: ToolInput, value: Json) -> Json:
        kind = str(wanted.schema["type"])
        if kind != "string" and isinstance(value, str):
            value = _read_text(value)
        if not _is_kind(value, kind):
            raise ToolError(f"{self.name}: the input {name!r} must be of type {kind}, not {_kind_of(value)}")
        allowed = wanted.schema.get("enum")
        if allowed is not None and value not in allowed:
            raise ToolError(f"{self.name}: the input {name!r} is {value!r}; it can be {', '.join(allowed)}")
        return value


def find_tool(name: str) -> Tool:
    """The tool called `name`.

    Raises:
        ToolError: there is none.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    found = _FUNCTION.fullmatch(name)
    if found:
        return Tool(
            name=name,
            description=f"The function {found[1]} beside the cascade.",
            runs=ToolRuns.FUNCTION,
            function=found[1],
        )
    if name.startswith("python:"):
        raise ToolError(f"{name!r} names no function", hint="write python:module.function")
    raise ToolError(f"there is no tool {name!r}", hint=_suggest(name, _BUILT_IN))


def _read_text(text: str) -> Json:
    """A value out of a text, for an input that is no text: JSON of any type."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"True": True, "False": False}.get(text.strip(), text)


def _is_kind(value: Json, kind: str) -> bool:
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
    }
    return isinstance(value, kinds[kind])


def _kind_of(value: Json) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _suggest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"


def _text(description: str, *, required: bool = False, default: str | None = None) -> ToolInput:
    return ToolInput({"type": "string", "description": description}, required=required, default=default)


def _switch(description: str, *, default: bool) -> ToolInput:
    return ToolInput({"type": "boolean", "description": description}, default=default)


_BUILT_IN: Mapping[str, Tool] = {
    "sql_data": Tool(
        name="sql_data",
        description="Run SQL over the session's tables; the result becomes the phase's table.",
        runs=ToolRuns.SQL,
        inputs={
            "query": _text("The SQL to run.", required=True),
            "connection": _text("A named connection; by default the session's own tables."),
            "limit": ToolInput(
                {"type": "integer", "minimum": 0, "description": "Keep at most this many rows."}
            ),
            "materialize": _switch("Keep the result as the table _<phase>.", default=True),
        },
    ),
    "python_data": Tool(
        name="python_data",
        description="Run Python over the session's tables; it sets `result`.",
        runs=ToolRuns.PYTHON,
        inputs={"code": _text("The Python code; it must set `result`.", required=True)},
    ),
    "js_data": Tool(
        name="js_data",
        description="Run JavaScript (Node.js) over the session's tables; it sets `result`.",
        runs=ToolRuns.JS,
        inputs={"code": _text("The JavaScript code; it must set `result`.", required=True)},
    ),
    "bash_data": Tool(
        name="bash_data",
        description="Run a Bash script with a table as CSV on its standard input.",
        runs=ToolRuns.SHELL,
        inputs={
            "script": _text("The Bash script.", required=True),
            "input_table": _text("The table on standard input; by default that of the phase before."),
            "output_format": ToolInput(
                {
                    "type": "string",
                    "enum": ["csv", "json", "jsonl", "auto"],
                    "description": "How what it prints is read.",
                },
                default="auto",
            ),
            "persist_session": _switch("Keep variables and folder for the next bash_data.", default=False),
        },
    ),
}
