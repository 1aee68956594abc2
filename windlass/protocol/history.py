"""One history out of the rows of many epochs.

A session may be owned by one worker after another, and a worker that lost it may still have
rows in flight. What happened is decided by the rows alone:

    epoch 1   T 1 2 3 4          T  takeover row, seq 0: (base epoch, base seq)
    epoch 2         T(1,3) 1 2   n  a row with that seq
    epoch 3                      the history is 1.1 1.2 1.3 2.1 2.2; row 1.4 does not exist

Rules (each was broken once in the simulation, and each has a test):

* An epoch counts only if its takeover row is there.
* Within an epoch the rows count up to the first missing seq.
* The history is read from the highest epoch that counts down: its rows, then those of its base
  up to the base's seq, and so on. What is off that path does not exist, terminal rows included.
* Of several copies of one (epoch, seq) one is taken: they are resends of the same row.

Failure: a row may arrive at any later time. It then extends its own epoch, which changes the
history only if no later epoch adopted less. That is why an owner starts nothing before its
takeover row stands, and why readers ask `is_settled` before they tell anybody.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from windlass.records import Checkpoint, RowKind


@dataclass(frozen=True, slots=True)
class History:
    """The rows that count, oldest first, without takeover rows.

    Attributes:
        rows: the adopted rows in order.
        epoch: the highest epoch that has a takeover row, 0 when there is none.
        tip: (epoch, seq) of the last row of that epoch, its takeover row included.
        takeovers: the takeover rows on the path, oldest first.
    """

    rows: tuple[Checkpoint, ...]
    epoch: int
    tip: tuple[int, int]
    takeovers: tuple[Checkpoint, ...] = ()

    @property
    def last(self) -> Checkpoint | None:
        """The newest row that counts, or None before the first."""
        return self.rows[-1] if self.rows else None

    @property
    def end(self) -> Checkpoint | None:
        """The terminal row, or None while the session is not over."""
        return self.last if self.last and self.last.kind is RowKind.END else None

    def is_settled(self, highest_claim: int) -> bool:
        """May a reader tell this? Only when the highest claimed epoch has its takeover row.

        Args:
            highest_claim: the highest epoch claimed, read together with the rows or after them.
        """
        return self.epoch == highest_claim


def read_history(rows: Iterable[Checkpoint]) -> History:
    """The one history that `rows` (any order, copies allowed) tell."""
    by_epoch: dict[int, dict[int, Checkpoint]] = {}
    for row in rows:
        by_epoch.setdefault(row.epoch, {}).setdefault(row.seq, row)
    epoch = max((number for number, found in by_epoch.items() if 0 in found), default=0)
    if epoch == 0:
        return History(rows=(), epoch=0, tip=(0, 0))
    last = _gapless_end(by_epoch[epoch])
    tip = (epoch, last)
    path: list[Checkpoint] = []
    takeovers: list[Checkpoint] = []
    while epoch:
        found = by_epoch.get(epoch, {})
        path.extend(found[seq] for seq in range(min(last, _gapless_end(found)), 0, -1))
        if 0 not in found:
            break
        takeovers.append(found[0])
        assert found[0].base_epoch < epoch, "a takeover row adopts an earlier epoch"
        epoch, last = found[0].base_epoch, found[0].base_seq
    return History(rows=tuple(reversed(path)), epoch=tip[0], tip=tip, takeovers=tuple(reversed(takeovers)))


def _gapless_end(found: dict[int, Checkpoint]) -> int:
    """The last seq before the first gap, counting from 0."""
    seq = 0
    while seq + 1 in found:
        seq += 1
    return seq
