"""A million rows: CSV → SQL → Python → SQL as a cascade, against the same steps by hand.

By hand means DuckDB and pandas in one process, each step typed in, nothing saved; imports are not
counted. The cascade runs in a worker that is up, with a child of its own, and makes each table
durable. Compare the ratio.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine import running_worker
from measure import machine, spread

CASCADE = """
cascade_id: million
inputs_schema: {path: CSV of readings}
phases:
  - name: raw
    sql: SELECT * FROM read_csv('{{ input.path }}')
  - name: scaled
    python: |
      frame = data.raw
      frame["scaled"] = (frame["value"] - frame["value"].mean()) / frame["value"].std()
      result = frame[frame["scaled"] > -1]
  - name: report
    sql: |
      SELECT sensor, count(*) AS n, avg(scaled) AS mean, max(value) AS top
      FROM _scaled GROUP BY sensor ORDER BY sensor
"""

BY_HAND = """
import sys, time
import duckdb, pandas, pyarrow
began = time.perf_counter()
con = duckdb.connect(sys.argv[2])
con.execute(f"CREATE TABLE _raw AS SELECT * FROM read_csv('{sys.argv[1]}')")
frame = con.execute("FROM _raw").df()
frame["scaled"] = (frame["value"] - frame["value"].mean()) / frame["value"].std()
result = frame[frame["scaled"] > -1]
con.execute("CREATE TABLE _scaled AS SELECT * FROM result")
con.execute(
    "CREATE TABLE _report AS SELECT sensor, count(*) AS n, avg(scaled) AS mean, max(value) AS top "
    "FROM _scaled GROUP BY sensor ORDER BY sensor"
)
rows = con.execute("FROM _report").fetchall()
assert len(rows) == 100, rows
print(time.perf_counter() - began)
"""


def main() -> int:
    """Run both in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    from windlass.config import load_settings
    from windlass.model import parse_cascade

    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.csv"
        write_readings(path, options.rows)
        settings = load_settings({"WINDLASS_ROOT": str(Path(folder) / "root")})
        by_hand, cascade_s = [], []
        with running_worker(settings) as (_, worker):
            cascade = parse_cascade(CASCADE, source="million.yaml", folder=Path(folder))
            for n in range(options.rounds + 1):
                database = Path(folder) / f"hand{n}.duckdb"
                done = subprocess.run(
                    [sys.executable, "-c", BY_HAND, str(path), str(database)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                began = time.perf_counter()
                session = worker.submit(cascade, {"path": str(path)}, grants=[str(path)])
                report = worker.run(session.session_id)
                took = time.perf_counter() - began
                assert report["status"] == "completed", report["error"]
                assert report["outputs"]["report"]["row_count"] == 100
                if n:
                    by_hand.append(float(done.stdout))
                    cascade_s.append(took)
                os.remove(database)
    print(f"by hand:  {spread(by_hand, 's')}")
    print(f"cascade:  {spread(cascade_s, 's')}")
    print(f"ratio of the medians: {statistics.median(cascade_s) / statistics.median(by_hand):.2f}")
    return 0


def write_readings(path: Path, rows: int) -> None:
    """Write a CSV of `rows` sensor readings: moment, sensor, value."""
    import duckdb

    duckdb.execute(
        f"COPY (SELECT TIMESTAMP '2026-01-01' + to_seconds(i) AS moment, 'sensor ' || (i % 100) AS sensor, "
        f"sin(i) * 100 AS value FROM range({rows}) t(i)) TO '{path}'"
    )


if __name__ == "__main__":
    sys.exit(main())
