"""`Templates`: renders values, evaluates expressions, and asks conditions.

A string that is exactly one `{{ expression }}` becomes that expression's value with its type; any
other string becomes text. Text that holds neither `{{` nor `{%` is handed back untouched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, Undefined, nodes
from jinja2 import TemplateError as JinjaError

from windlass.clock import iso, now
from windlass.records import Json
from windlass.templates.bounds import Meter, in_units
from windlass.templates.errors import TemplateError, explain
from windlass.templates.filters import Raw
from windlass.templates.sandbox import BoundedEnvironment

# Compiled templates kept: a cascade of a hundred phases has a few hundred, at some 20 KB each.
_COMPILED_MAX = 512
# A template's own text, and the tags in it. Ten thousand tags compile in about a second.
_SOURCE_CHARS_MAX = 1 << 20
_TAGS_MAX = 10_000
# How deep lists and objects that hold templates may nest; YAML that people write has a dozen levels.
_DEPTH_MAX = 100

_JSON_TYPES = frozenset((str, int, float, bool, type(None), list, dict))

# Texts that mean no when a condition comes out as text, as `{{ input.enabled }}` may.
_NO = frozenset(("false", "0", "no", "none", "null", ""))

# Everything that a template's own mistakes raise. LookupError, ArithmeticError and ValueError bring
# their many subclasses; RuntimeError brings RecursionError.
_MISTAKES = (
    TemplateError,
    JinjaError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A template ready to run.

    Attributes:
        typed: it is one expression, whose value keeps its type.
        plain: that expression only reaches into what was given, so its value is JSON already.
        line_of: the template's line by line of compiled code.
    """

    template: Template
    typed: bool
    plain: bool
    line_of: Mapping[int, int]


class Templates:
    """Renders templates of authors, in any thread, within bounds.

    Args:
        environ: what `env` holds; only this, never the process's own environment.
        bytes_max: the largest text or value a template may make.
        seconds_max: processor time that one rendering may take.
    """

    def __init__(
        self, *, environ: Mapping[str, str], bytes_max: int = 8 << 20, seconds_max: float = 2.0
    ) -> None:
        self._environ = dict(environ)
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max
        self._environment = BoundedEnvironment()
        self._placing = BoundedEnvironment(comments=False)
        self._compiled = lru_cache(maxsize=_COMPILED_MAX)(self._compile)
        self._expressions = lru_cache(maxsize=_COMPILED_MAX)(self._compile_expression)
        self._placed = lru_cache(maxsize=_COMPILED_MAX)(self._compile_placed)

    def render(self, value: Json, names: Mapping[str, Json]) -> Json:
        """`value` with each string in it rendered; keys of objects stay as they are.

        Raises:
            TemplateError: a template is wrong or takes too much.
        """
        return self._render(value, names, 0)

    def render_text(self, text: str, names: Mapping[str, Json], *, place: Callable[[Json], str]) -> str:
        """`text` rendered as text, with `place` deciding what stands there for each value.

        A value that went through `| raw` is put in as it is. Comments are written `{## … ##}` here.

        Raises:
            TemplateError: the template is wrong or takes too much.
        """
        if not _has_tags(text):
            return text
        compiled = self._placed(text)

        def put(value: Any) -> str:
            return str(value) if isinstance(value, Raw) else place(_as_json(value))

        return str(self._run(self._placing, compiled, names, put))

    def evaluate(self, expression: str, names: Mapping[str, Json]) -> Json:
        """The value of a bare expression (`input.n > 3`) or of a template.

        Raises:
            TemplateError: it is wrong or takes too much.
        """
        if _has_tags(expression):
            return self._render(expression, names, 0)
        return self._run(self._environment, self._expressions(expression), names, None)

    def test(self, expression: str | bool, names: Mapping[str, Json]) -> bool:
        """Does the condition hold?

        Python's truth, but for texts that say no: false, 0, no, none, null and the empty text.

        Raises:
            TemplateError: it is wrong or takes too much.
        """
        if isinstance(expression, bool):
            return expression
        value = self.evaluate(expression, names)
        return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)

    def _render(self, value: Json, names: Mapping[str, Json], depth: int) -> Json:
        if depth > _DEPTH_MAX:
            raise TemplateError(f"a value with templates nests deeper than {_DEPTH_MAX} levels")
        if isinstance(value, str):
            if not _has_tags(value):
                return value
            return self._run(self._environment, self._compiled(value), names, None)
        if isinstance(value, Mapping):
            return {key: self._render(each, names, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._render(each, names, depth + 1) for each in value]
        return value

    def _run(
        self,
        environment: BoundedEnvironment,
        compiled: _Compiled,
        names: Mapping[str, Json],
        place: Callable[[Any], str] | None,
    ) -> Json:
        meter = Meter(bytes_max=self._bytes_max, seconds_max=self._seconds_max, place=place)
        template = compiled.template
        seen = {**names, "env": self._environ, "now": now(), "secret": _secret, "resource": _resource}

        def value_or_text() -> Json:
            context = template.new_context(seen)
            text = environment.concat(template.root_render_func(context))
            if not compiled.typed:
                return text
            value = context.vars["_value"]
            return value if compiled.plain and type(value) in _JSON_TYPES else _as_json(value)

        try:
            return environment.metered(meter, value_or_text)
        except _MISTAKES as error:
            raise explain(error, names=seen, line_of=compiled.line_of) from None

    def _compile(self, text: str) -> _Compiled:
        """A template; typed when it is exactly one expression."""
        with _Mistakes(text):
            expression = _only_expression(self._environment.parse(text.rstrip()))
            if expression is not None:
                return self._typed(expression)
            return _finish(self._environment.from_string(text), typed=False, plain=False)

    def _compile_expression(self, text: str) -> _Compiled:
        """A bare expression, as conditions are written."""
        with _Mistakes(text):
            expression = _only_expression(self._environment.parse("{{ " + text + "\n}}"))
            if expression is None:
                raise TemplateError(f"{text!r} is not one expression")
            return self._typed(expression)

    def _compile_placed(self, text: str) -> _Compiled:
        """A template that is text whatever it holds, with our own say on each value."""
        with _Mistakes(text):
            return _finish(self._placing.from_string(text), typed=False, plain=False)

    def _typed(self, expression: nodes.Expr) -> _Compiled:
        assign = nodes.Assign(nodes.Name("_value", "store", lineno=1), expression, lineno=expression.lineno)
        tree = nodes.Template([assign], lineno=1)
        return _finish(self._environment.from_string(tree), typed=True, plain=_is_path(expression))


class _Mistakes:
    """Turns what goes wrong while `text` is compiled into a `TemplateError`."""

    def __init__(self, text: str) -> None:
        if len(text) > _SOURCE_CHARS_MAX:
            raise TemplateError(f"a template is longer than {in_units(_SOURCE_CHARS_MAX)}")
        if text.count("{{") + text.count("{%") > _TAGS_MAX:
            raise TemplateError(f"a template has more than {_TAGS_MAX:,} tags")

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _MISTAKES):
            raise explain(error, names=(), line_of=None) from None


