"""A session's position is a fold of its history, and a new epoch can start before any phase."""

from typing import Any

from windlass.protocol import read_history
from windlass.records import Checkpoint, Failure, RowKind, Status
from windlass.runner import Position, base_before, base_for_retry, replay


def phase_row(epoch: int, seq: int, name: str, **facts: Any) -> Checkpoint:
    body = {
        "status": "done",
        "output": f"{name} {epoch}.{seq}",
        "route": "",
        "state": {},
        "next": None,
        "error": None,
        "fails_session": False,
        "scratch": [],
        "files": [],
        "attempts": 1,
        "started_at": "2026-01-01T00:00:00.000Z",
        "duration_s": 0.5,
    } | facts
    return Checkpoint("s", epoch, seq, RowKind.PHASE, phase=name, visit=1, body=body)


def takeover(epoch: int, base: tuple[int, int]) -> Checkpoint:
    return Checkpoint("s", epoch, 0, RowKind.TAKEOVER, base_epoch=base[0], base_seq=base[1])


def end(epoch: int, seq: int, status: str, phase: str = "") -> Checkpoint:
    error = Failure(phase, "python", "it broke").as_json() if status == "failed" else None
    return Checkpoint(
        "s", epoch, seq, RowKind.END, body={"status": status, "error": error, "duration_s": 1.0}
    )


def position_of(rows: list[Checkpoint]) -> Position:
    return replay(read_history(rows).rows, session_input={}, first="a")


def test_a_session_without_rows_stands_at_its_first_phase() -> None:
    position = position_of([])
    assert (position.next, position.status, position.result) == ("a", Status.RUNNING, None)


def test_what_comes_next_is_what_the_last_row_says() -> None:
    position = position_of([takeover(1, (0, 0)), phase_row(1, 1, "a", next="c", state={"k": 1})])
    assert position.next == "c"
    assert position.echo.state == {"k": 1}
    assert position.result == "a 1.1"
    assert position.visits == {"a": 1}


def test_failed_attempts_are_counted_only_until_their_phase_ends() -> None:
    tried = Checkpoint(
        "s", 1, 1, RowKind.ATTEMPT, phase="a", visit=1, body={"attempt": 1, "error": {}, "delay_s": 0}
    )
    assert position_of([takeover(1, (0, 0)), tried]).failed_attempts == 1
    assert position_of([takeover(1, (0, 0)), tried, phase_row(1, 2, "a", next="b")]).failed_attempts == 0


def test_a_handler_sees_the_error_that_led_to_it_and_later_phases_do_not() -> None:
    failed = phase_row(
        1, 1, "a", status="failed", next="mend", error=Failure("a", "sql", "no table").as_json()
    )
    position = position_of([takeover(1, (0, 0)), failed])
    assert position.error is not None and position.error.message == "no table"
    assert position.failure is None
    assert position_of([takeover(1, (0, 0)), failed, phase_row(1, 2, "mend", next="b")]).error is None


def test_a_table_made_again_replaces_the_one_before_it() -> None:
    old = {"kind": "table", "name": "_a", "ddl": "old"}
    new = {"kind": "table", "name": "_a", "ddl": "new"}
    rows = [takeover(1, (0, 0)), phase_row(1, 1, "a", scratch=[old]), phase_row(1, 2, "a", scratch=[new])]
    assert list(position_of(rows).scratch.values()) == [new]


def test_a_retry_starts_before_the_phase_that_failed_and_before_its_attempts() -> None:
    tried = Checkpoint(
        "s", 1, 2, RowKind.ATTEMPT, phase="b", visit=1, body={"attempt": 1, "error": {}, "delay_s": 0}
    )
    failed = phase_row(
        1, 3, "b", status="failed", error=Failure("b", "python", "x").as_json(), fails_session=True
    )
    rows = [takeover(1, (0, 0)), phase_row(1, 1, "a", next="b"), tried, failed, end(1, 4, "failed", "b")]
    base = base_for_retry(read_history(rows))
    assert base == (1, 1)
    position = position_of([*rows, takeover(2, (1, 1))])
    assert (position.next, position.end, position.visits) == ("b", None, {"a": 1})


def test_a_retry_of_a_session_whose_first_phase_failed_keeps_nothing() -> None:
    failed = phase_row(
        1, 1, "a", status="failed", error=Failure("a", "python", "x").as_json(), fails_session=True
    )
    rows = [takeover(1, (0, 0)), failed, end(1, 2, "failed", "a")]
    assert base_for_retry(read_history(rows)) == (0, 0)
    assert position_of([*rows, takeover(2, (0, 0))]).next == "a"


def test_a_completed_session_has_nothing_to_retry() -> None:
    rows = [takeover(1, (0, 0)), phase_row(1, 1, "a"), end(1, 2, "completed")]
    assert base_for_retry(read_history(rows)) is None


def test_a_cancelled_session_goes_on_after_its_last_phase() -> None:
    rows = [takeover(1, (0, 0)), phase_row(1, 1, "a", next="b"), end(1, 2, "cancelled")]
    assert base_for_retry(read_history(rows)) == (1, 1)


def test_restarting_at_a_phase_drops_it_and_all_after_it_across_epochs() -> None:
    rows = [takeover(1, (0, 0)), phase_row(1, 1, "a", next="b"), phase_row(1, 2, "b", next="c")]
    rows += [takeover(2, (1, 2)), phase_row(2, 1, "c"), end(2, 2, "completed")]
    history = read_history(rows)
    assert base_before(history, "b") == (1, 1)
    assert base_before(history, "c") == (1, 2)
    assert base_before(history, "nowhere") is None
    assert position_of([*rows, takeover(3, (1, 1))]).next == "b"
