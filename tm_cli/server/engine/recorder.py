"""Results in buckets of five curve seconds; a request counts where it was due."""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from hdrh.histogram import HdrHistogram

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.played import (
    MOST_ERRORS,
    OTHER_ERRORS,
    Names,
    Played,
    StepCounts,
    StepResult,
    microseconds,
)
from tm_cli.server.engine.saturation import (
    LASTING,
    LATE,
    CpuPressure,
    LoadSample,
    ReportWindow,
    Saturation,
    p99,
    share_above,
)
from tm_cli.server.engine.schedule import BUCKET_SECONDS, RequestPlan
from tm_cli.server.validation import lowest_equivalent, new_histogram, quantiles_ms
from tm_cli.values.load.curve import Curve
from tm_cli.values.load.step_names import MOST_STEPS, OTHER_STEPS

# Timers fire up to a millisecond late. That little is the timer's doing, not the target's: such a
# request counts from when it was really sent.
TIMER_SLACK = 0.002


class Times:
    """A histogram of times, in microseconds.

    Equal times are counted and put into the histogram together, when it is asked for.
    """

    def __init__(self) -> None:
        self._new: Counter[int] = Counter()
        self._histogram: HdrHistogram | None = None  # large, and may never be needed

    def add(self, microseconds: int) -> None:
        self._new[microseconds] += 1

    @property
    def histogram(self) -> HdrHistogram | None:
        """None without times."""
        if self._new:
            self._histogram = self._histogram or new_histogram()
            for time, count in self._new.items():
                self._histogram.record_value(time, count)
            self._new.clear()
        return self._histogram


