"""Text that is broken, hostile or random is refused with a reason, and nothing else happens."""

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.model import CascadeInvalid, load_cascade, parse_cascade

HEAD = "cascade_id: c\nphases:\n"
GOOD = HEAD + "  - {name: a, sql: SELECT 1}\n"


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ('{"a": 1,}', 9, "one too many"),
        ('{"a" 1}', 6, "':' is missing"),
        ("{a: 1}", 2, "double quotes"),
        ('{"a": [1 2]}', 10, "',' or ']'"),
        ('{"a": "x', 7, "unterminated string"),
        ('{"a": 1} x', 10, "after the end"),
        ('{"a": tru}', 7, "'tru' is not"),
    ],
)
def test_broken_json_is_reported_as_json(text, column, message):
    with pytest.raises(CascadeInvalid) as caught:
        parse_cascade(text, source="c.json", folder=None)
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == (1, column) and message in problem.message


def test_places_in_json_are_those_of_its_keys():
    text = '{\n\t"cascade_id": "c",\n\t"phases": [\n\t\t{"name": "a",\n\t\t "sqll": "s"}\n\t]\n}'
    with pytest.raises(CascadeInvalid) as caught:
        parse_cascade(text, source="c.json", folder=None)
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (5, 4)


def test_a_billion_laughs_are_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(CascadeInvalid, match="more than 200,000 values"):
        parse_cascade("\n".join(lines), source="c.yaml", folder=None)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "a: " + "{a: " * 5_000, "- " * 50_000])
def test_deep_nesting_is_refused_and_crashes_nothing(text):
    with pytest.raises(CascadeInvalid, match="nested more than 100 levels|not valid"):
        parse_cascade(text, source="c.yaml", folder=None)


def test_a_file_that_is_too_large_missing_or_no_text_says_so(tmp_path):
    (tmp_path / "large.yaml").write_text("# " + "x" * (4 * 1024 * 1024))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00x")
    for name, message in [
        ("large.yaml", "larger than 4 MiB"),
        ("binary.yaml", "not UTF-8"),
        ("no.yaml", "no such file"),
        ("", "this is a folder"),
    ]:
        with pytest.raises(CascadeInvalid, match=message):
            load_cascade(tmp_path / name)


def test_a_module_is_read_and_never_run(tmp_path):
    (tmp_path / "loud_module_of_a_test.py").write_text("raise SystemExit('ran')\ndef f(): ...\n")
    (tmp_path / "a.yaml").write_text(HEAD + "  - {name: a, tool: 'python:loud_module_of_a_test.f'}\n")
    load_cascade(tmp_path / "a.yaml")
    assert "loud_module_of_a_test" not in sys.modules


_WORDS = st.sampled_from(
    [
        "cascade_id",
        "phases",
        "name",
        "sql",
        "python",
        "tool",
        "inputs",
        "retry",
        "handoffs",
        "routing",
        "when",
        "on_error",
        "for_each",
        "timeout",
        "default",
        "branch",
        "parallel",
        "while",
        "wards",
        "soundings",
        "triggers",
        "context",
        "from",
        "rules",
        "files",
        "access",
        "http",
        "url",
        "human",
        "wait",
        "limits",
        "_x",
    ]
)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), _WORDS)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(_WORDS, _VALUES, max_size=6),
    st.lists(st.dictionaries(_WORDS, _VALUES, max_size=6), max_size=4),
)
def test_values_of_any_shape_load_or_are_refused(head, phases):
    text = json.dumps({"cascade_id": "c", **head, "phases": phases})
    try:
        parse_cascade(text, source="c.json", folder=None)
    except CascadeInvalid as error:
        assert error.problems and all(problem.message for problem in error.problems)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-{}[]&*!|>'\"%@#,\n\t 0<?~\x00\ud800é"), max_size=60))
def test_text_of_any_kind_is_refused_and_nothing_else_happens(text):
    with pytest.raises(CascadeInvalid):
        parse_cascade(text, source="c.yaml", folder=None)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_cascade_loads_or_is_refused(data):
    lines = GOOD + "  - name: b\n    python: |\n      x = 1\n    routing: {a: a, default: b}\n"
    at = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, 6))
    put = data.draw(st.text(alphabet=":-{}[]&*'\"\n ab", max_size=4))
    try:
        parse_cascade(lines[:at] + put + lines[at + cut :], source="c.yaml", folder=None)
    except CascadeInvalid as error:
        assert error.problems
