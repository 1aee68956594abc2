"""From process start to exit: `windlass run` of a one-phase cascade, and memory at rest.

For calibration, in the same run: `import chdb` and opening the same folder alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine, resident_mb, spread

CASCADE = "cascade_id: one\nphases:\n  - {name: only, python: 'result = 42'}\n"
OPEN_ALONE = (
    "import sys, clickhouse_connect; "
    "c = clickhouse_connect.get_client(interface='chdb', path=sys.argv[1]); c.command('SELECT 1'); c.close()"
)
AT_REST = """
import sys
from engine import running_worker
from windlass.config import load_settings
with running_worker(load_settings()):
    print("ready", flush=True)
    sys.stdin.read()
"""


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "one.yaml"
        path.write_text(CASCADE)
        environ = {**os.environ, "WINDLASS_ROOT": str(Path(root) / "home")}
        whole, alone = [], []
        for n in range(options.rounds + 2):
            whole_s = timed([sys.executable, "-m", "windlass", "run", str(path), "-o", "json"], environ)
            alone_s = timed([sys.executable, "-c", OPEN_ALONE, str(Path(root) / "alone")], environ)
            if n >= 2:
                whole.append(whole_s)
                alone.append(alone_s)
        print(f"windlass run, start to exit:       {spread(whole, 's')}")
        print(f"opening and closing chDB alone:    {spread(alone, 's')}")
        worker = subprocess.Popen(
            [sys.executable, "-c", AT_REST],
            env=environ | {"PYTHONPATH": str(Path(__file__).parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        worker.stdout.readline()
        below = sum(resident_mb(int(pid)) for pid in children_of(worker.pid))
        own = resident_mb(worker.pid)
        print(f"a worker at rest, embedded engine: {own:.0f} MiB resident, its zygote {below:.0f}")
        worker.communicate("")
    return 0


def children_of(pid: int) -> list[str]:
    """The processes that `pid` started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def timed(command: list[str], environ: dict[str, str]) -> float:
    """Seconds that `command` takes; it must succeed."""
    began = time.perf_counter()
    subprocess.run(command, env=environ, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
