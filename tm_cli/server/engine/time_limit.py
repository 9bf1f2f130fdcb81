"""One limit of time for many blocks of code at once."""

import itertools
import time
from typing import Any

import gevent
from gevent import Timeout, getcurrent


class TimeLimit:
    """Raises `gevent.Timeout` in a block that takes longer than `seconds`.

    All blocks have the same limit, so that the oldest one is over first: one timer for all of them
    costs less than one for each. A greenlet is in one block at a time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadlines: dict[Any, float] = {}  # by greenlet, the oldest first
        self._timer: Any = None

    def __enter__(self) -> None:
        self._deadlines[getcurrent()] = time.monotonic() + self._seconds
        if self._timer is None:
            self._start_timer(self._seconds)

    def __exit__(self, *_: object) -> None:
        self._deadlines.pop(getcurrent(), None)

    def _start_timer(self, seconds: float) -> None:
        self._timer = gevent.get_hub().loop.timer(seconds)
        self._timer.start(self._end_overdue)

    def _end_overdue(self) -> None:
        """Runs in the hub, to which the interrupted greenlets return.

        These may enter a block again at once; the next timer has been started by then.
        """
        self._timer.close()
        self._timer = None
        now = time.monotonic()
        overdue = list(
            itertools.takewhile(lambda each: self._deadlines[each] <= now, self._deadlines)
        )
        for greenlet in overdue:
            del self._deadlines[greenlet]
        if self._deadlines:
            self._start_timer(next(iter(self._deadlines.values())) - now)
        for greenlet in overdue:
            greenlet.throw(Timeout())
