"""Which processes descend from one, what they use, and how to kill them all.

`/proc/<pid>/task/<tid>/children` gives the tree in a few reads; kernels built without it are served by a
walk over all of /proc. Either may miss a process that is being born or reparented while it is read, so
nobody may conclude from an empty answer that nothing is left: that proof is `waitpid` saying ECHILD in a
subreaper (see `windlass.sandbox.supervisor`).
"""

import contextlib
import os
import signal

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def descendants(root: int) -> list[int]:
    """Every process below `root`, parents before their children."""
    children = _children_from_tasks if os.path.exists("/proc/thread-self/children") else _parent_map().get
    found: list[int] = []
    queue = [root]
    while queue:
        below = children(queue.pop()) or []
        found += below
        queue += below
    return found


def children_of(root: int) -> list[int]:
    """The processes whose parent is `root`."""
    if os.path.exists("/proc/thread-self/children"):
        return _children_from_tasks(root)
    return _parent_map().get(root, [])


def kill_all(pids: list[int]) -> None:
    """SIGKILL to `pids` and to their process groups; those that are gone are passed over.

    The groups matter against a process that forks faster than a walk can follow: the kernel kills a group
    at one stroke. The caller's own group is spared; a descendant can't join a group of another session.
    """
    own_group = os.getpgrp()
    groups: set[int] = set()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(pid)
            if group != own_group:
                groups.add(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, all that it shares included; 0 when it is gone. Cheap."""
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def proportional_bytes(pid: int) -> int:
    """A process's part of the memory it maps, pages of files left out; 0 when it is gone.

    A page that n processes share counts 1/n for each: what a child still shares with the zygote is not held
    against it, and a tree of forks counts each page once. It costs a walk over the page tables.
    """
    total_kb = 0
    parts = 0
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
            total_kb += int(line.split()[1])
            parts += 1
    if parts:
        return total_kb * 1024
    # An older kernel, or a process that may not be looked into: all that is not a file's page.
    fields = _read(f"/proc/{pid}/statm").split()
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES if len(fields) > 2 else 0


def _children_from_tasks(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for task in tasks for child in _read(f"/proc/{pid}/task/{task}/children").split()]


def _parent_map() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            # The name in parentheses may hold anything, spaces and parentheses included.
            after_name = _read(f"/proc/{name}/stat").rpartition(")")[2].split()
            if len(after_name) > 1:
                children.setdefault(int(after_name[1]), []).append(int(name))
    return children


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
