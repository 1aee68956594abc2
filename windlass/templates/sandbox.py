"""Jinja's sandbox with every door measured: operators, calls, filters, literals, loops and output.

The bounds are put in by rewriting the template's syntax tree before Jinja compiles it (loops,
literals, slices and concatenations become calls of our filters) and by Jinja's own hooks for the
rest. What a template may touch is a list of types and their attributes, not a list of exceptions.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import wraps
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.runtime import Context, LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Cycler, Namespace
from jinja2.visitor import NodeTransformer

from windlass.templates import guards
from windlass.templates.bounds import Meter
from windlass.templates.errors import Missing, TemplateError
from windlass.templates.filters import is_structural, standard_filters

_TEXT_METHODS = frozenset((
    "capitalize", "casefold", "center", "count", "endswith", "find", "format", "format_map",
    "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
    "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip",
    "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust",
    "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase",
    "title", "upper", "zfill",
))  # fmt: skip
_OPEN_OBJECT = frozenset(("get", "items", "keys", "values", "copy"))
_MOMENT_PARTS = frozenset((
    "year", "month", "day", "hour", "minute", "second", "microsecond", "date", "isoformat",
    "isoweekday", "weekday", "strftime", "timestamp",
))  # fmt: skip
# What may be touched of a value, by its type; None is everything that is not private.
_OPEN: Mapping[type, frozenset[str] | None] = {
    str: _TEXT_METHODS,
    dict: _OPEN_OBJECT,
    list: frozenset(("count", "index", "copy")),
    tuple: frozenset(("count", "index")),
    float: frozenset(("is_integer",)),
    date: _MOMENT_PARTS,
    LoopContext: None,
    Macro: None,
    Cycler: None,
    Namespace: None,
    Undefined: None,
}
_FORBIDDEN: Mapping[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.ScopedEvalContextModifier: "autoescape",
}


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox; one of it serves all threads, each with the meter of its own rendering."""

    # Binary operators whose result can be larger than both sides together.
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, *, comments: bool = True) -> None:
        # A comment mark that nobody writes takes comments away: shell text is full of `${#name}`.
        marks = {} if comments else {"comment_start_string": "{##", "comment_end_string": "##}"}
        # The optimizer would calculate constant expressions unmeasured, while it compiles.
        super().__init__(
            undefined=Missing, optimized=False, keep_trailing_newline=True, cache_size=0, **marks
        )
        self._thread = threading.local()
        self.finalize = _finalize
        self.filters = {
            "_each": self._each,
            "_made": self._made,
            "_concat": self._concat,
            "_method": self._method,
            **{name: self._bounded(name, each) for name, each in standard_filters(self.meter).items()},
        }
        self.tests = {name: self._ticking(each) for name, each in TESTS.items()}
        self.globals["range"] = guards.bounded_range
        del self.globals["lipsum"]  # nobody needs a million words of it
        self.concat = self._joined  # type: ignore[method-assign]  # Jinja's own hook

    def meter(self) -> Meter:
        """The meter of the rendering that runs in this thread."""
        meter: Meter = self._thread.meter
        return meter

    def metered(self, meter: Meter, action: Callable[[], Any]) -> Any:
        """Run `action`, which renders, under `meter`."""
        self._thread.meter = meter
        try:
            return action()
        finally:
            del self._thread.meter

    def add(self, left: Any, right: Any) -> Any:
        """`left + right`, measured."""
        return guards.binary(self.meter(), "+", left, right)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator in the template."""
        return guards.binary(self.meter(), operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call in the template: of a method, a macro, a loop or a global."""
        meter = self.meter()
        meter.tick()
        meter.look()
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            if obj.__name__ == "join" and len(args) == 1:
                args = (list(meter.each(args[0])),)
            guards.method(meter, owner, obj.__name__, args, kwargs)
        elif isinstance(owner, date) and obj.__name__ == "strftime":
            _guard_strftime(*args)
        return meter.made(super().call(context, obj, *args, **kwargs))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`; a key of an object goes before a method of the same name."""
        if isinstance(obj, dict):
            try:
                return obj[attribute]
            except KeyError:
                pass
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Only what is listed may be touched."""
        if attr.startswith("_"):
            return False
        for kind, allowed in _OPEN.items():
            if isinstance(obj, kind):
                return allowed is None or attr in allowed
        return False

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`text.format` and `format_map` with measured fields."""
        text = getattr(value, "__self__", None)
        name = getattr(value, "__name__", "")
        if not isinstance(text, str) or name not in ("format", "format_map"):
            return None

        def bounded_format(*args: Any, **kwargs: Any) -> str:
            fields = args[0] if name == "format_map" else kwargs
            formatter = guards.BoundedFormatter(self, self.meter())
            return formatter.vformat(text, () if name == "format_map" else args, fields)

        return bounded_format

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> Any:
        """Jinja's hook before code is made of a syntax tree."""
        return super()._generate(_Measures().visit(source), *args, **kwargs)

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The filter `name`: a step, its guard, and a measured result."""
        guard = guards.filter_guard(name)
        structural = is_structural(name)
        skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

        @wraps(function)
        def bounded(*args: Any, **kwargs: Any) -> Any:
            meter = self.meter()
            meter.tick()
            given = args[skipped:]
            if not structural:
                _check_text(meter, given, kwargs)
            if guard is not None:
                guard(meter, *given, **kwargs)
            return meter.made(function(*args, **kwargs))

        return bounded

    def _ticking(self, function: Any) -> Callable[..., Any]:
        @wraps(function)
        def ticking(*args: Any, **kwargs: Any) -> Any:
            self.meter().tick()
            return function(*args, **kwargs)

        return ticking

    def _each(self, items: Iterable[Any]) -> Iterable[Any]:
        return self.meter().each(items)

    def _made(self, value: Any) -> Any:
        return self.meter().made(value)

    def _method(self, value: Any, name: str) -> Any:
        return super().getattr(value, name)

    def _concat(self, values: list[Any]) -> str:
        meter = self.meter()
        text = meter.joined(meter.text(value) for value in values)
        meter.made(text)
        return text

    def _joined(self, parts: Iterable[str]) -> str:
        meter = self.meter()
        text = meter.joined(parts)
        meter.made(text)
        return text


class _Measures(NodeTransformer):
    """Rewrites a syntax tree so that whatever it makes or repeats goes through the meter."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        """Refuse what reaches for other templates, and go on into the parts."""
        word = _FORBIDDEN.get(type(node))
        if word:
            raise TemplateError(f"a template can't use {{% {word} %}} here", line=node.lineno)
        return super().generic_visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """A loop ticks."""
        self.generic_visit(node)
        node.iter = _through("_each", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """`a ~ b` joins measured texts."""
        self.generic_visit(node)
        return _through("_concat", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """A slice is a new value."""
        self.generic_visit(node)
        return _through("_made", node) if isinstance(node.arg, nodes.Slice) else node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        """`x.items()` means the method, whatever keys x has."""
        self.generic_visit(node)
        if isinstance(node.node, nodes.Getattr) and node.node.attr in _OPEN_OBJECT:
            name = nodes.Const(node.node.attr, lineno=node.lineno)
            node.node = nodes.Filter(node.node.node, "_method", [name], [], None, None, lineno=node.lineno)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        """A literal is a new value."""
        return _through("_made", self.generic_visit(node))

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        """A literal is a new value."""
        return _through("_made", self.generic_visit(node))

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        """A literal is a new value; a target of an assignment is not."""
        self.generic_visit(node)
        return node if node.ctx == "store" else _through("_made", node)


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@pass_context
def _finalize(context: Context, value: Any) -> str:
    """What stands in the output for a value between `{{ }}`."""
    environment = context.environment
    assert isinstance(environment, BoundedEnvironment)
    meter = environment.meter()
    return meter.text(value) if meter.place is None else meter.place(value)


def _check_text(meter: Meter, given: Iterable[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse values that are too large, or no values at all, before a filter makes text of them."""
    for value in (*given, *kwargs.values()):
        if isinstance(value, list | tuple | dict | Namespace | Macro):
            meter.expect(meter.measure(value, as_text=True))


def _guard_strftime(form: Any = "", *_: Any) -> None:
    """A width in a time format would be as wide as it says."""
    if isinstance(form, str) and any(letter.isdigit() for letter in form.replace("%%", "")):
        raise TemplateError("strftime takes no widths")
