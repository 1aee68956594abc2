"""`tool`: a registered tool, run with rendered inputs and without a model."""

import re
from typing import assert_never

from windlass.model import ToolPhase
from windlass.phases.contract import Outcome, PhaseContext
from windlass.phases.failure import PhaseError
from windlass.phases.guest_call import (
    code_names,
    done,
    is_list_of_objects,
    python_of,
    shell_names,
)
from windlass.records import Json
from windlass.tools import Tool, ToolError, ToolRuns, find_tool, read_json_like

# A template that is one expression keeps its value's type; only one that makes JSON text on purpose
# is read back as JSON.
_ONE_EXPRESSION = re.compile(r"\s*\{\{(?:(?!\}\}).)*\}\}\s*", re.DOTALL)
_MAKES_JSON = re.compile(r"\|\s*tojson\s*(\([^)]*\))?\s*-?\}\}\s*$")


def run_tool(context: PhaseContext) -> Outcome:
    """Run the tool; the output is its result."""
    phase = context.phase
    assert isinstance(phase, ToolPhase)
    tool = find_tool(phase.tool)
    given = {name: _rendered(context, tool, value) for name, value in phase.inputs.items()}
    try:
        inputs = tool.accept(given)
    except ToolError as error:
        raise PhaseError(error.message, kind="tool", hint=error.hint, retryable=False) from None
    return _run(context, tool, inputs)


def _rendered(context: PhaseContext, tool: Tool, value: Json) -> Json:
    rendered = context.render(value)
    if not (tool.is_open and isinstance(value, str) and isinstance(rendered, str)):
        return rendered
    is_value = _ONE_EXPRESSION.fullmatch(value) and not _MAKES_JSON.search(value)
    return rendered if is_value else read_json_like(rendered)


def _run(context: PhaseContext, tool: Tool, inputs: dict[str, Json]) -> Outcome:
    match tool.runs:
        case ToolRuns.SQL:
            return _run_sql_data(context, inputs)
        case ToolRuns.PYTHON:
            return _run_python_data(context, inputs)
        case ToolRuns.SHELL:
            return _run_bash_data(context, inputs)
        case ToolRuns.JS:
            return done(
                context.guest.js(
                    phase=context.phase.name,
                    code=inputs["code"],
                    names=code_names(context),
                    timeout_s=context.left_s,
                )
            )
        case ToolRuns.FUNCTION:
            return done(
                context.guest.call_function(
                    phase=context.phase.name,
                    function=tool.function,
                    inputs=inputs,
                    timeout_s=context.left_s,
                )
            )
        case _:
            assert_never(tool.runs)


def _run_sql_data(context: PhaseContext, inputs: dict[str, Json]) -> Outcome:
    if inputs["connection"] is not None:
        raise PhaseError(
            "sql_data: named connections are not built yet in this version",
            kind="unbuilt",
            hint="leave `connection` out: the query runs over the session's own tables",
            retryable=False,
        )
    return done(
        context.guest.sql(
            phase=context.phase.name,
            text=inputs["query"],
            limit=inputs["limit"],
            materialize=inputs["materialize"],
            timeout_s=context.left_s,
        )
    )


def _run_python_data(context: PhaseContext, inputs: dict[str, Json]) -> Outcome:
    return done(
        python_of(context).python(
            phase=context.phase.name,
            code=inputs["code"],
            names=code_names(context),
            dialect="python_data",
            timeout_s=context.left_s,
        )
    )


def _run_bash_data(context: PhaseContext, inputs: dict[str, Json]) -> Outcome:
    return done(
        context.guest.shell(
            phase=context.phase.name,
            script=inputs["script"],
            env=shell_names(context),
            input_table=inputs["input_table"] or _table_before(context),
            output_format=inputs["output_format"],
            persist_session=inputs["persist_session"],
            timeout_s=context.left_s,
        )
    )


def _table_before(context: PhaseContext) -> str:
    """The table of the phase that ended last, "" if it made none."""
    if not context.echo.lineage:
        return ""
    last = context.echo.lineage[-1]
    output = context.echo.outputs.get(last)
    makes_rows = isinstance(output, dict) and {"rows", "columns", "row_count"} <= output.keys()
    return f"_{last}" if makes_rows or is_list_of_objects(output) else ""
