"""What an author may write loads; what it means is in the model."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from windlass.errors import NotFound
from windlass.model import CascadeInvalid, PhaseKind, cascade_schema, load_cascade, parse_cascade, unbuilt

FILES = Path(__file__).parent / "model_files"
# The example of the language's description, word for word.
EXAMPLE = """\
cascade_id: triage
inputs_schema: {path: "CSV of tickets"}        # shorthand (name → description) or JSON Schema
phases:
  - name: tickets
    sql: SELECT * FROM read_csv('{{ input.path }}')   # → table _tickets in the scratch
  - name: clean
    python: |
      result = data.tickets.dropna()                  # a DataFrame in, a DataFrame out → _clean
  - name: classify
    for_each: {table: _clean, max_parallel: 8}
    instructions: "Classify this ticket: {{ row.text }}"
    output_schema: {type: object, properties: {label: {enum: [bug, billing, other]}}, required: [label]}
  - name: report
    sql: SELECT label, count(*) n FROM _classify GROUP BY 1 ORDER BY n DESC
"""


def parse(text, **more):
    return parse_cascade(text, source="c.yaml", folder=None, **more)


def one_phase(text):
    """The only phase of a cascade, given the lines below its name."""
    lines = "\n".join("    " + line for line in text.splitlines())
    return parse(f"cascade_id: c\nphases:\n  - name: p\n{lines}\n  - name: q\n    sql: SELECT 1\n").phase("p")


def test_the_example_of_the_design_loads():
    cascade = parse(EXAMPLE)
    assert [phase.kind for phase in cascade.phases] == [
        PhaseKind.SQL,
        PhaseKind.PYTHON,
        PhaseKind.LLM,
        PhaseKind.SQL,
    ]
    assert cascade.inputs_are_shorthand
    assert cascade.phase("classify").for_each.max_parallel == 8
    assert cascade.line_of("phases[2].for_each.table") == 10
    assert cascade.text_line_of(("phases", 1, "python")) == 8
    with pytest.raises(NotFound, match="no phase 'clen'") as caught:
        cascade.phase("clen")
    assert caught.value.hint == "did you mean 'clean'?"


def test_a_file_of_the_first_windlass_with_every_key_loads_unchanged():
    cascade = load_cascade(FILES / "first_windlass.json")
    write = cascade.phase("write")
    assert write.instructions == "Write about {{ input.topic }}.\n"
    assert write.context.sources[2].as_role == "user"
    assert write.on_error.phase == "send"
    assert [(route.value, route.target) for route in write.routing.routes] == [
        ("good", "send"),
        ("bad", "write"),
    ]
    assert cascade.phase("shape").on_error.repair.auto_fix is True
    assert cascade.phase("load").retry.base_s == 2.0
    assert cascade.phase("look").kind is PhaseKind.BROWSER
    assert [trigger.type for trigger in cascade.triggers] == ["cron", "sensor", "webhook", "manual"]
    each = cascade.phase("each")
    assert each.kind is PhaseKind.CASCADE and each.for_each.on_error == "collect_errors"
    assert each.input == {"n": "{{ row.n }}"}
    assert cascade.phase("each_text").kind is PhaseKind.LLM
    assert set(cascade.children) == {"child.yaml", "every_child"}
    assert cascade.child("every_child").cascade_id == "every_child"
    assert {name for name, _ in cascade.named_files} == {
        "prompts/write.md",
        "queries/top.sql",
        "count.sh",
        "lookup.tool.json",
        "child.yaml",
        "old_tools.py",
    }
    assert cascade.inputs_schema["required"] == ["topic"]


def test_the_schema_accepts_what_the_loader_accepts():
    validator = jsonschema.Draft202012Validator(cascade_schema())
    validator.check_schema(validator.schema)
    validator.validate(yaml.safe_load(EXAMPLE))
    validator.validate(json.loads((FILES / "first_windlass.json").read_text()))
    short = "cascade_id: c\nphases: [{name: a, sql: s, retry: 3, on_error: continue, timeout: 5m, needs: b}]"
    validator.validate(yaml.safe_load(short))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(yaml.safe_load(short.replace("retry", "retri")))


def test_every_key_in_the_schema_has_a_description():
    schema = cascade_schema()
    kinds = [schema, *(value for name, value in schema["$defs"].items() if name.endswith("Phase"))]
    for part in kinds:
        for key, described in part["properties"].items():
            assert described.get("description") or "$ref" in described or key == "for_each_row", key


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("'90'", 90.0),
        ("2d", 172800.0),
    ],
)
def test_a_timeout_is_seconds_or_a_duration(written, expected):
    assert one_phase(f"sql: SELECT 1\ntimeout: {written}").timeout_s == expected


@pytest.mark.parametrize("key", ["base_s", "backoff_base_seconds", "delay"])
def test_retry_knows_the_words_of_other_dialects(key):
    retry = one_phase(f"sql: SELECT 1\nretry: {{attempts: 4, {key}: 2s, if: error.retryable}}").retry
    assert (retry.max_attempts, retry.base_s, retry.retry_if) == (4, 2.0, "error.retryable")


def test_short_forms_stand_for_their_first_key():
    phase = one_phase("http: https://example.org\nhandoffs: q\nretry: 5\non_error: continue\nneeds: q")
    assert phase.http.url == "https://example.org" and phase.http.method == "GET"
    assert phase.handoffs[0].target == "q" and phase.retry.max_attempts == 5
    assert phase.on_error.continues and phase.needs == ("q",)


def test_routing_is_a_table_or_a_list_of_conditions():
    table = one_phase("sql: SELECT 1\nrouting: {yes: q, 404: q, default: p}").routing
    assert [route.value for route in table.routes] == ["yes", "404"] and table.default == "p"
    listed = one_phase(
        "sql: SELECT 1\nrouting: [{when: output > 3, to: q}, {value: x, to: q}, {default: p}]"
    ).routing
    assert [(route.when, route.value) for route in listed.routes] == [("output > 3", None), (None, "x")]
    assert listed.default == "p"


def test_json_of_a_request_is_its_body_and_null_is_a_body_too():
    assert one_phase("http: {url: u, method: post, json: {a: [1]}}").http.json_body == {"a": [1]}
    assert one_phase("http: {url: u, expect: 404}").http.expect == (404,)


def test_keys_with_an_underscore_are_notes_in_models_and_data_in_values():
    phase = one_phase("tool: sql_data\n_x: 1\ninputs: {query: SELECT 1, _note: kept}\nretry: {_why: because}")
    assert phase.inputs == {"query": "SELECT 1", "_note": "kept"} and phase.retry.max_attempts == 3


def test_yaml_means_what_json_can_say():
    text = "tool: set_state\ninputs: {a: yes, b: 2024-01-31, c: 12:30, d: 010, e: 1e3, f: ~}"
    text = text[:-1] + ", g: .inf, on: off, 1: x}"
    assert one_phase(text).inputs == {
        "a": "yes",
        "b": "2024-01-31",
        "c": "12:30",
        "d": 10,
        "e": 1000.0,
        "f": None,
        "g": ".inf",
        "on": "off",
        "1": "x",
    }


def test_anchors_and_merges_work_and_keep_their_lines():
    cascade = parse(
        "cascade_id: c\n_base: &base\n  retry: 2\n  timeout: 9\nphases:\n"
        "  - name: a\n    sql: SELECT 1\n    <<: *base\n    timeout: 5\n"
    )
    assert (cascade.phase("a").retry.max_attempts, cascade.phase("a").timeout_s) == (2, 5.0)
    assert cascade.line_of("phases[0].retry") == 3


def test_a_phase_that_is_named_is_a_target():
    cascade = parse(
        "cascade_id: c\non_failure: f\nphases:\n"
        "  - {name: a, sql: s, handoffs: [b], routing: {x: c, default: d}}\n"
        "  - {name: b, sql: s, on_error: e}\n  - {name: c, branch: [{when: 'true', to: g}]}\n"
        "  - {name: d, parallel: [h, [i, j]]}\n  - {name: e, while: {when: 'true', phases: [k]}}\n"
        + "".join(f"  - {{name: {name}, sql: s}}\n" for name in "fghijkz")
    )
    assert cascade.targets == set("bcdefghijk")


def test_the_cascades_models_are_frozen():
    cascade = parse(EXAMPLE)
    with pytest.raises(ValueError, match="frozen"):
        cascade.phases[0].name = "x"


def test_json_schema_inputs_are_kept_as_they_are():
    cascade = parse(
        "cascade_id: c\ninputs_schema: {type: object, properties: {n: {type: integer}}}\n"
        "phases: [{name: a, sql: s}]"
    )
    assert not cascade.inputs_are_shorthand
    assert cascade.inputs_schema["properties"] == {"n": {"type": "integer"}}


def test_an_input_called_type_is_not_taken_for_a_json_schema():
    cascade = parse("cascade_id: c\ninputs_schema: {type: the kind of ticket}\nphases: [{name: a, sql: s}]")
    assert cascade.inputs_schema["properties"] == {"type": {"description": "the kind of ticket"}}


def test_names_are_found_in_the_folder_first_and_then_in_the_searched_ones(tmp_path):
    home, extra = tmp_path / "home", tmp_path / "extra"
    for folder in (home, extra):
        folder.mkdir()
        (folder / "both.yaml").write_text("cascade_id: both\nphases: [{name: a, sql: s}]")
    (extra / "only.yml").write_text("cascade_id: only_here\nphases: [{name: a, sql: s}]")
    (home / "main.yaml").write_text(
        "cascade_id: m\nphases:\n  - {name: a, cascade: both}\n  - {name: b, cascade: only_here}\n"
    )
    cascade = load_cascade(home / "main.yaml", search=[extra])
    assert cascade.children == {"both": home / "both.yaml", "only_here": extra / "only.yml"}


def test_cascades_may_use_each_other_in_a_circle(tmp_path):
    (tmp_path / "a.yaml").write_text("cascade_id: a\nphases: [{name: x, cascade: b.yaml}]")
    (tmp_path / "b.yaml").write_text("cascade_id: b\nphases: [{name: x, cascade: a.yaml}]")
    cascade = load_cascade(tmp_path / "a.yaml")
    assert cascade.child("b.yaml").child("a.yaml") is cascade


def test_files_outside_are_not_touched_when_a_border_is_given(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.sql").write_text("SELECT 1")
    (inside / "a.yaml").write_text("cascade_id: a\nphases: [{name: x, sql: '@../secret.sql'}]")
    assert load_cascade(inside / "a.yaml").phases[0].sql == "SELECT 1"
    with pytest.raises(CascadeInvalid, match=r"no file '\.\./secret.sql'"):
        load_cascade(inside / "a.yaml", within=inside)


def test_a_searched_folder_is_never_left(tmp_path):
    for name in ("home", "extra/tackle"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "extra/secret.sql").write_text("SELECT 1")
    (tmp_path / "home/a.yaml").write_text("cascade_id: a\nphases: [{name: x, sql: '@../secret.sql'}]")
    with pytest.raises(CascadeInvalid, match=r"no file '\.\./secret.sql'"):
        load_cascade(tmp_path / "home/a.yaml", search=[tmp_path / "extra/tackle"])


def test_what_is_not_built_is_named_with_its_place():
    found = [(problem.line, problem.path, problem.severity) for problem in unbuilt(parse(EXAMPLE))]
    assert found == [
        (10, "phases[2].for_each", "warning"),
        (11, "phases[2].instructions", "warning"),
        (12, "phases[2].output_schema", "warning"),
    ]


def test_what_is_built_gives_no_warning():
    text = (
        "cascade_id: c\non_failure: f\ntimeout: 60\ntags: [a]\naccess: {read: x}\n"
        "keep_scratch: true\nlimits: {memory_mb: 99}\n"
        "phases:\n  - {name: a, sql: s, params: [1], when: 'true', retry: 2, timeout: 3, pure: true}\n"
        "  - {name: b, shell: s, on_error: continue, skip_if: 'false', mock: null}\n"
        "  - {name: i, python: s, isolation: inline}\n"
        "  - {name: f, http: u}\n  - {name: t, tool: js_data, inputs: {code: x}}\n"
    )
    assert unbuilt(parse(text)) == []


def test_unbuilt_settings_of_built_kinds_are_named():
    text = (
        "cascade_id: c\nmax_cost_usd: 1\nphases:\n  - {name: a, sql: s, isolation: sandbox, cache: 1h}\n"
        "  - {name: b, sql: s, on_error: auto_fix, connection: db}\n  - {name: t, tool: set_state}\n"
    )
    assert [problem.path for problem in unbuilt(parse(text))] == [
        "max_cost_usd",
        "phases[0].isolation",
        "phases[0].cache",
        "phases[1].on_error",
        "phases[1].connection",
        "phases[2].tool",
    ]
