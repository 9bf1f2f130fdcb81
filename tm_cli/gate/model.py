"""Runs, their results, comparisons and time series, in terms that fit every backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from tm_cli.values.verdict import Verdict

WITHIN_RUNS = "(mean of buckets)"
"""Ends the name of a metric that was compared bucket by bucket, whatever runs differ by."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of a run and of its baseline; unknown values are None.

    `change` with its 95 % interval `ci_low` to `ci_high`, and `noise`, the smallest change that is
    more than chance, are in percent, for rates in points. A `change` above `warn` or `fail` is too
    much; with `than` "limit" a `value` is. `than` says what `baseline` is of: `baseline` or
    `reference`. All texts are clean.
    """

    metric: str
    unit: str = ""
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    noise: float | None = None
    warn: float | None = None
    fail: float | None = None
    verdict: str | None = None
    significant: bool = False
    than: str | None = None
    reason: str | None = None

    @property
    def is_limit(self) -> bool:
        """Whether `warn` and `fail` are absolute: in the unit of the value."""
        return self.than == "limit"

    @property
    def is_worth_a_row(self) -> bool:
        """Whether people want to see it: two sides, a limit of theirs, or it is not PASS."""
        return self.baseline is not None or self.is_limit or self.verdict != "PASS"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run whose arrivals are several requests.

    `metrics` has the names of a run's metrics. `verdict` is the worst of its `comparisons`, None if
    there are none. All texts are clean.
    """

    name: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    verdict: str | None = None
    has_thresholds: bool = False
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveStep:
    """One step of a run in flight."""

    name: str
    requests: int
    errors: int
    rps: float | None


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verdict is based on.

    `baseline` and `reference` are ids of runs, `choice` says how the baseline was chosen, and `age`
    how many seconds lay between the two runs. An A/B run has no baseline: `against` is the address
    of the other target.
    """

    baseline: int | str | None = None
    choice: str | None = None
    age: float | None = None
    reference: int | None = None
    against: str | None = None

    @property
    def is_ab_run(self) -> bool:
        return self.against is not None

    @property
    def other(self) -> str:
        """What people call the other side of the comparison."""
        return "other target" if self.is_ab_run else "baseline"


@dataclass(frozen=True, slots=True)
class Sample:
    """Some seconds of a run around second `t`; rates per second, times in milliseconds.

    `bad` is the share of the requests that failed, 0 to 1. Unknown values are None.
    """

    t: float
    rps: float | None = None
    planned: float | None = None
    bad: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


TimeSeries = tuple[Sample, ...]
"""A run over time, in order of time."""


def known_points(series: TimeSeries, quantity: str) -> list[tuple[float, float]]:
    """Return seconds and known values of one field of the samples."""
    found = ((sample.t, getattr(sample, quantity)) for sample in series)
    return [(t, value) for t, value in found if value is not None]


def not_judged(warmup: float) -> str:
    return f"the first {warmup:g} s are not judged"


@dataclass(frozen=True, slots=True)
class Run:
    """A started run; `run_id` is None when the server did not name it.

    `asked_at` is the wall clock just before the start was sent, and None for a run that an
    earlier invocation has started; `is_named` says that only the user's word is known of such a
    run, which may be mistyped. `resume` is the command line that waits for this run, `stop` the one
    that stops it, and `duration` how many seconds it should take, None when that is unknown.
    """

    run_id: str | None
    subject: str
    status: str
    asked_at: datetime | None
    resume: str | None = None
    duration: float | None = None
    is_named: bool = False
    stop: str | None = None


class Phase(Enum):
    """Where a run is, by the last poll."""

    ACTIVE = "running"
    PAUSED = "paused"
    ENDED = "ended"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Progress:
    """The answer to one poll; times in seconds of the run's own clock, pauses excluded.

    `recent` are the newest buckets, oldest first; the first `warmup` seconds are not judged.
    `is_ours` says that the server itself named our run as the active one, and `other_run` what it
    named instead, empty for no run. A run of many parts counts them by state (`items`) and knows
    how many there should be (`expected`). `may_end_early`: the run may end at any time, as soon as
    its verdict is known.
    """

    phase: Phase
    status: str
    is_ours: bool = False
    other_run: str | None = None
    elapsed: float | None = None
    duration: float | None = None
    requests: int | None = None
    rps: float | None = None
    planned_rps: float | None = None
    p95_ms: float | None = None
    recent: TimeSeries = ()
    warmup: float = 0.0
    codes: Mapping[str, int] = field(default_factory=dict)
    bad_ratio: float | None = None
    warnings: tuple[str, ...] = ()
    items: Mapping[str, int] = field(default_factory=dict)
    expected: int | None = None
    may_end_early: bool = False
    steps: tuple[LiveStep, ...] = ()

    @property
    def remaining(self) -> float | None:
        """Seconds until the run should end by itself; None when that is unknown."""
        if self.elapsed is None or not self.duration:
            return None
        return max(self.duration - self.elapsed, 0.0)

    def after(self, seconds: float) -> Progress:
        """Return what a poll would have shown `seconds` later; a paused clock stands still."""
        if self.elapsed is None or self.phase is not Phase.ACTIVE:
            return self
        return replace(self, elapsed=self.elapsed + seconds)


@dataclass(frozen=True, slots=True)
class TargetMetric:
    """A quantity of the target during `seconds` of a run; `unit` is `%` of a core, `B` or empty.

    `last` of restarts is their number. `gap` is the longest time without a sample, in seconds;
    `course` holds seconds of the run and values, thinned out.
    """

    name: str
    unit: str
    mean: float
    p95: float
    min: float
    max: float
    last: float
    seconds: float
    gap: float
    course: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a backend recorded of an ended run.

    `verdict` is None while the backend has not judged; `final` says that it never will, because
    the run was stopped or cut off, and `note` is the reason. `also` are the verdicts of other
    rules, for a gate that accepts the first. `notes` are sentences about the run. `verdict_text`
    and `facts` are what the server sent: sanitize them before they are shown. `target_metrics` are
    what this machine has recorded of the target.
    """

    run_id: str | None
    verdict: Verdict | None
    verdict_text: str | None
    reasons: tuple[str, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    final: bool = False
    note: str | None = None
    basis: Basis = field(default_factory=Basis)
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    series: TimeSeries = ()
    also: frozenset[Verdict] = frozenset()
    steps: tuple[Step, ...] = ()
    target_metrics: Mapping[str, TargetMetric] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """No record of our run was found; `reason` says what was there instead."""

    reason: str
    hint: str | None = None
