"""What a light phase costs: 40 `python` phases, each durable before the next begins.

Compares, in one run and in turn: the phases in the session's child, with `isolation: inline`, and
one durable row on the same store; with and without fsync. A phase is a whole session's time by 40,
its start and end included. The code alone is there for calibration.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engine import running_worker
from measure import machine, spread

from windlass.config import load_settings
from windlass.model import parse_cascade
from windlass.records import Checkpoint, RowKind
from windlass.store import Store

PHASES = 40


def cascade_text(isolation: str) -> str:
    """A cascade of light phases, each adding one to what the phase before it made."""
    phases = [f"  - {{name: p0, isolation: {isolation}, python: 'result = 1'}}"]
    phases += [
        f"  - {{name: p{n}, isolation: {isolation}, python: 'result = outputs[\"p{n - 1}\"] + 1'}}"
        for n in range(1, PHASES)
    ]
    return f"cascade_id: light_{isolation}\nphases:\n" + "\n".join(phases) + "\n"


def code_alone_ms() -> float:
    """Milliseconds that the interpreter needs for the code of one phase."""
    began = time.perf_counter()
    outputs: dict[str, int] = {"p0": 1}
    for n in range(1, PHASES):
        names = {"outputs": outputs}
        exec(compile(f'result = outputs["p{n - 1}"] + 1', f"p{n}", "exec"), names)
        outputs[f"p{n}"] = names["result"]  # type: ignore[assignment]
    return (time.perf_counter() - began) * 1000 / PHASES


def one_setting(fsync: bool, rounds: int) -> None:
    """Measure both isolations on a fresh embedded store, in turn with bare rows."""
    took: dict[str, list[float]] = {"row": [], "child": [], "inline": []}
    with tempfile.TemporaryDirectory() as root:
        settings = load_settings({"WINDLASS_ROOT": root, "WINDLASS_FSYNC": str(fsync).lower()})
        with running_worker(settings) as (store, worker):
            cascades = {
                name: parse_cascade(cascade_text(name), source="bench.yaml", folder=Path(root))
                for name in ("child", "inline")
            }
            for n in range(rounds + 2):
                measured = {"row": row_ms(store)}
                for name, cascade in cascades.items():
                    report = worker.run(worker.submit(cascade, {}).session_id)
                    assert report["result"] == PHASES, report
                    measured[name] = float(report["duration_s"]) * 1000 / PHASES
                if n >= 2:  # the first two warm the caches
                    for name, value in measured.items():
                        took[name].append(value)
    print(f"  one durable row alone:  {spread(took['row'], 'ms')}")
    for name in ("child", "inline"):
        over = [phase - row for phase, row in zip(took[name], took["row"], strict=True)]
        print(f"  a phase, {name:7}        {spread(took[name], 'ms')}; over a row: {spread(over, 'ms')}")


def row_ms(store: Store) -> float:
    """Milliseconds that one durable row takes, the median of 40 one after the other."""
    row = Checkpoint(session_id="bench", epoch=1, seq=1, kind=RowKind.PHASE, phase="p")
    took = []
    for _ in range(PHASES):
        began = time.perf_counter()
        store.checkpoints.append(row).result()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="sessions measured for each line")
    options = parser.parse_args()
    print(machine())
    print(f"the code alone: {spread([code_alone_ms() for _ in range(50)], 'ms', 3)} a phase")
    for fsync in (True, False):
        print(f"fsync {'on' if fsync else 'off'}:")
        one_setting(fsync, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
