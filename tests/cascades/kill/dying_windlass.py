"""`windlass`, killed with SIGKILL at one chosen moment of one chosen checkpoint row.

usage: dying_windlass.py MOMENT NUMBER windlass-arguments…

MOMENT is `before` (the row was not sent), `inserted` (the store has it, its owner was not told) or
`acknowledged` (its owner knows, and starts nothing more). NUMBER counts checkpoint rows from 1,
takeover rows and those of sub-cascades included.
"""

import os
import signal
import sys
from typing import Any

from windlass.runner.ledger import Ledger


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str, number: int) -> None:
    """Make the process die at `moment` of row `number`."""
    seen = 0
    send, settle = Ledger._send, Ledger.settle

    def dying_send(self: Ledger, row: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number and moment == "before":
            self.settle()  # rows of earlier pure phases are not the ones under test
            die()
        send(self, row)
        if seen == number and moment == "inserted":
            self._unacknowledged[-1].result()
            die()

    def dying_settle(self: Ledger, **options: Any) -> None:
        settle(self, **options)
        if seen >= number and moment == "acknowledged":
            die()

    Ledger._send, Ledger.settle = dying_send, dying_settle  # type: ignore[method-assign]


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["windlass", *sys.argv[3:]]
    from windlass.cli import main

    main()
