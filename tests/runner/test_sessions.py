"""Sessions from their start to their end, through the worker, against real stores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from windlass.protocol import read_history
from windlass.records import RowKind

Run = Callable[..., dict[str, Any]]

STORES = ("embedded", "http", "server")


def test_a_cascade_runs_in_file_order_and_its_result_is_the_last_output(run: Run) -> None:
    report = run("""
cascade_id: order
phases:
  - {name: a, python: "result = 1"}
  - {name: b, python: "result = outputs['a'] + 1"}
  - {name: c, sql: "SELECT {{ outputs.b }} AS n, 'x' AS s"}
  - {name: d, python: "result = int(data.c.n[0]) + 1"}
""")
    assert (report["status"], report["result"], report["error"]) == ("completed", 3, None)
    assert report["outputs"]["c"] == {
        "rows": [{"n": 2, "s": "x"}],
        "columns": ["n", "s"],
        "row_count": 1,
        "truncated": False,
    }
    assert [phase["name"] for phase in report["phases"]] == ["a", "b", "c", "d"]


def test_state_that_a_phase_sets_is_seen_by_code_and_templates_after_it(run: Run) -> None:
    report = run("""
cascade_id: states
phases:
  - {name: a, python: "state['mood'] = 'calm'"}
  - {name: b, python: "result = state['mood']"}
  - {name: c, shell: "echo {{ state.mood }}"}
""")
    assert (report["outputs"]["b"], report["result"]) == ("calm", "calm")


def test_a_phase_whose_condition_does_not_hold_is_skipped_and_says_so(run: Run) -> None:
    report = run(
        """
cascade_id: skips
inputs_schema: {deep: "look further"}
phases:
  - {name: a, python: "result = 1"}
  - {name: b, python: "raise ValueError('never')", when: "{{ input.deep }}"}
  - {name: c, python: "result = 'end'"}
""",
        deep=False,
    )
    assert report["status"] == "completed"
    assert [(phase["name"], phase["status"]) for phase in report["phases"]][1] == ("b", "skipped")


def test_a_flaky_phase_is_tried_again_and_its_attempts_are_on_record(
    run: Run, tmp_path: Path, engine: Any
) -> None:
    marks = tmp_path / "marks"
    report = run(f"""
cascade_id: flaky
phases:
  - name: shaky
    retry: {{attempts: 3, backoff: constant, delay: 0.01}}
    python: |
      with open("{marks}", "a") as file:
          file.write(idempotency_key + "\\n")
      if len(open("{marks}").readlines()) < 3:
          raise RuntimeError("not yet")
      result = "at last"
""")
    assert (report["status"], report["result"]) == ("completed", "at last")
    assert report["phases"][0]["attempts"] == 3
    assert len(set(marks.read_text().split())) == 1, "the idempotency key is the same on every attempt"
    rows = engine.store.snapshot(report["session_id"]).rows
    kinds = [row.kind for row in read_history(rows).rows]
    assert kinds == [RowKind.ATTEMPT, RowKind.ATTEMPT, RowKind.PHASE, RowKind.END]


def test_a_failure_that_trying_again_cannot_mend_is_not_tried_again(run: Run) -> None:
    report = run("""
cascade_id: hopeless
phases:
  - name: only
    retry: {attempts: 5, backoff: constant, delay: 30}
    sql: "SELECT '{{ input.nothing }}'"
""")
    assert report["status"] == "failed"
    assert (report["error"]["kind"], report["phases"][0]["attempts"]) == ("template", 1)


def test_a_failed_phase_fails_the_session_and_later_phases_do_not_run(run: Run) -> None:
    report = run("""
cascade_id: fails
phases:
  - {name: a, sql: "SELECT * FROM nowhere"}
  - {name: b, python: "result = 1"}
""")
    assert report["status"] == "failed"
    assert (report["error"]["phase"], report["error"]["kind"]) == ("a", "sql")
    assert "nowhere" in report["error"]["message"]
    assert [phase["name"] for phase in report["phases"]] == ["a"]


def test_an_error_handler_sees_the_error_and_the_session_completes(run: Run) -> None:
    report = run("""
cascade_id: handled
phases:
  - {name: a, python: "raise ValueError('broken part')", on_error: mend}
  - {name: b, python: "result = 'went on'"}
  - {name: mend, shell: "echo mended {{ error.message }}", handoffs: [b]}
