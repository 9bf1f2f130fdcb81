"""Queues due requests between the dispatcher and the slots, which send them to the target."""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gevent
from gevent import getcurrent

from tm_cli.server.engine.played import Played
from tm_cli.server.engine.recorder import OpenBucket, Recorder

Due = tuple[OpenBucket, float, int]
"""Where a request counts, the monotonic instant at which it is due, and its number."""


class DueQueue(Protocol):
    """What the sender needs of a queue; `get` waits."""

    def put(self, item: Due) -> object: ...
    def get(self) -> Due: ...
    def empty(self) -> bool: ...


class SlotQueue:
    """Gives what is due to waiting slots, first to the one whose memory is still in the caches."""

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._due: deque[Due] = deque()
        self._waiting: list[Any] = []  # greenlets, the one that was busy last at the end
        self._is_waking = False

    def put(self, item: Due) -> None:
        self._due.append(item)
        if self._waiting and not self._is_waking:
            self._is_waking = True
            self._hub.loop.run_callback(self._wake)

    def get(self) -> Due:
        if self._due:
            return self._due.popleft()
        slot = getcurrent()
        self._waiting.append(slot)
        try:
            item: Due = self._hub.switch()
        except BaseException:
            self._waiting.remove(slot)
            raise
        return item

    def empty(self) -> bool:
        return not self._due

    def _wake(self) -> None:
        """Runs in the hub, to which each slot returns when it has to wait for its target."""
        self._is_waking = False
        while self._due and self._waiting:
            self._waiting.pop().switch(self._due.popleft())


class Sender:
    """Queues what is due, and lets any number of slots send it.

    A request that found no slot for longer than `patience` seconds is given up: sending it later
    would add a burst that was not planned. It counts as unsent.

    Each side has a queue, a `send` and slots of its own, so that none has to wait for the other.
    `send` gets the number of the request in the curve.
    """

    def __init__(
        self,
        queues: Sequence[DueQueue],
        send: Sequence[Callable[[int], int | str | Played]],
        recorder: Recorder,
        *,
        monotonic: Callable[[], float],
        patience: float,
    ) -> None:
        self._queues = queues
        self._sides = itertools.cycle(range(len(queues)))
        self._send = send
        self._recorder = recorder
        self._monotonic = monotonic
        self._patience = patience

    @property
    def is_idle(self) -> bool:
        return self._recorder.in_flight == 0 and all(queue.empty() for queue in self._queues)

    def hand_over(self, bucket: OpenBucket, due: float, now: float, number: int) -> None:
        self._recorder.window.lags.append(now - due)
        self._queues[bucket.side].put((bucket, due, number))

    def serve(self) -> None:
        """Run one slot: send queued requests one after the other, forever."""
        queue = self._queues[next(self._sides)]
        while True:
            self.serve_one(*queue.get())

    def serve_one(self, bucket: OpenBucket, due: float, number: int) -> None:
        start = self._monotonic()
        if start - due > self._patience:
            self._recorder.gave_up(bucket)
            return
        self._recorder.began(bucket, due, start)
        result = self._send[bucket.side](number)
        self._recorder.ended(bucket, due, start, self._monotonic(), result)

    def give_up_waiting(self) -> None:
        for queue in self._queues:
            while not queue.empty():
                bucket, *_ = queue.get()
                self._recorder.gave_up(bucket)
