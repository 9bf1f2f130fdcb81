"""CPU time, memory and restarts of the processes of a service, from /proc or psutil."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tm_cli.gate.target_metrics import CPU, MEMORY, RESTARTS
from tm_cli.runtime.process_tree import find_descendants, read_stat

IS_LINUX = sys.platform.startswith("linux")
_UTIME, _CUTIME, _CSTIME, _STARTED, _PAGES = (
    11,
    13,
    14,
    19,
    21,
)  # of /proc/PID/stat, counted from the state
_LISTENING = "0A"


class NotRecorded(Exception):
    """Nothing can be recorded of a process; the text says why."""


class Usage(Protocol):
    """What the processes of a service use; only one thread asks."""

    def read(self) -> dict[str, float]:
        """Return the metrics that are known now; the first time, no CPU time."""
        ...


def usage_of(pid: int | None, *, supervised: bool, port: int | None) -> Usage:
    """Return how to measure a process and all below it; without `pid`, what listens at `port`.

    A `supervised` process is not one of the service itself. Raises NotRecorded.
    """
    if IS_LINUX and pid is not None and start_of(pid) is None:
        raise NotRecorded(f"there is no process {pid}")
    if IS_LINUX:
        return LinuxUsage(pid, is_supervised=supervised, port=port)
    if pid is None:
        raise NotRecorded("what listens at a port is found on Linux alone: use --target-pid")
    return PsutilUsage(pid, is_supervised=supervised, port=port)


class _CpuTime:
    """Percent of one core, from the CPU seconds of all processes."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def percent(self, used: float) -> float | None:
        before, now = self._last, time.monotonic()
        self._last = now, used
        if before is None or now <= before[0]:
            return None
        return max(100 * (used - before[1]) / (now - before[0]), 0.0)

    def forget(self) -> None:
        self._last = None


class _Listener:
    """The oldest process that listens at the port, and how often it has ended."""

    def __init__(
        self, find: Callable[[], tuple[int, Any] | None], start_of: Callable[[int], Any]
    ) -> None:
        self._find, self._start_of = find, start_of
        self._now: tuple[int, Any] | None = None
        self._ended: int | None = None

    def restarts(self) -> int | None:
        """None before anything has listened."""
        if self._now is not None and self._start_of(self._now[0]) != self._now[1]:
            self._now, self._ended = None, (self._ended or 0) + 1
        if self._now is None and (found := self._find()) is not None:
            self._now, self._ended = found, self._ended or 0
        return self._ended

    @property
    def pid(self) -> int | None:
        return None if self._now is None else self._now[0]


class LinuxUsage:
    """By /proc; CPU time of children that have ended counts with their parents."""

    def __init__(self, pid: int | None, *, is_supervised: bool, port: int | None) -> None:
        self._pid, self._is_supervised, self._port = pid, is_supervised, port
        self._listener = _Listener(self._find_listener, start_of)
        self._cpu = _CpuTime()
        self._tick, self._page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        self._measured: int | None = None

    def read(self) -> dict[str, float]:
        restarts = self._listener.restarts() if self._port is not None else None
        root = self._pid if self._pid is not None else self._listener.pid
        found = {} if restarts is None else {RESTARTS: float(restarts)}
        if root != self._measured:
            self._cpu.forget()
            self._measured = root
        if root is None or (own := read_stat(root)) is None:
            return found
        below = [stat for pid in _tree(root) if (stat := read_stat(pid)) is not None]
        parts = [stat[_UTIME : _CSTIME + 1] for stat in below]
        first = _CUTIME if self._is_supervised else _UTIME
        parts.append(own[first : _CSTIME + 1])
        percent = self._cpu.percent(sum(int(n) for part in parts for n in part) / self._tick)
        counted = below if self._is_supervised else [own, *below]
        if counted:
            found[MEMORY] = float(sum(int(stat[_PAGES]) for stat in counted) * self._page)
        return found if percent is None else {**found, CPU: percent}

    def _find_listener(self) -> tuple[int, Any] | None:
        within = None if self._pid is None else [self._pid, *_tree(self._pid)]
        found = [
            (start, pid)
            for pid in find_listeners(self._port or 0, within)
            if (start := start_of(pid)) is not None
        ]
        if not found:
            return None
        start, pid = min(found)
        return pid, start


