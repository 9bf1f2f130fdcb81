"""Live limits such as `p95>2s for 30s`: a run that breaks one is ended, and fails.

The API describes a run in buckets of five seconds. A limit is broken when its condition holds in
consecutive buckets for as long as it says, without `for` in one of them. A bucket without a value
does not count, and neither does one that is still filling: its rate is too low as yet, and the
requests that fail first may be the first to end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tm_cli.gate.checks import RELATIONS, Check, ConditionResult, KeptCheck, parse_check, shown
from tm_cli.gate.model import Progress, Result, Sample, TimeSeries
from tm_cli.values.durations import format_duration, parse_duration
from tm_cli.values.text import as_number

BUCKET = 5.0
"""Seconds of a bucket, by the API contract."""

RECENT = 12 * BUCKET
"""Seconds that one poll describes, at most."""

MOST_RECENT = 60
"""Buckets of one poll that are read; the contract allows twelve."""

LONGEST_GAP = 30.0
"""Seconds of a run that may pass unread before a limit counts as not measured."""

METRICS: Mapping[str, str] = {
    "p50": "p50", "p95": "p95", "p99": "p99", "errors": "bad", "success": "bad", "rps": "rps",
}  # fmt: skip
"""What the live data have, and where a bucket holds it."""

_FORM = re.compile(r"(?P<condition>.*?\S)(?:\s+for\s+(?P<duration>.*))?", re.ASCII)
_WORDS = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}


@dataclass(frozen=True, slots=True)
class LiveLimit:
    """A condition that a run must not meet for `seconds`; `written` is what the user wrote."""

    written: str
    condition: Check
    seconds: float

    @property
    def text(self) -> str:
        """What must hold, as reports list it among the checks."""
        return f"never {self.written}"

    def value(self, bucket: Sample) -> float | None:
        """Return the metric in milliseconds, percent or requests per second."""
        found: float | None = getattr(bucket, METRICS[self.condition.metric])
        if found is None or self.condition.metric not in ("errors", "success"):
            return found
        return found * 100 if self.condition.metric == "errors" else 100 - found * 100

    def settles(self, bucket: Sample) -> float:
        """Return the second of the run from which on this bucket is evidence."""
        is_share = METRICS[self.condition.metric] == "bad"
        return end_of(bucket) + ((bucket.p99 or 0.0) / 1000 if is_share else 0.0)

    def is_broken_in(self, bucket: Sample) -> bool:
        """Whether the condition holds there; a rate that the profile plans breaks nothing."""
        value = self.value(bucket)
        return value is not None and self._holds(value) and not self.is_planned_in(bucket)

    def is_planned_in(self, bucket: Sample) -> bool:
        """Whether the profile itself plans a rate there that is as low as the limit says."""
        is_low = self.condition.metric == "rps" and self.condition.relation in ("<", "<=")
        return is_low and bucket.planned is not None and self._holds(bucket.planned)

    def _holds(self, value: float) -> bool:
        return bool(RELATIONS[self.condition.relation](value, self.condition.limit))

    def reason(self, last: float) -> str:
        """Return how it was broken; `last` is the newest value."""
        condition = self.condition
        verb = "were" if condition.metric in ("errors", "rps") else "was"
        lasted = f" for {format_duration(self.seconds)}" if self.seconds else ""
        name = "requests/s" if condition.metric == "rps" else condition.metric
        return (
            f"{name} {verb} {_WORDS[condition.relation]} {_amount(condition, condition.limit)}"
            f"{lasted} (last {_amount(condition, last)})"
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that a run has broken, at second `at` of the run; `value` as `LiveLimit.value`.

    `stopped` says that the run was ended because of it.
    """

    limit: str
    metric: str
    value: float
    at: float
    reason: str
    stopped: bool = False


def parse_live_limit(text: str) -> LiveLimit:
    """Return the limit that `text` writes; raises ValueError when it is none."""
    written = " ".join(text.split())
    form = _FORM.fullmatch(written)
    if form is None:
        raise ValueError("it names no condition; write e.g. 'p95>2s for 30s'")
    condition = _condition(form["condition"])
    if form["duration"] is None:
        return LiveLimit(written, condition, 0.0)
    seconds = parse_duration(form["duration"])
    if seconds <= 0:
        raise ValueError(f"{written!r}: the duration must be longer than zero")
    return LiveLimit(written, condition, seconds)


def _condition(text: str) -> Check:
    try:
        condition = parse_check(text)
    except ValueError as problem:
        example = "p95<400ms or errors<1%"
        raise ValueError(str(problem).replace(example, "'p95>2s for 30s' or errors>20%")) from None
    if condition.relative:
        raise ValueError(f"{text!r}: a running test has no baseline; write a fixed value")
    if condition.metric not in METRICS:
        raise ValueError(
            f"{text!r}: the live data of a run have no {condition.metric}; "
            f"they have {', '.join(METRICS)}"
        )
    return condition


def start_of(bucket: Sample) -> float:
    return bucket.t - BUCKET / 2


def end_of(bucket: Sample) -> float:
    return bucket.t + BUCKET / 2


def _amount(condition: Check, value: float) -> str:
    if condition.metric.startswith("p") and value >= 1000:
        return f"{value / 1000:,.2f}".rstrip("0").rstrip(".") + " s"
    return shown(condition.metric, value)


