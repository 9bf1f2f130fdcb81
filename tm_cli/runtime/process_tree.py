"""Which processes descend from another one, by /proc: Linux alone.

Without pathlib, because it is imported between a command and its start.
"""

# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
from collections.abc import Iterator

_PARENT, _STATE = 1, 0  # fields of /proc/PID/stat, counted behind the name
_GONE = ("Z", "X")


def read_stat(pid: int) -> list[str] | None:
    """Return the fields of a process from its state on; None when there is no such process.

    The name before them is in parentheses and may hold anything.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii", "replace").split()
    except OSError:
        return None


def find_descendants(root: int, *, with_ended: bool = False) -> list[int]:
    """Return all processes below `root`; those that have ended and are not reaped on demand."""
    children: dict[int, list[int]] = {}
    ended = set()
    for pid in _processes():
        if (fields := read_stat(pid)) is not None and len(fields) > _PARENT:
            children.setdefault(int(fields[_PARENT]), []).append(pid)
            if fields[_STATE] in _GONE:
                ended.add(pid)
    found, left = [], [root]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return [pid for pid in found if with_ended or pid not in ended]


def _processes() -> Iterator[int]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if name.isdigit():
            yield int(name)
