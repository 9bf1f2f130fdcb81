"""From a measured run to a verdict, in the order of section 8 of the contract.

The first rule that objects decides; the objections of the others are reported as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tm_cli.backends.runloop.differences import (
    compare_scenarios,
    compare_scores,
    coverage_of,
    explain_score,
)
from tm_cli.backends.runloop.measurements import (
    CANCELED,
    COMPLETED,
    FAILED,
    FINISHED,
    TIMEOUT,
    Measured,
)
from tm_cli.backends.runloop.rules import TOLERANCE, Rules, listed, points, share
from tm_cli.gate.model import Comparison
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict


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
            return f"{before.name} is {sanitize(before.state) or 'in no state'}"
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


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """The objection of one rule; without a verdict nothing can be judged."""

    verdict: Verdict | None
    reason: str


@dataclass(frozen=True, slots=True)
class BenchmarkJudgement:
    """The verdict of a run; None when its evidence does not allow one.

    `also` is what NO_BASELINE must not hide: the WARN of a rule that needs no baseline.
    """

    verdict: Verdict | None
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    also: frozenset[Verdict] = frozenset()


def judge(case: Case) -> BenchmarkJudgement:
    """Return the verdict on an ended run, every objection, and how it compares."""
    outcomes = [outcome for rule in IN_ORDER for outcome in rule(case)]
    verdict = outcomes[0].verdict if outcomes else Verdict.PASS
    reasons = tuple(outcome.reason for outcome in outcomes) or (_accepted(case),)
    comparisons, notes = _compared(case)
    also = hidden_by(verdict, (outcome.verdict for outcome in outcomes))
    return BenchmarkJudgement(
        verdict, reasons, comparisons, (*explain_score(case.run), *notes), also
    )


def hidden_by(verdict: Verdict | None, found: Iterable[Verdict | None]) -> frozenset[Verdict]:
    """Return the verdicts of `found` that a gate which accepts `verdict` must consider as well."""
    if verdict is not Verdict.NO_BASELINE:
        return frozenset()
    return frozenset({Verdict.WARN}) & frozenset(found)


def _canceled(case: Case) -> Iterator[RuleOutcome]:
    if case.run.state == CANCELED:
        score = case.run.usable_score
        note = "" if score is None else f"; its score {share(score)} covers what was done by then"
        yield RuleOutcome(Verdict.FAIL, f"{case.run.name} was canceled{note}")


def _failed(case: Case) -> Iterator[RuleOutcome]:
    if case.run.state in {FAILED, TIMEOUT}:
        word = "failed" if case.run.state == FAILED else "ran out of time"
        yield RuleOutcome(Verdict.FAIL, f"{case.run.name} {word} as a whole")


def _unknown(case: Case) -> Iterator[RuleOutcome]:
    if case.run.state not in {COMPLETED, CANCELED, FAILED, TIMEOUT}:
        state = sanitize(case.run.state) or "missing"
        yield RuleOutcome(None, f"the state {state} of {case.run.name} is unknown to tm")


def _incomplete(case: Case) -> Iterator[RuleOutcome]:
    run, total = case.run, case.expected.total
    if not run.attempts:
        yield RuleOutcome(Verdict.FAIL, f"{run.name} has no scenario runs: nothing was measured")
        return
    if not total:
        yield RuleOutcome(
            None, f"it is unknown how many scenarios {run.name} should have (--expect)"
        )
    elif coverage_of(run, case.expected.ids, total) < case.rules.coverage - TOLERANCE:
        done = len(run.scenario_ids & (case.expected.ids or run.scenario_ids))
        needed = share(case.rules.coverage)
        reached = share(coverage_of(run, case.expected.ids, total))
        reason = f"{done} of {total} scenarios were run: {reached} coverage, {needed} is needed"
        yield RuleOutcome(Verdict.FAIL, f"incomplete: {reason}")
    going = [attempt for attempt in run.attempts if attempt.state not in FINISHED]
    if going:
        states = listed(sorted({sanitize(attempt.state) or "no state" for attempt in going}))
        reason = f"{len(going)} scenario runs had not ended ({states})"
        yield RuleOutcome(Verdict.FAIL, f"incomplete: {reason}")
    unknown = run.scenario_ids - case.expected.ids if case.expected.ids else frozenset()
    if unknown:
        names = listed(sanitize(name) for name in sorted(unknown))
        yield RuleOutcome(Verdict.FAIL, f"the benchmark does not have what was run: {names}")


def _unusable_score(case: Case) -> Iterator[RuleOutcome]:
    if case.run.usable_score is None:
        found = "no score yet" if case.run.score is None else "a score that is not between 0 and 1"
        yield RuleOutcome(None, f"{case.run.name} has {found}")


def _failed_scenarios(case: Case) -> Iterator[RuleOutcome]:
    failures, most = case.run.failures, case.rules.max_failed
    number = max(len(failures), case.run.reported_failures)
    if number > most:
        named = listed(f"{sanitize(item.scenario_id)} ({item.problem})" for item in failures)
        count = f"{number} of {len(case.run.attempts)} scenario runs"
        details = f": {named}" if named else ""
        yield RuleOutcome(Verdict.FAIL, f"{count} failed, {most} may{details}")


def _below_minimum(case: Case) -> Iterator[RuleOutcome]:
    score, least = case.run.usable_score, case.rules.min_score
    if score is not None and least is not None and score < least - TOLERANCE:
        yield RuleOutcome(
            Verdict.FAIL, f"score {share(score)} of {case.run.name} is below {share(least)}"
        )


def _no_baseline(case: Case) -> Iterator[RuleOutcome]:
    if case.rules.needs_baseline and (why := case.incomparable):
        yield RuleOutcome(Verdict.NO_BASELINE, f"no baseline: {why}")


def _dropped(case: Case) -> Iterator[RuleOutcome]:
    yield from _drop_above(case, case.rules.max_drop, Verdict.FAIL)


def _drop_above(case: Case, most: float | None, verdict: Verdict) -> Iterator[RuleOutcome]:
    drop, before = case.drop, case.baseline.measured
    if most is None or drop is None or before is None or drop <= most + TOLERANCE:
        return
    yield RuleOutcome(
        verdict,
        f"score of {case.run.name} is {points(drop)} below {before.name}, {points(most)} may be",
    )


def _warned(case: Case) -> Iterator[RuleOutcome]:
    score, least = case.run.usable_score, case.rules.warn_score
    if score is not None and least is not None and score < least - TOLERANCE:
        yield RuleOutcome(
            Verdict.WARN, f"score {share(score)} of {case.run.name} is below {share(least)}"
        )
    yield from _drop_above(case, case.rules.warn_drop, Verdict.WARN)
    before = case.baseline.measured
    if (
        case.rules.common_only
        and before is not None
        and case.incomparable is None
        and before.scenario_ids != case.run.scenario_ids
    ):
        count = len(before.scenario_ids & case.run.scenario_ids)
        yield RuleOutcome(
            Verdict.WARN, f"{before.name} has other scenarios; {count} common ones were compared"
        )


IN_ORDER: Sequence[Callable[[Case], Iterator[RuleOutcome]]] = (
    _canceled,
    _failed,
    _unknown,
    _incomplete,
    _unusable_score,
    _failed_scenarios,
    _below_minimum,
    _no_baseline,
    _dropped,
    _warned,
)


def _accepted(case: Case) -> str:
    score = case.run.usable_score
    over = f"over {len(case.run.scenario_ids)} scenarios"
    scored = f"{case.run.name} scored {share(score or 0.0)} {over}"
    before, drop = case.baseline.measured, case.drop
    if before is None or drop is None:
        return scored
    return f"{scored}, {before.name} {share(before.usable_score or 0.0)}"


def _compared(case: Case) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    before = case.baseline.measured
    scenarios, notes = compare_scenarios(case.run, before)
    score = _score_row(case)
    return (*([score] if score else []), _coverage_row(case), *scenarios), notes


def _score_row(case: Case) -> Comparison | None:
    score, before = case.run.usable_score, case.baseline.measured
    if score is None:
        return None
    compared = compare_scores(case.run, before, common=case.rules.common_only)
    is_comparable = compared is not None and case.incomparable is None
    rules = (*_below_minimum(case), *_dropped(case), *_warned(case))
    return Comparison(
        "score",
        "%",
        value=(compared.now if compared and is_comparable else score) * 100,
        baseline=compared.before * 100 if compared and is_comparable else None,
        change=(compared.now - compared.before) * 100 if compared and is_comparable else None,
        warn=_below(case.rules.warn_drop),
        fail=_below(case.rules.max_drop),
        verdict=rules[0].verdict if rules else Verdict.PASS,
        than="baseline" if is_comparable else None,
        reason=rules[0].reason if rules else _accepted(case),
    )


def _below(drop: float | None) -> float | None:
    """A limit of a drop as the change that it allows, in points."""
    return None if drop is None else -drop * 100


def _coverage_row(case: Case) -> Comparison:
    problems = tuple(_incomplete(case))
    total = case.expected.total
    covered = coverage_of(case.run, case.expected.ids, total) if total else None
    done = f"{len(case.run.scenario_ids)} of {total or 'an unknown number of'} scenarios were run"
    return Comparison(
        "coverage",
        "%",
        value=None if covered is None else covered * 100,
        verdict=(problems[0].verdict or "-") if problems else Verdict.PASS,
        reason=problems[0].reason if problems else done,
    )
