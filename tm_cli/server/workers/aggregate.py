"""One worker of a crew, as its leader sees it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

from hdrh.histogram import HdrHistogram

from tm_cli.server.histograms import UnreadableHistogram, add_encoded, new_histogram
from tm_cli.server.runs.progress import WIDTH
from tm_cli.server.workers.engine_events import Addresses, Bucket, Event, Finished, Flags, Progress
from tm_cli.values.load_curve import Curve


@dataclass(slots=True)
class Member:
    """A worker; `heard_at` and `now` are seconds of one monotonic clock.

    `addresses`: requests by address, for each side of an A/B run.
    """

    name: str
    heard_at: float
    is_ready: bool = False
    is_lost: bool = False
    is_moving: bool = False
    finished: Finished | None = None
    sent: int = 0
    now_flags: Flags = field(default_factory=Flags)
    addresses: dict[int, dict[str, int]] = field(default_factory=dict)
    _second: float = 0.0

    @property
    def is_live(self) -> bool:
        """Whether more can be expected of it."""
        return not self.is_lost and self.finished is None

    def hear(self, now: float) -> None:
        """It has said something."""
        if self.is_moving:
            self._second += now - self.heard_at
        self.heard_at = now

    def stand(self, second: float, now: float, *, is_moving: bool) -> None:
        """It said where on the curve it is."""
        self.heard_at, self._second, self.is_moving = now, second, is_moving

    def second(self, now: float) -> float:
        """Where on the curve it is by now, as far as one can tell."""
        return self._second + (now - self.heard_at if self.is_moving else 0.0)


_PERCENTILES = (50.0, 95.0, 99.0)

Key = tuple[int, int]
"""Index and side of a bucket."""


@dataclass(slots=True)
class Tally:
    """What the newest lines of one worker add up to."""

    sent: int = 0
    completed: int = 0


class Merge:
    """Keeps the newest line of each worker for each bucket, and says what changed.

    `planned` tells how many requests the whole curve has in a bucket: a worker knows its own share
    only, and one that is gone tells nothing.
    """

    def __init__(self, planned: Callable[[int, int], int]) -> None:
        self._planned = planned
        self._lines: dict[Key, dict[int, Bucket]] = {}
        self._changed: set[Key] = set()
        self._first = 0
        self.tallies: defaultdict[int, Tally] = defaultdict(Tally)
        """By worker."""

    def take(self, worker: int, bucket: Bucket) -> None:
        """Put a line in the place of the worker's older one."""
        if bucket.index < self._first:
            return  # its totals will not add up, and the run will not be judged
        key = bucket.index, bucket.side
        lines = self._lines.setdefault(key, {})
        older = lines.get(worker)
        tally = self.tallies[worker]
        tally.sent += bucket.sent - (older.sent if older else 0)
        tally.completed += bucket.completed - (older.completed if older else 0)
        lines[worker] = bucket
        self._changed.add(key)

    def changed(self) -> Iterator[Bucket]:
        """The buckets with something new since the last call, in order."""
        keys, self._changed = sorted(self._changed), set()
        for index, side in keys:
            lines = list(self._lines[index, side].values())
            yield merged(lines, planned=self._planned(index, side))

    def forget_before(self, index: int) -> None:
        """Let go of buckets that nobody will tell of again: a long run has too many to keep."""
        self._first = max(self._first, index)
        for key in [key for key in self._lines if key[0] < index and key not in self._changed]:
            del self._lines[key]


def merged(lines: Sequence[Bucket], *, planned: int) -> Bucket:
    """One bucket out of the lines that workers told of it.

    Histograms are added without loss, and quantiles are taken from the sum. What cannot be read is
    passed on, so that it is found where a single engine's would be.
    """
    whole = replace(lines[0], planned=planned)
    if len(lines) == 1:
        return whole
    response, histogram = _added([line.response for line in lines])
    service, _ = _added([line.service for line in lines])
    p50_ms, p95_ms, p99_ms = _quantiles_ms(histogram)
    return replace(
        whole,
        sent=sum(line.sent for line in lines),
        completed=sum(line.completed for line in lines),
        codes=_summed(line.codes for line in lines),
        failures=_summed(line.failures for line in lines),
        response=response,
        service=service,
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
    )


def _summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _added(texts: Sequence[str]) -> tuple[str, HdrHistogram]:
    histogram = new_histogram()
    for text in texts:
        try:
            add_encoded(histogram, text)
        except UnreadableHistogram:
            return text, histogram
    return histogram.encode().decode(), histogram


def _quantiles_ms(histogram: HdrHistogram) -> tuple[float | None, ...]:
    if not histogram.get_total_count():
        return (None,) * len(_PERCENTILES)
    found = histogram.get_percentile_to_value_dict(list(_PERCENTILES))
    return tuple(found[percentile] / 1000 for percentile in _PERCENTILES)


