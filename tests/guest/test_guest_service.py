"""The service of a session's child, asked in this process."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from windlass.guest.service import Service


class Session:
    """A service and the changes that its worker would tell it."""

    def __init__(self, folder: Path, *, bundle: Path, saved: list | None = None, **options: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.service = Service(
            {"folder": str(folder), "bundle": str(bundle), "memory_bytes": 1 << 30, **options}
        )
        self.service.handle("start", {"input": {"n": 1}, "saved": saved or []})
        self.changes: list = []
        self.saved: list = []

    def ask(self, method: str, phase: str, **params: Any) -> dict:
        reply = self.service.handle(method, {"phase": phase, "changes": self.changes, **params})
        json.dumps(reply)
        self.changes = []
        if "failure" not in reply:
            self.changes = [("outputs", phase, reply["output"])]
            self.changes += [("state", name, value) for name, value in reply["state"].items()]
            self.saved += reply["saved"]
        return reply

    def python(self, code: str, phase: str = "p", **params: Any) -> Any:
        reply = self.ask("python", phase, code=code, **params)
        assert "failure" not in reply, reply
        return reply["output"]

    def sql(self, text: str, phase: str = "q", **params: Any) -> dict:
        reply = self.ask("sql", phase, text=text, **params)
        assert "failure" not in reply, reply
        return reply["output"]

    def fails(self, method: str, phase: str = "p", **params: Any) -> dict:
        return self.ask(method, phase, **params)["failure"]


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "weather.csv").write_text("day,rain\n2012-01-01,1.5\n2012-01-02,0\n2012-01-03,\n")
    (folder / "beside.py").write_text("def add(a, b=2):\n    return {'sum': a + b, '_route': 'next'}\n")
    here, path, environ = os.getcwd(), list(sys.path), dict(os.environ)
    yield folder
    os.chdir(here)
    sys.path[:] = path
    sys.dont_write_bytecode = False
    os.environ.clear()
    os.environ.update(environ)


@pytest.fixture
def session(tmp_path, bundle):
    made = Session(tmp_path / "session", bundle=bundle)
    yield made
    made.service.close()


# --- SQL ---


def test_a_query_becomes_the_phases_table_and_its_output_shows_the_first_thousand_rows(session):
    output = session.sql("SELECT range AS n FROM range(1500)", "numbers")
    assert output["columns"] == ["n"] and output["row_count"] == 1500 and output["truncated"]
    assert len(output["rows"]) == 1000
    assert session.sql("SELECT count(*) AS c FROM _numbers")["rows"] == [{"c": 1500}]


def test_relative_names_are_the_cascades_own_files(session):
    rows = session.sql("SELECT * FROM read_csv('weather.csv')")["rows"]
    assert rows[0] == {"day": "2012-01-01", "rain": 1.5}
    assert session.sql("SELECT count(*) AS c FROM '*.csv'")["rows"] == [{"c": 3}]


def test_the_last_statement_with_rows_makes_the_table(session):
    text = "CREATE TABLE side AS SELECT 1 a; SELECT 2 AS b; INSERT INTO side VALUES (5);"
    assert session.sql(text)["rows"] == [{"b": 2}]
    assert session.sql("SELECT sum(a) AS s FROM side", "r")["rows"] == [{"s": 6}]


def test_statements_without_rows_have_an_empty_output(session):
    assert session.sql("CREATE TABLE side AS SELECT 1 a")["row_count"] == 0


@pytest.mark.parametrize(
    ("text", "params"), [("SELECT $a AS a, $b AS b", {"a": 1, "b": "x"}), ("SELECT ? AS a, ? AS b", [1, "x"])]
)
def test_values_are_bound(session, text, params):
    assert session.sql(text, params=params)["rows"] == [{"a": 1, "b": "x"}]


def test_a_missing_value_is_named(session):
    failure = session.fails("sql", text="SELECT $nope", params={"yes": 1})
    assert "$nope" in failure["message"] and "yes" in failure["hint"]


def test_materialize_false_shows_rows_and_leaves_no_table(session):
    assert session.sql("SELECT 1 AS a", "shown", materialize=False)["rows"] == [{"a": 1}]
    assert "does not exist" in session.fails("sql", text="FROM _shown")["message"]


def test_limit_cuts_a_query_that_ends_in_a_comment(session):
    assert session.sql("SELECT * FROM range(9) t(n) -- all\n;", limit=2)["row_count"] == 2


@pytest.mark.parametrize(
    "text", ["DESCRIBE _t", "PIVOT _t ON a USING count(*)", "EXPLAIN FROM _t", "SUMMARIZE _t", "VALUES (1)"]
)
def test_everything_that_returns_rows_makes_a_table(session, text):
    session.sql("SELECT 1 AS a", "t")
    assert session.sql(text, "made")["row_count"] >= 1
    assert session.sql("FROM _made")["row_count"] >= 1


def test_an_sql_error_has_the_line_of_the_authors_text_and_a_suggestion(session):
    session.sql("SELECT 1 AS a", "tickets")
    failure = session.fails("sql", text="SELECT 1;\n\nSELECT *\nFROM _ticket")
    assert failure["kind"] == "sql" and failure["line"] == 4 and failure["hint"] == "did you mean _tickets?"


def test_sums_of_integers_are_numbers_and_nothing_is_nan(session):
    row = session.sql("SELECT sum(range) AS s, 'nan'::DOUBLE AS d, 1.10::DECIMAL(9,2) AS m FROM range(4)")[
        "rows"
    ][0]
    assert row == {"s": 6, "d": None, "m": 1.1}


def test_a_phase_that_runs_again_replaces_its_own_table(session):
    session.sql("SELECT 1 AS a", "loop")
    assert session.sql("SELECT a + 1 AS a FROM _loop", "loop")["rows"] == [{"a": 2}]


def test_an_earlier_phases_table_is_read_only_and_the_failed_phase_leaves_nothing(session):
    session.sql("SELECT 1 AS a", "first")
    failure = session.fails("sql", "second", text="CREATE TABLE side AS SELECT 1;\nUPDATE _first SET a = 2")
    assert failure["line"] == 2 and "_first was made by an earlier phase" in failure["message"]
    assert "does not exist" in session.fails("sql", text="FROM side")["message"]


def test_copy_writes_below_the_artifacts_and_nowhere_else(session, bundle):
    reply = session.ask("sql", "out", text="COPY (SELECT 1 AS a) TO 'sub/x.csv'")
    assert [file["name"] for file in reply["files"]] == ["sub/x.csv"] and reply["files"][0][
        "media_type"
    ] == "text/csv"
    for target in (bundle / "y.csv", "../../y.csv"):
        assert "outside" in session.fails("sql", text=f"COPY (SELECT 1) TO '{target}'")["message"]


def test_a_missing_extension_is_said_to_be_missing(session):
    failure = session.fails("sql", text="SELECT ST_Point(1, 2)")
    assert "spatial" in failure["message"] and "not downloaded" in failure["hint"]


def test_temporary_tables_end_with_their_phase(session):
    session.sql("CREATE TEMP TABLE t AS SELECT 1 a; SELECT a FROM t", "p")
    assert "does not exist" in session.fails("sql", text="FROM t")["message"]


# --- Python ---


def test_a_value_is_the_output_and_no_result_is_null(session):
    assert session.python("result = input['n'] + 1") == 2
    assert session.python("x = 1") is None
    assert session.saved == [] and session.service._scratch._connection is None


def test_a_data_frame_goes_in_and_out_with_its_types(session):
    session.sql(
        "SELECT 1::BIGINT i, NULL::INT n, DATE '2012-01-01' d, 1.50::DECIMAL(9,2) m, 'x' s, true b,"
        " [1, NULL] l, sum(2) h, TIMESTAMP '2012-01-01 10:00:00' t"
        " UNION ALL SELECT 2, 3, NULL, NULL, NULL, NULL, NULL, 5, NULL",
        "t",
    )
    session.python("df = data.t\nassert df.d.dt.year[0] == 2012 and df.h.sum() > 0\nresult = df", "u")
    before = session.sql("SELECT column_name, column_type FROM (DESCRIBE _t)", "a")["rows"]
    after = session.sql("SELECT column_name, column_type FROM (DESCRIBE _u)", "b")["rows"]
    changed = [(x["column_name"], y["column_type"]) for x, y in zip(before, after, strict=True) if x != y]
    assert changed == [("h", "BIGINT")]
    assert session.sql("FROM _t EXCEPT FROM _u", "c")["row_count"] == 0


def test_a_groups_keys_are_columns_of_the_table(session):
    session.sql("SELECT range % 2 AS k, range AS v FROM range(4)", "t")
    assert session.python("result = data.t.groupby('k').sum()", "g")["rows"] == [
        {"k": 0, "v": 2},
        {"k": 1, "v": 4},
    ]


def test_a_list_of_objects_is_the_output_and_a_table(session):
    assert session.python("result = [{'a': 1}, {'b': 'x'}]", "objects") == [{"a": 1}, {"b": "x"}]
    assert session.sql("FROM _objects")["rows"] == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert session.python("result = type(data.objects).__name__", "again") == "DataFrame"


def test_objects_that_mix_types_still_make_a_table(session):
    session.python("result = [{'a': 1, 'e': {}}, {'a': 'x', 'e': {}}]", "mixed")
    assert session.sql("FROM _mixed")["rows"] == [{"a": "1", "e": "{}"}, {"a": "x", "e": "{}"}]


def test_a_frame_without_columns_keeps_its_number_of_rows(session):
    session.python("import pandas as pd\nresult = pd.DataFrame(index=range(3))", "bare")
    assert session.python("result = len(data.bare)") == 3


def test_values_of_other_phases_are_copies(session):
    session.python("result = {'list': [1]}", "first")
    session.python("outputs['first']['list'].append(2); data.first['list'].append(3); input['n'] = 9")
    assert session.python("result = [outputs['first'], input['n']]") == [{"list": [1]}, 1]


def test_state_that_is_set_or_changed_inside_comes_back(session):
    assert session.ask("python", "a", code="state['k'] = [1]; state['same'] = 1")["state"] == {
        "k": [1],
        "same": 1,
    }
    assert session.ask("python", "b", code="state['k'].append(2); state['same'] = 1")["state"] == {
        "k": [1, 2]
    }
    assert "can't be removed" in session.fails("python", code="del state['k']")["message"]


def test_an_unknown_name_in_data_lists_what_there_is(session):
    session.python("result = 1", "known")
    failure = session.fails("python", code="x = 1\nresult = data.unknown")
    assert failure["line"] == 2 and "phases that ended: known" in failure["message"]


def test_a_failure_shows_the_authors_lines_and_none_of_ours(session):
    failure = session.fails("python", "deep", code="def f():\n    return 1 / 0\n\nf()")
    assert failure["kind"] == "python" and failure["line"] == 2
    assert "return 1 / 0" in failure["detail"] and "windlass" not in failure["detail"]


@pytest.mark.parametrize(
    ("code", "kind", "says", "line"),
    [
        ("x = 1\nif x\n", "python", "SyntaxError", 2),
        ("import sys\nsys.exit(3)", "python", "sys.exit(3)", 2),
        ("raise KeyboardInterrupt", "python", "KeyboardInterrupt", 1),
        ("raise MemoryError", "memory", "MemoryError", 1),
        ("def f(): f()\nf()", "python", "RecursionError", 1),
        ("result = {'a': [object()]}", "python", "result['a'][0] is a builtins.object", 0),
        ("result = {1: 1, '1': 2}", "python", "two keys", 0),
        ("x = []\nx.append(x)\nresult = x", "python", "nested deeper", 0),
    ],
)
def test_every_way_of_failing_is_told(session, code, kind, says, line):
    failure = session.fails("python", code=code)
    assert (failure["kind"], failure["line"]) == (kind, line) and says in failure["message"]
    assert session.python("result = 1") == 1


def test_values_of_many_types_become_json(session):
    code = """
