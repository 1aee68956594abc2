"""Rows leave the ledger in order and without gaps, and it waits for every one of them."""

from concurrent.futures import Future

import pytest

from windlass.errors import Interrupted, StoreUnavailable
from windlass.records import Checkpoint, RowKind
from windlass.runner import Ledger


class Rows:
    """Takes rows; acknowledges them when told."""

    def __init__(self, *, at_once: bool) -> None:
        self.rows: list[Checkpoint] = []
        self.futures: list[Future[None]] = []
        self._at_once = at_once

    def append(self, row: Checkpoint) -> "Future[None]":
        self.rows.append(row)
        future: Future[None] = Future()
        self.futures.append(future)
        if self._at_once:
            future.set_result(None)
        return future


def ledger_over(rows: Rows, *, limit_s: float = 5.0, stopped: bool = False) -> Ledger:
    def check() -> None:
        if stopped:
            raise Interrupted("asked to leave")

    return Ledger(checkpoints=rows, session_id="s", epoch=3, worker_id="w", ack_limit_s=limit_s, check=check)


def test_the_takeover_row_is_seq_zero_and_later_rows_count_on_without_gaps() -> None:
    rows = Rows(at_once=True)
    ledger = ledger_over(rows)
    ledger.take_over(base=(2, 7), reason="resumed")
    ledger.append(RowKind.PHASE, {}, phase="a", visit=1)
    ledger.append(RowKind.END, {})
    assert [(row.epoch, row.seq, row.kind) for row in rows.rows] == [
        (3, 0, RowKind.TAKEOVER),
        (3, 1, RowKind.PHASE),
        (3, 2, RowKind.END),
    ]
    assert (rows.rows[0].base_epoch, rows.rows[0].base_seq) == (2, 7)


def test_settle_does_not_return_before_every_row_is_acknowledged() -> None:
    rows = Rows(at_once=False)
    ledger = ledger_over(rows, limit_s=0.3)
    ledger.append(RowKind.PHASE, {})
    ledger.append(RowKind.PHASE, {})
    rows.futures[0].set_result(None)
    with pytest.raises(StoreUnavailable, match="has not acknowledged"):
        ledger.settle()
    rows.futures[1].set_result(None)
    ledger.settle()


def test_a_wait_for_the_store_can_be_interrupted_but_not_that_of_the_last_row() -> None:
    rows = Rows(at_once=False)
    ledger = ledger_over(rows, limit_s=0.3, stopped=True)
    ledger.append(RowKind.PHASE, {})
    with pytest.raises(Interrupted):
        ledger.settle()
    with pytest.raises(StoreUnavailable):
        ledger.settle(stoppable=False)


def test_a_row_that_the_store_refuses_is_told_to_its_owner() -> None:
    rows = Rows(at_once=False)
    ledger = ledger_over(rows)
    ledger.append(RowKind.PHASE, {})
    rows.futures[0].set_exception(ValueError("refused"))
    with pytest.raises(ValueError, match="refused"):
        ledger.settle()
