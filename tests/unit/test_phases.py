"""Phases through their door, with a real child that runs the authors' code."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from windlass.config import Settings
from windlass.echo import Echo
from windlass.errors import Cancelled, LeaseLost
from windlass.guest import Guest, InlinePython
from windlass.model import Cascade, parse_cascade
from windlass.phases import Done, Failed, Outcome, PhaseContext, Stop, run_phase
from windlass.records import Failure
from windlass.sandbox import ChildLimits, ChildSpec, Zygote
from windlass.templates import Templates

Run = Callable[..., Outcome]

MODULE = """
def double(n, note="none"):
    return {"n": n * 2, "note": note}
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    preload = ("windlass.guest.service", "duckdb", "pandas", "pyarrow")
    with Zygote(service="windlass.guest.service:Service", preload=preload) as started:
        yield started


class Children:
    """Stands for the runner's sub-sessions; tells what it was asked."""

    def __init__(self, outcome: Outcome | Exception) -> None:
        self.outcome = outcome
        self.asked: dict[str, Any] = {}

    def run(self, **asked: Any) -> Outcome:
        self.asked = asked
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Bench:
    """One session: its echo, its child, and a way to run phases of a cascade in it."""

    def __init__(self, folder: Path, zygote: Zygote | None) -> None:
        self.folder = folder
        self.bundle = folder / "bundle"
        self.bundle.mkdir()
        self.stop = Stop()
        self.lines: list[tuple[str, str]] = []
        self.echo = Echo(input={"name": "it's; echo $(id)", "n": 3})
        self.children: Any = None
        self._zygote = zygote
        self._spawned = 0
        self.saved: list[Any] = []
        self.guest = Guest(
            spawn=self._spawn,
            restored=lambda: self.saved,
            echo=self.echo,
            stop=self.stop.event,
            log=lambda level, text: self.lines.append((level, text)),
            log_bytes_max=10_000,
        )

    def _spawn(self) -> Any:
        assert self._zygote is not None, "this test should need no child"
        self._spawned += 1
        own = self.folder / str(self._spawned)
        own.mkdir()
        return self._zygote.spawn(
            ChildSpec(
                folder=self.bundle,
                environ={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(own)},
                limits=ChildLimits(memory_bytes=2 << 30, processes=32, file_bytes=1 << 30),
                options={"folder": str(own), "bundle": str(self.bundle), "artifacts": str(own / "artifacts")},
            )
        )

    def context(self, cascade: Cascade, name: str, **changes: Any) -> PhaseContext:
        context = PhaseContext(
            session_id="s1",
            cascade=cascade,
            phase=cascade.phase(name),
            visit=1,
            attempt=1,
            echo=self.echo,
            templates=Templates(environ={}),
            guest=self.guest,
            settings=Settings(),
            stop=self.stop,
            children=self.children,
            inline=InlinePython(
                guest=self.guest,
                echo=self.echo,
                folder=self.folder,
                artifacts=self.folder / "artifacts",
                log=lambda level, text: self.lines.append((level, text)),
                log_bytes_max=10_000,
                output_bytes_max=1 << 20,
            ),
        )
        return replace(context, **changes)

    def run(self, phase: str, **changes: Any) -> Outcome:
        """Run one phase, given as YAML without its name; a done one is learned."""
        number = len(self.echo.lineage) + 1
        text = f"cascade_id: c\nphases:\n  - name: p{number}\n" + "".join(
            f"    {line}\n" for line in phase.strip("\n").split("\n")
        )
        cascade = parse_cascade(text, source="c.yaml", folder=self.bundle)
        outcome = run_phase(self.context(cascade, f"p{number}", **changes))
        if isinstance(outcome, Done):
            self.saved.extend(outcome.saved)
            self.echo.learn(phase=f"p{number}", output=outcome.output, state=outcome.state)
        return outcome

    def output(self, phase: str) -> Any:
        outcome = self.run(phase)
        assert isinstance(outcome, Done), outcome
        return outcome.output

    def failure(self, phase: str, **changes: Any) -> Failure:
        outcome = self.run(phase, **changes)
        assert isinstance(outcome, Failed), outcome
        return outcome.failure


@pytest.fixture
def bench(tmp_path: Path, zygote: Zygote) -> Iterator[Bench]:
    made = Bench(tmp_path, zygote)
    yield made
    made.guest.close()


@pytest.fixture
def dry(tmp_path: Path) -> Bench:
    """A session that may not start a child."""
    return Bench(tmp_path, None)


