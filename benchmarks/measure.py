"""How the benchmarks time and print."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


def spread(values: Sequence[float], unit: str, digits: int = 2) -> str:
    """`median (p5 – p95)` of `values`."""
    ordered = sorted(values)
    low, high = ordered[int(len(ordered) * 0.05)], ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    median = statistics.median(ordered)
    return f"{median:.{digits}f} {unit} ({low:.{digits}f} – {high:.{digits}f}, n={len(ordered)})"


def machine() -> str:
    """Processor, cores and Python of this machine, for the line under a table."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    system = f"{platform.system()} {platform.release()}"
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {system}"


def resident_mb(pid: int) -> float:
    """Memory that is resident for `pid`, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
