"""`-i` and `--input`: what somebody typed becomes the input that the schema means."""

import io
import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.values import read_input

OPEN = {"type": "object", "properties": {"x": {"description": "anything"}}}


def typed(*types):
    return {"type": "object", "properties": {"x": {"type": types[0] if len(types) == 1 else list(types)}}}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (OPEN, "5", 5),
        (OPEN, "1.5", 1.5),
        (OPEN, "true", True),
        (OPEN, "null", None),
        (OPEN, "[1, 2]", [1, 2]),
        (OPEN, '{"a": 1}', {"a": 1}),
        (OPEN, "Seattle", "Seattle"),
        (OPEN, "007", "007"),
        (OPEN, "", ""),
        (OPEN, "a=b", "a=b"),
        (OPEN, "NaN", "NaN"),
        (OPEN, "-Infinity", "-Infinity"),
        (OPEN, "[" * 100_000, "[" * 100_000),
        (typed("string"), "5", "5"),
        (typed("string"), '"quoted"', '"quoted"'),
        (typed("string"), "null", "null"),
        (typed("string", "null"), "null", None),
        (typed("string", "null"), "5", "5"),
        (typed("string", "integer"), "5", 5),
        (typed("string", "integer"), "true", "true"),
        (typed("number"), "5", 5),
        (typed("integer"), "five", "five"),
    ],
)
def test_a_value_is_json_where_it_can_be_and_text_where_the_schema_says_so(schema, text, value):
    found = read_input([f"x={text}"], None, schema=schema).values["x"]
    assert (found, type(found)) == (value, type(value))


@given(st.text())
def test_any_text_survives_an_input_of_type_string(text):
    assert read_input([f"x={text}"], None, schema=typed("string")).values == {"x": text}


@given(
    st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_any_json_object_survives_the_whole_input(value):
    assert read_input([], json.dumps(value), schema=OPEN).values == value


def test_a_pair_wins_over_the_whole_input():
    assert read_input(["x=1"], '{"x": 2, "y": 3}', schema=OPEN).values == {"x": 1, "y": 3}


def test_the_whole_input_is_read_from_a_file_and_from_stdin(tmp_path, monkeypatch):
    file = tmp_path / "in.json"
    file.write_text('{"x": "ä"}', encoding="utf-8")
    assert read_input([], f"@{file}", schema=OPEN).values == {"x": "ä"}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"x": 7}'))
    assert read_input([], "@-", schema=OPEN).values == {"x": 7}


@pytest.mark.parametrize(
    ("pairs", "whole", "said"),
    [
        (["x"], None, "name=value"),
        (["=1"], None, "name=value"),
        (["x=1", "x=2"], None, "given twice"),
        ([], "[1]", "JSON object"),
        ([], "{x: 1}", "not JSON"),
        ([], "x=1", "or @file"),
        ([], '{"x": NaN}', "not JSON"),
        ([], "@no/such/file", "No such file"),
    ],
)
def test_what_cannot_be_read_is_said(pairs, whole, said):
    with pytest.raises(click.UsageError, match=said):
        read_input(pairs, whole, schema=OPEN)


def test_the_name_of_a_file_becomes_absolute_and_is_granted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a\n1\n")
    (tmp_path / "folder").mkdir()
    schema = {"type": "object", "properties": {}}
    found = read_input(["file=data.csv", "city=folder", "dir=folder/", "no=none.csv"], None, schema=schema)
    assert found.values == {
        "file": str(tmp_path / "data.csv"),
        "city": "folder",
        "dir": str(tmp_path / "folder"),
        "no": "none.csv",
    }
    assert found.grants == (str(tmp_path / "data.csv"), str(tmp_path / "folder"))


def test_a_text_that_no_file_can_be_called_is_just_a_text():
    for text in ("x" * 5_000, "a\nb", "~nobody-by-this-name/x", "\0"):
        assert read_input([f"x={text}"], None, schema=typed("string")).values == {"x": text}
