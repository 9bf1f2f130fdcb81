"""Response times of two runs: larger than the limit, and larger than noise?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from tm_cli.server.judge.bootstrap import (
    MAX_RUNS,
    Noise,
    ResponseTimes,
    between_runs,
    chances,
    noise,
)
from tm_cli.server.judge.distributions import student_cdf, student_quantile
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
from tm_cli.server.judge.levels import Levels, find_levels
from tm_cli.server.judge.thresholds import NEVER, QUANTILES, Threshold, Thresholds

_MIN_BEYOND = MappingProxyType({"p50": 10, "p95": 10, "p99": 10, "p99.9": 20})
"""Requests slower than the quantile that it takes, in both runs."""


def requests_needed(quantile: str) -> int:
    return round(_MIN_BEYOND[quantile] / (1 - QUANTILES[quantile]))


_ENOUGH_RUNS = 3  # to have a mean
# A second comparison is a second chance to be wrong, and slow slides only grow.
_REFERENCE_DOUBT = 3.0
_BLIND = 2.0  # times the failure limit: what hides in so much noise should not pass


@dataclass(frozen=True, slots=True)
class LevelMean:
    """The mean logarithm of a quantile in so many runs."""

    log: float
    runs: int

    def __str__(self) -> str:
        return f"the mean of the last {self.runs} runs, {_ms(math.exp(self.log))}"


@dataclass(frozen=True, slots=True)
class Odds:
    """How often chance makes such a rise; `level_mean` where this is what decides.

    `by_other_alone`: how often compared with the other run only. `is_excused`: that is what
    decides, but the mean turns it into a warning.
    """

    p_value: float
    level_mean: LevelMean | None = None
    by_other_alone: float = 1.0
    is_excused: bool = False


def compare_response_times(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    *,
    than: str,
    passed: Sequence[RunFacts] = (),
    is_paired: bool = False,
    is_named: bool = False,
) -> Iterator[MetricComparison]:
    """Compare the response times of two runs, or of the two sides of an A/B run (`is_paired`).

    `passed`: comparable runs that passed, oldest first; only those of the present level count.
    `is_named`: the user has chosen the other run, so the comparison with it stands by itself.
    """
    shares = {name: QUANTILES[name] for name in thresholds.quantiles}
    within = chances(ResponseTimes(run.blocks), ResponseTimes(other.blocks), shares)
    levels = find_levels(run, passed)
    for name, bound in thresholds.quantiles.items():
        value, before = run.quantiles_ms.get(name), other.quantiles_ms.get(name)
        if not value or not before:
            whose = "this run" if not value else f"the {than}"
            yield MetricComparison(
                name, Severity.WARN, f"{name} is not known of {whose}", "ms", value, before
            )
            continue
        enough = requests_needed(name)
        if min(run.completed, other.completed) < enough:
            yield _unjudged(name, value, before, than, enough)
            continue
        values = _level_values(levels, name, other, than)
        chance = None
        if name in within:
            between = None if is_paired else between_runs(values, within[name])
            chance = noise(within[name], between)
        level_mean = _level_mean(values) if than == BASELINE and not is_named else None
        odds = _odds(value, before, chance, level_mean)
        if odds and level_mean and name in within:
            # the deviation of the newest run does not belong to the spread of the others
            others = noise(within[name], between_runs(values[:-1], within[name]))
            odds = replace(odds, by_other_alone=_by_chance(value, before, others))
        if than == REFERENCE and odds is not None:
            odds = replace(odds, p_value=min(odds.p_value * _REFERENCE_DOUBT, 1.0))
        yield _compared(name, (value, before), bound, thresholds.floor(name), than, chance, odds)


def is_too_noisy(run: RunFacts, other: RunFacts, thresholds: Thresholds) -> bool:
    """Whether a change that should fail the run could hide in the noise of these two."""
    found = compare_response_times(run, other, thresholds, than=BASELINE)
    return any(comparison.is_noisy for comparison in found)


def _level_values(levels: Levels, name: str, other: RunFacts, than: str) -> Sequence[float]:
    """The quantile in the last runs of the present level.

    They do not apply to a baseline from before that level.
    """
    level = levels.present(name)
    if than == BASELINE and level and other.history_id < level[0].history_id:
        return ()
    return [run.quantiles_ms[name] for run in level[-MAX_RUNS:]]


def _level_mean(values: Sequence[float]) -> LevelMean | None:
    if len(values) < _ENOUGH_RUNS:
        return None
    return LevelMean(statistics.fmean(map(math.log, values)), len(values))


def _unjudged(name: str, value: float, before: float, than: str, enough: int) -> MetricComparison:
    return MetricComparison(
        name,
        Severity.PASS,
        f"{name} is not judged: that takes {enough:,} requests",
        "ms",
        value,
        before,
        _percent(math.log(value / before)),
        than=than,
        is_judged=False,
    )


def _odds(
    value: float, before: float, chance: Noise | None, level_mean: LevelMean | None
) -> Odds | None:
    """How often chance alone would make such a rise; None when the noise is not known.

    Where several runs of this level have passed, the run must stand out from their mean as well:
    the newest of them may have been a lucky one.
    """
    if chance is None or chance.deviation == 0:
        return None
    odds = Odds(_by_chance(value, before, chance))
    if level_mean is None:
        return odds
    deviation = chance.deviation * math.sqrt((1 + 1 / level_mean.runs) / 2)
    rise = math.log(value) - level_mean.log
    from_mean = Odds(1 - student_cdf(rise / deviation, chance.freedom), level_mean)
    return max(odds, from_mean, key=lambda item: item.p_value)


def _by_chance(value: float, before: float, chance: Noise) -> float:
    return 1 - student_cdf(math.log(value / before) / chance.deviation, chance.freedom)


def _compared(
    name: str,
    times: tuple[float, float],
    bound: Threshold,
    floor: float,
    than: str,
    chance: Noise | None,
    odds: Odds | None,
) -> MetricComparison:
    """Without histograms the noise is not known, and the limits alone decide."""
    value, before = times
    rise, log = value - before, math.log(value / before)
    change = _percent(log)
    severity = Severity.PASS
    if rise >= floor:
        severity, odds = _severity(change, bound, odds)
    reason = f"{name} {_ms(value)}, {than} {_ms(before)}, {change:+.1f} %"
    limit = f", limit {threshold_text(bound, severity, '+{:g} %')}"
    if severity is Severity.PASS:
        limit += _explanation(rise, change, bound, floor, odds)
    elif odds and odds.is_excused:
        limit += "; no failure: it could be chance"
        limit += f" compared with {odds.level_mean}" if odds.level_mean else ""
    if chance is None or odds is None:
        return MetricComparison(
            name, severity, reason + limit, "ms", value, before, change, bound=bound, than=than
        )
    margin = student_quantile(0.975, chance.freedom) * chance.deviation
    hidden = _percent(student_quantile(1 - LIKELY, chance.freedom) * chance.deviation)
    low, high = _percent(log - margin), _percent(log + margin)
    reason += f" (95 %: {low:+.1f} to {high:+.1f}){limit}"
    # the reference sees what has added up; whether this run sees anything is asked once
    is_noisy = (
        than != REFERENCE
        and severity is Severity.PASS
        and _is_blind(name, hidden, before, bound, floor)
    )
    if is_noisy:
        severity = Severity.WARN
        reason = f"{name} is too noisy to be judged: a rise of {hidden:.0f} % could be chance"
    return MetricComparison(
        name,
        severity,
        reason,
        "ms",
        value,
        before,
        change,
        low,
        high,
        odds.p_value,
        hidden,
        bound,
        than,
        is_noisy=is_noisy,
    )


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


def _explanation(
    rise: float, change: float, bound: Threshold, floor: float, odds: Odds | None
) -> str:
    """Why a rise above the limit did not count, or that the change is one for the better."""
    if change < -bound.warn and -rise >= floor and odds and odds.p_value > 1 - SURE:
        return "; an improvement"
    if change <= bound.warn:
        return ""
    if rise < floor:
        return f"; a rise under {floor:g} ms does not count"
    if odds and odds.level_mean:
        return f"; no more than chance compared with {odds.level_mean}"
    return "; no more than chance"


def _is_blind(name: str, hidden: float, before: float, bound: Threshold, floor: float) -> bool:
    """Whether a rise that should fail might go unseen; the rare quantiles are noisy by nature."""
    if name not in ("p50", "p95") or bound.fail == NEVER:
        return False
    return hidden > _BLIND * bound.fail and before * hidden / 100 > floor


def _percent(log: float) -> float:
    return 100 * math.expm1(min(log, 50.0))


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
