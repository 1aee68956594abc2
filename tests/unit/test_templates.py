"""What templates give, and what they say when they are wrong."""

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.templates import TemplateError, Templates

NAMES: dict[str, Any] = {
    "input": {"path": "a.csv", "n": 3, "items": [1, 2], "none": None, "name": "it's"},
    "outputs": {"tickets": {"rows": [{"id": 7}], "row_count": 1}},
    "state": {},
    "error": None,
}


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates(environ={"REGION": "eu"})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Equal, with equal types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@given(value=JSON_VALUES)
def test_a_value_comes_back_with_its_type(templates: Templates, value: Any) -> None:
    assert same(templates.render("{{ x }}", {"x": value}), value)
    assert same(templates.render("{{ input.x }}", {"input": {"x": value}}), value)
    assert same(templates.render({"a": [" {{ x }}\n"]}, {"x": value}), {"a": [value]})


@given(value=JSON_VALUES)
def test_json_goes_through_text_and_back(templates: Templates, value: Any) -> None:
    text = templates.render("a{{ x | tojson }}", {"x": value})
    assert same(templates.render("{{ t[1:] | fromjson }}", {"t": text}), value)


@given(text=st.text(alphabet="{}%#x.|()[]'\"~*+-1 \n", max_size=40) | st.text(max_size=30))
def test_nothing_but_a_template_error_is_raised(templates: Templates, text: str) -> None:
    for source in (text, "{{ " + text + " }}", "{% " + text + " %}"):
        try:
            templates.render(source, NAMES)
            templates.test(source, NAMES)
        except TemplateError as error:
            assert error.message


@given(text=st.text(alphabet=st.characters(exclude_characters="{")))
def test_text_without_tags_is_handed_back(templates: Templates, text: str) -> None:
    assert templates.render(text, {}) is text


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("n is {{ input.n }}", "n is 3"),
        ("{{ input.items }}", [1, 2]),
        ("{{ input.items | sum }}", 3),
        ("{% for key, value in input.items() %}{{ key }} {% endfor %}", "path n items none name "),
        ("{{ outputs.tickets.rows[0].id }}", 7),
        ("{{ outputs.tickets.rows | map(attribute='id') }}", [7]),
        ("{{ env.REGION }}", "eu"),
        ("{{ now.year > 2000 }}", True),
        ("{{ input.name | sql_literal }}", "'it''s'"),
        ("{{ [1, none, true, 'x'] | sql_literal }}", "[1, NULL, TRUE, 'x']"),
        ("{{ input.missing | default('d') }}", "d"),
        ("{{ missing is defined }}", False),
        ("{{ 'a' ~ 1 ~ none }}", "a1None"),
        ("{{ (1, 2) }}", [1, 2]),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ '{:>4}|{}'.format('a', 1) }}", "   a|1"),
        ("{{ '%s-%03d' | format('a', 7) }}", "a-007"),
        ("{{ [[1], [2]] | sum(start=[]) }}", [1, 2]),
        ("{{ {'a': input.n}.a }}", 3),
        ("two\nlines {{ input.n }}\n", "two\nlines 3\n"),
        ("{{ input.items | join(', ') }}!", "1, 2!"),
    ],
)
def test_templates_give_what_jinja_users_expect(templates: Templates, template: str, result: Any) -> None:
    assert same(templates.render(template, NAMES), result)