class LiveReadings:
    """What was read of one run while it went on, and the limits that it must not break."""

    def __init__(self, limits: Sequence[LiveLimit]) -> None:
        self._limits = limits
        self._live: dict[float, Sample] = {}
        self._record: TimeSeries = ()
        self._elapsed = self._warmup = 0.0
        self.breach: Breach | None = None

    def take(self, progress: Progress) -> None:
        """Add what a poll has shown of this run; sets `breach` once a limit is broken."""
        if not (self._limits and progress.is_ours and progress.elapsed is not None):
            return
        self._elapsed, self._warmup = max(self._elapsed, progress.elapsed), progress.warmup
        for bucket in progress.recent[-MOST_RECENT:]:
            if bucket.t >= self._warmup and end_of(bucket) <= progress.elapsed:
                self._live[bucket.t] = bucket
        self._find_breach(self._broken_by_now)

    def finish(self, result: Result) -> None:
        """Add the record of the ended run, which has what no poll has shown."""
        ended = as_number(result.facts.get("durationSeconds"))
        self._elapsed = self._elapsed if ended is None else ended
        self._warmup = as_number(result.facts.get("warmupSeconds")) or self._warmup
        self._record = tuple(bucket for bucket in result.series if bucket.t >= self._warmup)
        self._find_breach(self._broken_at_all)

    def outcomes(self) -> tuple[ConditionResult, ...]:
        """Return for each limit whether the run kept it; None where too little is known."""
        return tuple(map(self._outcome, self._limits))

    def _find_breach(self, search: Callable[[LiveLimit], Breach | None]) -> None:
        if self.breach is None:
            self.breach = next(filter(None, map(search, self._limits)), None)

    def _outcome(self, limit: LiveLimit) -> ConditionResult:
        is_first = self.breach is not None and self.breach.limit == limit.written
        passed: bool | None = None
        if broken := self.breach if is_first else self._broken_at_all(limit):
            passed, why = False, broken.reason
        elif not (why := self._unread(limit) or ""):
            passed, why = True, self._closest(limit)
        reason = f"{limit.text}: {why}"
        return ConditionResult(KeptCheck(limit.text, passed, reason), passed, reason)

    def _buckets(self, limit: LiveLimit) -> TimeSeries:
        """Return the record where it has this metric, else what polls have shown.

        A rate means little without the planned one, which some records leave out.
        """
        live = tuple(self._live[t] for t in sorted(self._live))
        has_value = any(limit.value(bucket) is not None for bucket in self._record)
        needs_plan = limit.condition.metric == "rps" and _has_plan(live)
        return self._record if has_value and (not needs_plan or _has_plan(self._record)) else live

    def _broken_by_now(self, limit: LiveLimit) -> Breach | None:
        """Search the newest buckets that are evidence by now."""
        since = self._elapsed - limit.seconds - LONGEST_GAP - RECENT
        newest = [self._live[t] for t in sorted(self._live) if t >= since]
        found = _search(limit, [each for each in newest if limit.settles(each) <= self._elapsed])
        return found and replace(found, at=self._elapsed)

    def _broken_at_all(self, limit: LiveLimit) -> Breach | None:
        """Search the whole run; the rate of a part of a bucket, at its end, may be too low."""
        buckets = self._buckets(limit)
        if limit.condition.metric == "rps":
            buckets = tuple(each for each in buckets if end_of(each) <= self._elapsed)
        return _search(limit, buckets, end=self._elapsed)

    def _unread(self, limit: LiveLimit) -> str | None:
        """Return what keeps a limit from being measured; None when nothing does.

        In the record of a run, a bucket that is not there had no traffic.
        """
        buckets, metric = self._buckets(limit), limit.condition.metric
        if all(limit.value(bucket) is None for bucket in buckets):
            return f"there was no reading of {metric}"
        is_whole = buckets is self._record
        longest = 0.0 if is_whole else _longest_gap(buckets, self._warmup, self._elapsed)
        if longest <= max(limit.seconds, LONGEST_GAP):
            return None
        return f"there was no reading of {metric} for {format_duration(longest)}"

    def _closest(self, limit: LiveLimit) -> str:
        """Return the value that came closest to the limit."""
        judged = [each for each in self._buckets(limit) if not limit.is_planned_in(each)]
        values = [value for each in judged if (value := limit.value(each)) is not None]
        if not values:
            return "the profile plans such a rate all the time"
        is_upper = limit.condition.relation.startswith(">")
        closest = _amount(limit.condition, max(values) if is_upper else min(values))
        return f"the {'highest' if is_upper else 'lowest'} value over 5 s was {closest}"


def _has_plan(buckets: TimeSeries) -> bool:
    return any(bucket.planned is not None for bucket in buckets)


def _search(limit: LiveLimit, buckets: Iterable[Sample], *, end: float = math.inf) -> Breach | None:
    """Return the first stretch that breaks the limit; the last bucket counts up to `end`."""
    first = last = found = None
    for bucket in buckets:
        if not limit.is_broken_in(bucket):
            if found:
                break
            first = None
            continue
        if first is None or last is None or bucket.t - last.t > 1.5 * BUCKET:
            first = bucket
        last = bucket
        until = min(end_of(last), max(end, start_of(last)))
        if until - start_of(first) >= limit.seconds:
            value = limit.value(last) or 0.0
            at = found.at if found else until
            found = Breach(limit.written, limit.condition.metric, value, at, limit.reason(value))
    return found


def _longest_gap(buckets: Iterable[Sample], until: float, end: float) -> float:
    """Return the most seconds between `until` and `end` that no bucket covers."""
    longest = 0.0
    for bucket in buckets:
        longest, until = max(longest, start_of(bucket) - until), end_of(bucket)
    return max(longest, end - until)
