"""Templates that try to fill the worker's memory or time; each must fail at once, and alone."""

import resource
import time

import pytest

from windlass.templates import TemplateError, Templates

NAMES = {
    "input": {"text": "y" * 100_000, "rows": [{"a": i, "t": "x" * 100} for i in range(1000)]},
}
# What a rendering may add to the process at its worst: the 128 MiB it may make, and some for Python.
GROWTH_KB_MAX = 220 * 1024

DOUBLING = "{% set ns = namespace(x=START) %}{% for a in range(100) %}{% set ns.x = STEP %}{% endfor %}"


def doubling(start: str, step: str, end: str = "") -> str:
    return DOUBLING.replace("START", start).replace("STEP", step) + end


BOMBS = [
    "{{ 'x' * 10**10 }}",
    "{{ [1] * 10**9 }}",
    "{{ 10 ** 1000000 }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ '%.999999999f' % 1 }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ ('%s' * 1000) % ((input.text,) * 1000) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ '{:{}}'.format(1, 999999999) }}",
    "{{ '{x:>{w}}'.format(x=1, w=10**9) }}",
    "{{ ('{0}' * 1000).format(input.text) }}",
    "{{ '{a:>999999999}'.format_map({'a': 1}) }}",
    "{{ 'x' | center(10**10) }}",
    "{{ 'x'.center(10**10) }}",
    "{{ 'x'.ljust(10**10) }}",
    "{{ '1'.zfill(10**10) }}",
    "{{ 'x'.expandtabs(10**9) }}",
    "{{ input.text | replace('y', 'z' * 10000) }}",
    "{{ input.text.replace('', 'z' * 10000) }}",
    "{{ input.text | indent(10**9) }}",
    "{{ input.text.join(['a'] * 100000) }}",
    "{{ (['a'] * 100000) | join(input.text) }}",
    "{{ input.rows | map(attribute='t') | join(input.text) }}",
    "{{ [1, 2, 3] | batch(10**9, 'x') | list }}",
    "{{ [1, 2, 3] | slice(10**9) | list }}",
    "{{ 1.5 | round(10**9, 'ceil') }}",
    "{{ range(10**9) | list }}",
    "{{ (['a'] * 100000) | map('center', 1000000) | list }}",
    "{{ range(100000) | select('in', range(100000) | list) | list }}",
    "{{ (range(50000) | batch(1) | list) | sum(start=[]) }}",
    "{{ (input.text * 50) | wordwrap(1) }}",
    "{{ (input.text * 50) | urlize }}",
    "{{ ('a b ' * 2000000).split() }}",
    "{{ ('f' * 7000000) | int(base=16) }}",
    "{{ input.rows | tojson(indent=10**9) }}",
    "{{ ('[' ~ '[],' * 2000000 ~ '0]') | fromjson }}",
    "{{ ('[' * 100000) | fromjson }}",
    "{{ now.strftime('%999999999Y') }}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) if a is string %}{% else %}{% endfor %}" * 20,
    "{% for a in range(100000) %}{{ input.text }}{% endfor %}",
    "{% macro m() %}{% for a in range(100000) %}{{ input.text }}{% endfor %}{% endmacro %}{{ m() }}",
    "{% macro m() %}{% for a in range(100000) %}" + "x" * 1000 + "{% endfor %}{% endmacro %}{{ m() }}",
    "{% set q %}{% for a in range(100000) %}" + "x" * 1000 + "{% endfor %}{% endset %}",
    "{% filter upper %}{% for a in range(100000) %}" + "x" * 1000 + "{% endfor %}{% endfilter %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% for a in range(99999) recursive %}{{ loop(range(99999)) if loop.depth < 3 }}{% endfor %}",
    doubling("'xxxx'", "ns.x ~ ns.x"),
    doubling("'xxxx'", "ns.x + ns.x"),
    doubling("[1]", "[ns.x, ns.x]", "{{ ns.x }}"),
    doubling("[1]", "[ns.x, ns.x]", "{{ ns.x == ns.x[:] }}"),
    doubling("{}", "{'a': ns.x, 'b': ns.x}", "{{ ns.x | tojson }}"),
    doubling("{}", "dict(a=ns.x, b=ns.x)", "{{ ns.x | tojson }}"),
    doubling("namespace()", "namespace(a=ns.x, b=ns.x)", "{{ ns.x }}"),
    doubling("namespace()", "namespace(a=ns.x, b=ns.x)", "{{ ns.x | string }}"),
    doubling("namespace()", "namespace(a=ns.x, b=ns.x)", "{{ [ns.x] | pprint }}"),
    doubling("namespace()", "namespace(a=ns.x, b=ns.x)", "{{ '%s' % ns.x }}"),
    doubling("3", "ns.x * ns.x"),
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "1+" * 20000 + "1 }}",
    "{{ x" + ".a" * 5000 + " }}",
    "{{ 1 }}" * 20000,
    "{{ 1 }}" + " " * 2_000_000,
]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb[:50])
def test_a_bomb_fails_soon_and_small(bomb: str) -> None:
    templates = Templates(environ={}, seconds_max=0.5)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.thread_time()
    with pytest.raises(TemplateError):
        templates.render(bomb, NAMES)
    assert time.thread_time() - began < 1.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb < GROWTH_KB_MAX


def test_a_rendering_that_failed_leaves_the_next_one_all_its_room() -> None:
    templates = Templates(environ={})
    for _ in range(3):
        with pytest.raises(TemplateError):
            templates.render("{{ 'x' * 10**10 }}", NAMES)
        assert len(templates.render("{{ 'x' * 8000000 }}", NAMES)) == 8_000_000


def test_the_limits_are_settings() -> None:
    with pytest.raises(TemplateError, match="longer than 1 KiB"):
        Templates(environ={}, bytes_max=1024).render("{% for a in range(200) %}12345678{% endfor %}", {})
    with pytest.raises(TemplateError, match=r"more than 0\.05 s"):
        Templates(environ={}, seconds_max=0.05).render(BOMBS[47], NAMES)
