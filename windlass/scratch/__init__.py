"""The session's own DuckDB: opened confined, changed in one transaction a phase, saved and restored."""

from windlass.scratch.database import Made, Scratch
from windlass.scratch.errors import ScratchError
from windlass.scratch.statements import Statement, quote_name, split_statements

__all__ = ["Made", "Scratch", "ScratchError", "Statement", "quote_name", "split_statements"]
