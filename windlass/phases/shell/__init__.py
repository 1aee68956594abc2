"""`shell`: a Bash script whose values can't become commands."""

from windlass.phases.shell.phase import run_shell

__all__ = ["run_shell"]