def test_sql_is_rendered_and_its_parameters_are_bound(bench: Bench) -> None:
    made = bench.output("sql: SELECT {{ input.n }} AS n, $name AS name\nparams: {name: '{{ input.name }}'}")
    assert made["rows"] == [{"n": 3, "name": "it's; echo $(id)"}]
    assert bench.output("sql: SELECT n + 1 AS m FROM _p1")["rows"] == [{"m": 4}]


def test_a_literal_is_safe_in_sql(bench: Bench) -> None:
    assert bench.output("sql: SELECT {{ input.name | sql_literal }} AS x")["rows"] == [
        {"x": "it's; echo $(id)"}
    ]


def test_an_sql_error_is_a_failure_of_the_phase(bench: Bench) -> None:
    failure = bench.failure("sql: SELECT * FROM nowhere")
    assert (failure.kind, failure.phase) == ("sql", "p1")
    assert "nowhere" in failure.message


def test_python_is_not_rendered(bench: Bench) -> None:
    code = "python: |\n  result = ['{{ input.n }}', input['n'], session_id, idempotency_key, error]"
    assert bench.output(code) == ["{{ input.n }}", 3, "s1", "s1:p1:1", None]


def test_python_sets_state_and_a_route(bench: Bench) -> None:
    outcome = bench.run("python: |\n  state['a'] = 1\n  result = {'_route': 'x'}")
    assert isinstance(outcome, Done)
    assert (outcome.route, dict(outcome.state)) == ("x", {"a": 1})
    assert bench.output("python: result = state['a']") == 1


def test_python_that_raises_names_its_line(bench: Bench) -> None:
    failure = bench.failure("python: |\n  a = 1\n  a / 0")
    assert (failure.kind, failure.line) == ("python", 2)
    assert "ZeroDivisionError" in failure.message


def test_inline_python_needs_no_child(dry: Bench) -> None:
    assert dry.output("python: result = input['n'] + 1\nisolation: inline") == 4


def test_inline_python_reads_and_makes_tables(bench: Bench) -> None:
    bench.output("sql: SELECT * FROM range(3) t(i)")
    assert bench.output("python: result = data.p1 * 2\nisolation: inline")["rows"][-1] == {"i": 4}
    assert (
        bench.output("tool: python_data\ninputs: {code: 'result = data.p2'}\nisolation: inline")["row_count"]
        == 3
    )


def test_values_in_a_shell_script_cannot_run(bench: Bench) -> None:
    phase = """
shell: |
  echo {{ input.name }}
  echo "in quotes: {{ input.name }}, ${#HOME}" > /dev/null
  echo 'single: {{ input.name }}'
  cat <<EOF
  here: {{ input.name }}
  EOF
  # a comment {{ input.n }}
  echo "$WORD {{ input.n }}"
env: {WORD: 'w{{ input.n }}'}
output_format: text
"""
    nasty = "it's; echo $(id)"
    assert bench.output(phase).split("\n") == [
        nasty,
        f"single: {nasty}",
        f"here: {nasty}",
        "w3 3",
    ]


def test_raw_values_in_a_shell_script_are_script(bench: Bench) -> None:
    bench.echo.input = {"command": "echo hello"}
    assert bench.output("shell: '{{ input.command | raw }}'\noutput_format: text") == "hello"
    assert (
        bench.output("shell: 'printf %s {{ [1, \"a b\"] | shell_quote | raw }}'\noutput_format: text")
        == "1a b"
    )


def test_a_value_in_a_quoted_here_document_is_refused(dry: Bench) -> None:
    failure = dry.failure("shell: |\n  cat <<'EOF'\n  {{ input.n }}\n  EOF")
    assert failure.kind == "template"
    assert "here-document" in failure.message
    assert not failure.retryable


def test_a_script_that_fails_is_a_failed_phase(bench: Bench) -> None:
    failure = bench.failure("shell: |\n  echo no luck >&2\n  exit 3")
    assert failure.kind == "shell"
    assert "3" in failure.message
    assert "no luck" in failure.detail


def test_a_template_mistake_fails_before_anything_runs(dry: Bench) -> None:
    failure = dry.failure("sql: |\n  SELECT 1,\n    {{ input.nn }}")
    assert failure == Failure(
        phase="p1",
        kind="template",
        message="'nn' is undefined: the object has no such key; did you mean 'n'? (line 2 of the template)",
        line=2,
        retryable=False,
    )


