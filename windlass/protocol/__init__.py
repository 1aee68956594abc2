"""The coordination protocol's pure part: values in, values out, no store and no clock."""

from windlass.protocol.history import History, read_history

__all__ = ["History", "read_history"]