class OpenBucket:
    """The requests of one side that count in the curve seconds [5 index, 5 index + 5).

    Those are the ones with numbers first <= number < beyond; this worker has `claimed` so many.
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
        self._response = Times()
        self._service = Times()
        self.has_changed = True
        self.steps: defaultdict[str, StepCounts] = defaultdict(StepCounts)
        self.steps_due = -math.inf  # the second of the curve from which on they are told again

    @property
    def is_settled(self) -> bool:
        """Whether every claimed request has been sent and answered, or given up."""
        return self.completed == self.sent and self.sent + self.unsent == self.claimed

    @property
    def has_changed_steps(self) -> bool:
        return any(counts.has_changed for counts in self.steps.values())

    @property
    def response(self) -> HdrHistogram | None:
        return self._response.histogram

    @property
    def service(self) -> HdrHistogram | None:
        return self._service.histogram

    def time(self, response: float, service: float) -> None:
        time = lowest_equivalent(microseconds(service))
        self._service.add(time)
        self._response.add(
            time if response == service else lowest_equivalent(microseconds(response))
        )

    def document(self) -> dict[str, Any]:
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
            **quantiles_ms(self.response),
        }


class Recorder:
    """Counts and times requests. Instants are seconds of one monotonic clock."""

    def __init__(self, plan: RequestPlan) -> None:
        self._plan = plan
        self._curve = plan.curve
        self._live: dict[tuple[int, int], OpenBucket] = {}
        self._last = _last_index(plan.curve)
        self._opened = 0
        self._filling: list[OpenBucket] = []  # by side
        self._beyond = 0
        self.sent = 0
        self.completed = 0
        self.unsent = 0
        self.steps = 0
        self.occupied = self.thinking = 0.0  # seconds of all slots
        self._in_flight = [0 for _ in plan.sides]
        self.window = ReportWindow()
        self._step_names = Names(MOST_STEPS, OTHER_STEPS)
        self._error_names = Names(MOST_ERRORS, OTHER_ERRORS)

    @property
    def in_flight(self) -> int:
        return sum(self._in_flight)

    def claim(self, number: int, second: float) -> OpenBucket:
        """The bucket of a request due about then; call it once per request, in ascending order.

        The number decides, so that every bucket gets exactly what was planned for it.
        """
        if number >= self._beyond:
            self._fill(self._index_of(number, second))
        bucket = self._filling[self._plan.side(number)]
        bucket.claimed += 1
        return bucket

    def finish(self, second: float) -> None:
        """Count nothing from this second of the curve on."""
        self._last = min(self._last, max(math.ceil(second / BUCKET_SECONDS) - 1, self._opened - 1))
        self.replan()

    def replan(self) -> None:
        for bucket in self._live.values():
            planned = self._planned(bucket)
            bucket.has_changed |= planned != bucket.planned
            bucket.planned = planned

    def began(self, bucket: OpenBucket, due: float, start: float) -> None:
        bucket.sent += 1
        bucket.has_changed = True
        self.sent += 1
        self._in_flight[bucket.side] += 1
        self.window.began(start - due, self._in_flight[bucket.side])

    def ended(
        self, bucket: OpenBucket, due: float, start: float, end: float, result: int | str | Played
    ) -> None:
        """A request got a response (its status code) or none (the name of the error).

        Where an arrival is several requests, the result says what it played.
        """
        steps: Sequence[StepResult] = ()
        self.occupied += end - start
        if isinstance(result, Played):
            self.thinking += result.thinking
            end = max(start, end - result.thinking)
            steps, result = result.steps, result.result
        self._in_flight[bucket.side] -= 1
        self.completed += 1
        bucket.completed += 1
        intended = due if start - due > TIMER_SLACK else start
        bucket.time(end - intended, end - start)
        if isinstance(result, int):
            bucket.codes[result] += 1
        else:
            bucket.failures[self._error_names.bounded(result)] += 1
        if steps:
            self._count(bucket, steps)
        else:
            self.window.ended(end - start, result)
        bucket.has_changed = True

    def _count(self, bucket: OpenBucket, steps: Sequence[StepResult]) -> None:
        self.steps += len(steps)
        for step in steps:
            self.window.ended(step.seconds, step.result)
            result = step.result
            if isinstance(result, str):
                result = self._error_names.bounded(result)
            bucket.steps[self._step_names.bounded(step.name)].count(step.seconds, result)

    def gave_up(self, bucket: OpenBucket) -> None:
        """A request was due, but will not be sent."""
        bucket.unsent += 1
        self.unsent += 1
        self.window.unsent += 1
        bucket.has_changed = True

    def changed(self, elapsed: float, *, at_the_end: bool = False) -> Iterator[OpenBucket]:
        """The changed buckets, oldest first, at the end all; settled ones of the past are dropped.

        What is told of a bucket must be told before the next one is asked for.
        """
        current = self._index(elapsed)
        self._open_through(current)
        for key, bucket in sorted(self._live.items()):
            if bucket.has_changed or bucket.has_changed_steps or at_the_end:
                bucket.has_changed = False
                yield bucket
            # what happened since is still to be reported
            is_told = not (bucket.has_changed or bucket.has_changed_steps)
            if bucket.index < current and self._is_over(bucket) and is_told:
                del self._live[key]

    def steps_to_tell(self, bucket: OpenBucket, elapsed: float) -> list[str]:
        """The names of the changed steps, if it is time: every few seconds, and in the end."""
        if elapsed < bucket.steps_due and not self._is_over(bucket):
            return []
        bucket.steps_due = elapsed + BUCKET_SECONDS
        return sorted(name for name, counts in bucket.steps.items() if counts.has_changed)

    def take_window(self) -> ReportWindow:
        window, self.window = self.window, ReportWindow()
        self.window.most_in_flight = max(self._in_flight)
        return window

    def _is_over(self, bucket: OpenBucket) -> bool:
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
        return self._curve.planned_before(index * BUCKET_SECONDS)

    def _fill(self, index: int) -> None:
        self._open_through(index)
        self._filling = [self._live[index, side] for side in self._plan.sides]
        self._beyond = self._filling[0].beyond if index < self._last else sys.maxsize

    def _open_through(self, index: int) -> None:
        while self._opened <= index:
            first, beyond = self._first(self._opened), self._first(self._opened + 1)
            for side in self._plan.sides:
                bucket = OpenBucket(self._opened, side, first, beyond)
                bucket.planned = self._planned(bucket)
                self._live[self._opened, side] = bucket
            self._opened += 1

    def _planned(self, bucket: OpenBucket) -> int:
        return self._plan.count(bucket.first, bucket.beyond, bucket.side)


def _last_index(curve: Curve) -> int:
    return sys.maxsize if curve.loop else math.ceil(curve.duration / BUCKET_SECONDS) - 1


def _encoded(histogram: HdrHistogram | None) -> str:
    return _nothing() if histogram is None else str(histogram.encode().decode())


@cache
def _nothing() -> str:
    return _encoded(new_histogram())


Fields = dict[str, Any]


class EngineReport:
    """Turns the recorder's counts into the events `progress`, `bucket`, `steps` and `finished`.

    `monotonic` and `cpu_time` supply seconds: of the clock, and of this process at work.
    """

    def __init__(
        self,
        job: EngineJob,
        plan: RequestPlan,
        recorder: Recorder,
        *,
        monotonic: Callable[[], float],
        cpu_time: Callable[[], float],
        pressure: CpuPressure,
    ) -> None:
        self._job = job
        self.slots = job.slots
        self._plan = plan
        self._recorder = recorder
        self._monotonic = monotonic
        self._cpu_time = cpu_time
        self._pressure = pressure
        self._saturation = Saturation()
        self._samples_with_few_slots = 0
        self._seen_at = monotonic(), cpu_time()

    def begin(self) -> None:
        """Reset the CPU measurements at the start of the run."""
        self._pressure.begin()
        self._seen_at = self._monotonic(), self._cpu_time()

    def progress(self, elapsed: float, *, is_paused: bool) -> Fields:
        """The state of the run; called about once a second, it also detects saturation."""
        window = self._recorder.take_window()
        cpu = self._cpu_share()
        due = self._plan.planned_before(elapsed)
        backlog = max(0, due - self._recorder.sent - self._recorder.unsent)
        if not is_paused:
            sample = self._sample(window, cpu, backlog)
            self._saturation.observe(sample)
            self._samples_with_few_slots += sample.has_too_few_slots
        return {
            "elapsed": round(elapsed, 3),
            **self._counts(due),
            "in_flight": self._recorder.in_flight,
            "backlog": backlog,
            "slots": self.slots,
            "lag_p99_ms": round(p99(window.lags) * 1000, 3),
            "cpu": round(cpu, 3),
            **asdict(self._saturation.now),
        }

    def results(self, elapsed: float, *, at_the_end: bool = False) -> Iterator[tuple[str, Fields]]:
        """The events `steps` and `bucket`, with their fields.

        All steps of a bucket are told before the line that shows it to be complete. There is one
        event for each step, because to encode one takes about a millisecond.
        """
        for bucket in self._recorder.changed(elapsed, at_the_end=at_the_end):
            place = {"index": bucket.index, "side": bucket.side}
            names = self._recorder.steps_to_tell(bucket, math.inf if at_the_end else elapsed)
            document = bucket.document()
            for name in names:
                yield (
                    "steps",
                    {**place, "steps": {name: bucket.steps[name].document()}},
                )
            yield "bucket", document

    def finished(self, outcome: str, elapsed: float) -> Fields:
        """The sums of this worker's share; `planned` counts up to where the run ended."""
        due = self._plan.planned_before(elapsed)
        return {
            "outcome": outcome,
            "elapsed": round(elapsed, 3),
            "planned": due,
            **self._counts(due),
            "shortfall": due - self._recorder.sent,
            "steps": self._recorder.steps,
            **asdict(self._saturation.ever),
            "cpu_pressure": self._pressure.share(),
        }

    def note(self) -> str | None:
        """A sentence for people about how the load was sent; None if there is nothing to say."""
        if self._samples_with_few_slots < LASTING:
            return None
        return (
            f"too few senders: all {self.slots} were busy, {self._thinking():.0%} of the time with "
            "visitors who were thinking; `tm serve --slots` sets their number"
        )

    def _counts(self, due: int) -> Fields:
        return {"due": due, "sent": self._recorder.sent, "completed": self._recorder.completed}

    def _cpu_share(self) -> float:
        before, self._seen_at = self._seen_at, (self._monotonic(), self._cpu_time())
        wall, busy = (now - then for now, then in zip(self._seen_at, before, strict=True))
        return min(1.0, busy / wall) if wall > 0 else 0.0

    def _sample(self, window: ReportWindow, cpu: float, backlog: int) -> LoadSample:
        ended = len(window.services) + window.unsent
        return LoadSample(
            late=share_above(window.lags, LATE),
            held=share_above([*window.waits, *[math.inf] * backlog], LATE),
            lost=(window.failed + window.unsent) / ended if ended else 0.0,
            cpu=cpu,
            is_full=window.most_in_flight >= self.slots // len(self._plan.sides),
            service_p99=p99(window.services) / self._job.timeout,
            thinking=self._thinking(),
        )

    def _thinking(self) -> float:
        """The share of the slots' time; before a first visit has ended it is not known."""
        recorder = self._recorder
        if not recorder.occupied:
            return float(self._job.visit_timeout is not None)
        return recorder.thinking / recorder.occupied
