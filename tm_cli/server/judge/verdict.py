"""From the comparisons to the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tm_cli.server.judge.baseline import BaselineChoice
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BASELINE,
    BY_THE_GENERATOR,
    CPU_PRESSURE,
    REFERENCE,
    MetricComparison,
    Severity,
    alone,
    at_most_warn,
    baseline_is_usable,
    cpu_pressure,
    error_rates,
    generator,
    is_unreliable,
    redirects,
    successes,
    throughput,
    unreached,
)
from tm_cli.server.judge.latency import ALWAYS_SEEN, compare_response_times
from tm_cli.server.judge.levels import METRICS
from tm_cli.server.judge.limits import compare_stretches, within_limits
from tm_cli.server.judge.steps import (
    compare_steps,
    step_documents,
    steps_alone,
    worst_of_steps,
)
from tm_cli.server.judge.thresholds import Thresholds

VerdictName = Literal["PASS", "WARN", "FAIL", "NO_BASELINE"]

_BY_SEVERITY: dict[Severity, VerdictName] = {
    Severity.PASS: "PASS",
    Severity.WARN: "WARN",
    Severity.FAIL: "FAIL",
}
_EXAMPLE = "p95"
OTHER_TARGET = "other target"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, every comparison made (JSON-able), and the baseline's history id."""

    verdict: VerdictName
    reasons: tuple[str, ...]
    snapshot: dict[str, Any]
    baseline_id: int | None


def judge(run: RunFacts, choice: BaselineChoice, thresholds: Thresholds | None = None) -> Judgement:
    """Compare a finished run with its baseline; the worst finding is the verdict.

    Without a baseline there is nothing to compare with, and the verdict is NO_BASELINE, unless a
    limit is crossed that needs none, too many requests failed or none was completed, or the curve
    was cut off: the whole one may have a baseline.
    """
    thresholds = thresholds or Thresholds()
    baseline = choice.baseline
    if baseline is None:
        return _alone(run, thresholds, choice)
    found = compare(
        run,
        baseline,
        thresholds,
        than=BASELINE,
        passed=choice.passed,
        completed=choice.completed,
        is_named=choice.is_named,
    )
    found += _against_references(run, choice, thresholds)
    found += alone(run, thresholds)
    found += within_limits(run, thresholds)
    found += steps_alone(run, thresholds)
    found.append(generator(run, baseline, BASELINE))
    if is_unreliable(baseline, thresholds):
        found = [_with_way_out(comparison, run, choice, thresholds) for comparison in found]
    snapshot = _snapshot("runs", choice, thresholds, found)
    snapshot |= _steps(run, baseline, found, thresholds)
    return _judged(found, snapshot, baseline.history_id)


def judge_ab_run(
    now: RunFacts, before: RunFacts, thresholds: Thresholds | None = None
) -> Judgement:
    """Compare the two sides of an A/B run: the new version with the old one."""
    thresholds = thresholds or Thresholds()
    found = compare(now, before, thresholds, than=OTHER_TARGET, is_paired=True)
    found += alone(now, thresholds)
    found += within_limits(now, thresholds)
    found += steps_alone(now, thresholds)
    found.append(generator(now, None, None))
    snapshot = _snapshot("duet", BaselineChoice(None), thresholds, found)
    return _judged(found, snapshot | _steps(now, before, found, thresholds), None)


def judge_by(
    run: RunFacts, other: BaselineChoice | RunFacts, thresholds: Thresholds | None = None
) -> Judgement:
    """Judge a run by its baseline, or the new side of an A/B run by the `other` one."""
    if isinstance(other, RunFacts):
        return judge_ab_run(run, other, thresholds)
    return judge(run, other, thresholds)


def compare(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    *,
    than: str,
    passed: Sequence[RunFacts] = (),
    completed: Sequence[RunFacts] = (),
    is_paired: bool = False,
    is_named: bool = False,
) -> list[MetricComparison]:
    """Every comparison of two runs, good ones included; none with a run that mostly failed.

    `passed`, `completed`: see `compare_response_times`. `is_named`: the user has chosen the other
    run.
    """
    found = [baseline_is_usable(other, thresholds, than)]
    if not other.can_be_baseline:
        return found
    times = [
        *compare_response_times(
            run,
            other,
            thresholds,
            than=than,
            passed=passed,
            completed=completed,
            is_paired=is_paired,
            is_named=is_named,
        )
    ]
    is_timed = any(comparison.is_judged for comparison in times)
    stretches = [*compare_stretches(run, other, thresholds, than=than, is_paired=is_paired)]
    times += [comparison for comparison in stretches if comparison.unit == "ms"]
    times = _no_failures_of_the_generator(times, run, other)
    if not is_named and not is_paired:
        times = _no_failures_by_a_doubtful_run(times, other, thresholds, than)
    found += [*times, *error_rates(run, other, thresholds, than)]
    found += [comparison for comparison in stretches if comparison.unit != "ms"]
    found += successes(run, other, thresholds, than, () if is_named else passed)
    rate = throughput(run, other, thresholds.throughput, than)
    found.append(at_most_warn(rate, BY_THE_GENERATOR) if run.generator_saturated else rate)
    found += () if is_paired else cpu_pressure(run, other, than)
    found += unreached(run, [other] if is_named else [other, *passed], than)
    if not is_timed:
        found.append(_nothing_timed(run))
    steps = compare_steps(
        run,
        other,
        thresholds,
        than=than,
        passed=passed,
        completed=completed,
        is_paired=is_paired,
        is_named=is_named,
    )
    is_chosen = is_named or is_paired
    return found + _excused(steps, run, other, thresholds, than, is_chosen=is_chosen)


