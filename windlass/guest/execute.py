"""Run an author's Python: the same in the session's child and, with `isolation: inline`, in the worker.

The code is compiled under the file name `<phase>` and known to `linecache`, so that a traceback shows
the author's own lines. It gets fresh globals each time and leaves its answer in `result`.
"""

import importlib
import json
import linecache
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from windlass.errors import AuthorError
from windlass.guest.mirror import Copied, Mirror, State
from windlass.guest.values import to_json
from windlass.records import Json

# Compiled texts kept, so that a phase in a loop is compiled once; a cascade has tens of phases.
COMPILED_MAX = 256
_UNSET = object()


@dataclass(frozen=True, slots=True)
class Ran:
    """What an author's code left.

    Attributes:
        value: what it set `result` to.
        is_set: False when it set nothing.
        state: keys of the state it set, as JSON.
    """

    value: Any
    is_set: bool
    state: dict[str, Json]


class Executor:
    """Compiles and runs code. One thread uses it.

    Args:
        search: folders put before Python's own on the module path while code runs.
    """

    def __init__(self, search: list[str]) -> None:
        self._search = [path for path in search if path]
        self._compiled: dict[tuple[str, str], CodeType] = {}

    def run(self, code: str, *, phase: str, names: Mapping[str, Any], mirror: Mirror) -> Ran:
        """Run `code` with the globals `names` besides input, outputs and state.

        Raises:
            BaseException: whatever the code raises, SystemExit included.
        """
        compiled = self._compile(code, phase)
        state = State(mirror.state)
        scope: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": __builtins__,
            "json": json,
            "input": Copied(mirror.input),
            "outputs": Copied(mirror.outputs),
            "state": state,
            **names,
        }
        exec(compiled, scope)  # noqa: S102  # running authors' code is what this is for
        given = scope["state"]
        if given is not state:
            if not isinstance(given, dict):
                raise AuthorError(f"state is now a {type(given).__name__}; set its keys instead")
            state.update(given)
        value = scope.get("result", _UNSET)
        is_set = value is not _UNSET
        return Ran(value if is_set else None, is_set, changed_state(state, mirror))

    def call(self, function: str, inputs: Mapping[str, Any]) -> Any:
        """Import `module.name` and call it with `inputs` by name.

        Raises:
            AuthorError: there is no such module or function.
            BaseException: whatever the function raises.
        """
        return find_function(function)(**inputs)

    def prepare(self) -> None:
        """Put the search folders first on the module path again, whatever the last code did to it."""
        if sys.path[: len(self._search)] != self._search:
            sys.path[:] = self._search + [path for path in sys.path if path not in self._search]

    def _compile(self, code: str, phase: str) -> CodeType:
        key = (phase, code)
        found = self._compiled.get(key)
        if found is None:
            if len(self._compiled) >= COMPILED_MAX:
                self._compiled.clear()
            name = f"<{phase}>"
            found = self._compiled[key] = compile(code, name, "exec", dont_inherit=True)
            linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        return found


def find_function(function: str) -> Callable[..., Any]:
    """The function `module.name`.

    Raises:
        AuthorError: there is no such module or function.
    """
    module_name, _, name = function.removeprefix("python:").rpartition(".")
    if not module_name:
        raise AuthorError(f"{function!r} names no function", hint="write module.function")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and not module_name.startswith(error.name):
            raise  # the author's module is there, and imports one that isn't
        raise AuthorError(
            f"there is no module {module_name}", hint="modules are looked for in the cascade's folder first"
        ) from None
    found = getattr(module, name, None)
    if not callable(found):
        names = sorted(
            key for key, value in vars(module).items() if callable(value) and not key.startswith("_")
        )
        raise AuthorError(
            f"{module_name} has no function {name}", hint=f"it has: {', '.join(names) or 'none'}"
        )
    return found  # type: ignore[no-any-return]


def changed_state(state: State, mirror: Mirror) -> dict[str, Json]:
    """Keys whose value is not what it was, as JSON.

    Raises:
        NotJson: a value is not JSON.
    """
    used = {key: to_json(value, f"state[{key!r}]") for key, value in state.used().items()}
    return {
        key: value for key, value in used.items() if key not in mirror.state or mirror.state[key] != value
    }