def test_the_data_tools_hand_tables_to_each_other(bench: Bench) -> None:
    rows = bench.output("tool: sql_data\ninputs: {query: 'SELECT * FROM range(5) t(i)', limit: '4'}")
    assert rows["row_count"] == 4
    assert bench.output("tool: bash_data\ninputs: {script: \"sed 's/^3$/30/'\", output_format: csv}")[
        "rows"
    ] == [{"i": 0}, {"i": 1}, {"i": 2}, {"i": 30}]
    doubled = bench.output("tool: python_data\ninputs: {code: 'result = data.p2 * {{ input.n }}'}")
    assert doubled["rows"][-1] == {"i": 90}
    assert bench.output("tool: python_data\ninputs: {code: 'result = 7'}")["result"] == 7


def test_javascript_runs_where_node_is(bench: Bench) -> None:
    bench.output("sql: SELECT 1 AS a")
    outcome = bench.run("tool: js_data\ninputs: {code: 'result = data.p1.map(r => ({b: r.a + 1}))'}")
    if isinstance(outcome, Failed):
        assert "Node" in outcome.failure.message
    else:
        assert outcome.output["rows"] == [{"b": 2}]


def test_a_function_gets_values_with_their_types(bench: Bench) -> None:
    (bench.bundle / "mine.py").write_text(MODULE)
    assert bench.output("tool: python:mine.double\ninputs: {n: '{{ input.n }}'}") == {"n": 6, "note": "none"}
    made = bench.output("tool: python:mine.double\ninputs: {n: 1, note: '{\"a\": {{ input.n }}}'}")
    assert made == {"n": 2, "note": {"a": 3}}
    bench.echo.input = {"text": '{"a": 1}'}
    made = bench.output("tool: python:mine.double\ninputs: {n: 1, note: '{{ input.text }}'}")
    assert made["note"] == '{"a": 1}'


def test_an_input_of_the_wrong_kind_is_named(dry: Bench) -> None:
    failure = dry.failure("tool: sql_data\ninputs: {query: SELECT 1, limit: '{{ input.name }}'}")
    assert (failure.kind, failure.retryable) == ("tool", False)
    assert failure.message == "sql_data: the input 'limit' must be of type integer, not string"


def test_a_sub_cascade_gets_its_input_and_its_state_comes_back(dry: Bench) -> None:
    (dry.bundle / "child.yaml").write_text("cascade_id: child\nphases: [{name: a, sql: SELECT 1}]\n")
    child = {"session_id": "s2", "status": "completed", "result": 1, "outputs": {"a": 1}, "state": {"k": 2}}
    dry.children = Children(Done(output=child))
    outcome = dry.run("cascade: child.yaml\ninput: {n: '{{ input.n }}'}\nstate_out: true")
    assert isinstance(outcome, Done)
    assert (outcome.output, dict(outcome.state)) == (child, {"k": 2})
    assert dry.children.asked == {
        "cascade": dry.bundle / "child.yaml",
        "input": {"n": 3},
        "phase": "p1",
        "visit": 1,
        "attempt": 1,
    }


def test_what_is_not_the_authors_to_mend_goes_up(dry: Bench) -> None:
    (dry.bundle / "child.yaml").write_text("cascade_id: child\nphases: [{name: a, sql: SELECT 1}]\n")
    for error in (LeaseLost("gone"), Cancelled("by a person")):
        dry.children = Children(error)
        with pytest.raises(type(error)):
            dry.run("cascade: child.yaml")


def test_a_bug_of_ours_is_a_failed_phase_with_its_traceback(dry: Bench, caplog: Any) -> None:
    (dry.bundle / "child.yaml").write_text("cascade_id: child\nphases: [{name: a, sql: SELECT 1}]\n")
    dry.children = Children(ZeroDivisionError("ours"))
    failure = dry.failure("cascade: child.yaml")
    assert failure.kind == "internal"
    assert "ZeroDivisionError: ours" in failure.message
    assert "Traceback" in failure.detail
    assert "phase.bug" in caplog.text


def test_a_stop_ends_a_running_phase(bench: Bench) -> None:
    bench.output("python: result = 1")
    timer = threading.Timer(0.2, bench.stop.set, [Cancelled("enough")])
    timer.start()
    with pytest.raises(Cancelled, match="enough"):
        bench.run("python: |\n  import time\n  time.sleep(60)")
    timer.join()


def test_a_timeout_ends_a_running_phase(bench: Bench) -> None:
    from windlass.clock import boot_s

    failure = bench.failure("python: |\n  while True: pass", deadline_s=boot_s() + 1)
    assert failure.kind == "timeout"
    assert bench.output("python: result = 'alive again'") == "alive again"


def test_kinds_that_are_not_built_say_so(dry: Bench) -> None:
    assert dry.failure("wait: {for: 1}").kind == "unbuilt"
    assert "named connections" in dry.failure("sql: SELECT 1\nconnection: warehouse").message
