"""Many real processes without the start of Python in each: forks of one that waits for jobs.

It has imported what tm and its tests import from others, and nothing of tm. A fork gets arguments,
variables, directory and pipes of its own, runs a module or file as its main module and ends as any
Python does. What happens before the first line of tm needs a start of its own: see
`process.launch`.
"""

from __future__ import annotations

import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

THIRD_PARTY = (
    "typer.main", "typer._adapters", "pydantic", "pydantic.json_schema", "httpx2", "httpcore2",
    "platformdirs", "rich.live", "yaml", "pytest", "markdown_it",
)  # fmt: skip
"""Some of these are imported late; what is missing here only costs time."""


class Forked:
    """A running program, with the part of `subprocess.Popen` that the tests use.

    `program` is a module or a file.
    """

    def __init__(
        self, program: str, argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path
    ) -> None:
        job = {"program": program, "argv": argv, "environ": dict(environ), "cwd": str(cwd)}
        self.returncode: int | None = None
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        ours, theirs = socket.socketpair()
        self._pipes = [os.fdopen(end, encoding="utf-8") for end in (out, err)]
        self._told = ours.makefile("r")
        with _ONE_AT_A_TIME:
            self.pid = _zygote().fork(job, [out_end, err_end, theirs.fileno()], self._told)
        for end in (out_end, err_end):
            os.close(end)
        theirs.close()
        ours.close()

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return all that it prints; raises TimeoutExpired when it does not end."""
        texts = ["", ""]

        def read(place: int) -> None:
            texts[place] = self._pipes[place].read()

        readers = [threading.Thread(target=read, args=(place,), daemon=True) for place in (0, 1)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("fork", timeout or 0.0)
        self.returncode = os.waitstatus_to_exitcode(int(self._told.readline()))
        for file in (*self._pipes, self._told):
            file.close()
        return texts[0], texts[1]


class _Zygote:
    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        roots = [str(path) for path in Path(__file__).parents[1:3]]  # tests, and the repository
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(reversed(roots))}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            env={**environ, "PYTHONIOENCODING": "utf-8"},
        )
        theirs.close()

    def fork(self, job: dict[str, Any], ends: list[int], told: Any) -> int:
        """Start a job and return the number of its process."""
        socket.send_fds(self._channel, [json.dumps(job).encode()], ends)
        return int(told.readline())


_zygote = cache(_Zygote)
_ONE_AT_A_TIME = threading.Lock()


def _next_job(channel: socket.socket) -> dict[str, Any] | None:
    """Return the job of the fork that this process has become; None when nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, ends, _, _ = socket.recv_fds(channel, 65536, 3)
        if not message:
            return None
        if os.fork() == 0 and _watch(ends):
            return {**json.loads(message), "ends": ends}
        for end in ends:
            os.close(end)


def _watch(ends: list[int]) -> bool:
    """Return True in a fork; in its parent tell its number, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told = ends[2]
    if (number := os.fork()) == 0:
        return True
    os.close(ends[0])
    os.close(ends[1])
    os.write(told, f"{number}\n".encode())
    _, status = os.waitpid(number, 0)
    os.write(told, f"{status}\n".encode())
    os._exit(0)


def _text_to(place: int, errors: str) -> io.TextIOWrapper:
    """Open a stream as Python does when it starts."""
    file = io.FileIO(place, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file), encoding="utf-8", errors=errors, line_buffering=place == 2
    )


def _become(job: dict[str, Any]) -> None:
    out, err, told = job["ends"]
    os.close(told)
    for end, place in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(end, place)
        os.close(end)
    sys.stdout, sys.stderr = _text_to(1, "strict"), _text_to(2, "backslashreplace")
    os.environ.clear()
    os.environ.update(job["environ"])
    os.chdir(job["cwd"])
    program = job["program"]
    sys.argv = [program, *job["argv"]]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in THIRD_PARTY:
        import_module(name)
    if found := _next_job(socket.socket(fileno=0)):
        _become(found)
