"""What the registry says of tools and their inputs."""

from typing import Any

import pytest

from windlass.tools import ToolError, ToolRuns, find_tool, read_json_like


def test_unknown_tools_and_inputs_come_with_a_suggestion() -> None:
    with pytest.raises(ToolError) as caught:
        find_tool("sql_dat")
    assert (caught.value.message, caught.value.hint) == (
        "there is no tool 'sql_dat'",
        "did you mean 'sql_data'?",
    )
    with pytest.raises(ToolError) as caught:
        find_tool("sql_data").accept({"query": "SELECT 1", "limitt": 3})
    assert (caught.value.message, caught.value.hint) == (
        "sql_data has no input 'limitt'",
        "did you mean 'limit'?",
    )
    with pytest.raises(ToolError, match="python_data needs the input 'code'"):
        find_tool("python_data").accept({"code": None})
    with pytest.raises(ToolError, match="names no function"):
        find_tool("python:double")


def test_defaults_are_filled_in() -> None:
    assert find_tool("bash_data").accept({"script": "ls"}) == {
        "script": "ls",
        "input_table": None,
        "output_format": "auto",
        "persist_session": False,
    }


@pytest.mark.parametrize(
    ("given", "value"),
    [(3, 3), ("3", 3), (" 3 ", 3), ("x", None), (True, None), ("true", None), (1.5, None), ([], None)],
)
def test_text_is_read_where_a_number_is_wanted(given: Any, value: Any) -> None:
    tool = find_tool("sql_data")
    if value is None:
        with pytest.raises(ToolError, match="must be of type integer"):
            tool.accept({"query": "SELECT 1", "limit": given})
    else:
        assert tool.accept({"query": "SELECT 1", "limit": given})["limit"] == value


@pytest.mark.parametrize("given", [False, "false", "False"])
def test_text_is_read_where_a_switch_is_wanted(given: Any) -> None:
    assert find_tool("sql_data").accept({"query": "SELECT 1", "materialize": given})["materialize"] is False


def test_a_choice_lists_what_can_be_chosen() -> None:
    with pytest.raises(ToolError, match="it can be csv, json, jsonl, auto"):
        find_tool("bash_data").accept({"script": "ls", "output_format": "xml"})


def test_a_function_takes_any_input() -> None:
    tool = find_tool("python:pack.mod.fn")
    assert (tool.runs, tool.function, tool.accept({"a": [1]})) == (
        ToolRuns.FUNCTION,
        "pack.mod.fn",
        {"a": [1]},
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (" [1, 2]\n", [1, 2]),
        ("[urgent] call", "[urgent] call"),
        ("[not json]", "[not json]"),
        ("12", "12"),
        ("[" * 100_000 + "]" * 100_000, "[" * 100_000 + "]" * 100_000),
    ],
)
def test_only_text_that_is_json_is_read_as_json(text: str, value: Any) -> None:
    assert read_json_like(text) == value


def test_the_schema_is_what_a_model_can_be_shown() -> None:
    schema = find_tool("sql_data").schema()
    assert schema["required"] == ["query"]
    assert schema["properties"]["limit"]["type"] == "integer"
    assert schema["additionalProperties"] is False
