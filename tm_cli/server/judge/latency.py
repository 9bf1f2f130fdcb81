"""Response times of two runs: larger than the limit, and larger than noise?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tm_cli.server.judge.evidence import (
    Evidence,
    Odds,
    chance_of,
    find_evidence,
    floor_of,
    ms,
    percent_of,
    requests_needed,
    sees_more_slow,
    with_slow_share,
)
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BASELINE,
    LIKELY,
    REFERENCE,
    SURE,
    MetricComparison,
    Severity,
    severity_of,
    threshold_text,
)
from tm_cli.server.judge.power import detectable
from tm_cli.server.judge.statistics.bootstrap import (
    Noise,
    SlowShare,
    least_change,
    slow_change,
)
from tm_cli.server.judge.statistics.dispersion import clock, follows_load
from tm_cli.server.judge.statistics.distributions import student_quantile
from tm_cli.server.judge.thresholds import NEVER, QUANTILES, Threshold, Thresholds

_BLIND = 2.0  # times the failure limit: what hides in so much noise should not pass


def compare_response_times(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    *,
    than: str,
    passed: Sequence[RunFacts] = (),
    completed: Sequence[RunFacts] = (),
    is_paired: bool = False,
    is_named: bool = False,
    doubts: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[MetricComparison]:
    """Compare the response times of two runs, or of the two sides of an A/B run (`is_paired`).

    `passed`: comparable runs that passed, oldest first; only those of the present level count.
    `completed`: all that did not fail, for the spread between runs; by default `passed`.
    `is_named`: the user has chosen the other run, so the comparison with it stands by itself.
    `doubts`: times that a quantile's probability is multiplied by, because so many are looked at.
    """
    evidence = find_evidence(
        run, other, thresholds, than, passed, completed, is_paired, is_named, doubts
    )
    for name, bound in thresholds.quantiles.items():
        value, before = run.quantiles_ms.get(name), other.quantiles_ms.get(name)
        if not value or not before:
            whose = "this run" if not value else f"the {than}"
            yield MetricComparison(
                name, Severity.WARN, f"{name} is not known of {whose}", "ms", value, before
            )
        elif min(run.completed, other.completed) < requests_needed(name):
            yield _unjudged(name, value, before, than)
        else:
            known = evidence.get(name)
            floor = floor_of(name, thresholds, before, known)
            yield _compared(run, (value, before), bound, floor, than, name, known)


def is_too_noisy(run: RunFacts, other: RunFacts, thresholds: Thresholds) -> bool:
    """Whether a change that should fail the run could hide in the noise of these two."""
    found = compare_response_times(run, other, thresholds, than=BASELINE)
    return any(comparison.is_noisy for comparison in found)


def _unjudged(name: str, value: float, before: float, than: str) -> MetricComparison:
    return MetricComparison(
        name,
        Severity.PASS,
        f"{name} is not judged: that takes {requests_needed(name):,} requests",
        "ms",
        value,
        before,
        percent_of(math.log(value / before)),
        than=than,
        is_judged=False,
    )


def _compared(
    run: RunFacts,
    times: tuple[float, float],
    bound: Threshold,
    floor: float,
    than: str,
    name: str,
    evidence: Evidence | None,
) -> MetricComparison:
    """Without histograms the noise is not known, and the limits alone decide."""
    value, before = times
    rise, log = value - before, math.log(value / before)
    change = percent_of(log)
    odds = evidence.odds(log, value) if evidence else None
    slow = None
    if evidence and odds and _is_wide(evidence.hidden, before, bound, floor) and evidence.slow:
        slow = evidence.slow
        odds = with_slow_share(odds, slow, evidence.doubt)
    severity, doubt = Severity.PASS, ""
    if rise >= floor:
        severity, odds = _severity(change, bound, odds)
    if severity is Severity.FAIL and evidence and odds:
        doubt = _doubt(run, evidence, value, bound)
        severity = Severity.WARN if doubt else severity
    notes = _notes(severity, rise, change, bound, floor, before, odds)
    limit = f", limit {threshold_text(bound, severity, '+{:g} %')}{doubt}{notes}"
    reason = f"{name} {ms(value)}, {than} {ms(before)}, {change:+.1f} %"
    found = MetricComparison(
        name, severity, reason + limit, "ms", value, before, change, bound=bound, than=than
    )
    if evidence is None or odds is None:
        return found
    decisive = slow if slow and sees_more_slow(slow) else None
    found = _with_noise(found, evidence, odds, floor, decisive, limit)
    # the reference sees what has added up; whether this run sees anything is asked once
    asks = than != REFERENCE and severity is Severity.PASS and name in ALWAYS_SEEN
    if asks and not decisive and _is_wide(evidence.hidden, before, bound, floor):
        hidden = f"a rise of {evidence.hidden:.0f} % could be chance"
        reason = f"{name} is too noisy to be judged: {hidden}"
        return replace(found, severity=Severity.WARN, reason=reason, is_noisy=True)
    return found


def _with_noise(
    found: MetricComparison,
    evidence: Evidence,
    odds: Odds,
    floor: float,
    decisive: SlowShare | None,
    limit: str,
) -> MetricComparison:
    """Add the numbers of the test that decided: that of the quantile, or of the slow share."""
    value, before, bound = found.value or 0.0, found.baseline or 0.0, found.bound or _NO_LIMIT
    log = math.log(value / before)
    low, high = evidence.interval(log)
    excludes = bool(decisive) or high <= bound.fail or before * high / 100 < floor
    shown = f" (95 %: {low:+.1f} to {high:+.1f}){limit}"
    if decisive:
        shown = f"{limit}; {decisive.text(ms(before), str(found.than))}"
    if found.severity is Severity.PASS and not excludes:
        shown += f"; cannot exclude {high:+.0f} %"
    by_quantile = min(chance_of(log, evidence.chance) * evidence.doubt, 1.0)
    return replace(
        found,
        reason=found.reason.removesuffix(limit) + shown,
        low=None if decisive else low,
        high=None if decisive else high,
        p_value=odds.p_value if decisive else by_quantile,
        noise=evidence.hidden,
        is_significant=odds.p_value < LIKELY,
        is_improved=_is_improved(value - before, percent_of(log), bound, floor, odds),
        excludes_fail=None if bound.fail == NEVER else excludes,
        level_mean=_mean_document(odds, value, evidence.chance),
        detects=detectable(
            evidence.within, evidence.between(), bound, floor / before, assumed=evidence.assumed
        ),
    )


_NO_LIMIT = Threshold(NEVER, NEVER)

ALWAYS_SEEN = ("p50", "p95")
"""The quantiles of which a rise that should fail must not go unseen; others are noisy by nature."""


def _doubt(run: RunFacts, evidence: Evidence, value: float, bound: Threshold) -> str:
    """Why a rise that would fail the run is a warning: the machine was slow for a while."""
    share = QUANTILES[evidence.name]
    slowness = slow_change(evidence.now, evidence.before, share)
    if not slowness or _rises_with_load(evidence, share):
        return ""
    ratio, start, end = least_change(evidence.now, evidence.before, share)
    rest = 100 * (ratio - 1)
    if rest <= bound.fail:
        parts = run.block_counts[start:end]
        where = (
            f"from {clock(parts[0].start)} to {clock(parts[-1].end)}" if parts else "in one half"
        )
        return f"; no failure: it is mostly {where}, without that it is {rest:+.1f} %"
    log = math.log(value / evidence.other.quantiles_ms[evidence.name])
    odds = evidence.odds(log, value, slowness)
    if odds and odds.p_value >= SURE:
        return "; no failure: it could be a slow change within the run"
    return ""


def _rises_with_load(evidence: Evidence, share: float) -> bool:
    """Whether the rise is where the curve is high, which is what a load test is for."""
    limit = evidence.before.quantile(share)
    blocks = zip(evidence.now.above(limit), evidence.before.above(limit), strict=False)
    seen = [(n, a / n - b / m) for (a, n), (b, m) in blocks if n and m]
    return follows_load([n for n, _ in seen], [rise for _, rise in seen])


def _severity(change: float, bound: Threshold, odds: Odds | None) -> tuple[Severity, Odds | None]:
    """Judge a rise that is above the floor; also return the odds that decided.

    The mean of the level excuses a run that is only slower than a lucky one. But a single faster
    run can also be an improvement that is lost again: where the rise from it alone would fail the
    run, the mean makes that a warning, never a pass.
    """
    if odds is None:
        return severity_of(change, bound), None
    severity = severity_of(change, bound, odds.p_value)
    if severity is Severity.PASS:
        alone = replace(odds, p_value=odds.by_other_alone, is_excused=True)
        if severity_of(change, bound, alone.p_value) is Severity.FAIL:
            return Severity.WARN, alone
    return severity, odds


def _is_improved(
    rise: float, change: float, bound: Threshold, floor: float, odds: Odds | None
) -> bool:
    return change < -bound.warn and -rise >= floor and bool(odds and odds.p_value > 1 - SURE)


def _notes(
    severity: Severity,
    rise: float,
    change: float,
    bound: Threshold,
    floor: float,
    before: float,
    odds: Odds | None,
) -> str:
    """Why a rise above the limit did not count or not fail, and what the floor hides."""
    if severity is not Severity.PASS:
        if not odds or not odds.is_excused:
            return ""
        compared = f" compared with {odds.level_mean}" if odds.level_mean else ""
        return f"; no failure: it could be chance{compared}"
    percent = 100 * floor / before
    if change > bound.warn and rise < floor:
        return f"; a rise under the floor of {floor:g} ms, {percent:+.0f} % here, does not count"
    note = f"; the floor of {floor:g} ms is {percent:+.0f} % here" if percent > bound.fail else ""
    if change > bound.warn:
        compared = f" compared with {odds.level_mean}" if odds and odds.level_mean else ""
        return f"; no more than chance{compared}{note}"
    return f"; improved{note}" if _is_improved(rise, change, bound, floor, odds) else note


def cannot_tell(found: MetricComparison) -> bool:
    """Whether a comparison was not made, or had so much noise that it could hide a failure."""
    if not found.is_judged or found.excludes_fail is not False or not found.bound:
        return not found.is_judged
    return (found.noise or 0.0) > _BLIND * found.bound.fail


def _is_wide(hidden: float, before: float, bound: Threshold, floor: float) -> bool:
    """Whether a rise that should fail might go unseen."""
    return bound.fail != NEVER and hidden > _BLIND * bound.fail and before * hidden / 100 > floor


def _mean_document(odds: Odds, value: float, chance: Noise) -> dict[str, Any] | None:
    """The comparison with the mean of the level, where it decided."""
    mean = odds.level_mean
    if mean is None:
        return None
    rise = math.log(value) - mean.log
    margin = student_quantile(0.975, chance.freedom) * mean.deviation(chance)
    return {
        "runs": mean.runs,
        "value": math.exp(mean.log),
        "change": percent_of(rise),
        "ciLow": percent_of(rise - margin),
        "ciHigh": percent_of(rise + margin),
        "pValue": odds.p_value,
    }
