"""What happened, in buckets of five curve seconds; a request counts where it was due."""

import math
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from hdrh.histogram import HdrHistogram

from tm_cli.server.engine.saturation import Window
from tm_cli.server.engine.schedule import Plan
from tm_cli.values.load_curve import Curve

BUCKET_SECONDS = 5.0
# Timers fire up to a millisecond late. That little is the timer's doing, not the target's: such a
# request counts from when it was really sent.
TIMER_SLACK = 0.002

_ONE_HOUR = 3_600_000_000  # microseconds
_DIGITS = 3
_PERCENTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0}


class Bucket:
    """Our requests of one side that count in the curve seconds [5 index, 5 index + 5).

    Those are the ones with numbers first <= number < beyond; `claimed` of them are ours for sure.
    """

    def __init__(self, index: int, side: int, first: int, beyond: int) -> None:
        self.index = index
        self.side = side
        self.first = first
        self.beyond = beyond
        self.planned = 0
        self.claimed = 0
        self.sent = 0
        self.unsent = 0
        self.completed = 0
        self.codes: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.response: HdrHistogram | None = None
        self.service: HdrHistogram | None = None
        self.is_news = True

    @property
    def is_settled(self) -> bool:
        """True when nothing can still happen to what was claimed."""
        return self.completed == self.sent and self.sent + self.unsent == self.claimed

    def time(self, response: float, service: float) -> None:
        """Record the seconds that a request took."""
        if self.response is None or self.service is None:  # they are large, and may never be needed
            self.response, self.service = _histogram(), _histogram()
        self.response.record_value(_microseconds(response))
        self.service.record_value(_microseconds(service))

    def document(self) -> dict[str, Any]:
        """The bucket as the engine tells it."""
        return {
            "index": self.index,
            "side": self.side,
            "planned": self.planned,
            "sent": self.sent,
            "completed": self.completed,
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "failures": dict(sorted(self.failures.items())),
            "response": _encoded(self.response),
            "service": _encoded(self.service),
            **self._quantiles(),
        }

    def _quantiles(self) -> dict[str, float | None]:
        if self.response is None:
            return dict.fromkeys(_PERCENTILES)
        found = self.response.get_percentile_to_value_dict(list(_PERCENTILES.values()))
        return {name: found[percentile] / 1000 for name, percentile in _PERCENTILES.items()}


class Recorder:
    """Counts and times requests. Instants are seconds of one monotonic clock."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._curve = plan.curve
        self._live: dict[tuple[int, int], Bucket] = {}
        self._last = _last_index(plan.curve)
        self._opened = 0
        self._filling: list[Bucket] = []  # by side
        self._beyond = 0
        self.sent = 0
        self.completed = 0
        self.unsent = 0
        self._in_flight = [0 for _ in plan.sides]
        self.window = Window()

    @property
    def in_flight(self) -> int:
        """Requests under way now."""
        return sum(self._in_flight)

    def claim(self, number: int, second: float) -> Bucket:
        """The bucket of a request of ours, due about then; to be asked once, in ascending order.

        The number decides, so that every bucket gets exactly what was planned for it.
        """
        if number >= self._beyond:
            self._fill(self._index_of(number, second))
        bucket = self._filling[self._plan.side(number)]
        bucket.claimed += 1
        return bucket

    def replan(self) -> None:
        """Our share has changed."""
        for bucket in self._live.values():
            planned = self._planned(bucket)
            bucket.is_news |= planned != bucket.planned
            bucket.planned = planned

    def began(self, bucket: Bucket, due: float, start: float) -> None:
        """A request is being sent."""
        bucket.sent += 1
        bucket.is_news = True
        self.sent += 1
        self._in_flight[bucket.side] += 1
        self.window.began(start - due, self._in_flight[bucket.side])

    def ended(
        self, bucket: Bucket, due: float, start: float, end: float, result: int | str
    ) -> None:
        """A request got a response (its status code) or none (the name of the error)."""
        self._in_flight[bucket.side] -= 1
        self.completed += 1
        bucket.completed += 1
        intended = due if start - due > TIMER_SLACK else start
        bucket.time(end - intended, end - start)
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
        for key, bucket in sorted(self._live.items()):
            if bucket.is_news:
                bucket.is_news = False
                yield bucket
            # what happened since is still to be told
            if bucket.index < current and self._is_over(bucket) and not bucket.is_news:
                del self._live[key]

    def take_window(self) -> Window:
        """What happened since the last call."""
        window, self.window = self.window, Window()
        self.window.most_in_flight = max(self._in_flight)
        return window

    def _is_over(self, bucket: Bucket) -> bool:
        return bucket.is_settled and self._plan.decided >= bucket.beyond

    def _index(self, elapsed: float) -> int:
        return min(int(elapsed // BUCKET_SECONDS), self._last)

    def _index_of(self, number: int, second: float) -> int:
        """Where a request is planned to count: near its second, which is an approximation."""
        index = self._index(second)
        while index > 0 and number < self._first(index):
            index -= 1
        while index < self._last and number >= self._first(index + 1):
            index += 1
        return index

    def _first(self, index: int) -> int:
        """The first number of a bucket."""
        return self._curve.planned_before(index * BUCKET_SECONDS)

    def _fill(self, index: int) -> None:
        self._open_through(index)
        self._filling = [self._live[index, side] for side in self._plan.sides]
        self._beyond = self._filling[0].beyond if index < self._last else sys.maxsize

    def _open_through(self, index: int) -> None:
        while self._opened <= index:
            first, beyond = self._first(self._opened), self._first(self._opened + 1)
            for side in self._plan.sides:
                bucket = Bucket(self._opened, side, first, beyond)
                bucket.planned = self._planned(bucket)
                self._live[self._opened, side] = bucket
            self._opened += 1

    def _planned(self, bucket: Bucket) -> int:
        return self._plan.count(bucket.first, bucket.beyond, bucket.side)


def _last_index(curve: Curve) -> int:
    return sys.maxsize if curve.loop else math.ceil(curve.duration / BUCKET_SECONDS) - 1


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, _ONE_HOUR, _DIGITS)


def _encoded(histogram: HdrHistogram | None) -> str:
    return _nothing() if histogram is None else str(histogram.encode().decode())


@cache
def _nothing() -> str:
    return _encoded(_histogram())


def _microseconds(seconds: float) -> int:
    return min(max(round(seconds * 1e6), 1), _ONE_HOUR)
