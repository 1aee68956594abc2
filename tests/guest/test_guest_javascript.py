"""An author's JavaScript in the session's child."""


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
