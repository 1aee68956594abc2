"""The child's copy of the session's echo, and what authors' code sees of it."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Never

from windlass.records import Json, JsonObject


class Mirror:
    """Input, outputs and state as the worker's echo has them; it grows by changes."""

    def __init__(self, input_value: JsonObject | None = None) -> None:
        self.input: dict[str, Json] = dict(input_value or {})
        self.outputs: dict[str, Json] = {}
        self.state: dict[str, Json] = {}

    def apply(self, changes: Iterable[Sequence[Any]]) -> None:
        """Take over changes (part, name, value) in their order."""
        for part, name, value in changes:
            (self.outputs if part == "outputs" else self.state)[name] = value


class Copied(dict[str, Any]):
    """A dictionary whose values are copied when they are first taken, so that the original stays as it is.

    What was taken or set can be asked for: the cost of a phase follows what it uses, not what there is.
    """

    def __init__(self, source: Mapping[str, Any]) -> None:
        super().__init__(source)
        self._taken: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if key not in self._taken:
            self._taken.add(key)
            if isinstance(value, (dict, list)):
                value = copy.deepcopy(value)
                super().__setitem__(key, value)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._taken.add(key)
        super().__setitem__(key, value)

    def get(self, key: str, default: Any = None) -> Any:
        """As dict.get."""
        return self[key] if key in self else default  # noqa: SIM401  # dict.get is what this replaces

    def values(self) -> list[Any]:  # type: ignore[override]  # a view would hand out the originals
        """As dict.values, in a list."""
        return [self[key] for key in self]

    def items(self) -> list[tuple[str, Any]]:  # type: ignore[override]  # a view would hand out the originals
        """As dict.items, in a list."""
        return [(key, self[key]) for key in self]

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As dict.setdefault."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **named: Any) -> None:
        """As dict.update."""
        for key, value in dict(*others, **named).items():
            self[key] = value

    def __ior__(self, other: Any) -> "Copied":  # type: ignore[override,misc]  # as dict, in place
        self.update(other)
        return self

    def used(self) -> dict[str, Any]:
        """What was taken or set, with its present value."""
        return {key: dict.__getitem__(self, key) for key in self if key in self._taken}


class State(Copied):
    """The session's state: keys can be set, and not removed."""

    def _refuse(self, *_: Any) -> Never:
        raise TypeError("keys of the state can't be removed; set the key to None")

    __delitem__ = _refuse
    pop = _refuse
    popitem = _refuse
    clear = _refuse
