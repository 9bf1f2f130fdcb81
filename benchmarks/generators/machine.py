"""What the benchmark needs of this machine: tools, and a core for each end of the load."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parents[1]
"""From where `python -m generators.NAME` works."""

_PACKAGES = {"wrk": "wrk", "hey": "hey", "nginx": "nginx-light", "taskset": "util-linux"}
_PATH = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
_PATIENCE = 10.0


def lacking() -> list[str]:
    """What is missing, each with how to get it."""
    found = [
        f"{tool} is missing: sudo apt-get install {package}"
        for tool, package in _PACKAGES.items()
        if shutil.which(tool, path=_PATH) is None
    ]
    if len(_cores()) < 2:
        found.append("two cores are needed, one for the target and one for the generator")
    return found


def on_target_core(command: Sequence[str]) -> list[str]:
    """The command, pinned to the first core of this process."""
    return _pinned(_cores()[0], command)


def on_generator_core(command: Sequence[str]) -> list[str]:
    """The command, pinned to the second core of this process."""
    return _pinned(_cores()[1], command)


def _pinned(core: int, command: Sequence[str]) -> list[str]:
    tool, *arguments = command
    return [_path("taskset"), "-c", str(core), _path(tool), *arguments]


def _path(tool: str) -> str:
    return shutil.which(tool, path=_PATH) or tool


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until somebody listens on the port; TimeoutError if nobody does."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nobody listens on port {port}")


def end(process: subprocess.Popen[str]) -> None:
    """Terminate a process that was started here, and wait for it."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """What a process has spent so far, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
