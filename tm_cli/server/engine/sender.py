"""Queues due requests between the dispatcher and the slots that send them."""

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from tm_cli.server.engine.recorder import OpenBucket, Recorder

Due = tuple[OpenBucket, float]
"""Where a request counts, and the monotonic instant at which it is due."""


class DueQueue(Protocol):
    """What the sender needs of a queue; `get` waits."""

    def put(self, item: Due) -> object: ...
    def get(self) -> Due: ...
    def empty(self) -> bool: ...


class Sender:
    """Queues what is due, and lets any number of slots send it.

    A request that found no slot for longer than `patience` seconds is given up: sending it later
    would add a burst that was not planned. It counts as unsent.

    Each side has a queue, a `send` and slots of its own, so that none has to wait for the other.
    """

    def __init__(
        self,
        queues: Sequence[DueQueue],
        send: Sequence[Callable[[], int | str]],
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

    def hand_over(self, bucket: OpenBucket, due: float, now: float) -> None:
        self._recorder.window.lags.append(now - due)
        self._queues[bucket.side].put((bucket, due))

    def serve(self) -> None:
        """Run one slot: send queued requests one after the other, forever."""
        queue = self._queues[next(self._sides)]
        while True:
            self.serve_one(*queue.get())

    def serve_one(self, bucket: OpenBucket, due: float) -> None:
        start = self._monotonic()
        if start - due > self._patience:
            self._recorder.gave_up(bucket)
            return
        self._recorder.began(bucket, due, start)
        result = self._send[bucket.side]()
        self._recorder.ended(bucket, due, start, self._monotonic(), result)

    def give_up_waiting(self) -> None:
        for queue in self._queues:
            while not queue.empty():
                bucket, _ = queue.get()
                self._recorder.gave_up(bucket)
