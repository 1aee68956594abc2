"""An author's shell scripts in the session's child: their input, their output, and how they end."""

import os

import pytest

from tests.guest.guest_support import Session


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
