"""What can be told of Python code without running it: is it valid, what it imports and defines."""

import ast
import warnings
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BadPython:
    """Code that is not Python: its line (from 1) and why."""

    line: int
    message: str


def parse(code: str) -> ast.Module | BadPython:
    """The code's syntax tree, or what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is its author's business when it runs
            return ast.parse(code)
    except SyntaxError as error:
        return BadPython(error.lineno or 1, error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return BadPython(1, str(error) or "the code is nested too deeply")


def imported_modules(tree: ast.Module) -> list[str]:
    """Dotted names of the modules that the code imports, anywhere in it, in order.

    `from a import b` gives both `a` and `a.b`, as b may be a module; relative imports give none.
    """
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(dict.fromkeys(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names[node.module] = None
            names.update(dict.fromkeys(f"{node.module}.{alias.name}" for alias in node.names))
    return list(names)


def defined_names(tree: ast.Module) -> set[str] | None:
    """What a module defines at its top level; None when that can't be told (star imports, `__getattr__`)."""
    names: set[str] = set()
    for node in ast.walk(ast.Module(body=_top_level(tree.body), type_ignores=[])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return None if "*" in names or "__getattr__" in names else names


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements, functions and classes without their bodies."""
    kept: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kept.append(ast.FunctionDef(name=node.name, args=_NO_ARGUMENTS, body=[], decorator_list=[]))
        elif isinstance(node, ast.ClassDef):
            kept.append(ast.ClassDef(name=node.name, bases=[], keywords=[], body=[], decorator_list=[]))
        else:
            kept.append(node)
    return kept


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
