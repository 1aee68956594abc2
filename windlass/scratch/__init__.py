"""The session's own DuckDB: opened confined, changed in one transaction a phase, saved and restored."""

from windlass.scratch.carry import framed, shown
from windlass.scratch.database import Made, Scratch
from windlass.scratch.errors import ScratchError
from windlass.scratch.statements import Statement, quote_name, redirect_copy, split_statements

__all__ = [
    "Made",
    "Scratch",
    "ScratchError",
    "Statement",
    "framed",
    "quote_name",
    "redirect_copy",
    "shown",
    "split_statements",
]
