"""What comes next: a pure decision over the cascade, the phase that ended and how it ended.

Order of rules, first that applies wins:

1. A failed phase goes to its `on_error` phase, or on as if done with `on_error: continue`.
2. `routing` maps what the result says (`_route`) or a condition to a phase, or to its default.
3. `handoffs`: the only one, or the one that the result names.
4. A phase that something names as a target, and that has neither, ends the session there: a
   branch never falls through into its sibling.
5. Otherwise the next phase of the file that nothing names as a target.
"""

from collections.abc import Mapping
from typing import Protocol

from windlass.errors import AuthorError
from windlass.model import Cascade, Phase
from windlass.records import Json


class Conditions(Protocol):
    """Whatever can say if a condition holds."""

    def test(self, expression: str | bool, names: Mapping[str, Json]) -> bool:
        """Is `expression` true where `names` are known?"""


class RouteError(AuthorError):
    """The result names no way on, or one that does not exist."""


def first_phase(cascade: Cascade) -> str:
    """The phase a new session starts with: the first of the file that nothing names as a target.

    A file whose phases are all targets starts with its first.
    """
    for phase in cascade.phases:
        if phase.name not in cascade.targets:
            return phase.name
    return cascade.phases[0].name


def after_done(
    cascade: Cascade, phase: Phase, *, route: str, conditions: Conditions, names: Mapping[str, Json]
) -> str | None:
    """The phase after `phase` was done, or None at the end.

    Args:
        route: what the result says, "" for nothing.
        names: what the conditions of `routing` see, the phase's own output included.

    Raises:
        RouteError: rules 2 or 3 apply and the result names no way that exists.
    """
    if phase.routing is not None:
        return _routed(phase, route=route, conditions=conditions, names=names)
    if phase.handoffs:
        return _handed_off(phase, route=route)
    return _in_order(cascade, phase)


def after_skipped(cascade: Cascade, phase: Phase) -> str | None:
    """The phase after `phase` was skipped: its default or only way on, else file order."""
    if phase.routing is not None:
        return phase.routing.default
    if len(phase.handoffs) == 1:
        return phase.handoffs[0].target
    return _in_order(cascade, phase)


def after_failed(cascade: Cascade, phase: Phase) -> str | None:
    """The phase that handles the failure of `phase`, or None when it fails the session."""
    if phase.on_error is None:
        return None
    if phase.on_error.phase is not None:
        return phase.on_error.phase
    return after_skipped(cascade, phase) if phase.on_error.continues else None


def is_handled(phase: Phase) -> bool:
    """Does a failure of `phase` leave the session running?"""
    return phase.on_error is not None and (phase.on_error.phase is not None or phase.on_error.continues)


def _routed(phase: Phase, *, route: str, conditions: Conditions, names: Mapping[str, Json]) -> str | None:
    routing = phase.routing
    if routing is None:
        raise AssertionError("only asked for phases that have routing")
    for way in routing.routes:
        if way.value is not None and way.value == route:
            return way.target
        if way.when is not None and conditions.test(way.when, names):
            return way.target
    if routing.default is not None:
        return routing.default
    known = ", ".join(repr(way.value) for way in routing.routes if way.value is not None) or "conditions only"
    said = f"says _route: {route!r}" if route else "names no _route"
    raise RouteError(
        f"the result of {phase.name} {said}, and its routing has no such way ({known}) and no default",
        hint="set result['_route'] to one of them, or add a `default` to routing",
    )


def _handed_off(phase: Phase, *, route: str) -> str:
    targets = [handoff.target for handoff in phase.handoffs]
    if route in targets:
        return route
    if route:
        known = ", ".join(targets)
        raise RouteError(
            f"the result of {phase.name} says _route: {route!r}, which is not among its handoffs ({known})",
            hint="set result['_route'] to one of them",
        )
    if len(targets) == 1:
        return targets[0]
    raise RouteError(
        f"{phase.name} has {len(targets)} handoffs ({', '.join(targets)}) and its result chooses none",
        hint="set result['_route'] to one of them, or use `routing` with a default",
    )


def _in_order(cascade: Cascade, phase: Phase) -> str | None:
    targets = cascade.targets
    if phase.name in targets:
        return None
    for at in range(phase.index + 1, len(cascade.phases)):
        if cascade.phases[at].name not in targets:
            return cascade.phases[at].name
    return None
