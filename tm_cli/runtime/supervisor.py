"""A process between tm and a command of the user, which ends all that the command has started.

It has a session of its own, and ends the command when tm says so on its standard input, or when
that input ends because tm is gone, whatever ended it. On Linux, processes whose parent has ended
become children of this one, so that those which have left the group of the command are found too.

POSIX alone; on Windows, `subprocesses` uses a job object.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from tm_cli.runtime.process_tree import find_descendants

IS_LINUX = sys.platform.startswith("linux")
PATIENCE = 5.0
"""Seconds that the processes have to end by themselves when tm is gone."""

KILLING = 5.0
"""Seconds after which processes that cannot be killed are left alone."""

_LOOK_EVERY = 0.05
_TRIM_EVERY = 0.5
_KEPT = 0.25
"""The share of a log that is kept when it has reached its limit."""

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def start(root: str, status: int, log_limit: int, words: Sequence[str]) -> list[str]:
    """Return the command line of a supervisor: in isolated mode, so that the environment is the
    command's alone. `status` is the descriptor to which it writes why the command cannot be run.
    """
    code = "import sys; sys.path.append(sys.argv[1]); from tm_cli.runtime import supervisor"
    code += "; supervisor.main()"
    return [sys.executable, "-I", "-S", "-c", code, root, str(status), str(log_limit), *words]


def main() -> None:
    """Run the command and end as it has ended."""
    status, log_limit, words = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    os.set_inheritable(status, False)
    _call_prctl(_SET_CHILD_SUBREAPER, 1)
    try:
        supervisor = _Supervisor(words, log_limit)
    except OSError as problem:
        os.write(status, str(problem.errno).encode())
        os._exit(127)
    os.close(status)
    _exit_as(supervisor.run())


class _Supervisor:
    def __init__(self, words: Sequence[str], log_limit: int) -> None:
        self._log_limit = log_limit
        self._code: int | None = None
        self._is_told = False
        self._wakeup, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _note)
        self._process = subprocess.Popen(  # noqa: S603  # the user's own command
            words, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_before_command
        )

    def run(self) -> int:
        """Return how the command has ended, negative for a signal."""
        patience = PATIENCE
        while True:
            told, signals = self._wait(_TRIM_EVERY)
            self._reap()
            if told is not None:
                patience = told
                break
            if signals - {signal.SIGCHLD} or self._is_over():
                break
            self._trim_log()
        self._end(patience)
        self._trim_log()
        return 0 if self._code is None else self._code

    def _wait(self, seconds: float) -> tuple[float | None, set[int]]:
        """Return the patience that tm has asked for, and the signals that have come."""
        watched = [self._wakeup] if self._is_told else [self._wakeup, 0]
        ready, _, _ = select.select(watched, [], [], seconds)
        told = None
        if 0 in ready:
            text = os.read(0, 100).split()
            self._is_told = not text  # the end of the input: there is nothing more to come
            told = float(text[-1]) if text else PATIENCE
        signals = set(os.read(self._wakeup, 4096)) if self._wakeup in ready else set()
        return told, signals

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self._process.pid:
                    self._code = self._process.returncode = os.waitstatus_to_exitcode(status)

    def _is_over(self) -> bool:
        """A command that has ended with 0 may have left its service running."""
        return self._code is not None and (self._code != 0 or not self._find_living())

    def _find_living(self) -> list[int]:
        """Return what `os.kill` takes: processes; where only the group is known, that."""
        if IS_LINUX:
            return find_descendants(os.getpid())
        with suppress(OSError):
            os.killpg(self._process.pid, 0)
            return [-self._process.pid]
        return []

    def _end(self, patience: float) -> None:
        """Ask everything to end, then kill what has not."""
        deadline, asked = time.monotonic() + patience, set[int]()
        while living := self._find_living():
            now = time.monotonic()
            if now >= deadline + KILLING:
                return
            number = signal.SIGKILL if now >= deadline else signal.SIGTERM
            for pid in living:
                if number is signal.SIGKILL or pid not in asked:
                    asked.add(pid)
                    with suppress(OSError):
                        os.kill(pid, number)
            told, _ = self._wait(_LOOK_EVERY)
            if told is not None and not self._is_told:
                deadline = min(deadline, time.monotonic() + told)
            self._reap()

    def _trim_log(self) -> None:
        """Keep the end of the log, which is our standard output, when it has become too long."""
        if not self._log_limit:
            return
        with suppress(OSError):
            size = os.fstat(1).st_size
            if size <= self._log_limit:
                return
            kept = int(self._log_limit * _KEPT)
            end = os.pread(1, kept, size - kept)
            os.ftruncate(1, 0)
            os.write(1, b"[tm: %d bytes are left out here]\n" % (size - kept) + end)


def _note(_number: int, _frame: object) -> None:
    """The signal has been written to the wakeup descriptor."""


def _before_command() -> None:
    _call_prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _call_prctl(option: int, value: int) -> None:
    if IS_LINUX:
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _exit_as(code: int) -> None:
    """End as the command has: with its code, or by its signal, without a second memory dump."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        time.sleep(0.1)
    os._exit(code & 0xFF)
