"""Tables under awkward names, without rows, and of earlier phases: what works, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE _first SET n = 2",
        'UPDATE "_first" AS t SET n = 2',
        "WITH x AS (SELECT 1) UPDATE _first SET n = 2 FROM x",
        "WITH x AS (UPDATE _first SET n = 2 RETURNING n) SELECT * FROM x",
        "INSERT INTO main._FIRST BY NAME SELECT 2 AS n",
        "INSERT OR REPLACE INTO _first VALUES (2)",
        "DELETE FROM _first",
        "TRUNCATE _first",
        "COPY _first FROM 'more.csv'",
        "MERGE INTO _first USING (SELECT 1 AS n) s ON s.n = _first.n WHEN MATCHED THEN DELETE",
        "WITH s AS (SELECT 1 AS n) MERGE INTO _first USING s ON s.n = _first.n WHEN MATCHED THEN DELETE",
        "ALTER TABLE _first RENAME TO other",
        "DROP TABLE IF EXISTS scratch.main._first",
        "CREATE OR REPLACE VIEW _first AS SELECT 2 AS n",
        "CREATE INDEX i ON _first (n)",
        "CREATE VIEW v AS FROM _first; UPDATE v SET n = 2",
    ],
)
def test_no_statement_changes_the_table_of_an_earlier_phase(run: Run, statement: str) -> None:
    report = run(f"""
cascade_id: later
phases:
  - {{name: first, sql: SELECT 1 AS n}}
  - name: second
    sql: |
      {statement}
    on_error: third
  - {{name: third, sql: "SELECT n, {{{{ error.message | sql_literal }}}} AS why FROM _first"}}
""")
    assert report["status"] == "completed", report["error"]
    (row,) = report["outputs"]["third"]["rows"]
    assert row["n"] == 1
    assert "read-only here" in row["why"] or "Can only update base table" in row["why"]


def test_a_frame_that_is_changed_in_place_leaves_the_table_as_it_was(run: Run) -> None:
    report = run("""
cascade_id: frames
phases:
  - {name: first, sql: SELECT 1 AS n}
  - {name: second, python: "data.first.loc[0, 'n'] = 7"}
  - {name: third, sql: FROM _first}
""")
    assert report["result"]["rows"] == [{"n": 1}]


def test_phases_may_be_called_like_keywords_and_with_hyphens(run: Run) -> None:
    report = run("""
cascade_id: names
phases:
  - {name: my-step, sql: SELECT 1 AS n}
  - {name: select, sql: 'SELECT n + 1 AS n FROM "_my-step"'}
  - {name: order, sql: SELECT n + 1 AS n FROM _select}
  - {name: class, python: "result = [len(data['my-step']), int(data.order.n[0])]"}
""")
    assert report["result"] == [1, 3]


def test_any_character_survives_in_columns_and_values(run: Run) -> None:
    value = 'O\'Brien "q" 🎉 $(id) `x` {{ 1 }} \\ % größer'
    report = run(
        """
cascade_id: characters
inputs_schema: {"größe": a text}
phases:
  - {name: a, sql: "SELECT $v AS \\"日本 語\\"", params: {v: "{{ input['größe'] }}"}}
  - {name: b, python: "result = data.a.assign(**{'neu €': 'x'})"}
  - {name: c, shell: "cat; printf %s {{ input['größe'] }}", stdin_table: _b, output_format: text}
  - {name: d, sql: FROM _b}
""",
        **{"größe": value},
    )
    assert report["result"]["rows"] == [{"日本 語": value, "neu €": "x"}]
    assert report["outputs"]["c"].startswith("日本 語,neu €\n")
    assert report["outputs"]["c"].endswith(value)


def test_a_table_without_rows_is_a_table(run: Run) -> None:
    report = run("""
cascade_id: empty
phases:
  - {name: a, sql: "SELECT 1 AS n, 'x' AS t WHERE false"}
  - {name: b, python: "result = data.a"}
  - {name: c, shell: cat, stdin_table: _b, output_format: text}
  - {name: d, sql: "SELECT count(*) AS n, sum(n) AS s FROM _b"}
""")
    assert report["outputs"]["b"] == {"rows": [], "columns": ["n", "t"], "row_count": 0, "truncated": False}
    assert report["outputs"]["c"] == "n,t"
    assert report["result"]["rows"] == [{"n": 0, "s": None}]