def _has_tags(text: str) -> bool:
    return "{{" in text or "{%" in text


def _finish(template: Template, *, typed: bool, plain: bool) -> _Compiled:
    # Jinja keeps pairs of (line of the template, line of the code).
    line_of = {code: line for line, code in template.debug_info}
    return _Compiled(template=template, typed=typed, plain=plain, line_of=line_of)


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    """The expression, when the template is one `{{ }}` and nothing else but white space."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = [
        each
        for each in tree.body[0].nodes
        if not (isinstance(each, nodes.TemplateData) and each.data.isspace())
    ]
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def _is_path(node: nodes.Node) -> bool:
    """Is it a part of what the session knows, by name or number: `outputs.tickets.rows[0]`?"""
    if isinstance(node, nodes.Name):
        return False  # the whole of `outputs` goes on growing, so it is copied
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            return False
        node = node.node
    return isinstance(node, nodes.Name) and node.name in ("input", "outputs", "state", "row", "item")


def _as_json(value: Any) -> Json:
    """`value` as JSON: tuples and ranges as lists, moments as ISO 8601."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | range) or hasattr(value, "__next__"):
        return [_as_json(each) for each in value]
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Undefined):
        str(value)  # raises, and says which name
    if hasattr(value, "mapping") or type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        return [_as_json(each) for each in value]
    raise TemplateError(
        f"the template's result is no value that JSON has: {type(value).__name__}",
        hint="was it meant to be called, with ()?" if callable(value) else "",
    )


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool | int | float):
        return str(key)
    raise TemplateError(f"an object's keys are texts; one is {type(key).__name__}")


def _secret(*_: Any, **__: Any) -> str:
    raise TemplateError("secret() is not built yet in this version", hint="use env, or an input")


def _resource(*_: Any, **__: Any) -> Json:
    raise TemplateError("resource() is not built yet in this version", hint="use env, or an input")
