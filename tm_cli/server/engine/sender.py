"""The way of a due request from the dispatcher to a slot and on to the target."""

from collections.abc import Callable
from typing import Protocol

from tm_cli.server.engine.recorder import Bucket, Recorder

Due = tuple[Bucket, float]
"""Where a request counts, and the monotonic instant at which it is due."""


class DueQueue(Protocol):
    """What the sender needs of a queue; `get` waits."""

    def put(self, item: Due) -> object: ...
    def get(self) -> Due: ...
    def empty(self) -> bool: ...


class Sender:
    """Queues what is due, and lets any number of slots send it.

    A request that found no slot for longer than `patience` seconds is given up: sending it later
    would add a burst that nobody planned. It counts as unsent.
    """

    def __init__(
        self,
        queue: DueQueue,
        send: Callable[[], int | str],
        recorder: Recorder,
        *,
        monotonic: Callable[[], float],
        patience: float,
    ) -> None:
        self._queue = queue
        self._send = send
        self._recorder = recorder
        self._monotonic = monotonic
        self._patience = patience

    @property
    def is_idle(self) -> bool:
        """True when nothing waits and nothing is under way."""
        return self._queue.empty() and self._recorder.in_flight == 0

    def hand_over(self, due: float, now: float) -> None:
        """Accept a request that is due, from the dispatcher."""
        self._recorder.window.lags.append(now - due)
        self._queue.put((self._recorder.bucket_of_next(), due))

    def serve(self) -> None:
        """Be one slot: send what is due, one request after the other, without end."""
        while True:
            self.serve_one(*self._queue.get())

    def serve_one(self, bucket: Bucket, due: float) -> None:
        """Send one request, or give it up."""
        start = self._monotonic()
        if start - due > self._patience:
            self._recorder.gave_up(bucket)
            return
        self._recorder.began(bucket, due, start)
        result = self._send()
        self._recorder.ended(bucket, due, start, self._monotonic(), result)

    def give_up_waiting(self) -> None:
        """Drop everything that no slot has taken yet."""
        while not self._queue.empty():
            bucket, _ = self._queue.get()
            self._recorder.gave_up(bucket)
