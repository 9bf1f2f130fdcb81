"""The steps of runs whose arrivals are several requests: each is judged like a run of its own.

Many steps are many chances to be wrong. What a step has no threshold of its own for is judged at a
level that is divided by the number of such steps (Bonferroni), so that all of them together raise a
false alarm about as rarely as one number would.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tm_cli.server.judge.evidence import ms, percent_of, requests_needed
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BASELINE,
    LIKELY,
    REFERENCE,
    SURE,
    MetricComparison,
    Severity,
    all_errors,
    error_rates,
    successes,
    with_pin,
)
from tm_cli.server.judge.latency import cannot_tell, compare_response_times
from tm_cli.server.judge.limits import within_limits
from tm_cli.server.judge.statistics.bootstrap import ASSUMED
from tm_cli.server.judge.statistics.dispersion import by_chance
from tm_cli.server.judge.statistics.distributions import student_cdf
from tm_cli.server.judge.thresholds import QUANTILES, Threshold, Thresholds
from tm_cli.values.load.step_names import OTHER_STEPS
from tm_cli.values.thresholds import OF_STEPS, SEVERITIES

_FEW = 20  # a step that was played less often can be missing, or fail, by chance
_MANY = 4  # steps that show how fast the machine was
_OTHERWISE = 1.5  # times as often, or as rarely, as before
_LISTED = 5
_COMPARED = (*QUANTILES, "errors", "statuses")


def steps_alone(run: RunFacts, thresholds: Thresholds) -> Iterator[MetricComparison]:
    """What needs no other run: errors, limits, and whether what has thresholds was played."""
    for name in _names(run, thresholds):
        bounds, is_own = thresholds.of_step(name), bool(thresholds.steps.get(name))
        step = run.steps.get(name)
        if step is None or not step.completed:
            if is_own:
                yield _of_step(name, _not_played(run))
            continue
        if step.completed < _FEW and is_own:
            yield _of_step(name, _too_few(step))
        errors = all_errors(step, bounds.all_errors)
        if step.completed < _FEW and not is_own:
            errors = replace(errors, severity=min(errors.severity, Severity.WARN))
        for found in [errors, *within_limits(step, bounds)]:
            if found.severity or is_own:
                yield _of_step(name, found)


def compare_steps(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    *,
    than: str,
    passed: Sequence[RunFacts] = (),
    completed: Sequence[RunFacts] = (),
    is_paired: bool = False,
    is_named: bool = False,
) -> Iterator[MetricComparison]:
    """Compare each step with the same one of the other run, or of the other side."""
    names = _names(run, thresholds, other)
    asked = {name: _asked_about(thresholds, name) for name in names}
    usual = _usual_changes(run, other)
    for name in names:
        own = asked[name]
        doubts = {
            key: 1.0 if key in own else float(sum(key not in asked[one] for one in names))
            for key in OF_STEPS
        }
        now, before = run.steps.get(name), other.steps.get(name)
        found: list[MetricComparison] = []
        if than != REFERENCE:
            found.append(_how_often(run, other, now, before, than, len(names)))
        if now and before and now.completed and before.completed:
            history = {
                "passed": [one.steps[name] for one in passed if name in one.steps],
                "completed": [one.steps[name] for one in completed if name in one.steps],
                "is_paired": is_paired,
                "is_named": is_named,
            }
            bounds = thresholds.of_step(name)
            found += _compared(now, before, bounds, own, than, doubts, usual, history)
        elif own and than != REFERENCE and now and now.completed:
            found.append(_without_baseline(than))
        for item in found:
            yield _of_step(name, item)


def _compared(
    now: RunFacts,
    before: RunFacts,
    bounds: Thresholds,
    own: Collection[str],
    than: str,
    doubts: Mapping[str, float],
    usual: Mapping[str, float],
    history: dict[str, Any],
) -> Iterator[MetricComparison]:
    if not before.can_be_baseline:
        reason = f"in the {than} {before.errors} of {before.completed} failed: it is not compared"
        yield MetricComparison("yardstick", Severity.WARN, reason, "%", before.error_rate)
        return
    others = {name: bound for name, bound in bounds.quantiles.items() if name not in own}
    fine = _not_slower(now, before, others, than)
    yield from fine.values()
    tested = {name: bound for name, bound in bounds.quantiles.items() if name not in fine}
    if tested:
        now, before = (replace(step, blocks=list(step.blocks)) for step in (now, before))
        slower = replace(bounds, quantiles=tested)
        times = compare_response_times(now, before, slower, than=than, doubts=doubts, **history)
        for found in _among_steps(list(times), now, before, bounds, usual, doubts):
            yield _asked_for(found) if found.metric in own else _not_asked_for(found)
    for found in error_rates(now, before, bounds, than):
        count, earlier = _errors(found.metric, now), _errors(found.metric, before)
        yield _at_level(found, doubts["errors"], by_chance(now, before, count, earlier))
    for found in successes(now, before, bounds, than):
        yield _at_level(found, doubts["statuses"])


def _asked_about(thresholds: Thresholds, name: str) -> set[str]:
    """What a step has thresholds of its own for that compare it with another run."""
    own = thresholds.steps.get(name)
    if not isinstance(own, Mapping):
        return set()
    return {
        key
        for key, value in own.items()
        if key in _COMPARED
        and isinstance(value, Mapping)
        and any(value.get(side, False) is not False for side in SEVERITIES)
    }


def _usual_changes(run: RunFacts, other: RunFacts) -> dict[str, float]:
    """The median change of each quantile over the steps, as a logarithm: that of the machine."""
    changes: defaultdict[str, list[float]] = defaultdict(list)
    for name in run.steps.keys() & other.steps.keys():
        now, before = run.steps[name].quantiles_ms, other.steps[name].quantiles_ms
        for quantile in now.keys() & before.keys():
            changes[quantile].append(math.log(now[quantile] / before[quantile]))
    return {
        quantile: statistics.median(logs)
        for quantile, logs in changes.items()
        if len(logs) >= _MANY
    }


def _among_steps(
    times: Sequence[MetricComparison],
    now: RunFacts,
    before: RunFacts,
    bounds: Thresholds,
    usual: Mapping[str, float],
    doubts: Mapping[str, float],
) -> Iterator[MetricComparison]:
    """A step that is slower, compared also with what the other steps of these runs did.

    How fast the machine was is the same for all of them, so that a step by itself stands out
    sooner. What is left of the spread between runs is assumed to be half of it.
    """
    slower = {
        item.metric: item.bound
        for item in times
        if item.bound and item.metric in usual and item.severity < _worst(item)
        if _has_risen(item, bounds)
    }
    if not slower:
        yield from times
        return
    expected = {name: before.quantiles_ms[name] * math.exp(usual[name]) for name in slower}
    compared = compare_response_times(
        replace(now, assumed_spread=ASSUMED / 2, runner_class=None),
        replace(before, quantiles_ms=expected, runner_class=None),
        replace(Thresholds(), quantiles=slower, floor_ms=0.0, is_floor_set=True),
        than=BASELINE,
        doubts=doubts,
    )
    among = {item.metric: item for item in compared}
    for item in times:
        yield _worse(item, among[item.metric], usual) if item.metric in among else item


def _has_risen(found: MetricComparison, bounds: Thresholds) -> bool:
    """Whether a quantile is above its limit and its floor."""
    value, before, bound = found.value or 0.0, found.baseline or 0.0, found.bound
    rise, change = value - before, found.change or 0.0
    return bound is not None and change > bound.warn and rise >= bounds.floor(found.metric)


def _worst(found: MetricComparison) -> Severity:
    """The verdict of a rise that is no chance."""
    is_large = found.bound is not None and (found.change or 0.0) > found.bound.fail
    return Severity.FAIL if is_large else Severity.WARN


def _worse(
    found: MetricComparison, among: MetricComparison, usual: Mapping[str, float]
) -> MetricComparison:
    """The comparison with the verdict of the one among the steps, if that is worse."""
    severity = min(among.severity, _worst(found))
    if among.is_noisy or severity <= found.severity:
        return found
    others = f"; the other steps: {percent_of(usual[found.metric]):+.1f} %"
    return replace(found, severity=severity, reason=f"{found.reason}{others}", is_significant=True)


def _asked_for(found: MetricComparison) -> MetricComparison:
    """What has a threshold of its own and cannot be judged never passes."""
    if not cannot_tell(found):
        return found
    return replace(found, severity=max(found.severity, Severity.WARN), is_judged=True)


def _not_asked_for(found: MetricComparison) -> MetricComparison:
    """Whether anything could be seen is asked of the run itself, not of each of its steps."""
    if not found.is_noisy:
        return found
    return replace(found, severity=Severity.PASS, is_judged=False)


def _not_slower(
    now: RunFacts, before: RunFacts, bounds: Mapping[str, Threshold], than: str
) -> dict[str, MetricComparison]:
    """The quantiles that have not risen above their limits, so that chance need not be known.

    To know it takes half a second for a step, and a run may have two hundred.
    """
    found = {}
    for name, bound in bounds.items():
        value, earlier = now.quantiles_ms.get(name), before.quantiles_ms.get(name)
        if not value or not earlier or min(now.completed, before.completed) < requests_needed(name):
            continue
        change = 100 * (value / earlier - 1)
        if change <= bound.warn:
            reason = f"{name} {ms(value)}, {than} {ms(earlier)}, {change:+.1f} %"
            found[name] = MetricComparison(
                name, Severity.PASS, reason, "ms", value, earlier, change, bound=bound, than=than
            )
    return found


def _errors(metric: str, step: RunFacts) -> int:
    return step.error_classes.get(
        metric.removeprefix("errors_"), step.errors * (metric == "errors")
    )


def _at_level(
    found: MetricComparison, doubt: float, independent: float | None = None
) -> MetricComparison:
    """Judge by a p-value that is multiplied; what came in incidents is a warning at most.

    `independent`: the p-value if every error came by itself.
    """
    if doubt <= 1 or found.p_value is None:
        return found
    most = _most_severe(found.p_value * doubt)
    if independent is not None:
        most = max(most, min(_most_severe(independent * doubt), Severity.WARN))
    if found.severity <= most:
        return found
    reason = f"{found.reason}; among {doubt:g} steps that could be chance"
    return replace(found, severity=most, reason=reason)


def _most_severe(p_value: float) -> Severity:
    if p_value < SURE:
        return Severity.FAIL
    return Severity.WARN if p_value < LIKELY else Severity.PASS


def _how_often(
    run: RunFacts,
    other: RunFacts,
    now: RunFacts | None,
    before: RunFacts | None,
    than: str,
    doubt: float,
) -> MetricComparison:
    """A step that is played much more rarely, or no more: not the same work is measured."""
    count, earlier = (step.completed if step else 0 for step in (now, before))
    rate, usual = (n / max(side.completed, 1) for n, side in ((count, run), (earlier, other)))
    expected = usual * run.completed
    # the square root of a count has a variance of 1/4 (Anscombe, 1948)
    distance = math.sqrt(2) * abs(math.sqrt(count + 3 / 8) - math.sqrt(expected + 3 / 8))
    p_value = 2 * (1 - student_cdf(distance, 1e6))
    is_other = max(rate, usual) > _OTHERWISE * min(rate, usual)
    is_sure = max(count, earlier) >= _FEW and p_value * doubt < SURE
    reason = f"played {rate:.2f} times per arrival ({count}), {than} {usual:.2f} ({earlier})"
    severity = Severity.WARN if is_other and is_sure else Severity.PASS
    found = MetricComparison(
        "played", severity, reason, "", rate, usual, rate - usual, p_value=p_value, than=than
    )
    return with_pin(found, run) if severity else found


def _not_played(run: RunFacts) -> MetricComparison:
    known = sorted(run.steps)
    there = f"its steps: {', '.join(known[:_LISTED])}" if known else "this run has no steps"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    more += f"; it may be counted in {OTHER_STEPS}" if OTHER_STEPS in known else ""
    return MetricComparison(
        "played",
        Severity.FAIL,
        f"it has thresholds (gate.steps), but it was not played; {there}{more}",
        value=0.0,
    )


def _too_few(step: RunFacts) -> MetricComparison:
    reason = f"it has thresholds (gate.steps), and {step.completed} requests are too few for them"
    return MetricComparison("played", Severity.WARN, reason, value=float(step.completed))


def _without_baseline(than: str) -> MetricComparison:
    reason = f"its thresholds cannot be judged, because the {than} did not play it"
    return MetricComparison("yardstick", Severity.WARN, reason)


def _names(run: RunFacts, thresholds: Thresholds, other: RunFacts | None = None) -> list[str]:
    """The steps to judge, in order: those that were played, and those with thresholds."""
    if not thresholds.judges_steps:
        return []
    known = {*run.steps, *(other.steps if other else ())}
    known.update(name for name, own in thresholds.steps.items() if own)
    return sorted(name for name in known if thresholds.steps.get(name) is not False)


def _of_step(name: str, found: MetricComparison) -> MetricComparison:
    return replace(found, step=name, reason=f"step {name}: {found.reason}")


def step_documents(
    run: RunFacts, other: RunFacts | None, found: Sequence[MetricComparison], thresholds: Thresholds
) -> list[dict[str, Any]]:
    """The comparisons of steps as they are stored, by step."""
    by_name: dict[str, list[MetricComparison]] = {name: [] for name in sorted(run.steps)}
    for item in found:
        if item.step is not None:
            by_name.setdefault(item.step, []).append(item)
    return [
        {
            "name": name,
            "verdict": max(item.severity for item in items).name if items else None,
            "totalRequests": _count(run, name),
            "baselineRequests": _count(other, name) if other else None,
            "hasThresholds": bool(thresholds.steps.get(name)),
            "comparisons": [_brief(item) for item in items],
        }
        for name, items in by_name.items()
    ]


def _count(run: RunFacts, name: str) -> int:
    return run.steps[name].completed if name in run.steps else 0


def _brief(item: MetricComparison) -> dict[str, Any]:
    """A comparison without what is not known, and without words where nothing is wrong."""
    document = item.document() | ({} if item.severity else {"reason": None})
    return {
        name: float(f"{value:.5g}") if isinstance(value, float) else value
        for name, value in document.items()
        if value is not None
    }


def worst_of_steps(found: Sequence[MetricComparison]) -> list[MetricComparison]:
    """The worst finding of each of the worst steps, and how many more steps have some."""
    worst: dict[str, MetricComparison] = {}
    for item in sorted(found, key=lambda item: -item.severity):
        if item.step is not None and item.severity:
            worst.setdefault(item.step, item)
    shown = list(worst.values())
    if len(shown) <= _LISTED + 1:
        return shown
    rest = f"{len(shown) - _LISTED} more steps have findings"
    return [*shown[:_LISTED], MetricComparison("steps", shown[_LISTED].severity, rest)]
