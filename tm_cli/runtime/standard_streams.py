"""Standard streams that cannot break the program: what fails is remembered and never raised.

A full disk, a reader that has left or a terminal that was closed must not end a wait or choose the
exit code, whichever code writes: a command, typer's help, rich, logging, warnings. `main.run` asks
at the end whether output was lost.
"""

from __future__ import annotations

import _thread
import codecs
import errno
import io
import os
import sys
import time

TYPE_CHECKING = False  # importing typing or contextlib takes a third of the time of `tm --version`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

INPUT, OUTPUT, ERROR = range(3)

PATIENCE = 2.0
"""Seconds that a message waits for room on standard error; a result waits without limit."""

_PAUSE = 0.05  # seconds, where readiness cannot be polled
_CAN_POLL = os.name == "posix"  # Windows polls sockets only
_SLICE = 0.25  # seconds after which a signal that was held back ends a wait for room
_PIECE = 4096  # bytes that never block where there is room; PIPE_BUF of Linux


class _SignalHold:
    """Holds back a signal while the main thread writes: what was written must not count as lost."""

    def __init__(self) -> None:
        self.is_holding = False
        self._raise: Callable[[], None] | None = None
        self._depth = 0
        self._main = _thread.get_ident()

    def take(self, raise_it: Callable[[], None]) -> bool:
        """Call `raise_it` when the write is over; False when none is under way."""
        if self._depth:
            self.is_holding, self._raise = True, raise_it
        return bool(self._depth)

    def __enter__(self) -> None:
        self._depth += _thread.get_ident() == self._main

    def __exit__(self, *_error: object) -> None:
        if _thread.get_ident() != self._main:
            return
        self._depth -= 1
        if not self._depth and self._raise is not None:
            raise_it, self._raise, self.is_holding = self._raise, None, False
            raise_it()


signal_hold = _SignalHold()


_PLAIN = {"\N{MULTIPLICATION SIGN}": "x", "\N{HORIZONTAL ELLIPSIS}": "...", "\N{MICRO SIGN}": "u"}
_PLAIN_ERRORS = "tm-plain"


def _as_plain(error: UnicodeError) -> tuple[str, int]:
    """Write signs that an encoding lacks as people would, and other characters as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    signs = [_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in text]
    return "".join(signs), error.end


class GuardedStream(io.TextIOWrapper):
    """A standard stream that raises no error of its file."""

    def __init__(self, file: _GuardedFile, like: Any) -> None:
        super().__init__(
            io.BufferedWriter(file),
            encoding=getattr(like, "encoding", None) or "utf-8",
            errors=_PLAIN_ERRORS,
            line_buffering=getattr(like, "line_buffering", True),
        )
        self._file = file

    def write(self, text: str, /) -> int:
        with signal_hold:
            return super().write(text)

    def flush(self) -> None:
        with signal_hold:
            super().flush()

    @property
    def has_failed(self) -> bool:
        """Whether a write failed; what is written after that goes nowhere."""
        return self._file.problem is not None

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
        while True:
            if _CAN_POLL and not self._has_room():
                return len(data)
            written = self._raw.write(data[:_PIECE] if _CAN_POLL else data)
            if written is not None:
                self._waits_for = self._patience
                return int(written)
            if not self._has_room():  # it does not block, and is full
                return len(data)

    def _has_room(self) -> bool:
        """Wait for room; a signal ends that, and what was to be written is lost."""
        left = self._waits_for
        while left is None or left > 0:
            if signal_hold.is_holding and self._patience is None:
                raise InterruptedError
            if signal_hold.is_holding:
                break
            step = _SLICE if left is None else min(left, _SLICE)
            if wait_until_writable(self._descriptor, step):
                return True
            left = None if left is None else left - step
        self._waits_for = 0.0  # until something is read again
        return False

    def _give_up(self, problem: Exception) -> None:
        self.problem = problem
        if self._descriptor == ERROR:  # for what writes there without asking us: child processes
            _point_to_nothing(ERROR, os.O_WRONLY)


def guard_standard_streams() -> GuardedStream | None:
    """Put guarded streams in the place of the process's own, also where there are none.

    Return standard output; None when it is not a file, as in a notebook.
    """
    codecs.register_error(_PLAIN_ERRORS, _as_plain)
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
