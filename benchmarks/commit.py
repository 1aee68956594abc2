"""What a durable commit of one row costs, layer by layer, on the embedded engine.

The layers are measured in turns, round after round, so that a busy moment of the machine falls on all of
them alike. Compare the layers with each other; the absolute figures belong to one machine and its disk.

    python benchmarks/commit.py --rounds 300 --folder /somewhere/on/a/real/disk
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from windlass.config import Settings
from windlass.records import Checkpoint, RowKind
from windlass.store import Store, open_store
from windlass.store.connect import connect

_COLUMNS = "session_id, epoch, seq, kind, phase, visit, body, base_epoch, base_seq, worker_id"


def main() -> None:
    """Measure and print, with fsync and without."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300, help="commits per layer (default 300)")
    parser.add_argument("--body-bytes", type=int, default=200, help="size of a row's payload (default 200)")
    parser.add_argument("--folder", default=None, help="where to put the store (default: a temporary folder)")
    options = parser.parse_args()
    for fsync in (False, True):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            settings = Settings(root=Path(folder), fsync=fsync)
            began = time.perf_counter()
            with open_store(settings) as store:
                opened_s = time.perf_counter() - began
                times = measure(store, rounds=options.rounds, body_bytes=options.body_bytes)
        show(
            times, title=f"fsync {'on' if fsync else 'off'} (a new store opened in {opened_s * 1000:.0f} ms)"
        )


def measure(store: Store, *, rounds: int, body_bytes: int) -> dict[str, list[float]]:
    """Seconds of each commit by layer."""
    layers = make_layers(store, body={"text": "x" * body_bytes})
    times: dict[str, list[float]] = {name: [] for name in layers}
    for number in range(rounds):
        for name, commit in layers.items():
            began = time.perf_counter()
            commit(number)
            times[name].append(time.perf_counter() - began)
    return times


def make_layers(store: Store, *, body: dict[str, str]) -> dict[str, Callable[[int], object]]:
    """One function per layer; each writes a row of the same shape into the same table."""
    database = store._database
    client = connect(database.reach.target)
    client.database = database.name
    handle = client._backend._handle.conn

    def line(layer: str, number: int) -> str:
        row = {"session_id": layer, "epoch": 1, "seq": number, "kind": "phase", "phase": "p", "visit": 1}
        return json.dumps({**row, "body": json.dumps(body), "base_epoch": 0, "base_seq": 0, "worker_id": "w"})

    def statement(layer: str, number: int) -> str:
        return f"INSERT INTO checkpoints ({_COLUMNS}) FORMAT JSONEachRow\n{line(layer, number)}\n"

    def future(number: int) -> None:
        row = Checkpoint("future", 1, number, RowKind.PHASE, phase="p", visit=1, body=body, worker_id="w")
        store.checkpoints.append(row).result()

    client.command("SELECT 1")  # The handle is in the database from now on.
    return {
        "engine handle": lambda number: handle.query(statement("handle", number), "TabSeparated"),
        "client.command": lambda number: client.command(statement("client", number)),
        "Database.send": lambda number: database.send(statement("send", number)),
        "writer's future": future,
    }


def show(times: dict[str, list[float]], *, title: str) -> None:
    """Print median, spread and the ratio to the bare engine."""
    print(title)
    first = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        ordered = sorted(values)
        median, low, high = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.1, 0.9))
        spread = f"10-90 % {low:6.2f} to {high:6.2f}"
        print(f"  {name:16} median {median:6.2f} ms   {spread}   {median / 1000 / first:4.2f}x")


if __name__ == "__main__":
    main()
