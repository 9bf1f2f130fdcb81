"""Signals as exceptions, so that what is known by then can still be said."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tm_cli.errors import Interrupted

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class SignalReceived(BaseException):  # not an Exception: libraries must not swallow it
    """SIGINT, SIGTERM or SIGHUP arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def as_error(self, message: str, hint: str | None = None) -> Interrupted:
        """Return the error that names what was interrupted; its exit code is 128 + signal."""
        return Interrupted(self.number, message, hint=hint)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise SignalReceived in the main thread when a signal arrives; a second one kills at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored stays ignored: `nohup` means that.
    numbers = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _raise) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    for other in _SIGNALS:
        if signal.getsignal(other) == _raise:
            signal.signal(other, _exit_now)
    raise SignalReceived(number)


def _exit_now(number: int, _frame: FrameType | None) -> None:
    import os

    os._exit(128 + number)
