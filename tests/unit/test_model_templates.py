"""Templates that could never be rendered are found when the cascade is loaded, at their own line."""

import pytest

from windlass.model import CascadeInvalid, load_cascade

HEAD = "cascade_id: c\nphases:\n  - name: a\n"


@pytest.fixture
def problem(tmp_path):
    """The one problem of a cascade whose first phase is these lines."""

    def find(phase):
        path = tmp_path / "c.yaml"
        path.write_text(HEAD + phase)
        with pytest.raises(CascadeInvalid) as raised:
            load_cascade(path)
        (one,) = raised.value.problems
        return one

    return find


@pytest.mark.parametrize(
    ("phase", "line", "path", "said"),
    [
        ("    sql: |\n      SELECT 1,\n      {{ input.x\n", 6, "phases[0].sql", "expected '}}'"),
        ("    shell: |\n      {% if x %}\n", 5, "phases[0].shell", "'endif'"),
        ("    shell: 'true'\n    env: {A: '{{ 1 + }}'}\n", 5, "phases[0].env.A", "unexpected '}}'"),
        ("    http: 'http://x/{{ y z }}'\n", 4, "phases[0].http", "got 'z'"),
        ("    http: {url: x, json: [{a: '{{ ( }}'}]}\n", 4, "phases[0].http.json[0].a", "unexpected '}'"),
        ('    tool: sql_data\n    inputs: {query: "{{ \'a }}"}\n', 5, "phases[0].inputs.query", "char"),
        ("    sql: S\n    params: ['{{ }}']\n", 5, "phases[0].params[0]", "Expected an expression"),
        ("    sql: S\n    when: input.a ===\n", 5, "phases[0].when", "this condition is not valid"),
        ("    sql: S\n    skip_if: '{{ a b }}'\n", 5, "phases[0].skip_if", "got 'b'"),
        ("    sql: S\n    retry: {attempts: 2, if: a = 1}\n", 5, "phases[0].retry.if", "got '='"),
        ("    sql: S\n    routing: [{when: a b, to: a}]\n", 5, "phases[0].routing", "got 'b'"),
    ],
)
def test_what_is_no_template_is_told_with_its_place(problem, phase, line, path, said):
    found = problem(phase)
    assert (found.line, found.path) == (line, path)
    assert said.lower() in found.message.lower()


def test_a_template_in_a_file_is_told_with_that_files_line(problem, tmp_path):
    (tmp_path / "q.sql").write_text("SELECT 1\n\n{{ x\n")
    assert "q.sql:3: this template is not valid" in problem("    sql: '@q.sql'\n").message


def test_a_template_that_never_ends_to_nest_is_no_crash(problem):
    assert "nested too deeply" in problem(f"    sql: '{{{{ {'(' * 5000}1{')' * 5000} }}}}'\n").message


@pytest.mark.parametrize(
    "phase",
    [
        "    shell: 'echo ${#HOME} {# no comment'\n",
        "    python: 'result = \"{{ not a template\"'\n",
        "    sql: 'SELECT {# a comment #} 1 {{ input.n | sql_literal }}'\n",
        "    sql: S\n    when: true\n",
    ],
)
def test_what_is_fine_is_left_alone(tmp_path, phase):
    path = tmp_path / "c.yaml"
    path.write_text(HEAD + phase)
    assert load_cascade(path).phases[0].name == "a"
