"""An author's Python in the session's child: what it sees, what comes out, and how it fails."""

import numpy
import pytest

from tests.guest.guest_support import Session


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


def test_sessions_do_not_repeat_each_others_random_numbers(tmp_path, bundle):
    drawn = []
    for name in ("one", "other"):
        state = numpy.random.get_state()  # what a zygote's children all start with
        made = Session(tmp_path / name, bundle=bundle)
        drawn.append(made.python("import numpy as np\nresult = [np.random.random() for _ in range(3)]"))
        made.service.close()
        numpy.random.set_state(state)
    assert drawn[0] != drawn[1]


def test_a_functions_failure_shows_its_lines_and_none_of_ours(session, bundle):
    (bundle / "broken.py").write_text("def f(n):\n    return 1 / n\n")
    failure = session.fails("python", function="broken.f", inputs={"n": 0})
    assert "return 1 / n" in failure["detail"] and "windlass" not in failure["detail"]
    failure = session.fails("python", function="broken.f", inputs={})
    assert "missing 1 required positional argument: 'n'" in failure["message"]
    assert "windlass" not in failure["detail"]
