"""The gates that are programs of their own, so that one command, pytest, is all that CI runs."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
GATE_S = 300  # mypy without its cache takes about a tenth of this on two busy cores

GATES = {
    "ruff finds no fault": ["-m", "ruff", "check"],
    "the code is formatted": ["-m", "ruff", "format", "--check"],
    "the types hold": ["-m", "mypy"],
    "imports point down": ["-c", "from importlinter.cli import lint_imports_command as main; main()"],
}


@pytest.mark.parametrize("gate", GATES)
def test_gate(gate):
    done = subprocess.run(
        [sys.executable, *GATES[gate]], cwd=REPOSITORY, capture_output=True, text=True, timeout=GATE_S
    )
    assert done.returncode == 0, f"not so: {gate}\n{done.stdout}{done.stderr}"
