"""The store room: everything the engine remembers, and the only room that speaks to ClickHouse."""

from windlass.store.claims import Attempt, Burnt, ClaimResult, Held, Lost
from windlass.store.faults import QueryRejected, StatementRefused
from windlass.store.hold import Holder, hold_folder
from windlass.store.read_only import Answer
from windlass.store.sessions import Listed, Page
from windlass.store.signals import Signal, Signals
from windlass.store.store import Snapshot, Store, open_store
from windlass.store.workers import Worker

__all__ = [
    "Signals",
    "Answer",
    "Attempt",
    "Burnt",
    "ClaimResult",
    "Held",
    "Holder",
    "Listed",
    "Lost",
    "Page",
    "QueryRejected",
    "Signal",
    "Snapshot",
    "StatementRefused",
    "Store",
    "Worker",
    "hold_folder",
    "open_store",
]
