"""What the verdict on a run is derived from."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.systems.runloop.differences import compare_scores, coverage_of
from tm_cli.systems.runloop.evidence import COMPLETED, FINISHED, Measured
from tm_cli.systems.runloop.rules import Rules
from tm_cli.text import clean


@dataclass(frozen=True, slots=True)
class Expected:
    """The scenarios that a run must have: their ids, or just how many there are."""

    ids: frozenset[str] | None = None
    count: int | None = None

    @property
    def total(self) -> int | None:
        """How many; None when that is unknown."""
        return len(self.ids) if self.ids is not None else self.count


@dataclass(frozen=True, slots=True)
class Baseline:
    """The run to compare with, or in `why` a clause that says why there is none."""

    measured: Measured | None = None
    why: str = "there is no earlier run"
    choice: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A run, its rules, and what it is compared with."""

    run: Measured
    rules: Rules
    expected: Expected
    baseline: Baseline

    @property
    def incomparable(self) -> str | None:
        """Why the baseline cannot be compared with, None when it can."""
        before = self.baseline.measured
        if before is None:
            return self.baseline.why
        if before.state != COMPLETED:
            return f"{before.name} is {clean(before.state) or 'in no state'}"
        if before.usable_score is None:
            return f"{before.name} has no usable score"
        if before.benchmark_id != self.run.benchmark_id:
            return f"{before.name} is of another benchmark"
        if any(attempt.state not in FINISHED for attempt in before.attempts):
            return f"{before.name} is incomplete"
        if self.rules.common_only:
            shared = before.scenario_ids & self.run.scenario_ids
            return None if shared else f"{before.name} has no scenario in common"
        if before.scenario_ids != self.run.scenario_ids:
            return f"{before.name} has other scenarios"
        if coverage_of(before, self.expected.ids, self.expected.total) < self.rules.coverage:
            return f"{before.name} is incomplete"
        return None

    @property
    def drop(self) -> float | None:
        """How many points (0 to 1) the score is below the baseline's; None without one."""
        compared = compare_scores(self.run, self.baseline.measured, common=self.rules.common_only)
        if self.incomparable is not None or compared is None:
            return None
        return compared.before - compared.now
