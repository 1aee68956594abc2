"""The few calls of Linux that Python has no function for. Used by the zygote's processes only."""

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send `signal_number` to this process when the one that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def become_subreaper() -> None:
    """Orphans among this process's descendants become its children, so that none can slip away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """No setuid program gives this process or its descendants more rights."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_process_name(name: str) -> None:
    """What `ps -o comm` and `top` show; the kernel keeps 15 bytes of it."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def _prctl(option: int, value: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    argument = value if isinstance(value, ctypes.c_char_p) else ctypes.c_ulong(value)  # type: ignore[arg-type]
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
