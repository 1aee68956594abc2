"""The group-commit writer: many callers' rows, one insert per table at a time.

Two lanes, each with a thread of its own, so that logs never delay what must be durable:

    append(table, rows) ─▶ durable lane ─▶ acknowledged ─▶ the caller's future is done
    log(table, row)     ─▶ log lane     ─▶ acknowledged     (nobody waits for it)

A lane:

            ┌────────────── rows gather while a batch is in flight ◀────────────┐
    idle ──▶ take all that wait (bounded) ──▶ send ──acknowledged──▶ futures ────┘
                                               │ ▲
                                 fate unknown ─┘ └─ the identical bytes, after a pause
                                               └─refused─▶ each caller's rows alone ──▶ who is refused, fails

The durable lane has no timer: a batch starts when the one before it is done. So an idle lane costs one
insert, and under load batches grow by themselves. Nobody waits for logs, so their lane lets them gather
for `_GATHER_S` first: otherwise every phase would cost the engine a second insert.

Invariants:

* A future is done only when all rows of its append are acknowledged. It fails only when the store
  understood the rows and will never take them, or when closing gave up.
* Rows of one table keep the order of their appends across batches.
* At most `rows_max` rows and `_BYTES_MAX` bytes wait in a lane; who brings more, waits.
* A batch whose fate is unknown is sent again as the identical bytes until it is acknowledged; it is
  never dropped and never replaced.

Failure: a batch that landed and was not acknowledged lands twice. Every row has an identity (a
session's id, an (epoch, seq), a chunk's number), by which readers take one of the copies. Batches carry
no deduplication token on purpose: a token that outlives a crash of the server (a burnt token)
answers success for rows that are not there.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from windlass.errors import StoreUnavailable, WindlassError
from windlass.store.database import Database, Pauses, insert_statement
from windlass.store.rows import Row, encode_row

# Of one insert: about what the engine takes in 50 ms, so that a full batch delays the next one little.
_BATCH_ROWS_MAX = 5_000
_BATCH_BYTES_MAX = 8 * 1024 * 1024
# Waiting in one lane, beside the setting for rows: 64 of the largest bodies that are usual, of 1 MiB.
_BYTES_MAX = 64 * 1024 * 1024
# How long log rows gather. Short enough for `windlass logs -f`, which looks twice a second, and long enough
# that a session of light phases makes a few inserts a second instead of hundreds.
_GATHER_S = 0.25
# How long closing waits for what is queued, when the store does not answer.
CLOSE_S_MAX = 20.0


@dataclass(slots=True)
class _Entry:
    """One append: rows of one table, encoded, and who waits for them."""

    table: str
    columns: tuple[str, ...]
    body: bytes
    rows: int
    done: "Future[None]" = field(default_factory=Future)


class Writer:
    """Takes rows from any thread. Owns two threads, which end at `close`.

    Args:
        database: where the rows go.
        rows_max: rows that may wait in each lane before producers wait.
    """

    def __init__(self, database: Database, *, rows_max: int) -> None:
        self._durable = _Lane(database, name="durable", rows_max=rows_max, gather_s=0.0)
        self._logs = _Lane(database, name="logs", rows_max=rows_max, gather_s=_GATHER_S)

    def append(self, table: str, rows: Sequence[Row]) -> "Future[None]":
        """Queue rows that must be kept; the future is done when they are.

        Waits while the lane is full.

        Args:
            table: its name.
            rows: at least one, all with the same columns.

        Raises:
            AuthorError, TypeError: a row holds what no column can.
            StoreUnavailable: the writer is closed.
        """
        return self._durable.put(_entry(table, rows))

    def log(self, table: str, row: Row) -> None:
        """Queue a row that nobody waits for. Waits only while the lane is full."""
        self._logs.put(_entry(table, [row]))

    def flush(self, *, limit_s: float = CLOSE_S_MAX) -> bool:
        """Wait until all that is queued now is acknowledged; False when `limit_s` was too short."""
        deadline = time.monotonic() + limit_s
        return all([lane.flush(deadline) for lane in (self._durable, self._logs)])

    def close(self, *, limit_s: float = CLOSE_S_MAX) -> bool:
        """Flush, end the threads, and fail what could not be sent. Idempotent; False when rows were left."""
        deadline = time.monotonic() + limit_s
        return all([lane.close(deadline) for lane in (self._durable, self._logs)])


class _Lane:
    """A bounded queue and the thread that empties it."""

    def __init__(self, database: Database, *, name: str, rows_max: int, gather_s: float) -> None:
        self._database = database
        self._rows_max = rows_max
        self._gather_s = gather_s
        self._flushing = 0
        self._condition = threading.Condition()
        self._waiting: deque[_Entry] = deque()
        self._rows = 0
        self._bytes = 0
        self._in_flight = False
        self._closing = False
        self._give_up = threading.Event()
        self._name = f"store-writer-{name}"
        self._thread: threading.Thread | None = None

    def put(self, entry: _Entry) -> "Future[None]":
        with self._condition:
            # What is larger than the whole bound goes in when nothing else waits.
            while self._rows and not self._closing and self._is_full(entry):
                self._condition.wait()
            if self._closing:
                raise StoreUnavailable("the store is closed")
            self._waiting.append(entry)
            self._rows += entry.rows
            self._bytes += len(entry.body)
            # A lane that gathers is woken for the first row and for a full batch, not for each.
            is_due = len(self._waiting) == 1 or self._is_batch
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            if is_due:
                self._condition.notify_all()
        return entry.done

    def flush(self, deadline: float) -> bool:
        with self._condition:
            self._flushing += 1
            self._condition.notify_all()
            try:
                while self._rows or self._in_flight:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        return False
                    self._condition.wait(left_s)
            finally:
                self._flushing -= 1
        return True

    def close(self, deadline: float) -> bool:
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        is_empty = self.flush(deadline)
        self._give_up.set()
        if self._thread is not None:
            # After giving up, the thread ends with the statement that it is in; that has its own limit.
            self._thread.join(timeout=max(1.0, deadline - time.monotonic()))
        return is_empty

    def _is_full(self, entry: _Entry) -> bool:
        return self._rows + entry.rows > self._rows_max or self._bytes + len(entry.body) > _BYTES_MAX

    def _loop(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._closing:
                    self._condition.wait()
                if not self._waiting:
                    return
                self._gather()
                batch = self._take()
                self._in_flight = True
                self._condition.notify_all()
            for group in _by_table(batch):
                self._send(group)
            with self._condition:
                self._in_flight = False
                self._condition.notify_all()

    @property
    def _is_batch(self) -> bool:
        rows_max = min(_BATCH_ROWS_MAX, self._rows_max)
        return self._rows >= rows_max or self._bytes >= _BATCH_BYTES_MAX

    def _gather(self) -> None:
        """Let rows come together for a moment, unless somebody waits for them."""
        end = time.monotonic() + self._gather_s
        while not (self._closing or self._flushing or self._is_batch):
            left_s = end - time.monotonic()
            if left_s <= 0:
                return
            self._condition.wait(left_s)

    def _take(self) -> list[_Entry]:
        """What goes next: at least one entry, at most a batch."""
        batch: list[_Entry] = []
        rows = size = 0
        while self._waiting:
            entry = self._waiting[0]
            if batch and (rows + entry.rows > _BATCH_ROWS_MAX or size + len(entry.body) > _BATCH_BYTES_MAX):
                break
            batch.append(self._waiting.popleft())
            rows += entry.rows
            size += len(entry.body)
        self._rows -= rows
        self._bytes -= size
        return batch

    def _send(self, group: list[_Entry]) -> None:
        """Send until it is acknowledged or refused; then tell who waits."""
        body = b"".join(entry.body for entry in group)
        statement = insert_statement(group[0].table, columns=group[0].columns, body=body)
        pauses = Pauses()
        failure: WindlassError | None = None
        while True:
            try:
                self._database.send(statement)
            except StoreUnavailable as error:
                if not self._give_up.is_set():
                    pauses.wait(self._give_up)
                    continue
                failure = error
            except WindlassError as error:
                if len(group) > 1:
                    # Nothing of the batch happened. One caller's rows must not fail another's.
                    for entry in group:
                        self._send([entry])
                    return
                failure = error
            break
        for entry in group:
            if failure is None:
                entry.done.set_result(None)
            else:
                entry.done.set_exception(failure)


def _entry(table: str, rows: Sequence[Row]) -> _Entry:
    columns = tuple(rows[0])
    return _Entry(
        table=table, columns=columns, body=b"".join(encode_row(row) for row in rows), rows=len(rows)
    )


def _by_table(batch: list[_Entry]) -> list[list[_Entry]]:
    """The batch as one group per table and set of columns, in order of first appearance."""
    groups: dict[tuple[str, tuple[str, ...]], list[_Entry]] = {}
    for entry in batch:
        groups.setdefault((entry.table, entry.columns), []).append(entry)
    return list(groups.values())
