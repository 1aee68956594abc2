"""What a template's author is told, and how an undefined name is put into words."""

import difflib
import re
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.utils import missing

from windlass.errors import AuthorError

# How many of the names that exist a message lists; more than a dozen is a wall nobody reads.
_NAMES_SHOWN = 12

_NO_FILTER = re.compile(r"No filter named '(.+?)'")

# The file name that Jinja compiles templates under; frames that carry it are the author's lines.
TEMPLATE_FILE = "<template>"


class TemplateError(AuthorError):
    """A template is wrong, names what does not exist, or takes too much.

    Attributes:
        line: the 1-based line in the template, 0 where it is not known.
    """

    def __init__(self, message: str, *, hint: str = "", line: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.line = line

    def __str__(self) -> str:
        where = f" (line {self.line} of the template)" if self.line > 1 else ""
        return f"{self.message}{where}"


class Missing(StrictUndefined):
    """A name or key that does not exist; using it in any way but `is defined` says what does."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is missing:
            return f"{self._undefined_name!r} is undefined"
        return _no_such_part(self._undefined_obj, self._undefined_name)


def explain(
    error: BaseException, *, names: Iterable[str], line_of: Mapping[int, int] | None
) -> TemplateError:
    """`error`, raised while a template was compiled or rendered, as a `TemplateError`.

    Args:
        error: what was raised.
        names: the names that the template could have used.
        line_of: the template's line by line of the compiled code, or None before compilation.
    """
    line = getattr(error, "lineno", 0) or _template_line(error.__traceback__, line_of or {})
    if isinstance(error, TemplateError):
        error.line = error.line or line
        return error
    if isinstance(error, UndefinedError):
        return _explain_undefined(str(error.message), names, line)
    if isinstance(error, TemplateSyntaxError):
        return _explain_syntax(str(error.message), line)
    if isinstance(error, SecurityError):
        return TemplateError(
            str(error).rstrip("."), hint="templates see values, not what Python makes of them"
        )
    return TemplateError(_what_python_said(error), line=line)


def _what_python_said(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "the template is nested too deeply, or calls itself without end"
    if isinstance(error, MemoryError):
        return "the template needs more memory than there is"
    if isinstance(error, SyntaxError):
        return f"the template cannot be compiled: {error.msg}"
    return f"the template failed: {type(error).__name__}: {error}"


def closest(name: object, known: Iterable[object]) -> str:
    """The suggestion "did you mean 'x'?", or "" where nothing is near."""
    near = difflib.get_close_matches(str(name), [str(each) for each in known], n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def _explain_syntax(message: str, line: int) -> TemplateError:
    from windlass.templates.filters import FILTER_NAMES  # it imports this module

    unknown = _NO_FILTER.match(message)
    if unknown:
        return TemplateError(
            f"there is no filter {unknown[1]!r}", hint=closest(unknown[1], FILTER_NAMES), line=line
        )
    return TemplateError(
        f"the template cannot be read: {message}",
        hint="text that is no template but holds {{ or {% goes between {% raw %} and {% endraw %}",
        line=line,
    )


def _explain_undefined(message: str, names: Iterable[str], line: int) -> TemplateError:
    found = re.fullmatch(r"'(.+)' is undefined", message)
    if not found:
        return TemplateError(message, line=line)
    known = sorted(names)
    return TemplateError(
        f"{found[1]!r} is undefined: there is no such name here",
        hint=closest(found[1], known) or f"there are {_listed(known)}",
        line=line,
    )


def _no_such_part(owner: Any, name: Any) -> str:
    if isinstance(owner, Mapping):
        suggestion = closest(name, owner)
        rest = suggestion or (f"it has {_listed(owner)}" if owner else "it is empty")
        return f"{name!r} is undefined: the object has no such key; {rest}"
    if isinstance(owner, list | tuple) and isinstance(name, int):
        return f"[{name}] is undefined: the list has {len(owner)} items"
    kind = "null" if owner is None else f"a value of type {type(owner).__name__}"
    return f"{name!r} is undefined: {kind} has no such part"


def _listed(names: Iterable[object]) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _NAMES_SHOWN} more" if len(shown) > _NAMES_SHOWN else ""
    return ", ".join(shown[:_NAMES_SHOWN]) + more


def _template_line(trace: TracebackType | None, line_of: Mapping[int, int]) -> int:
    """The author's line: that of the innermost frame that is compiled template."""
    found = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == TEMPLATE_FILE:
            found = trace.tb_lineno
        trace = trace.tb_next
    below = [code_line for code_line in line_of if code_line <= found]
    return line_of[max(below)] if below else 0
