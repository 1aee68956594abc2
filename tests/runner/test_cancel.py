"""A cancel ends what runs, wherever it runs; what it ended can still be resumed."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from windlass.clock import boot_s
from windlass.errors import NotFound
from windlass.records import RowKind
from windlass.worker import Busy, Footing, LocalWorker

SLEEPS = """
cascade_id: sleeps
inputs_schema: {marks: "file to append to"}
phases:
  - {name: a, python: "open(input['marks'], 'a').write('a')"}
  - name: b
    python: |
      import os, time
      open(input["marks"], "a").write("b")
      if not os.path.exists(input["marks"] + ".wake"):
          time.sleep(60)
  - {name: c, python: "open(input['marks'], 'a').write('c'); result = 'all'"}
"""


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    path = tmp_path / "marks"
    path.write_text("")
    return path


def running(engine: Any, session_id: str) -> tuple[threading.Thread, list[Any]]:
    """The session, run in a thread; its report, or what was raised, comes into the list."""
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(engine.worker.run(session_id)))
    thread.start()
    return thread, told


def test_a_cancel_from_another_worker_ends_a_running_phase_within_seconds(
    engine: Any, tmp_path: Path, marks: Path, wait_until: Callable[..., None]
) -> None:
    session_id = engine.submit(tmp_path, SLEEPS, marks=str(marks))
    thread, told = running(engine, session_id)
    wait_until(lambda: marks.read_text() == "ab")
    began_s = boot_s()
    with (
        Footing(engine.settings) as footing,
        LocalWorker(settings=engine.settings, store=engine.store, footing=footing) as other,
    ):
        with pytest.raises(Busy):
            other.run(session_id)
        seen = other.cancel(session_id, requested_by="somebody")
    thread.join()
    assert seen["status"] == told[0]["status"] == "cancelled"
    assert told[0]["error"]["message"] == "cancelled by somebody"
    assert boot_s() - began_s < 20, "the phase sleeps for a minute"
    assert [phase["name"] for phase in told[0]["phases"]] == ["a"]


def test_a_cancelled_session_can_go_on_and_is_not_cancelled_by_the_same_signal_again(
    engine: Any, tmp_path: Path, marks: Path, wait_until: Callable[..., None]
) -> None:
    session_id = engine.submit(tmp_path, SLEEPS, marks=str(marks))
    thread, told = running(engine, session_id)
    wait_until(lambda: marks.read_text() == "ab")
    engine.store.signals.send(session_id, name="cancel")
    thread.join()
    assert told[0]["status"] == "cancelled"
    Path(f"{marks}.wake").write_text("")
    report = engine.worker.run(session_id)
    assert (report["status"], report["result"], report["epoch"]) == ("completed", "all", 2)
    assert marks.read_text() == "abbc"


def test_a_session_that_nobody_runs_is_cancelled_at_once(engine: Any, tmp_path: Path, marks: Path) -> None:
    session_id = engine.submit(tmp_path, SLEEPS, marks=str(marks))
    began_s = time.monotonic()
    assert engine.worker.cancel(session_id)["status"] == "cancelled"
    assert time.monotonic() - began_s < 20
    assert marks.read_text() == "", "nothing of it was started"
    kinds = [row.kind for row in engine.store.snapshot(session_id).rows]
    assert kinds == [RowKind.TAKEOVER, RowKind.END]


def test_cancelling_a_parent_ends_its_child_and_neither_counts_as_failed(
    engine: Any, tmp_path: Path, marks: Path, wait_until: Callable[..., None]
) -> None:
    (tmp_path / "sleeps.yaml").write_text(SLEEPS)
    outer = """
cascade_id: outer
inputs_schema: {marks: "file"}
phases:
  - {name: child, cascade: sleeps.yaml, input: {marks: "{{ input.marks }}"}, on_error: never}
  - {name: never, python: "result = 'handled a cancel as an error'"}
"""
    session_id = engine.submit(tmp_path, outer, marks=str(marks))
    thread, told = running(engine, session_id)
    wait_until(lambda: marks.read_text() == "ab")
    engine.store.signals.send(session_id, name="cancel")
    thread.join()
    assert told[0]["status"] == "cancelled"
    assert told[0]["phases"] == []
    child = engine.worker.cancel(f"{session_id}.child.1")
    assert child["status"] == "cancelled"


def test_a_session_that_is_over_stays_as_it_is(engine: Any, tmp_path: Path) -> None:
    report = engine.run(tmp_path, 'cascade_id: quick\nphases:\n  - {name: a, python: "result = 1"}\n')
    assert engine.worker.cancel(report["session_id"])["status"] == "completed"
    with pytest.raises(NotFound):
        engine.worker.cancel("nobody")
