"""What goes wrong in authors' code and files: a clear error, nothing lost, and the worker lives on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from windlass.model import CascadeInvalid
from windlass.worker import InputError

Run = Callable[..., dict[str, Any]]


def failure(run: Run, phase: str, **given: Any) -> dict[str, Any]:
    """The error of a session whose second phase is `phase` (YAML, in one line)."""
    report = run(
        f"""
cascade_id: bad
phases:
  - {{name: fine, sql: "SELECT 1 AS n"}}
  - {{name: bad, timeout: 20, {phase}}}
""",
        **given,
    )
    assert report["status"] == "failed", report
    assert report["outputs"]["fine"]["row_count"] == 1
    assert report["error"]["phase"] == "bad"
    error: dict[str, Any] = report["error"]
    return error


def test_python_that_raises_is_told_with_its_own_line(run: Run) -> None:
    error = failure(run, r'python: "a = 1\nb = a / 0\n"')
    assert (error["kind"], error["line"]) == ("python", 2)
    assert "ZeroDivisionError" in error["message"]
    assert "windlass/guest" not in error["detail"], "the author sees their own frames, not ours"


def test_python_that_does_not_parse_is_refused_before_anything_runs(run: Run) -> None:
    with pytest.raises(CascadeInvalid) as raised:
        run("cascade_id: bad\nphases:\n  - name: a\n    python: |\n      result = (\n")
    assert raised.value.problems[0].line == 5


@pytest.mark.parametrize(
    "code", ["import os; os._exit(0)", "import os; os._exit(3)", "import os, signal; os.kill(os.getpid(), 9)"]
)
def test_python_that_ends_its_process_fails_its_phase(run: Run, code: str) -> None:
    assert failure(run, f'python: "{code}"')["kind"] == "died"


def test_python_that_calls_exit_fails_its_phase(run: Run) -> None:
    assert "exit" in failure(run, 'python: "import sys; sys.exit(0)"')["message"].lower()


def test_python_that_forks_leaves_no_process_behind(run: Run, tmp_path: Path) -> None:
    report = run(f"""
cascade_id: forks
phases:
  - name: forks
    python: |
      import os, time
      if os.fork() == 0:
          os.setsid()
          open("{tmp_path}/pid", "w").write(str(os.getpid()))
          time.sleep(600)
      while not os.path.exists("{tmp_path}/pid") or not open("{tmp_path}/pid").read():
          time.sleep(0.01)
      result = "parent"
""")
    assert report["result"] == "parent"
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_python_that_eats_memory_fails_with_that_reason(run: Run) -> None:
    code = "blocks = []\\nwhile True:\\n    blocks.append(bytearray(64_000_000))\\n"
    assert failure(run, f'python: "{code}"')["kind"] == "memory"


def test_python_that_prints_a_hundred_megabytes_goes_on_and_its_log_is_cut_and_says_so(
    run: Run, engine: Any
) -> None:
    report = run("""
cascade_id: loud
phases:
  - name: loud
    python: |
      for _ in range(100):
          print("x" * 999_999)
      result = "done"
""")
    assert report["result"] == "done"
    lines = [line for line in engine.lines if line.session_id == report["session_id"] and line.event == "log"]
    assert sum(len(line.message) for line in lines) < 2_000_000
    assert "not kept" in lines[-1].message


def test_sql_cannot_read_the_workers_environment_or_files(run: Run) -> None:
    for path in ("/proc/self/environ", "/etc/passwd"):
        error = failure(run, f"sql: \"SELECT * FROM read_text('{path}')\"")
        assert error["kind"] == "sql"
        assert path in error["message"]


def test_a_child_does_not_have_the_workers_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "a-secret")
    report = run('cascade_id: env\nphases:\n  - {name: a, python: "import os; result = dict(os.environ)"}\n')
    assert "a-secret" not in str(report["result"])
    assert "PATH" in report["result"]


def test_a_wrong_sql_statement_says_where_and_what_there_is(run: Run) -> None:
    error = failure(run, 'sql: "SELECT *\\nFROM _fin"')
    assert (error["kind"], error["line"]) == ("sql", 2)
    assert "_fine" in error["message"] + error["hint"]


def test_a_table_of_an_earlier_phase_cannot_be_changed(run: Run) -> None:
    error = failure(run, 'sql: "UPDATE _fine SET n = 2"')
    assert "_fine" in error["message"]


def test_an_undefined_name_in_a_template_is_named(run: Run) -> None:
    error = failure(run, "sql: \"SELECT '{{ inputs.path }}'\"")
    assert error["kind"] == "template"
    assert "inputs" in error["message"] and "input" in error["message"] + error["hint"]


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ 'x' * 10 ** 10 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_takes_too_much_is_stopped(run: Run, bomb: str) -> None:
    assert failure(run, f'shell: "echo {bomb}"')["kind"] == "template"


def test_an_input_that_breaks_the_schema_starts_no_session(run: Run) -> None:
    text = """
cascade_id: strict
inputs_schema: {type: object, properties: {n: {type: integer}}, required: [n], additionalProperties: false}
phases:
  - {name: a, python: "result = 1"}
"""
    with pytest.raises(InputError, match="'n' is a required property"):
        run(text)
    with pytest.raises(InputError, match="n: 'many' is not of type 'integer'"):
        run(text, n="many")
    with pytest.raises(InputError, match="'nn' is not an input, did you mean 'n'"):
        run(text, n=1, nn=2)


def test_an_output_that_is_no_json_is_told_with_its_place(run: Run) -> None:
    error = failure(run, "python: \"result = {'a': [1, object()]}\"")
    assert "a" in error["message"] and "object" in error["message"]


def test_an_output_that_is_too_large_is_refused_and_says_what_to_do(run: Run) -> None:
    error = failure(run, "python: \"result = 'x' * 20_000_000\"")
    assert "artifacts" in error["message"] + error["hint"]


def test_a_shell_that_fails_says_its_exit_code_and_what_it_printed(run: Run) -> None:
    error = failure(run, 'shell: "echo working; echo it broke >&2; exit 3"')
    assert error["kind"] == "shell"
    assert "3" in error["message"]
    assert "it broke" in error["detail"]


def test_an_input_cannot_run_a_command_in_a_shell_phase(run: Run, tmp_path: Path) -> None:
    report = run(
        "cascade_id: quoted\ninputs_schema: {name: text}\nphases:\n"
        '  - {name: a, shell: "echo hello {{ input.name }}"}\n',
        name=f"$(touch {tmp_path}/owned); touch {tmp_path}/owned",
    )
    assert report["status"] == "completed"
    assert not (tmp_path / "owned").exists()


def test_the_worker_runs_the_next_session_after_all_of_this(run: Run) -> None:
    assert run('cascade_id: next\nphases:\n  - {name: a, python: "result = 1"}\n')["result"] == 1