def _excused(
    steps: Iterable[MetricComparison],
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    than: str,
    *,
    is_chosen: bool,
) -> list[MetricComparison]:
    """The response times of steps may be the fault of the same things as those of the run."""
    found = list(steps)
    times = [item for item in found if item.unit == "ms"]
    judged = _no_failures_of_the_generator(times, run, other)
    if not is_chosen:
        judged = _no_failures_by_a_doubtful_run(judged, other, thresholds, than)
    return [*judged, *(item for item in found if item.unit != "ms")]


def _nothing_timed(run: RunFacts) -> MetricComparison:
    """Too few requests to judge any response time are too few to pass."""
    reason = f"{run.completed} requests are too few to judge any response time"
    return MetricComparison("times", Severity.WARN, reason)


def _no_failures_of_the_generator(
    found: list[MetricComparison], run: RunFacts, other: RunFacts
) -> list[MetricComparison]:
    """The measurements of a saturated generator may be its own fault, not the target's."""
    if not run.generator_saturated and not other.generator_saturated:
        return found
    return [at_most_warn(comparison, BY_THE_GENERATOR) for comparison in found]


def _no_failures_by_a_doubtful_run(
    found: list[MetricComparison], other: RunFacts, thresholds: Thresholds, than: str
) -> list[MetricComparison]:
    """A comparison with a doubtful run gives a warning at most."""
    if not is_unreliable(other, thresholds):
        return found
    return [
        at_most_warn(comparison, f"; no failure: the {than} is doubtful") for comparison in found
    ]


def _references(choice: BaselineChoice) -> dict[str, RunFacts]:
    """The older run that each metric is compared with as well."""
    found = {metric: choice.improved.get(metric, choice.reference) for metric in METRICS}
    newest = choice.baseline.history_id if choice.baseline else None
    return {
        metric: reference
        for metric, reference in found.items()
        if reference and reference.history_id != newest
    }


def _against_references(
    run: RunFacts, choice: BaselineChoice, thresholds: Thresholds
) -> list[MetricComparison]:
    """Many small steps, each of which passed, add up: the first run that passed sees them."""
    by_metric = _references(choice)
    found = []
    for reference in {other.history_id: other for other in by_metric.values()}.values():
        metrics = [
            name for name, other in by_metric.items() if other.history_id == reference.history_id
        ]
        bounds = {name: bound for name, bound in thresholds.quantiles.items() if name in metrics}
        times = compare_response_times(
            run,
            reference,
            replace(thresholds, quantiles=bounds),
            than=REFERENCE,
            passed=choice.passed,
            completed=choice.completed,
        )
        judged = _no_failures_of_the_generator([*times], run, reference)
        found += _no_failures_by_a_doubtful_run(judged, reference, thresholds, REFERENCE)
        rates = error_rates(run, reference, thresholds, REFERENCE)
        found += [comparison for comparison in rates if comparison.metric in metrics]
    found = [
        replace(
            comparison,
            reason=f"{comparison.reason} ({_which(choice, by_metric, comparison.metric)})",
        )
        for comparison in found
    ]
    return found + _steps_against_reference(run, choice, thresholds)


def _steps_against_reference(
    run: RunFacts, choice: BaselineChoice, thresholds: Thresholds
) -> list[MetricComparison]:
    """What is wrong with steps; that nothing is wrong is known by the comparison with the run."""
    reference, baseline = choice.reference, choice.baseline
    if not reference or not baseline or reference.history_id == baseline.history_id:
        return []
    steps = compare_steps(
        run,
        reference,
        thresholds,
        than=REFERENCE,
        passed=choice.passed,
        completed=choice.completed,
    )
    found = _excused(steps, run, reference, thresholds, REFERENCE, is_chosen=False)
    which = f"run {reference.history_id}, the first that passed"
    return [
        replace(item, reason=f"{item.reason} ({which})")
        for item in found
        if item.severity and item.metric != "yardstick"
    ]


def _which(choice: BaselineChoice, references: Mapping[str, RunFacts], metric: str) -> str:
    since = f" since {metric} improved" if metric in choice.improved else ""
    return f"run {references[metric].history_id}, the first that passed{since}"


