"""What a light phase costs: 40 `python` phases, each durable before the next begins.

Compares, in one run: the phases in the session's child and `isolation: inline`, with and without
fsync; and for calibration a bare one-row durable insert on the same store, and the code alone.
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
    """Measure both isolations on a fresh embedded store."""
    with tempfile.TemporaryDirectory() as root:
        settings = load_settings({"WINDLASS_ROOT": root, "WINDLASS_FSYNC": str(fsync).lower()})
        with running_worker(settings) as (store, worker):
            for isolation in ("child", "inline"):
                cascade = parse_cascade(cascade_text(isolation), source="bench.yaml", folder=Path(root))
                per_phase, first_to_last = [], []
                for n in range(rounds + 2):
                    session = worker.submit(cascade, {})
                    report = worker.run(session.session_id)
                    assert report["result"] == PHASES, report
                    if n >= 2:  # the first two warm the caches
                        steps = [float(phase["duration_s"]) * 1000 for phase in report["phases"]]
                        per_phase.append(statistics.median(steps))
                        first_to_last.append(float(report["duration_s"]) * 1000 / PHASES)
                print(f"  {isolation:7} whole session / {PHASES}: {spread(first_to_last, 'ms')}")
                print(f"  {'':7} of it the work itself:  {spread(per_phase, 'ms')}")
            row = Checkpoint(session_id="bench", epoch=1, seq=1, kind=RowKind.PHASE, phase="p")
            bare = []
            for _ in range(200):
                began = time.perf_counter()
                store.checkpoints.append(row).result()
                bare.append((time.perf_counter() - began) * 1000)
            print(f"  one durable row alone, for calibration: {spread(bare, 'ms')}")


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