""")
    assert (report["status"], report["result"]) == ("completed", "went on")
    assert "broken part" in report["outputs"]["mend"]
    assert [phase["status"] for phase in report["phases"]] == ["failed", "done", "done"]


def test_on_error_continue_goes_on_and_leaves_the_failure_on_record(run: Run) -> None:
    report = run("""
cascade_id: goes_on
phases:
  - {name: a, python: "raise ValueError('x')", on_error: continue}
  - {name: b, python: "result = outputs['a']"}
""")
    assert (report["status"], report["result"]) == ("completed", None)
    assert report["phases"][0]["error"]["kind"] == "python"


def test_the_cascades_failure_handler_runs_and_the_session_still_fails(run: Run) -> None:
    report = run("""
cascade_id: cleaned
on_failure: clean
phases:
  - {name: a, python: "raise ValueError('the reason')"}
  - {name: clean, python: "result = 'cleaned up'"}
""")
    assert report["status"] == "failed"
    assert "the reason" in report["error"]["message"]
    assert report["outputs"]["clean"] == "cleaned up"


def test_a_failure_handler_that_fails_itself_does_not_hide_the_reason(run: Run) -> None:
    report = run("""
cascade_id: worse
on_failure: clean
phases:
  - {name: a, python: "raise ValueError('the reason')"}
  - {name: clean, python: "raise ValueError('worse')"}
""")
    assert report["status"] == "failed"
    assert "the reason" in report["error"]["message"]


def test_routes_lead_by_value_and_a_branch_ends_where_it_ends(run: Run) -> None:
    report = run("""
cascade_id: routes
phases:
  - {name: judge, python: "result = {'_route': 'bad', 'why': 'smell'}", routing: {good: ship, bad: mend}}
  - {name: ship, python: "result = 'shipped'"}
  - {name: mend, python: "result = 'mended'"}
  - {name: never, python: "result = 'fell through'"}
""")
    assert (report["status"], report["result"]) == ("completed", "mended")
    assert [phase["name"] for phase in report["phases"]] == ["judge", "mend"]


def test_a_loop_of_handoffs_counts_its_visits(run: Run) -> None:
    report = run("""
cascade_id: loops
phases:
  - name: count
    python: |
      state["n"] = state.get("n", 0) + 1
      result = {"_route": "again" if state["n"] < 4 else "enough"}
    routing: {again: count, enough: done}
  - {name: done, python: "result = state['n']"}
""")
    assert (report["status"], report["result"]) == ("completed", 4)
    assert [phase["visit"] for phase in report["phases"]] == [1, 2, 3, 4, 1]


def test_a_phase_that_takes_too_long_is_stopped_and_the_scratch_comes_back(run: Run) -> None:
    report = run("""
cascade_id: slow
phases:
  - {name: rows, sql: "SELECT range AS n FROM range(10)"}
  - {name: sleeper, python: "import time; time.sleep(60)", timeout: 0.3, on_error: after}
  - {name: after, sql: "SELECT sum(n) AS total FROM _rows"}
""")
    assert report["status"] == "completed", report["error"]
    assert report["phases"][1]["error"]["kind"] == "timeout"
    assert report["result"]["rows"] == [{"total": 45}]


def test_a_cascade_that_takes_too_long_fails_with_its_own_timeout(run: Run) -> None:
    report = run("""
cascade_id: too_slow
timeout: 0.5
phases:
  - {name: sleeper, python: "import time; time.sleep(60)"}
  - {name: never, python: "result = 1"}
""")
    assert report["status"] == "failed"
    assert (report["error"]["kind"], report["error"]["phase"]) == ("timeout", "")
    assert report["duration_s"] < 20


def test_a_sub_cascade_is_a_session_of_its_own_whose_result_comes_back(
    run: Run, tmp_path: Path, engine: Any
) -> None:
    (tmp_path / "inner.yaml").write_text(
        "cascade_id: inner\ninputs_schema: {n: a number}\n"
        "phases:\n  - {name: twice, python: \"result = input['n'] * 2\"}\n"
    )
    report = run("""
cascade_id: outer
phases:
  - {name: first, cascade: inner.yaml, input: {n: 4}}
  - {name: second, cascade: inner.yaml, input: {n: "{{ outputs.first.result }}"}}