def start_of(pid: int) -> int | None:
    """Return when a process was started, in ticks; None when it has ended."""
    stat = read_stat(pid)
    return None if stat is None or stat[0] in "ZX" else int(stat[_STARTED])


def _tree(root: int) -> list[int]:
    """Return the processes below `root`; where the kernel does not list children, by a search."""
    found, left = [], [root]
    try:
        while left:
            below = list(_children(left.pop()))
            found += below
            left += below
    except FileNotFoundError:
        return find_descendants(root, with_ended=True)
    return found


def _children(pid: int) -> Iterator[int]:
    tasks = Path(f"/proc/{pid}/task")
    with suppress(ProcessLookupError, PermissionError, NotADirectoryError):
        if not tasks.exists():
            return
        for task in os.listdir(tasks):  # noqa: PTH208
            try:
                text = (tasks / task / "children").read_text(encoding="ascii")
            except FileNotFoundError:
                if (tasks / task).exists():
                    raise
                continue
            yield from map(int, text.split())


def find_listeners(port: int, within: list[int] | None = None) -> list[int]:
    """Return the processes that listen at a TCP port, of `within` or of all that can be seen."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not wanted:
        return []
    names = os.listdir("/proc") if within is None else map(str, within)  # noqa: PTH208
    return [int(name) for name in names if name.isdigit() and _has_any(name, wanted)]


def _has_any(pid: str, wanted: set[str]) -> bool:
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") in wanted:  # noqa: PTH115
                    return True
    return False


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


class PsutilUsage:
    """The same on macOS and Windows, where psutil is installed, as Locust does."""

    def __init__(self, pid: int, *, is_supervised: bool, port: int | None) -> None:
        try:
            import psutil
        except ImportError:
            raise NotRecorded("psutil is missing: pip install 'tm-cli[local]'") from None
        self._psutil = psutil
        try:
            self._root = psutil.Process(pid)
        except psutil.Error:
            raise NotRecorded(f"there is no process {pid}") from None
        self._includes_root = not is_supervised or os.name == "nt"
        self._port = port
        self._listener = _Listener(self._find_listener, self._start_of)
        self._cpu = _CpuTime()

    def read(self) -> dict[str, float]:
        restarts = self._listener.restarts() if self._port is not None else None
        found = {} if restarts is None else {RESTARTS: float(restarts)}
        used, memory = 0.0, []
        for process in self._processes():
            with suppress(self._psutil.Error), process.oneshot():
                times = process.cpu_times()
                used += times.user + times.system
                used += getattr(times, "children_user", 0.0)
                used += getattr(times, "children_system", 0.0)
                memory.append(process.memory_info().rss)
        if not memory:
            return found
        found[MEMORY] = float(sum(memory))
        percent = self._cpu.percent(used)
        return found if percent is None else {**found, CPU: percent}

    def _processes(self) -> list[Any]:
        with suppress(self._psutil.Error):
            below = self._root.children(recursive=True)
            return [self._root, *below] if self._includes_root else below
        return []

    def _find_listener(self) -> tuple[int, Any] | None:
        found = []
        for process in self._processes():
            with suppress(self._psutil.Error):
                ports = [
                    item.laddr.port for item in process.net_connections() if item.status == "LISTEN"
                ]
                if self._port in ports:
                    found.append((process.create_time(), process.pid))
        if not found:
            return None
        start, pid = min(found)
        return pid, start

    def _start_of(self, pid: int) -> Any:
        with suppress(self._psutil.Error):
            process = self._psutil.Process(pid)
            if process.status() != self._psutil.STATUS_ZOMBIE:
                return process.create_time()
        return None