def _with_way_out(
    comparison: MetricComparison, run: RunFacts, choice: BaselineChoice, thresholds: Thresholds
) -> MetricComparison:
    """Add to the comparison that reports a doubtful baseline how to replace it."""
    if not comparison.severity or comparison.than != BASELINE:
        return comparison
    if comparison.metric != "yardstick" and (comparison.metric != "generator" or comparison.value):
        return comparison
    pin = "ID" if is_unreliable(run, thresholds) else run.history_id
    again = "" if choice.is_named else "run it again, or "
    hint = f"; {again}choose another baseline: tm baseline pin {pin}"
    return replace(comparison, reason=comparison.reason + hint)


def _alone(run: RunFacts, thresholds: Thresholds, choice: BaselineChoice) -> Judgement:
    limited = [*within_limits(run, thresholds), *steps_alone(run, thresholds)]
    found = [*alone(run, thresholds), *limited, generator(run, None, None)]
    snapshot = _snapshot("runs", choice, thresholds, found)
    snapshot |= _steps(run, None, found, thresholds)
    if run.completed == 0:
        return Judgement("FAIL", ("no request was completed",), snapshot, None)
    counted = {"all_errors", "workers"} if run.traits.get("rate limit") else {"all_errors"}
    limited += [comparison for comparison in found if comparison.metric in counted]
    if worst := max(comparison.severity for comparison in limited):
        lost = (choice.reason,) if choice.is_named else ()
        return Judgement(_BY_SEVERITY[worst], (*_reasons(limited, worst), *lost), snapshot, None)
    redirected = None if thresholds.expect_status else redirects(run)
    reasons = [text for text in (choice.reason, redirected) if text]
    return Judgement("NO_BASELINE", tuple(reasons), snapshot, None)


def _judged(
    found: list[MetricComparison], snapshot: dict[str, Any], baseline_id: int | None
) -> Judgement:
    worst = max(comparison.severity for comparison in found)
    return Judgement(_BY_SEVERITY[worst], _reasons(found, worst), snapshot, baseline_id)


def _snapshot(
    method: str,
    choice: BaselineChoice,
    thresholds: Thresholds,
    found: Sequence[MetricComparison],
) -> dict[str, Any]:
    found = [comparison for comparison in found if comparison.step is None]
    baseline = choice.baseline
    references = [other.history_id for other in _references(choice).values()]
    return {
        "version": 2,
        "method": method,
        "baseline": baseline.history_id if baseline else None,
        "baselineChoice": choice.how.value if choice.how else None,
        "baselineAgeSeconds": baseline.age if baseline else None,
        "reference": min(references, default=None),
        "excludesFail": _excludes_fail(found),
        "improved": sorted({item.metric for item in found if item.is_improved}),
        "limits": thresholds.document(),
        "canDetect": {
            comparison.metric: comparison.detects.document()
            for comparison in found
            if comparison.detects and comparison.than != REFERENCE
        },
        "comparisons": [comparison.document() for comparison in found],
    }


def _steps(
    run: RunFacts,
    other: RunFacts | None,
    found: Sequence[MetricComparison],
    thresholds: Thresholds,
) -> dict[str, Any]:
    """The part of the snapshot about steps; nothing for a run without any."""
    documents = step_documents(run, other, found, thresholds)
    return {"steps": documents} if documents else {}


def _excludes_fail(found: Sequence[MetricComparison]) -> bool | None:
    """Whether the run was seen to be no slower than the limit; None if there was no such limit."""
    seen = [
        comparison.excludes_fail
        for comparison in found
        if comparison.metric in ALWAYS_SEEN
        and comparison.than != REFERENCE
        and comparison.excludes_fail is not None
    ]
    return all(seen) if seen else None


def _reasons(found: list[MetricComparison], worst: Severity) -> tuple[str, ...]:
    """What is wrong, worst first; for a pass, one comparison as an example, and what is notable."""
    of_steps = worst_of_steps(found)
    found = [comparison for comparison in found if comparison.step is None]
    if worst is Severity.PASS:
        shown = [comparison for comparison in found if _is_shown(comparison)] or found[:1]
        return tuple(comparison.reason for comparison in shown)
    wrong = [comparison for comparison in found if comparison.severity] + of_steps
    # a saturated generator puts all other warnings in doubt
    wrong.sort(key=lambda comparison: (-comparison.severity, comparison.metric != "generator"))
    wrong += [comparison for comparison in found if comparison.metric == CPU_PRESSURE]
    return tuple(comparison.reason for comparison in wrong)


def _is_shown(comparison: MetricComparison) -> bool:
    is_open = comparison.metric in ALWAYS_SEEN and comparison.excludes_fail is False
    return comparison.metric in (_EXAMPLE, CPU_PRESSURE) or comparison.is_improved or is_open
