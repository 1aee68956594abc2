"""Which Python modules beside a cascade its code imports, so that they travel with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from windlass.model.cascade import Cascade
from windlass.model.files import FOUND
from windlass.model.kinds_work import PythonPhase, ToolPhase
from windlass.model.python_text import BadPython, imported_modules, parse
from windlass.model.references import references


def module_files(cascade: Cascade) -> list[tuple[str, Path]]:
    """(name relative to the folder, path) of the modules and packages it uses, and those that they use.

    A package with an `__init__.py` comes whole, as its modules may import each other relatively.
    """
    walk = _Walk(cascade)
    for name in _first_modules(cascade):
        walk.add_module(name)
    for code in _code(cascade):
        walk.add_imports(code)
    return sorted(walk.files.items())


def _first_modules(cascade: Cascade) -> Iterator[str]:
    """Modules that `python:mod.fn` names."""
    for reference in references(cascade):
        if reference.name.startswith("python:"):
            yield reference.name.removeprefix("python:").rpartition(".")[0]


def _code(cascade: Cascade) -> Iterator[str]:
    """The Python that stands in the cascade, and in the scripts it names."""
    for phase in cascade.phases:
        if isinstance(phase, PythonPhase):
            yield phase.python
        elif isinstance(phase, ToolPhase) and isinstance(phase.inputs.get("code"), str):
            yield phase.inputs["code"]
    for name, path in cascade.named_files:
        if name.endswith(".py"):
            yield _text(path)


class _Walk:
    """Follows imports from module to module, as far as they lie in the folders."""

    def __init__(self, cascade: Cascade) -> None:
        self.files: dict[str, Path] = {}
        self._bases = ([("", cascade.folder)] if cascade.folder else []) + [
            (FOUND + "/", base) for base in cascade.search
        ]
        self._seen: set[str] = set()

    def add_imports(self, code: str) -> None:
        """Adds the modules that a piece of code imports."""
        tree = parse(code)
        if isinstance(tree, BadPython):
            return
        pending = [tree]
        while pending:
            for name in imported_modules(pending.pop()):
                pending.extend(self._trees_of(name))

    def add_module(self, name: str) -> None:
        """Adds one module by its dotted name, with what it imports."""
        for tree in self._trees_of(name):
            for imported in imported_modules(tree):
                self.add_imports(f"import {imported}")

    def _trees_of(self, name: str) -> Iterator[ast.Module]:
        """The syntax trees of the files that a dotted name newly brings in."""
        if name in self._seen:
            return
        self._seen.add(name)
        for place, path in self._found(name.split(".")):
            if place in self.files:
                continue
            self.files[place] = path
            tree = parse(_text(path)) if path.suffix == ".py" else None
            if isinstance(tree, ast.Module):
                yield tree

    def _found(self, parts: list[str]) -> Iterator[tuple[str, Path]]:
        """The files of a dotted name, in the first folder that has its first part."""
        for prefix, base in self._bases:
            package = base / parts[0]
            if (package / "__init__.py").is_file():
                for path in sorted(package.rglob("*")):
                    if path.is_file() and "__pycache__" not in path.parts:
                        yield prefix + path.relative_to(base).as_posix(), path
                return
            for count in range(1, len(parts) + 1):
                path = base.joinpath(*parts[:count]).with_suffix(".py")
                if path.is_file():
                    yield prefix + path.relative_to(base).as_posix(), path
                    return


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
