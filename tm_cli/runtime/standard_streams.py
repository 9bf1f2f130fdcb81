"""Standard streams that cannot break the program: what fails is remembered and never raised.

A full disk, a reader that has left or a terminal that was closed must not end a wait or choose the
exit code, whichever code writes: a command, typer's help, rich, logging, warnings. `main.run` asks
at the end whether output was lost.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time

TYPE_CHECKING = False  # importing typing or contextlib takes a third of the time of `tm --version`
if TYPE_CHECKING:
    from typing import Any

INPUT, OUTPUT, ERROR = range(3)

PATIENCE = 2.0
"""Seconds that a message waits for room on standard error; a result waits without limit."""

_PAUSE = 0.05  # seconds, where readiness cannot be polled


class GuardedStream(io.TextIOWrapper):
    """A standard stream that raises no error of its file."""

    def __init__(self, file: _GuardedFile, like: Any) -> None:
        super().__init__(
            io.BufferedWriter(file),
            encoding=getattr(like, "encoding", None) or "utf-8",
            errors="backslashreplace",
            line_buffering=getattr(like, "line_buffering", True),
        )
        self._file = file

    def is_lost(self) -> bool:
        """Whether a write failed; a closed pipe after enough (`tm ... | head`) does not count."""
        self.flush()
        return self._file.problem is not None and not _is_reader_gone(self._file.problem)


class _GuardedFile(io.RawIOBase):
    """The file below a stream: waits while it is full, gives up for good when it fails."""

    def __init__(self, descriptor: int, stream: Any, patience: float | None) -> None:
        self.problem: Exception | None = None
        self._descriptor = descriptor
        self._stream = stream  # collected, it would close the file
        self._raw = _raw_file(stream) or io.FileIO(descriptor, "w", closefd=False)
        self._patience = patience
        self._waits_for = patience

    @property
    def name(self) -> str:
        return str(getattr(self._stream, "name", self._descriptor))

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        try:
            return bool(self._raw.isatty())
        except (OSError, ValueError):
            return False

    def write(self, data: Any, /) -> int:
        if self.problem is None:
            try:
                return self._write(data)
            except (OSError, ValueError) as problem:
                self._give_up(problem)
            except BaseException:  # a signal; what is left must not be waited for once more
                if self._patience is None:
                    self._give_up(InterruptedError())
                raise
        return len(data)

    def _write(self, data: Any) -> int:
        while (written := self._raw.write(data)) is None:  # it does not block, and is full
            if not _wait(self._descriptor, self._waits_for):
                self._waits_for = 0.0  # until something is read again
                return len(data)
        self._waits_for = self._patience
        return int(written)

    def _give_up(self, problem: Exception) -> None:
        self.problem = problem
        if self._descriptor == ERROR:  # for what writes there without asking us: child processes
            _point_to_nothing(ERROR, os.O_WRONLY)


def guard_standard_streams() -> GuardedStream | None:
    """Put guarded streams in the place of the process's own, also where there are none.

    Return standard output; None when it is not a file, as in a notebook.
    """
    _open_closed_descriptors()
    sys.stdout = output = _guarded(sys.stdout, OUTPUT, None)
    sys.stderr = _guarded(sys.stderr, ERROR, PATIENCE)
    return output if isinstance(output, GuardedStream) else None


def read_some(descriptor: int, size: int) -> bytes:
    """Read what is there, waiting for it also where reading does not block; empty at the end."""
    import select

    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            select.select([descriptor], [], [])


def wait_until_writable(descriptor: int, seconds: float | None) -> bool:
    """Wait until there is room, without a number of seconds as long as it takes."""
    import select

    try:
        return bool(select.select([], [descriptor], [], seconds)[1])
    except (OSError, ValueError):  # Windows waits for sockets only
        time.sleep(_PAUSE)
        return True


def _wait(descriptor: int, seconds: float | None) -> bool:
    return seconds != 0.0 and wait_until_writable(descriptor, seconds)


def _guarded(stream: Any, descriptor: int, patience: float | None) -> Any:
    if isinstance(stream, GuardedStream) or (stream is not None and _raw_file(stream) is None):
        return stream
    return GuardedStream(_GuardedFile(descriptor, stream, patience), stream)


def _raw_file(stream: Any) -> Any:
    """The file below a text stream, None where it has none; `python -u` has no buffer between."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _open_closed_descriptors() -> None:
    """Occupy descriptors 0 to 2 where they are closed; the next file opened would become one.

    They are opened for the wrong direction, so that using them fails as before.
    """
    for descriptor, flags in ((INPUT, os.O_WRONLY), (OUTPUT, os.O_RDONLY), (ERROR, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            _point_to_nothing(descriptor, flags)


def _point_to_nothing(descriptor: int, flags: int) -> None:
    try:
        opened = os.open(os.devnull, flags)
        if opened == descriptor:
            os.set_inheritable(descriptor, True)
        else:
            os.dup2(opened, descriptor)
            os.close(opened)
    except OSError:  # there is no such device here, and nothing that would help
        return


def _is_reader_gone(problem: Exception) -> bool:
    return isinstance(problem, BrokenPipeError) or (
        os.name == "nt" and isinstance(problem, OSError) and problem.errno == errno.EINVAL
    )
