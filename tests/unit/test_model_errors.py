"""What is wrong with a file is said with its line, its key and a way out."""

from pathlib import Path

import pytest

from windlass.model import CascadeInvalid, load_cascade, parse_cascade

HEAD = "cascade_id: c\nphases:\n"
GOOD = HEAD + "  - {name: a, sql: SELECT 1}\n"

# (what is written, line, key path, a part of the message, a part of the suggestion)
BAD = {
    "a quote that is not closed": (HEAD + "  - name: 'a\n", 4, "", "not valid YAML", "never closed"),
    "a colon inside plain text": ("cascade_id: a: b\n", 1, "", "not valid YAML", "in quotes"),
    "a tab for indentation": ("cascade_id: c\nphases:\n\t- a\n", 3, "", "not valid YAML", "spaces, not tabs"),
    "an unquoted template": (
        HEAD + "  - {name: a, tool: set_state, inputs: {x: {{ y }}}}",
        3,
        "",
        "where a key",
        "in quotes",
    ),
    "an alias to nothing": ("cascade_id: *x\n", 1, "", "*x refers to an anchor", "write &x"),
    "an anchor that holds itself": ("cascade_id: &a [*a]\n", 1, "", "isn't complete here", ""),
    "a tag that makes objects": (
        "cascade_id: !!python/name:os.system x\n",
        1,
        "",
        "!!python/name:os.system",
        "plain",
    ),
    "two documents": (GOOD + "---\na: 1\n", 4, "", "second document", "remove this '---'"),
    "nothing": ("", 1, "", "the file is empty", "at least 'cascade_id'"),
    "only a comment": ("# later\n", 1, "", "the file is empty", ""),
    "a list": ("- a\n", 1, "", "a cascade is a mapping", "begins with"),
    "a text": ("hello\n", 1, "", "a cascade is a mapping", ""),
    "a key twice": (GOOD + "cascade_id: d\n", 4, "cascade_id", "stands twice", "first is on line 1"),
    "a key twice inside": (
        HEAD + "  - name: a\n    sql: s\n    sql: t\n",
        5,
        "phases[0].sql",
        "stands twice",
        "first is on line 4",
    ),
    "no id": ("phases:\n  - {name: a, sql: s}\n", 1, "", "'cascade_id' is missing", "The cascade's name"),
    "no phases": ("cascade_id: c\n", 1, "", "'phases' is missing", ""),
    "an empty list of phases": ("cascade_id: c\nphases: []\n", 2, "phases", "must not be empty", ""),
    "phases that are no list": ("cascade_id: c\nphases: {a: 1}\n", 2, "phases", "must be a list", "- name"),
    "a phase that is no mapping": (HEAD + "  - SELECT 1\n", 3, "phases[0]", "must be a mapping", "- name"),
    "an unknown key": (GOOD + "descripton: x\n", 4, "descripton", "unknown key", "'description'"),
    "an unknown key in a phase": (
        HEAD + "  - name: a\n    sql: s\n    handofs: [a]\n",
        5,
        "phases[0].handofs",
        "unknown key 'handofs'",
        "did you mean 'handoffs'?",
    ),
    "an unknown key far inside": (
        HEAD + "  - name: a\n    sql: s\n    retry:\n      backof: none\n",
        6,
        "phases[0].retry.backof",
        "unknown key",
        "'backoff'",
    ),
    "a word of another tool": (
        HEAD + "  - {name: a, sql: s, depends_on: [a]}\n",
        3,
        "phases[0].depends_on",
        "unknown key",
        "'needs'",
    ),
    "a key of another kind": (
        HEAD + "  - {name: a, sql: s, env: {}}\n",
        3,
        "phases[0].env",
        "'env' is for phases with shell",
        "remove",
    ),
    "no kind": (HEAD + "  - name: a\n", 3, "phases[0]", "says nothing to do", "sql"),
    "a kind under another name": (
        HEAD + "  - {name: a, code: x}\n",
        3,
        "phases[0].code",
        "nothing to do",
        "'python'",
    ),
    "a kind misspelt": (
        HEAD + "  - {name: a, pyhton: x}\n",
        3,
        "phases[0].pyhton",
        "nothing to do",
        "'python'",
    ),
    "two kinds": (
        HEAD + "  - {name: a, sql: s, shell: t}\n",
        3,
        "phases[0].shell",
        "'sql' and 'shell'",
        "two phases",
    ),
    "a phase without a name": (HEAD + "  - sql: s\n", 3, "phases[0]", "'name' is missing", "letters, digits"),
    "a name with a space": (HEAD + "  - {name: a b, sql: s}\n", 3, "phases[0].name", "letters, digits", ""),
    "a name that is a number": (HEAD + "  - {name: 1, sql: s}\n", 3, "phases[0].name", "must be text", ""),
    "a name twice": (GOOD + "  - {name: a, sql: t}\n", 4, "phases[1].name", "'a' is taken", "on line 3"),
    "a name twice but for case": (
        GOOD + "  - {name: A, sql: t}\n",
        4,
        "phases[1].name",
        "only in case",
        "on line 3",
    ),
    "a wrong type": (
        HEAD + "  - {name: a, sql: 3}\n",
        3,
        "phases[0].sql",
        "must be text, but is the number 3",
        "",
    ),
    "an empty value": (HEAD + "  - {name: a, sql: }\n", 3, "phases[0].sql", "must be text, but is empty", ""),
    "a value of a union": (
        HEAD + "  - {name: a, sql: s, when: [1]}\n",
        3,
        "phases[0].when",
        "must be text or true or false, but is a list",
        "",
    ),
    "a word that is none of the choices": (
        HEAD + "  - {name: a, sql: s, isolation: inlin}\n",
        3,
        "phases[0].isolation",
        "one of child, inline and sandbox",
        "'inline'",
    ),
    "a number out of range": (
        HEAD + "  - {name: a, sql: s, retry: 0}\n",
        3,
        "phases[0].retry",
        "greater than or equal to 1; it is the number 0",
        "",
    ),
    "a duration that is none": (
        HEAD + "  - {name: a, sql: s, timeout: soon}\n",
        3,
        "phases[0].timeout",
        "'30s'",
        "",
    ),
    "a handoff to nowhere": (
        GOOD + "  - {name: b, sql: s, handoffs: [a, bb]}\n",
        4,
        "phases[1].handoffs[1]",
        "names the phase 'bb', which does not exist",
        "did you mean 'b'?",
    ),
    "a route to nowhere": (
        HEAD + "  - name: report\n    sql: s\n    routing:\n      x: reprot\n",
        6,
        "phases[0].routing.x",
        "which does not exist",
        "did you mean 'report'?",
    ),
    "a default route to nowhere": (
        HEAD + "  - {name: a, sql: s, routing: {default: b}}\n",
        3,
        "phases[0].routing.default",
        "'b'",
        "",
    ),
    "an on_error to nowhere": (
        HEAD + "  - {name: a, sql: s, on_error: b}\n",
        3,
        "phases[0].on_error",
        "'b'",
        "",
    ),
    "an on_failure to nowhere": (GOOD + "on_failure: b\n", 4, "on_failure", "'b', which does not exist", ""),
    "a need of nothing": (HEAD + "  - {name: a, sql: s, needs: [b]}\n", 3, "phases[0].needs[0]", "'b'", ""),
    "needs in a circle": (
        HEAD + "  - {name: a, sql: s, needs: b}\n  - {name: b, sql: s, needs: a}\n",
        3,
        "phases[0].needs",
        "a → b → a",
        "",
    ),
    "a branch to nowhere": (
        HEAD + "  - {name: a, branch: [{when: x, to: b}]}\n",
        3,
        "phases[0].branch[0]",
        "'b', which does not exist",
        "",
    ),
    "a missing file": (
        HEAD + "  - {name: a, sql: '@nothing.sql'}\n",
        3,
        "phases[0].sql",
        "no file 'nothing.sql' (looked in",
        "",
    ),
    "an absolute file": (
        HEAD + "  - {name: a, sql: '@/etc/hosts'}\n",
        3,
        "phases[0].sql",
        "must be given relative",
        "",
    ),
    "an unknown tool": (
        HEAD + "  - {name: a, tool: sql_dta}\n",
        3,
        "phases[0].tool",
        "unknown tool",
        "'sql_data'",
    ),
    "a tool's unknown argument": (
        HEAD + "  - {name: a, tool: sql_data, inputs: {query: s, limt: 3}}\n",
        3,
        "phases[0].inputs.limt",
        "no argument 'limt'",
        "'limit'",
    ),
    "a tool's missing argument": (
        HEAD + "  - {name: a, tool: js_data}\n",
        3,
        "phases[0]",
        "needs the argument 'code'",
        "",
    ),
    "a module that is nowhere": (
        HEAD + "  - {name: a, tool: 'python:no_such_module_x.f'}\n",
        3,
        "phases[0].tool",
        "no module 'no_such_module_x'",
        "",
    ),
    "a function that is nowhere": (
        HEAD + "  - {name: a, tool: 'python:own.helo'}\n",
        3,
        "phases[0].tool",
        "own.py has no function 'helo'",
        "'hello'",
    ),
    "a module of the first Windlass": (
        HEAD + "  - {name: a, tool: 'python:windlass.demo_tools.x'}\n",
        3,
        "phases[0].tool",
        "'windlass.demo_tools' belonged to the first Windlass",
        "module beside",
    ),
    "a sensor of the first Windlass": (
        GOOD + "triggers:\n  - {type: sensor, check: 'python:windlass.triggers.x'}\n",
        5,
        "triggers[0].check",
        "'windlass.triggers' belonged",
        "",
    ),
    "a cascade that is nowhere": (
        HEAD + "  - {name: a, cascade: chid}\n",
        3,
        "phases[0].cascade",
        "no cascade 'chid'",
        "'child'",
    ),
    "a cascade by template": (
        HEAD + "  - {name: a, cascade: '{{ input.x }}'}\n",
        3,
        "phases[0].cascade",
        "must be a fixed name",
        "exactly the files",
    ),
    "an unknown validator": (
        HEAD + "  - {name: a, instructions: x, wards: {post: [is_fine]}}\n",
        3,
        "phases[0].wards.post[0]",
        "unknown validator 'is_fine'",
        "python:module",
    ),
    "Python that does not parse": (
        HEAD + "  - name: a\n    python: |\n      x = 1\n      y = = 2\n",
        6,
        "phases[0].python",
        "not valid Python",
        "",
    ),
    "a JSON Schema that is none": (
        GOOD + "inputs_schema:\n  type: object\n  properties:\n    n: {type: nubmer}\n",
        7,
        "inputs_schema.properties.n.type",
        "not a valid JSON Schema",
        "",
    ),
    "an input that is no object": (
        GOOD + "inputs_schema: {type: array}\n",
        4,
        "inputs_schema.type",
        "type: object",
        "",
    ),
    "a glob that finds nothing": (GOOD + "files: [data/*.csv]\n", 4, "files[0]", "no file fits", ""),
    "a glob that is malformed": (GOOD + "files: ['a**b']\n", 4, "files[0]", "no file fits", ""),
    "a glob that leaves the folder": (
        GOOD + "files: ['../*.csv']\n",
        4,
        "files[0]",
        "below the cascade's",
        "access",
    ),
    "a retry in a for_each_row": (
        HEAD + "  - name: a\n    for_each_row:\n      table: t\n      cascade: child\n      max_paralel: 3\n",
        7,
        "phases[0].for_each_row.max_paralel",
        "unknown key",
        "'max_parallel'",
    ),
    "two things in one on_error": (
        HEAD + "  - {name: a, sql: s, on_error: {phase: a, continue: true}}\n",
        3,
        "phases[0].on_error",
        "one of",
        "",
    ),
    "a request with two bodies": (
        HEAD + "  - {name: a, http: {url: u, json: 1, body: x}}\n",
        3,
        "phases[0].http",
        "both 'json' and 'body'",
        "",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module and a cascade to be named."""
    (tmp_path / "own.py").write_text("def hello():\n    pass\n")
    (tmp_path / "child.yaml").write_text("cascade_id: child\nphases: [{name: a, sql: s}]\n")
    return tmp_path


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_reported_with_its_line_its_key_and_a_way_out(name, folder):
    text, line, path, message, suggestion = BAD[name]
    (folder / "bad.yaml").write_text(text)
    with pytest.raises(CascadeInvalid) as caught:
        load_cascade(folder / "bad.yaml")
    assert len(caught.value.problems) == 1 or name == "no phases", str(caught.value)
    problem = caught.value.problems[0]
    assert (problem.line, problem.path) == (line, path), str(problem)
    assert message in problem.message and suggestion in problem.suggestion, str(problem)
    assert problem.severity == "error" and problem.file.endswith("bad.yaml") and problem.column >= 1


def test_all_mistakes_of_a_file_come_in_one_go_in_the_order_of_lines():
    text = (
        "cascade_id: my id\ndescripton: x\nphases:\n  - {name: a, sql: s, handoffs: [nowhere]}\n"
        "  - {name: a, tool: nonsense}\n  - {name: b, cascade: missing.yaml, retri: 3}\non_failure: nobody\n"
    )
    with pytest.raises(CascadeInvalid) as caught:
        parse_cascade(text, source="c.yaml", folder=None)
    lines = [problem.line for problem in caught.value.problems]
    assert lines == [1, 2, 4, 5, 5, 6, 7], str(caught.value)
    assert str(caught.value).startswith(
        "c.yaml is not a valid cascade (7 problems):\n  c.yaml:1:1: cascade_id: "
    )


def test_mistakes_of_sub_cascades_are_reported_in_their_own_file(folder):
    (folder / "child.yaml").write_text("cascade_id: child\nphases: [{name: a, sq: s}]\n")
    (folder / "main.yaml").write_text(HEAD + "  - {name: a, cascade: child.yaml}\n")
    with pytest.raises(CascadeInvalid) as caught:
        load_cascade(folder / "main.yaml")
    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [("child.yaml", 2)]
