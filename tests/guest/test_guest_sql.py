"""An author's SQL in the session's child."""

import pytest

from tests.guest.guest_support import Session


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


def test_a_new_child_goes_on_with_what_was_saved(session, tmp_path, bundle):
    session.sql("SELECT range AS n FROM range(5)", "numbers")
    session.sql("CREATE VIEW even AS SELECT n FROM _numbers WHERE n % 2 = 0", "views")
    other = Session(tmp_path / "other", bundle=bundle, saved=session.saved)
    other.changes = [("outputs", "numbers", {"rows": [], "columns": ["n"], "row_count": 5})]
    assert other.python("result = int(data.numbers.n.sum())") == 10
    assert other.sql("SELECT count(*) AS c FROM even")["rows"] == [{"c": 3}]
    other.service.close()
