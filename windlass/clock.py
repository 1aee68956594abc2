"""Time, as the rest of the engine asks for it.

Two clocks and no more: `boot_s` for durations, deadlines and trust (it goes on while the
machine sleeps, which a monotonic clock does not), and `now` for what people read.
"""

import time
from datetime import UTC, datetime


def boot_s() -> float:
    """Seconds since the machine started, suspended time included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now() -> datetime:
    """The wall clock in UTC, for people and for due times; never for trust."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """`moment` as ISO 8601 in UTC with milliseconds, for example 2026-01-31T12:00:00.250Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
