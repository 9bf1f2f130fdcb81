"""Signals as exceptions, so that what is known by then can still be reported."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from tm_cli.errors import Interrupted
from tm_cli.runtime.standard_streams import signal_hold

if TYPE_CHECKING:
    import asyncio


class InterruptAction(StrEnum):
    """What an interrupted wait does to the run."""

    DETACH = "detach"
    STOP = "stop"


_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_Hook = Callable[["sys.UnraisableHookArgs"], object]
_SOON = 0.02  # seconds; by then the finaliser is over
_raised: list[int] = []


class SignalReceived(BaseException):  # not an Exception: libraries must not swallow it
    """SIGINT, SIGTERM or SIGHUP arrived; `hint` says what may have been done all the same."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.hint: str | None = None

    def as_error(self, message: str, hint: str | None = None) -> Interrupted:
        """Return the error that names what was interrupted; its exit code is 128 + signal."""
        return Interrupted(self.number, message, hint=hint)


@contextmanager
def signals_raised(*, restore: bool) -> Iterator[None]:
    """Raise SignalReceived in the main thread when a signal arrives; a second one kills at once.

    A process that ends afterwards has `restore` false: a signal during its last moments must not
    change the exit code that has been decided.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored stays ignored: `nohup` means that.
    _raised.clear()
    numbers = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _raise) for number in numbers}
    hook = sys.unraisablehook
    sys.unraisablehook = _repeating_ignored(hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            # Python takes its own handlers away while it winds down, but leaves what is ignored.
            signal.signal(number, handler if restore else signal.SIG_IGN)


def lost_signal() -> SignalReceived | None:
    """The signal that was raised last in this process, for where it may have been replaced.

    Extension modules turn whatever is raised while they import one another into an ImportError.
    """
    return SignalReceived(_raised[-1]) if _raised else None


def let_decision_stand() -> None:
    """From now on, pass over one signal: the decision is being reported."""
    _switch(_raise, _pass_over)


def _raise(number: int, frame: FrameType | None) -> None:
    if signal_hold.is_holding:
        _exit_now(number, frame)
    if not signal_hold.take(partial(_raise_now, number)):
        _raise_now(number)


def _raise_now(number: int) -> NoReturn:
    _switch(_raise, _exit_now)
    _raised.append(number)
    raise SignalReceived(number)


def _repeating_ignored(otherwise: _Hook) -> _Hook:
    """A hook that repeats a signal that came in a finaliser, where what is raised is ignored."""

    def hook(ignored: sys.UnraisableHookArgs) -> None:
        error = ignored.exc_value
        if not isinstance(error, SignalReceived):
            otherwise(ignored)
            return
        _switch(_exit_now, _raise)
        is_over = threading.Event()
        threading.Thread(target=_repeat, args=(error.number, is_over), daemon=True).start()
        is_over.set()

    return hook


def _repeat(number: int, is_over: threading.Event) -> None:
    """Signal the main thread, but not in the hook, where what is raised would be lost for good."""
    is_over.wait()  # on a busy machine, starting a thread may take longer than the pause
    threading.Event().wait(_SOON)
    if hasattr(signal, "pthread_kill"):  # which also ends what the thread waits for
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        import _thread

        _thread.interrupt_main(signal.Signals(number))


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    _switch(_pass_over, _exit_now)


def _exit_now(number: int, _frame: FrameType | None) -> None:
    import os

    from tm_cli.runtime.files import drop_drafts

    drop_drafts()
    if subprocesses := sys.modules.get("tm_cli.runtime.subprocesses"):
        subprocesses.kill_all()
    os._exit(128 + number)


_Handler = Callable[[int, FrameType | None], None]


def _switch(old: _Handler, new: _Handler) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) == old:
                signal.signal(number, new)


@contextmanager
def signals_set(stop: asyncio.Event) -> Iterator[None]:
    """Have SIGINT and SIGTERM set `stop`, where this thread can receive them."""
    import asyncio  # slow, and only servers need it

    loop = asyncio.get_running_loop()
    previous = {}
    with suppress(ValueError):  # not the main thread, which gets no signals
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
