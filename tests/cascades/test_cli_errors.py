"""Wrong invocations: each says what is wrong and what to do, in plain words, with its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 60

VALID = "cascade_id: valid\ninputs_schema: {who: whom to greet}\nphases: [{name: a, python: 'result = 1'}]\n"
INVALID = "cascade_id: invalid\nphases:\n  - name: a\n    sqll: SELECT 1\n    handoffs: [nowhere]\n"
LATER = "cascade_id: later\nphases:\n  - name: a\n    instructions: Say hello\n"
BROKEN = "cascade_id: broken\nphases:\n  - name: [a\n"


@pytest.fixture
def windlass(tmp_path):
    for name, text in {"valid": VALID, "invalid": INVALID, "later": LATER, "broken": BROKEN}.items():
        (tmp_path / f"{name}.yaml").write_text(text)

    def call(*arguments, **environ):
        repository = str(Path(__file__).parents[2])
        # A store that is refused at once: what gets as far as opening it, ends with 5 instead of 2 or 3.
        base = {
            **os.environ,
            "PYTHONPATH": repository,
            "WINDLASS_CLICKHOUSE_URL": "http://127.0.0.1:9000/windlass",
        }
        return subprocess.run(
            [sys.executable, "-m", "windlass", *arguments],
            env=base | environ,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    return call


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Usage: windlass"),
        (["rnu"], 2, "there is no command 'rnu'; did you mean 'run'?"),
        (["valid.yaml"], 2, "to run a cascade: windlass run valid.yaml"),
        (["--nope"], 2, "No such option"),
        (["run"], 2, "windlass run FILE, or go on with a session"),
        (["run", "nope.yaml"], 3, "there is no file nope.yaml"),
        (["run", "valid.yml"], 3, "did you mean valid.yaml?"),
        (["run", "no_such_name"], 3, "no known cascade called no_such_name"),
        (["run", "invalid.yaml"], 2, "invalid.yaml:4:5: phases[0].sqll"),
        (["run", "broken.yaml"], 2, "broken.yaml:"),
        (["run", "later.yaml"], 2, "cannot run yet"),
        (["run", "valid.yaml"], 2, "'who' is a required property"),
        (["run", "valid.yaml", "-i", "whom=x"], 2, "did you mean 'who'?"),
        (["run", "valid.yaml", "-i", "who"], 2, "write it as name=value"),
        (["run", "valid.yaml", "-i", "who=1", "-i", "who=2"], 2, "given twice"),
        (["run", "valid.yaml", "--input", "{who: 1}"], 2, "not JSON"),
        (["run", "valid.yaml", "--input", "@nope.json"], 2, "No such file"),
        (["run", "valid.yaml", "-o", "xml"], 2, "'xml' is not one of"),
        (["run", "--session", "x", "-i", "who=1"], 2, "leave out -i"),
        (["run", "valid.yaml", "-i", "who=1"], 5, "use the server's HTTP port instead"),
        (["check", "nope.yaml"], 3, "there is no file nope.yaml"),
        (["sql", ""], 2, "there is no statement"),
        (["sql", "SELECT 1"], 5, "native protocol"),
        (["sessions", "show"], 2, "Missing argument 'SESSION'"),
        (["sessions", "list", "--status", "happy"], 2, "is not one of"),
        (["completion", "csh"], 2, "is not one of"),
    ],
)
def test_a_wrong_invocation_says_what_to_do(windlass, arguments, code, said):
    done = windlass(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_check_tells_errors_warnings_and_what_is_well(windlass):
    well = windlass("check", "valid.yaml")
    assert (well.returncode, well.stdout, well.stderr) == (0, "valid.yaml: ok\n", "")
    later = windlass("check", "later.yaml")
    assert later.returncode == 0
    assert "warning" in later.stdout
    wrong = windlass("check", "valid.yaml", "invalid.yaml")
    assert wrong.returncode == 2
    assert "valid.yaml: ok" in wrong.stdout
    assert "invalid.yaml:4:5" in wrong.stdout
    told = json.loads(windlass("check", "invalid.yaml", "-o", "json").stdout)
    assert told[0]["valid"] is False
    assert [problem["line"] for problem in told[0]["problems"]] == [4]


def test_a_wrong_setting_is_named(windlass):
    done = windlass("check", "valid.yaml", WINDLASS_FSINC="1")
    assert done.returncode == 2
    assert "WINDLASS_FSINC is not a setting" in done.stderr
    assert "WINDLASS_FSYNC" in done.stderr


def test_the_doctor_names_a_store_that_is_not_there(windlass):
    done = windlass("doctor", WINDLASS_CLICKHOUSE_URL="http://127.0.0.1:1/windlass")
    assert done.returncode == 5
    assert "fail  store:" in done.stdout
    assert "127.0.0.1:1" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "command", [[], ["run"], ["check"], ["schema"], ["sql"], ["logs"], ["sessions", "show"]]
)
def test_help_shows_its_examples_a_line_each_and_none_of_its_own_marks(windlass, command):
    told = windlass(*command, "--help").stdout
    assert "Usage: windlass" in told and "\\b" not in told and "\b" not in told
    if not command:
        assert "\n  windlass sessions list               what ran\n" in told


def test_the_schema_is_json_and_completion_is_a_script(windlass):
    assert json.loads(windlass("schema").stdout)["type"] == "object"
    for shell in ("bash", "zsh", "fish"):
        assert "_WINDLASS_COMPLETE" in windlass("completion", shell).stdout
    assert windlass("--version").stdout == f"windlass {windlass('version').stdout.split()[1]}\n"


@pytest.mark.parametrize(
    "environ", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"NO_COLOR": "1"}]
)
def test_nothing_fails_where_characters_cannot_be_shown(windlass, tmp_path, environ):
    (tmp_path / "wörld.yaml").write_text(INVALID, encoding="utf-8")
    done = windlass("check", "wörld.yaml", **environ)
    assert done.returncode == 2
    assert "phases[0].sqll" in done.stdout
    assert "\x1b[" not in done.stdout


def test_check_and_help_start_without_the_engines(windlass, tmp_path):
    code = (
        "import sys; sys.argv = ['windlass', *sys.argv[1:]]\n"
        "from windlass.cli import main\n"
        "try: main()\n"
        "finally: print(*sorted({n.partition('.')[0] for n in sys.modules}), file=sys.stderr)"
    )
    for arguments in (["check", str(tmp_path / "valid.yaml")], ["--help"], ["schema"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0
        heavy = {
            "chdb",
            "clickhouse_connect",
            "duckdb",
            "pandas",
            "pyarrow",
            "numpy",
            "requests",
            "rich",
            "jsonschema",
        }
        assert not heavy & set(done.stderr.split())
