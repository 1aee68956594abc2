"""Names for new sessions and workers: unique, and sorted by the time they were made."""

import os
import socket
import time

# Crockford's base 32: no letter that is read as a digit.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def new_session_id() -> str:
    """A new session's id: 26 letters and digits, 48 bits of milliseconds and 80 of chance (a ULID)."""
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10))
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(125, -1, -5))


def new_worker_id() -> str:
    """A worker's id, new at each start: host, process and chance."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{os.urandom(4).hex()}"


def child_session_id(parent: str, phase: str, visit: int, attempt: int) -> str:
    """The id of the session a sub-cascade phase runs: always the same for the same try."""
    return f"{parent}.{phase}.{visit}" + (f".{attempt}" if attempt > 1 else "")
