"""JSON lines in and out, without delaying the load."""

import json
import os
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.queue import SimpleQueue
from gevent.threadpool import ThreadPool

_CHUNK = 64 * 1024


def read_lines(descriptor: int) -> Iterator[bytes]:
    """The lines of a pipe until its end; only the greenlet that asks has to wait.

    A thread does the reading: gevent can wait for pipes itself, but not on Windows.
    """
    thread = ThreadPool(1)
    rest = b""
    while chunk := thread.apply(os.read, (descriptor, _CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


class EventWriter:
    """Writes events to a pipe, one line each, in order, from a thread.

    A slow or missing reader delays no request.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPool(1)
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._greenlet = gevent.spawn(self._write_all)

    def write(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}, allow_nan=False)
        self._lines.put(line.encode() + b"\n")

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until everything is written."""
        self._lines.put(None)
        self._greenlet.join(timeout)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._thread.apply(_write, (self._descriptor, line)):
                return  # the reader is gone; the end of standard input will follow


def _write(descriptor: int, line: bytes) -> bool:
    """Whether all of `line` was written; an exception would be printed by the thread pool."""
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError:
        return False
    return True