class WholePlan:
    """Counts of a job's curve, for comparison with what several workers did together."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._curve = Curve(
            [(float(x), float(y)) for x, y in job["points"]],
            float(job["duration"]),
            job["interpolation"],
            loop=bool(job["loop"]),
            max_rate=job["max_rps"],
        )
        self._sides = _sides(job)
        self.end = math.inf if job["loop"] else float(job["duration"])
        """The curve second after which nothing is planned."""
        self.in_bucket = cache(self._in_bucket)
        """How many requests a bucket has, by its index and side."""

    def before(self, second: float) -> int:
        """How many requests are due before this second, on both sides together."""
        return self._curve.planned_before(second)

    def _in_bucket(self, index: int, side: int) -> int:
        first, beyond = (self.before(edge * WIDTH) for edge in (index, index + 1))
        if self._sides is None:
            return 0 if side else beyond - first
        return self._sides.count(range(first, beyond), side)


class Sides(Protocol):
    """Which of the two targets of a duet each request goes to."""

    def count(self, numbers: range, side: int) -> int:
        """How many of these requests are on this side."""
        ...


def _sides(job: Mapping[str, Any]) -> Sides | None:
    """The sides of a duet, drawn as the engines draw them; None without a duet."""
    if not job.get("against"):
        return None
    # The one part of the engine that both ends need; it is pure.
    from tm_cli.server.engine import schedule

    return schedule.Sides(int(job["against"]["seed"]))


_SLACK = 10.0  # seconds by which a worker may be behind the others and behind its own requests


class Ledger:
    """Adds up what `members` tell; `request_timeout` is how long a request may wait, and last."""

    def __init__(
        self, members: Sequence[Member], plan: WholePlan, *, request_timeout: float
    ) -> None:
        self._members = members
        self._plan = plan
        self._merge = Merge(plan.in_bucket)
        self._kept = math.ceil((2 * request_timeout + _SLACK) / WIDTH)
        self._flags = Flags()

    def take(self, worker: int, bucket: Bucket) -> None:
        """A worker told of a bucket."""
        self._merge.take(worker, bucket)

    def raise_flags(self, flags: Flags) -> None:
        """What was raised once stays with the run."""
        self._flags = _any([self._flags, flags])

    def news(self) -> list[Bucket]:
        """The buckets that have changed since the last call."""
        return list(self._merge.changed())

    def round(self, now: float) -> list[Event]:
        """What is new, and where the run stands; some worker must be live."""
        live = [member for member in self._members if member.is_live]
        seconds = [member.second(now) for member in live]
        flags = _any(member.now_flags for member in live)
        progress = Progress(round(min(max(seconds), self._plan.end), 3), self._sent, flags)
        events: list[Event] = [*self.news(), *self._addresses(), progress]
        self._merge.forget_before(int(min(seconds) // WIDTH) - self._kept)
        return events

    def last_word(self, elapsed: float) -> list[Event]:
        """The end of a run, with what lost workers had told before they were lost."""
        finished = [member.finished for member in self._members if member.finished]
        planned = self._plan.before(elapsed)
        end = Finished(
            completed_curve=any(end.completed_curve for end in finished),
            elapsed=elapsed,
            planned=planned,
            sent=self._sent,
            completed=self._completed,
            shortfall=planned - self._sent,
            flags=self._flags,
        )
        return [*self.news(), *self._addresses(), end]

    def _addresses(self) -> list[Event]:
        """The requests of all workers by address; a worker that is lost told of them once."""
        sides: dict[int, Counter[str]] = {}
        for member in self._members:
            for side, requests in member.addresses.items():
                sides.setdefault(side, Counter()).update(requests)
        return [Addresses(side, dict(sorted(sides[side].items()))) for side in sorted(sides)]

    @property
    def _sent(self) -> int:
        """Requests sent as far as it is known; of a lost worker, what its buckets hold."""
        tallies = self._merge.tallies
        return sum(
            tallies[worker].sent if member.is_lost else member.sent
            for worker, member in enumerate(self._members)
        )

    @property
    def _completed(self) -> int:
        tallies = self._merge.tallies
        return sum(
            member.finished.completed if member.finished else tallies[worker].completed
            for worker, member in enumerate(self._members)
        )


def _any(flags: Iterable[Flags]) -> Flags:
    """Raised where it is raised in any of them."""
    every = list(flags)
    return Flags(
        generator_saturated=any(one.generator_saturated for one in every),
        downstream_saturated=any(one.downstream_saturated for one in every),
        flaky_dispatch=any(one.flaky_dispatch for one in every),
    )
