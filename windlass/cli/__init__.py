"""The command line: arguments in, one call, text out."""

from windlass.cli.main import main

__all__ = ["main"]
