"""The echo: what a running session knows, in memory.

It is folded from the session's history and grows by one entry a phase. Whoever mirrors it (the
session's child) asks only for what changed, so that a session of n phases costs O(n).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from windlass.records import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was learned: an output of a phase or a key of the state.

    Attributes:
        part: "outputs" or "state".
        name: the phase's name or the state's key.
        value: the new value.
    """

    part: str
    name: str
    value: Json


@dataclass(slots=True)
class Echo:
    """A session's input, the outputs and the state so far, and the order they came in.

    Only the session's own thread touches it. Values are JSON and must not be changed in place.

    Attributes:
        input: the session's input.
        outputs: output by phase name; a phase visited again replaces its output.
        state: what phases set by name.
        lineage: names of the phases that ended, in order.
    """

    input: JsonObject
    outputs: dict[str, Json] = field(default_factory=dict)
    state: dict[str, Json] = field(default_factory=dict)
    lineage: list[str] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)

    def learn(self, *, phase: str, output: Json, state: JsonObject) -> None:
        """Fold the end of a phase in: its output and the state it set."""
        self.lineage.append(phase)
        self._note(Change("outputs", phase, output))
        for name, value in state.items():
            self._note(Change("state", name, value))

    def changes_since(self, mark: int) -> tuple[Iterable[Change], int]:
        """What was learned after `mark` (0 for everything), and the mark to ask with next time."""
        return self._changes[mark:], len(self._changes)

    def _note(self, change: Change) -> None:
        target = self.outputs if change.part == "outputs" else self.state
        target[change.name] = change.value
        self._changes.append(change)
