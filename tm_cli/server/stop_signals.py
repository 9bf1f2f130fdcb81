"""Signals that stop a long-running process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_set(stop: asyncio.Event) -> Iterator[None]:
    """Have SIGINT and SIGTERM set `stop`, where this thread can receive them."""
    loop = asyncio.get_running_loop()
    previous = {}
    with contextlib.suppress(ValueError):  # not the main thread, which gets no signals
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