import datetime as dt, decimal, enum, pathlib, uuid
import numpy as np, pandas as pd
class Colour(enum.Enum):
    RED = "red"
result = {
    "date": dt.date(2012, 1, 2), "moment": dt.datetime(2012, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
    "span": dt.timedelta(minutes=1), "decimal": decimal.Decimal("1.10"),
    "long": decimal.Decimal("12345678901234567890.1"),
    "uuid": uuid.UUID(int=1), "bytes": b"\\x00", "set": {2, 1}, "tuple": (1,), "nan": float("nan"),
    "numpy": np.int64(3), "array": np.array([1.5]), "na": pd.NA, "nat": pd.NaT,
    "stamp": pd.Timestamp("2012-01-02"),
    "frame": pd.DataFrame({"a": [1]}), "path": pathlib.Path("x"), "enum": Colour.RED, 5: True,
    "datetime64": np.datetime64("2012-01-02T03:04:05.123456789"),
}
"""
    assert session.python(code) == {
        "date": "2012-01-02", "moment": "2012-01-02T03:04:05+00:00", "span": 60.0, "decimal": 1.1,
        "long": "12345678901234567890.1", "uuid": "00000000-0000-0000-0000-000000000001", "bytes": "AA==",
        "set": [1, 2], "tuple": [1], "nan": None, "numpy": 3, "array": [1.5], "na": None, "nat": None,
        "stamp": "2012-01-02T00:00:00", "frame": [{"a": 1}], "path": "x", "enum": "red", "5": True,
        "datetime64": "2012-01-02T03:04:05.123456",
    }  # fmt: skip


def test_an_output_that_is_too_large_says_what_to_do(tmp_path, bundle):
    session = Session(tmp_path / "small", bundle=bundle, output_bytes_max=1000)
    failure = session.fails("python", code="result = 'x' * 2000")
    assert "return a table" in failure["hint"]


def test_files_in_artifacts_belong_to_the_phase_and_go_when_it_fails(session):
    code = "(artifacts / 'charts').mkdir()\n(artifacts / 'charts/a.svg').write_text('<svg/>')"
    files = session.ask("python", "draw", code=code)["files"]
    assert [(file["name"], file["media_type"], file["bytes"]) for file in files] == [
        ("charts/a.svg", "image/svg+xml", 6)
    ]
    assert session.ask("python", "nothing", code="pass")["files"] == []
    session.fails("python", code="(artifacts / 'b.txt').write_text('x')\n1 / 0")
    assert [path.name for path in (session.folder / "artifacts").rglob("*.*")] == ["a.svg"]


def test_modules_beside_the_cascade_are_functions_and_imports(session):
    reply = session.ask("python", "tool", function="beside.add", inputs={"a": 1})
    assert reply["output"]["sum"] == 3 and reply["route"] == "next"
    assert session.python("import beside\nresult = beside.add(1, b=1)['sum']") == 2
    assert "it has: add" in session.fails("python", function="beside.nope", inputs={})["hint"]
    assert "there is no module nowhere" in session.fails("python", function="nowhere.f", inputs={})["message"]


def test_what_code_does_to_its_surroundings_does_not_reach_the_next_phase(session, bundle):
    session.python("import os, sys\nos.chdir('/'); os.environ['LEFT'] = '1'; sys.path.clear(); leftover = 1")
    code = (
        "import os, sys\nresult = [os.getcwd(), 'LEFT' in os.environ, sys.path[0], 'leftover' in globals()]"
    )
    assert session.python(code) == [str(bundle), False, str(bundle), False]


def test_python_data_must_set_result_and_makes_tables_of_nested_lists(session):
    assert "must set result" in session.fails("python", code="x = 1", dialect="python_data")["message"]
    assert session.python("result = int(np.sum([1, 2]))", dialect="python_data") == {"result": 3}
    output = session.python("result = {'a': 1, 'items': [{'x': 1}, {'x': 2}]}", "made", dialect="python_data")
    assert output == {"a": 1, "items": [{"x": 1}, {"x": 2}]}
    assert session.sql("SELECT a FROM _made")["rows"] == [{"a": 1}]
    assert session.sql("SELECT sum(x) AS s FROM _made_items", "s")["rows"] == [{"s": 3}]
    rows = session.python("result = [{'a': 1}]", "listed", dialect="python_data")
    assert rows == {"rows": [{"a": 1}], "columns": ["a"], "row_count": 1, "truncated": False}


def test_functions_of_the_code_see_its_top_level_names(session):
    assert session.python("k = 2\ndef f(x):\n    return x * k\nresult = [f(n) for n in range(3)]") == [
        0,
        2,
        4,
    ]


# --- what another worker needs ---


def test_a_new_child_goes_on_with_what_was_saved(session, tmp_path, bundle):
    session.sql("SELECT range AS n FROM range(5)", "numbers")
    session.sql("CREATE VIEW even AS SELECT n FROM _numbers WHERE n % 2 = 0", "views")
    other = Session(tmp_path / "other", bundle=bundle, saved=session.saved)
    other.changes = [("outputs", "numbers", {"rows": [], "columns": ["n"], "row_count": 5})]
    assert other.python("result = int(data.numbers.n.sum())") == 10
    assert other.sql("SELECT count(*) AS c FROM even")["rows"] == [{"c": 3}]
    other.service.close()


# --- shell ---


def test_stdout_is_the_output_without_its_last_newline(session):
    script = 'echo "$NAME in $(basename "$PWD")"; echo "$WINDLASS_ARTIFACTS" >&2'
    assert session.ask("shell", "s", script=script, env={"NAME": "hello"})["output"] == "hello in bundle"


def test_a_script_that_fails_shows_the_end_of_stderr(session):
    failure = session.fails("shell", script="for i in $(seq 50); do echo line $i >&2; done; exit 3", env={})
    assert failure["kind"] == "shell" and "exited with 3" in failure["message"]
    assert failure["detail"].splitlines()[0] == "line 31" and failure["detail"].splitlines()[-1] == "line 50"
    assert "not found" in session.fails("shell", script="no-such-command", env={})["hint"]


@pytest.mark.parametrize(
    ("output_format", "text", "expected"),
    [
        ("json", '{"a": [1]}', {"a": [1]}),
        ("text", "[1]", "[1]"),
        ("auto", "[1]", [1]),
        ("auto", "plain, text", "plain, text"),
    ],
)
def test_output_is_parsed_as_asked(session, output_format, text, expected):
    assert (
        session.ask("shell", "s", script=f"echo '{text}'", env={}, output_format=output_format)["output"]
        == expected
    )


@pytest.mark.parametrize(
    ("output_format", "text"),
    [
        ("csv", "a,b\\n1,007\\n,x"),
        ("jsonl", '{"a":1,"b":"007"}\\n{"a":null,"b":"x"}'),
        ("auto", "a,b\\n1,007\\n,x"),
    ],
)
def test_rows_that_are_printed_become_a_table(session, output_format, text):
    reply = session.ask("shell", "s", script=f"printf '{text}\\n'", env={}, output_format=output_format)
    assert reply["output"]["rows"] == [{"a": 1, "b": "007"}, {"a": None, "b": "x"}]
    assert session.sql("SELECT sum(a) AS s FROM _s")["rows"] == [{"s": 1}]


def test_output_that_is_not_what_it_should_be_fails(session):
    assert "not json" in session.fails("shell", script="echo hello", env={}, output_format="json")["message"]
    assert (
        "row 2"
        in session.fails("shell", script="printf 'a,b\\n1\\n'", env={}, output_format="csv")["message"]
    )


def test_a_table_is_csv_on_stdin(session):
    session.sql("SELECT range AS n FROM range(3)", "t")
    reply = session.ask("shell", "s", script="tail -n +2 | paste -sd+", env={}, input_table="_t")
    assert reply["output"] == "0+1+2"
    assert "there is no table _x" in session.fails("shell", script="cat", env={}, input_table="_x")["message"]


def test_a_background_process_does_not_keep_the_phase_waiting(session):
    reply = session.ask("shell", "s", script="sleep 30 & echo $!", env={})
    os.kill(int(reply["output"]), 9)


def test_a_script_that_prints_too_much_is_ended(tmp_path, bundle):
    session = Session(tmp_path / "small", bundle=bundle, output_bytes_max=1000)
    assert "more than" in session.fails("shell", script="yes", env={})["message"]
    assert "more than" in session.fails("shell", script="yes", env={}, persist=True)["message"]
    assert session.ask("shell", "s", script="echo on", env={}, persist=True)["output"] == "on"
    session.service.close()


def test_a_persistent_shell_keeps_variables_and_its_folder(session):
    session.ask("shell", "a", script="x=5; cd /; f() { echo f$x; }", env={}, persist=True)
    assert (
        session.ask("shell", "b", script="pwd; f; cat", env={"E": "it's"}, persist=True)["output"] == "/\nf5"
    )
    assert "exited with 4" in session.fails("shell", script="exit 4", env={}, persist=True)["message"]
    assert session.ask("shell", "c", script='echo "[$x]"', env={}, persist=True)["output"] == "[]"


# --- JavaScript ---


def test_javascript_sees_tables_as_arrays_and_its_rows_become_a_table(session):
    session.sql("SELECT range AS n FROM range(3)", "t")
    code = (
        "const doubled = data.t.map(row => ({n: row.n * 2}))\nstate.seen = doubled.length\nresult = doubled"
    )
    reply = session.ask("js", "j", code=code)
    assert reply["output"]["rows"] == [{"n": 0}, {"n": 2}, {"n": 4}] and reply["state"] == {"seen": 3}
    assert session.sql("SELECT sum(n) AS s FROM _j")["rows"] == [{"s": 6}]


def test_javascript_may_await_return_or_declare_its_result(session):
    assert session.ask("js", "a", code="result = await Promise.resolve(1)")["output"] == {"result": 1}
    assert session.ask("js", "b", code="const result = input.n // one")["output"] == {"result": 1}
    assert session.ask("js", "c", code="return {a: outputs.a.result}")["output"] == {"a": 1}


def test_javascript_errors_have_the_authors_line(session):
    failure = session.fails("js", code="let x = 1\n\nmissing()")
    assert failure["kind"] == "js" and failure["line"] == 3 and "missing is not defined" in failure["message"]
    assert session.fails("js", code="let x =\nlet y")["line"] == 2
    assert "must set result" in session.fails("js", code="1")["message"]


def test_without_node_the_failure_says_so(session):
    session.service._environ = {"PATH": "/nonexistent"}
    assert "needs Node.js" in session.fails("js", code="result = 1")["message"]