def test_values_that_are_no_text_are_left_alone_and_keys_are_not_rendered(templates: Templates) -> None:
    value = {"{{ input.n }}": [1, None, {"a": "{{ input.n }}"}], "b": True}
    assert templates.render(value, NAMES) == {"{{ input.n }}": [1, None, {"a": 3}], "b": True}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (True, True),
        (False, False),
        ("input.n > 2", True),
        ("input.n > 5", False),
        ("input.none", False),
        ("{{ input.n > 2 }}", True),
        ("{{ 'no' }}", False),
        ("yes {{ input.n }}", True),
        ("{% if input.n > 5 %}yes{% endif %}", False),
        ("{% if input.n > 2 %} False {% endif %}", False),
        ("outputs.tickets.row_count == 1 and 'a' in input.path", True),
    ],
)
def test_conditions_are_expressions_or_templates(templates: Templates, condition: Any, holds: bool) -> None:
    assert templates.test(condition, NAMES) is holds


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("{{ inptu.n }}", "'inptu' is undefined: there is no such name here", "did you mean 'input'?"),
        ("{{ zzz }}", "'zzz' is undefined: there is no such name here", "there are env, error, input, now"),
        ("{{ input.pth }}", "'pth' is undefined: the object has no such key; did you mean 'path'?", ""),
        ("{{ outputs.x }}", "'x' is undefined: the object has no such key; it has tickets", ""),
        ("{{ error.message }}", "'message' is undefined: null has no such part", ""),
        ("{{ input.items[7] }}", "[7] is undefined: the list has 2 items", ""),
        ("{{ a b }}", "the template cannot be read: expected token", "{% raw %}"),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero", ""),
        ("{{ secret('a/b') }}", "secret() is not built yet", ""),
        ("{{ resource('db') }}", "resource() is not built yet", ""),
        ("{{ input.get }}", "no value that JSON has", "with ()?"),
        ("{{ ''.__class__ }}", "'__class__' of 'str' object is unsafe", ""),
        ("{{ input.update({}) }}", "unsafe", ""),
        ("{% include 'x' %}", "a template can't use {% include %} here", ""),
        ("a {{ input.items | map('string') }}", "an unfinished sequence", "| list"),
        ("{{ range(1000000) | list }}", "range gives at most 100,000 numbers", ""),
        ("{{ 'x' | fromjson }}", "fromjson: the text is not JSON", ""),
    ],
)
def test_errors_say_what_is_wrong(templates: Templates, template: str, message: str, hint: str) -> None:
    with pytest.raises(TemplateError) as caught:
        templates.render(template, NAMES)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_an_error_names_its_line(templates: Templates) -> None:
    for text in (
        "a\n\n{{ input.pth }}",
        "{{ input.n }}\n{% if true %}\n{{ input.pth }}{% endif %}",
        "\n\n{{ a b }}",
    ):
        with pytest.raises(TemplateError) as caught:
            templates.render(text, NAMES)
        assert caught.value.line == 3
        assert "(line 3 of the template)" in str(caught.value)


def test_the_environment_of_the_process_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    with pytest.raises(TemplateError, match="'SECRET' is undefined"):
        Templates(environ={}).render("{{ env.SECRET }}", {})


def test_a_rendered_value_is_no_view_of_what_goes_on_growing(templates: Templates) -> None:
    outputs = {"a": 1}
    rendered = templates.render("{{ outputs }}", {"outputs": outputs})
    outputs["b"] = 2
    assert rendered == {"a": 1}


def test_threads_render_at_once_without_mixing(templates: Templates) -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        for _ in range(300):
            text = templates.render("{% for i in range(20) %}{{ n }},{% endfor %}", {"n": number})
            if text != f"{number}," * 20:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    before = threading.active_count()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert threading.active_count() == before


def test_placed_values_are_put_where_they_stand_and_raw_text_is_not(templates: Templates) -> None:
    seen: list[Any] = []

    def place(value: Any) -> str:
        seen.append(value)
        return "<>"

    text = templates.render_text("${#a} {{ input.n }} {{ 'x' | raw }} {{ input.items }}", NAMES, place=place)
    assert text == "${#a} <> x <>"
    assert seen == [3, [1, 2]]


def test_a_simple_rendering_is_quick(templates: Templates) -> None:
    # Not a figure: a guard against compiling each time, which takes a hundred times as long.
    templates.render("a {{ input.n }}", NAMES)
    began = time.thread_time()
    for _ in range(1000):
        templates.render("a {{ input.n }}", NAMES)
    assert time.thread_time() - began < 0.5


def test_a_filter_that_does_not_exist_is_guessed(templates: Templates) -> None:
    with pytest.raises(TemplateError, match="there is no filter 'sql_litteral'") as raised:
        templates.render("{{ input.path | sql_litteral }}", NAMES)
    assert raised.value.hint == "did you mean 'sql_literal'?"
