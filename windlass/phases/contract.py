"""The only door between a phase and the runner: what a phase is given and what it gives back.

A phase does one kind of work and returns. It decides nothing about what runs next, writes no
checkpoint and knows no store; the runner commits what it returns.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from windlass.clock import boot_s
from windlass.config import Settings
from windlass.echo import Echo
from windlass.errors import Cancelled, Interrupted
from windlass.guest import Guest, InlinePython
from windlass.model import Cascade, Phase
from windlass.records import Failure, Json, JsonObject, SavedFile, SavedObject
from windlass.templates import Templates


@dataclass(frozen=True, slots=True)
class Done:
    """The phase did its work.

    Attributes:
        output: its value, JSON.
        route: what its result says of the way on (`_route`), "" when it says nothing.
        state: keys of the session's state it sets.
        saved: what it left in the scratch, as files that the runner stores.
        files: artifacts it made.
    """

    output: Json
    route: str = ""
    state: JsonObject = field(default_factory=dict)
    saved: tuple[SavedObject, ...] = ()
    files: tuple[SavedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The phase did not do its work; nothing of it remains."""

    failure: Failure


Outcome: TypeAlias = Done | Failed


class Stop:
    """Says to running work that it must end: a cancel, or a process that is asked to leave.

    Set from any thread, read by the session's own. The first reason stays. What stops a worker or a
    parent stops all below it, and not the other way round.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._reason: Cancelled | Interrupted | None = None
        self._below: list[Stop] = []
        self._lock = threading.Lock()

    def set(self, reason: Cancelled | Interrupted) -> None:
        """Ask for the end; `reason` is what the work will raise."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
            below = list(self._below)
        self.event.set()
        for stop in below:
            stop.set(reason)

    @contextmanager
    def below(self) -> Iterator["Stop"]:
        """A stop of its own for one session; it is set when this one is."""
        stop = Stop()
        with self._lock:
            self._below.append(stop)
            reason = self._reason
        if reason is not None:
            stop.set(reason)
        try:
            yield stop
        finally:
            with self._lock:
                self._below.remove(stop)

    def check(self) -> None:
        """Raise the reason if the end was asked for.

        Raises:
            Cancelled, Interrupted: whichever was set first.
        """
        if self._reason is not None:
            raise self._reason


class ChildSessions(Protocol):
    """Runs a sub-cascade as a session of its own."""

    def run(self, *, cascade: Path, input: JsonObject, phase: str, visit: int, attempt: int) -> Outcome:
        """Run (or take up again) the child session of this phase and visit to its end.

        Returns:
            Done with {session_id, status, result, outputs, state} of the child, or Failed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseContext:
    """What one try of one phase is given.

    Attributes:
        visit: which visit of this phase, from 1.
        attempt: which try of this visit, from 1.
        inline: runs Python of phases that ask for `isolation: inline`.
        deadline_s: when it must be done, on `clock.boot_s`, or None.
        error: the failure that led here, for handler phases.
    """

    session_id: str
    cascade: Cascade
    phase: Phase
    visit: int
    attempt: int
    echo: Echo
    templates: Templates
    guest: Guest
    settings: Settings
    stop: Stop
    children: ChildSessions
    inline: InlinePython | None = None
    deadline_s: float | None = None
    error: Failure | None = None

    @property
    def idempotency_key(self) -> str:
        """The same on every attempt of this visit: `session:phase:visit`."""
        return f"{self.session_id}:{self.phase.name}:{self.visit}"

    @property
    def left_s(self) -> float | None:
        """Seconds until the deadline (never below 0), or None where there is none."""
        return None if self.deadline_s is None else max(0.0, self.deadline_s - boot_s())

    @property
    def names(self) -> Mapping[str, Json]:
        """What templates and conditions of this phase see."""
        return {
            "input": self.echo.input,
            "outputs": self.echo.outputs,
            "state": _TemplateState(self.echo),
            "lineage": self.echo.lineage,
            "error": self.error.as_json() if self.error else None,
            "session_id": self.session_id,
            "idempotency_key": self.idempotency_key,
            "attempt": self.attempt,
        }

    def render(self, value: Json) -> Json:
        """`value` with every template in it rendered; values that are no text keep their type.

        Raises:
            TemplateError: a template is wrong or takes too much.
        """
        return self.templates.render(value, self.names)


class _TemplateState(dict[str, Json]):
    """The state, with `output_<phase>` for each output as the first Windlass had it."""

    def __init__(self, echo: Echo) -> None:
        super().__init__(echo.state)
        self._outputs = echo.outputs

    def __missing__(self, key: str) -> Json:
        name = key.removeprefix("output_")
        if name != key and name in self._outputs:
            return self._outputs[name]
        raise KeyError(key)
