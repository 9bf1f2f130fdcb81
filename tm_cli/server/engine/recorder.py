"""What happened, in buckets of five curve seconds; a request counts where it was due."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hdrh.histogram import HdrHistogram

from tm_cli.curve import Curve
from tm_cli.server.engine.window import Window

BUCKET_SECONDS = 5.0
# Timers fire up to a millisecond late. That little is the timer's doing, not the target's: such a
# request counts from when it was really sent.
TIMER_SLACK = 0.002

_ONE_HOUR = 3_600_000_000  # microseconds
_DIGITS = 3
_PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0}


class Bucket:
    """The requests due in the curve seconds [5 index, 5 index + 5)."""

    def __init__(self, index: int, planned: int) -> None:
        self.index = index
        self.planned = planned
        self.sent = 0
        self.unsent = 0
        self.completed = 0
        self.codes: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.response = HdrHistogram(1, _ONE_HOUR, _DIGITS)
        self.service = HdrHistogram(1, _ONE_HOUR, _DIGITS)
        self.is_news = True

    @property
    def is_settled(self) -> bool:
        """True when nothing of this bucket can still happen."""
        return self.completed == self.sent and self.sent + self.unsent >= self.planned

    def document(self) -> dict[str, Any]:
        """The bucket as the engine tells it."""
        return {
            "index": self.index,
            "planned": self.planned,
            "sent": self.sent,
            "completed": self.completed,
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "failures": dict(sorted(self.failures.items())),
            "response": self.response.encode().decode(),
            "service": self.service.encode().decode(),
            **self._quantiles(),
        }

    def _quantiles(self) -> dict[str, float | None]:
        if not self.completed:
            return dict.fromkeys(_PERCENTILES)
        found = self.response.get_percentile_to_value_dict(list(_PERCENTILES.values()))
        return {name: found[percentile] / 1000 for name, percentile in _PERCENTILES.items()}


class Recorder:
    """Counts and times requests. Instants are seconds of one monotonic clock."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self._live: dict[int, Bucket] = {}
        self._opened = 0
        self._filling = -1
        self._room = 0
        self.sent = 0
        self.completed = 0
        self.unsent = 0
        self.in_flight = 0
        self.window = Window()

    def bucket_of_next(self) -> Bucket:
        """The bucket of the next request; to be asked once per request, in the order due.

        Going by number instead of by second, every bucket gets exactly what was planned for it.
        """
        while self._room == 0:
            self._filling += 1
            self._open_through(self._filling)
            # nothing was planned for a bucket that is gone before it was filled
            bucket = self._live.get(self._filling)
            self._room = bucket.planned if bucket else 0
        self._room -= 1
        return self._live[self._filling]

    def began(self, bucket: Bucket, due: float, start: float) -> None:
        """A request is being sent."""
        bucket.sent += 1
        bucket.is_news = True
        self.sent += 1
        self.in_flight += 1
        self.window.began(start - due, self.in_flight)

    def ended(
        self, bucket: Bucket, due: float, start: float, end: float, result: int | str
    ) -> None:
        """A request got a response (its status code) or none (the name of the error)."""
        self.in_flight -= 1
        self.completed += 1
        bucket.completed += 1
        intended = due if start - due > TIMER_SLACK else start
        bucket.response.record_value(_microseconds(end - intended))
        bucket.service.record_value(_microseconds(end - start))
        if isinstance(result, int):
            bucket.codes[result] += 1
        else:
            bucket.failures[result] += 1
            self.window.failed += 1
        self.window.services.append(end - start)
        bucket.is_news = True

    def gave_up(self, bucket: Bucket) -> None:
        """A request was due, but will not be sent any more."""
        bucket.unsent += 1
        self.unsent += 1
        self.window.unsent += 1
        bucket.is_news = True

    def news(self, elapsed: float) -> Iterator[Bucket]:
        """The buckets with something new, oldest first; settled ones of the past are let go."""
        current = self._index(elapsed)
        self._open_through(current)
        for index, bucket in sorted(self._live.items()):
            if bucket.is_news:
                bucket.is_news = False
                yield bucket
            if index < current and bucket.is_settled:
                del self._live[index]

    def take_window(self) -> Window:
        """What happened since the last call."""
        window, self.window = self.window, Window()
        self.window.most_in_flight = self.in_flight
        return window

    def _index(self, elapsed: float) -> int:
        index = int(elapsed // BUCKET_SECONDS)
        if self._curve.loop:
            return index
        last = math.ceil(self._curve.duration / BUCKET_SECONDS) - 1
        return min(index, last)

    def _open_through(self, index: int) -> None:
        while self._opened <= index:
            start = self._opened * BUCKET_SECONDS
            planned = self._curve.planned_between(start, start + BUCKET_SECONDS)
            self._live[self._opened] = Bucket(self._opened, planned)
            self._opened += 1


def _microseconds(seconds: float) -> int:
    return min(max(round(seconds * 1e6), 1), _ONE_HOUR)
