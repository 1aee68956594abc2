"""Phases: each kind does one kind of work and returns one frozen outcome."""

from windlass.phases.contract import ChildSessions, Done, Failed, Outcome, PhaseContext, Stop
from windlass.phases.run import run_phase

__all__ = ["ChildSessions", "Done", "Failed", "Outcome", "PhaseContext", "Stop", "run_phase"]
