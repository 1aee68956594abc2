"""The core loop: what runs next, what is committed, and where a session goes on."""

from windlass.runner.flow import first_phase
from windlass.runner.journal import Journal
from windlass.runner.keeper import Keeper
from windlass.runner.ledger import Ledger
from windlass.runner.parts import SessionParts, TimeBudget
from windlass.runner.replay import Position, base_before, base_for_retry, handled_signals, replay
from windlass.runner.report import report_snapshot, session_report
from windlass.runner.session import SessionRunner

__all__ = [
    "Journal",
    "Keeper",
    "Ledger",
    "Position",
    "SessionParts",
    "SessionRunner",
    "TimeBudget",
    "base_before",
    "base_for_retry",
    "first_phase",
    "handled_signals",
    "replay",
    "report_snapshot",
    "session_report",
]