""")
    assert report["status"] == "completed", report["error"]
    assert report["result"]["result"] == 16
    child = engine.store.sessions.get(report["result"]["session_id"])
    assert (child.parent_session_id, child.parent_phase, child.depth) == (report["session_id"], "second", 1)


def test_a_sub_cascade_that_fails_fails_its_phase_with_the_inner_reason(run: Run, tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(
        "cascade_id: inner\nphases:\n  - {name: x, python: \"raise ValueError('inner reason')\"}\n"
    )
    report = run("cascade_id: outer\nphases:\n  - {name: child, cascade: inner.yaml}\n")
    assert report["status"] == "failed"
    assert (report["error"]["phase"], report["error"]["kind"]) == ("child", "cascade")
    assert "inner reason" in report["error"]["message"]


def test_a_cascade_that_runs_itself_stops_at_the_depth_limit(run: Run) -> None:
    report = run("cascade_id: cascade\nphases:\n  - {name: again, cascade: cascade.yaml}\n")
    assert report["status"] == "failed"
    assert "nested deeper than" in report["error"]["message"]


def test_a_failed_session_goes_on_from_its_failed_phase(engine: Any, tmp_path: Path) -> None:
    mended, ran = tmp_path / "mended", tmp_path / "ran"
    session_id = engine.submit(
        tmp_path,
        f"""
cascade_id: mendable
phases:
  - {{name: a, python: "open('{ran}', 'a').write('a')"}}
  - {{name: b, python: "import os; assert os.path.exists('{mended}'), 'not mended'"}}
  - {{name: c, python: "result = 'all well'"}}
""",
    )
    assert engine.worker.run(session_id)["status"] == "failed"
    mended.write_text("yes")
    report = engine.worker.run(session_id)
    assert (report["status"], report["result"], report["epoch"]) == ("completed", "all well", 2)
    assert ran.read_text() == "a", "a phase that was done does not run again"
    assert engine.worker.run(session_id)["result"] == "all well", "a completed session only tells its result"


def test_a_session_runs_again_from_a_phase_that_is_named(engine: Any, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    step = "open('{ran}', 'a').write('{name}')".replace("{ran}", str(ran))
    session_id = engine.submit(
        tmp_path,
        f"""
cascade_id: repeatable
phases:
  - {{name: a, python: "{step.replace("{name}", "a")}"}}
  - {{name: b, python: "{step.replace("{name}", "b")}"}}
  - {{name: c, python: "{step.replace("{name}", "c")}"}}
""",
    )
    engine.worker.run(session_id)
    report = engine.worker.run(session_id, restart_at="b")
    assert report["status"] == "completed"
    assert ran.read_text() == "abcbc"
    assert [phase["name"] for phase in report["phases"]] == ["a", "b", "c"]


def test_pure_phases_leave_the_same_history_as_others(run: Run, engine: Any) -> None:
    report = run("""
cascade_id: pures
phases:
  - {name: a, pure: true, python: "result = 1"}
  - {name: b, pure: true, python: "result = outputs['a'] + 1"}
  - {name: c, python: "result = outputs['b'] + 1"}
""")
    assert report["result"] == 3
    rows = read_history(engine.store.snapshot(report["session_id"]).rows).rows
    assert [row.seq for row in rows] == [1, 2, 3, 4]


def test_what_happened_is_on_record_as_events(run: Run, engine: Any) -> None:
    report = run("""
cascade_id: told
phases:
  - {name: a, python: "print('hello from a')"}
""")
    assert engine.events(report["session_id"]) == [
        "session.started",
        "phase.started a",
        "log a",
        "phase.done a",
        "session.ended",
    ]


def test_the_scratch_is_gone_when_the_session_is_over_unless_it_is_kept(run: Run, engine: Any) -> None:
    gone = run("cascade_id: gone\nphases:\n  - {name: a, sql: SELECT 1 AS n}\n")
    kept = run("cascade_id: kept\nkeep_scratch: true\nphases:\n  - {name: a, sql: SELECT 1 AS n}\n")
    folder = engine.settings.home / "session_dbs"
    assert not (folder / gone["session_id"]).exists()
    assert list((folder / kept["session_id"]).rglob("scratch.duckdb"))
