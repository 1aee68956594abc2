"""Text that became values, with the place of every key: what both readers (YAML, JSON) build.

The builder takes events (a mapping starts, a scalar, an alias …) and never recurses, so that a
file can't overflow the stack; an alias shares its value, and its size counts every time, so that
a file can't blow up in memory when the values are copied later.
"""

from dataclasses import dataclass, field
from typing import Any

from windlass.model.problems import KeyPath, Problem, path_text
from windlass.records import Json

# A cascade of 40 phases has about 1,000 values; 200,000 leaves room for data written inline.
NODES_MAX = 200_000
# People nest a dozen levels; a JSON Schema inside a cascade perhaps thirty.
DEPTH_MAX = 100
# Problems listed of one file: beyond this a reader starts over anyway.
PROBLEMS_MAX = 100


class Malformed(Exception):
    """The text can't be read any further; `problem` says where and why."""

    def __init__(self, line: int, column: int, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.line, self.column, self.message, self.suggestion = line, column, message, suggestion


@dataclass(slots=True)
class Spot:
    """Where a value stands: its key's line and column, from 1, and those of what it holds.

    Attributes:
        text_line: the line on which a text's own first line stands (one below a `|`).
        children: by key or index; None for a scalar.
    """

    line: int
    column: int
    text_line: int = 0
    children: "dict[str, Spot] | list[Spot] | None" = None

    def child(self, step: str | int) -> "Spot | None":
        """The spot of one key or index below this one."""
        if isinstance(self.children, dict):
            return self.children.get(str(step))
        if isinstance(self.children, list) and isinstance(step, int) and 0 <= step < len(self.children):
            return self.children[step]
        return None


@dataclass(slots=True)
class Document:
    """A file's values and where each stands."""

    source: str
    value: Json
    spot: Spot
    problems: list[Problem] = field(default_factory=list)

    def spot_at(self, path: KeyPath) -> Spot:
        """The spot of `path`, or of the deepest part of it that is written."""
        return self._follow(path)[1]

    def problem(self, path: KeyPath, message: str, suggestion: str = "", *, line: int = 0) -> Problem:
        """A problem at `path` (or at `line`, where the text of a value is wrong inside)."""
        written, spot = self._follow(path)
        place = (line, 1) if line else (spot.line, spot.column)
        return Problem(self.source, *place, path_text(written), message, suggestion)

    def _follow(self, path: KeyPath) -> tuple[KeyPath, Spot]:
        """As much of `path` as is written, and its spot."""
        spot = self.spot
        for depth, step in enumerate(path):
            below = spot.child(step)
            if below is None:
                return path[:depth], spot
            spot = below
        return path, spot


@dataclass(slots=True)
class _Frame:
    value: Any
    spot: Spot
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_at: tuple[int, int] = (0, 0)
    merges: list[tuple[Any, Spot]] = field(default_factory=list)


class Builder:
    """Makes a document out of a reader's events."""

    def __init__(self, source: str) -> None:
        self.problems: list[Problem] = []
        self.done: tuple[Json, Spot] | None = None
        self._source = source
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Json, Spot, int]] = {}

    @property
    def wants_key(self) -> bool:
        """True when the next thing must be a mapping's key or its end."""
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def key(self, name: str, line: int, column: int) -> None:
        """The next entry's key."""
        frame = self._stack[-1]
        frame.key, frame.key_at = name, (line, column)

    def scalar(
        self, value: Json, line: int, column: int, *, text_line: int = 0, anchor: str | None = None
    ) -> None:
        """A text, number, boolean or null."""
        spot = Spot(line, column, text_line or line)
        if anchor:
            self._anchors[anchor] = (value, spot, 1)
        self._add(value, spot, 1)

    def start(
        self, value: "dict[str, Any] | list[Any]", line: int, column: int, anchor: str | None = None
    ) -> None:
        """A mapping or list (given empty) begins."""
        if len(self._stack) >= DEPTH_MAX:
            raise Malformed(line, column, f"values are nested more than {DEPTH_MAX} levels deep")
        children: dict[str, Spot] | list[Spot] = {} if isinstance(value, dict) else []
        self._stack.append(_Frame(value, Spot(line, column, line, children), anchor))
        if anchor:
            self._anchors.pop(anchor, None)  # until it ends, an alias to it would be a loop

    def end(self) -> None:
        """The innermost mapping or list ends."""
        frame = self._stack.pop()
        for value, spot in frame.merges:
            _merge(frame, value, spot)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, frame.spot, frame.size)
        self._add(frame.value, frame.spot, frame.size)

    def alias(self, name: str, line: int, column: int) -> None:
        """A reference to an anchored value, which is shared and not copied."""
        if name not in self._anchors:
            raise Malformed(
                line,
                column,
                f"*{name} refers to an anchor that isn't complete here",
                f"write &{name} at a value that ends before this line",
            )
        value, spot, size = self._anchors[name]
        self._add(value, Spot(line, column, spot.text_line, spot.children), size)

    def _add(self, value: Json, spot: Spot, size: int) -> None:
        if not self._stack:
            self.done = (value, spot)
            return
        frame = self._stack[-1]
        frame.size += size
        if frame.size > NODES_MAX:
            raise Malformed(
                spot.line,
                spot.column,
                f"the file holds more than {NODES_MAX:,} values",
                "aliases count each time; keep data in a file of its own and name it under 'files'",
            )
        if isinstance(frame.value, list):
            frame.value.append(value)
            frame.spot.children.append(spot)  # type: ignore[union-attr]  # a list's frame has a list
            return
        self._add_entry(frame, value, spot)

    def _add_entry(self, frame: _Frame, value: Json, spot: Spot) -> None:
        name, (line, column) = frame.key, frame.key_at
        frame.key = None
        assert name is not None and isinstance(frame.spot.children, dict)
        if name == "<<":
            frame.merges.extend(_mergeable(value, spot))
            return
        if name in frame.value:
            first = frame.spot.children[name].line
            if len(self.problems) < PROBLEMS_MAX:
                path = path_text((*self._path(), name))
                message = f"the key '{name}' stands twice here"
                hint = f"remove one (the first is on line {first})"
                self.problems.append(Problem(self._source, line, column, path, message, hint))
            return
        spot.text_line = spot.text_line or spot.line
        frame.value[name] = value
        frame.spot.children[name] = Spot(line, column, spot.text_line, spot.children)

    def _path(self) -> KeyPath:
        """The path of the mapping or list that is being filled."""
        steps: list[str | int] = []
        for frame in self._stack[:-1]:
            steps.append(len(frame.value) if isinstance(frame.value, list) else frame.key or "")
        return tuple(steps)


def _mergeable(value: Json, spot: Spot) -> list[tuple[Any, Spot]]:
    """The mappings that a merge key brings, one or several."""
    if isinstance(value, dict):
        return [(value, spot)]
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        assert isinstance(spot.children, list)
        return list(zip(value, spot.children, strict=True))
    raise Malformed(
        spot.line, spot.column, "'<<' merges a mapping, or a list of mappings", "write '<<: *anchor'"
    )


def _merge(frame: _Frame, value: dict[str, Any], spot: Spot) -> None:
    """Adds the entries that the mapping doesn't have itself."""
    assert isinstance(frame.spot.children, dict) and isinstance(spot.children, dict)
    for name, item in value.items():
        if name not in frame.value:
            frame.value[name] = item
            frame.spot.children[name] = spot.children[name]
