"""Response times of two runs: larger than the limit, and larger than noise?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

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
from tm_cli.server.judge.power import detectable
from tm_cli.server.judge.statistics.bootstrap import (
    ASSUMED,
    ASSUMED_RUNS,
    MAX_RUNS,
    MAX_SPREAD_RUNS,
    Chance,
    Noise,
    ResponseTimes,
    SlowShare,
    between_runs,
    chances,
    least_change,
    noise,
    slow_change,
    slow_shares,
)
from tm_cli.server.judge.statistics.dispersion import clock, follows_load
from tm_cli.server.judge.statistics.distributions import student_cdf, student_quantile
from tm_cli.server.judge.thresholds import NEVER, QUANTILES, Threshold, Thresholds

_MIN_BEYOND = MappingProxyType({"p50": 10, "p95": 10, "p99": 10, "p99.9": 20})
"""Requests slower than the quantile that it takes, in both runs."""


def requests_needed(quantile: str) -> int:
    return round(_MIN_BEYOND[quantile] / (1 - QUANTILES[quantile]))


_ENOUGH_RUNS = 3  # to have a mean
_KNOWN_RUNS = 5  # whose noise is known
# A second comparison is a second chance to be wrong, and slow slides only grow.
_REFERENCE_DOUBT = 3.0
_BLIND = 2.0  # times the failure limit: what hides in so much noise should not pass
_MORE_SLOW = 1.5  # times as many slow requests must be seen where the quantile says little
_FLOOR_SHARE = 0.25  # of the other run's value, where little noise was seen


@dataclass(frozen=True, slots=True)
class LevelMean:
    """The mean logarithm of a quantile in so many runs."""

    log: float
    runs: int

    def __str__(self) -> str:
        return f"the mean of the last {self.runs} runs, {_ms(math.exp(self.log))}"

    def deviation(self, chance: Noise) -> float:
        """Of a run from this mean, if `chance` is the noise of the difference of two runs."""
        return chance.deviation * math.sqrt((1 + 1 / self.runs) / 2)


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


@dataclass(frozen=True)
class Evidence:
    """What is known of the noise in the comparison of one quantile.

    `known`: completed runs of the present level, oldest first; `level_mean`: of those of them that
    passed, where it counts. `doubt`: times that a probability is multiplied by. `most`: the largest
    step to or from a run that did not pass that counts as noise. `assumed`: the standard deviation
    from run to run until there are enough of them. `machine`: variance from run to run of the
    quantile that varies least.
    """

    name: str
    now: ResponseTimes
    before: ResponseTimes
    within: Chance
    other: RunFacts
    known: Sequence[RunFacts]
    level_mean: LevelMean | None
    doubt: float
    most: float
    is_paired: bool
    assumed: float
    machine: Chance | None = None

    def between(self, *, with_other: bool = True) -> Chance | None:
        """The variance from run to run; the other run need not be one of these runs."""
        if self.is_paired:
            return None
        own = self.other.history_id
        runs = [run for run in self.known if with_other or run.history_id != own]
        return between_runs(
            [run.quantiles_ms[self.name] for run in runs],
            self.within,
            self.assumed,
            bad=[at for at, run in enumerate(runs) if run.verdict != "PASS"],
            most=self.most,
        )

    @cached_property
    def chance(self) -> Noise:
        return noise(self.within, self.between())

    def interval(self, log: float) -> tuple[float, float]:
        """95 % interval of a change in percent."""
        margin = student_quantile(0.975, self.chance.freedom) * self.chance.deviation
        return _percent(log - margin), _percent(log + margin)

    @property
    def hidden(self) -> float:
        """Percent that a rise must have to be more than chance."""
        return _percent(student_quantile(1 - LIKELY, self.chance.freedom) * self.chance.deviation)

    @cached_property
    def slow(self) -> SlowShare | None:
        share = QUANTILES[self.name]
        return slow_shares(self.now, self.before, share, self.machine)

    def odds(self, log: float, value: float, slowness: float = 1.0) -> Odds | None:
        """How often chance alone makes such a rise; None when there is no variation at all.

        Where several runs of this level have passed, the run must stand out from their mean as
        well: the newest of them may have been a lucky one. `slowness`: times that the variance
        within the runs is larger than that of independent blocks.
        """
        within = Chance(self.within.variance * slowness, self.within.freedom)
        chance = noise(within, self.between())
        if chance.deviation == 0:
            return None
        odds = Odds(min(_by_chance(log, chance) * self.doubt, 1.0))
        if self.level_mean is None:
            return odds
        # the deviation of the newest run does not belong to the spread of the others
        alone = _by_chance(log, noise(within, self.between(with_other=False)))
        rise = math.log(value) - self.level_mean.log
        p_value = 1 - student_cdf(rise / self.level_mean.deviation(chance), chance.freedom)
        if p_value <= odds.p_value:
            return replace(odds, by_other_alone=alone)
        return Odds(p_value, self.level_mean, alone)


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
) -> Iterator[MetricComparison]:
    """Compare the response times of two runs, or of the two sides of an A/B run (`is_paired`).

    `passed`: comparable runs that passed, oldest first; only those of the present level count.
    `completed`: all that did not fail, for the spread between runs; by default `passed`.
    `is_named`: the user has chosen the other run, so the comparison with it stands by itself.
    """
    evidence = find_evidence(run, other, thresholds, than, passed, completed, is_paired, is_named)
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


def find_evidence(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    than: str,
    passed: Sequence[RunFacts],
    completed: Sequence[RunFacts],
    is_paired: bool,
    is_named: bool,
) -> dict[str, Evidence]:
    """By quantile; see `compare_response_times`."""
    requests = min(run.completed, other.completed)
    shares = {
        name: QUANTILES[name] for name in thresholds.quantiles if requests >= requests_needed(name)
    }
    now, before = ResponseTimes(run.blocks), ResponseTimes(other.blocks)
    levels = find_levels(run, passed)
    found = {}
    for name, within in chances(now, before, shares).items():
        if run.quantiles_ms.get(name) and other.quantiles_ms.get(name):
            is_older = than == BASELINE and _is_older(levels, name, other)
            level = [] if is_older else levels.present(name)[-MAX_RUNS:]
            found[name] = Evidence(
                name,
                now,
                before,
                within,
                other,
                [] if is_older else _of_level(levels, name, completed or passed),
                _level_mean(name, level) if than == BASELINE and not is_named else None,
                _REFERENCE_DOUBT if than == REFERENCE else 1.0,
                math.log1p(thresholds.quantiles[name].fail / 100),
                is_paired,
                run.spread_from(other, ASSUMED),
            )
    spreads = [spread for one in found.values() if (spread := one.between())]
    machine = min(spreads, key=lambda spread: spread.variance, default=None)
    return {name: replace(one, machine=machine) for name, one in found.items()}


def is_too_noisy(run: RunFacts, other: RunFacts, thresholds: Thresholds) -> bool:
    """Whether a change that should fail the run could hide in the noise of these two."""
    found = compare_response_times(run, other, thresholds, than=BASELINE)
    return any(comparison.is_noisy for comparison in found)


def _is_older(levels: Levels, name: str, other: RunFacts) -> bool:
    """Whether a run is from before the present level, whose spread does not apply to it then."""
    level = levels.present(name)
    return bool(level) and other.history_id < level[0].history_id


def _of_level(levels: Levels, name: str, completed: Sequence[RunFacts]) -> Sequence[RunFacts]:
    """The last completed runs since the present level began.

    Those with a warning count as well: otherwise a noisy place would never be known as one.
    """
    level = levels.present(name)
    first = level[0].history_id if level else 0
    known = [run for run in completed if run.history_id >= first and run.quantiles_ms.get(name)]
    return known[-MAX_SPREAD_RUNS:]


def _level_mean(name: str, level: Sequence[RunFacts]) -> LevelMean | None:
    if len(level) < _ENOUGH_RUNS:
        return None
    return LevelMean(
        statistics.fmean(math.log(run.quantiles_ms[name]) for run in level), len(level)
    )


def floor_of(name: str, thresholds: Thresholds, before: float, evidence: Evidence | None) -> float:
    """The rise in milliseconds below which nothing counts.

    The default would hide everything of a quick service, so it shrinks once several runs have shown
    that a rise of the smaller floor is more than chance.
    """
    floor = thresholds.floor(name)
    if thresholds.is_floor_set or not evidence or len(evidence.known) < _KNOWN_RUNS:
        return floor
    return min(floor, _FLOOR_SHARE * before) if evidence.hidden < 100 * _FLOOR_SHARE else floor


def _unjudged(name: str, value: float, before: float, than: str) -> MetricComparison:
    return MetricComparison(
        name,
        Severity.PASS,
        f"{name} is not judged: that takes {requests_needed(name):,} requests",
        "ms",
        value,
        before,
        _percent(math.log(value / before)),
        than=than,
        is_judged=False,
    )


def _by_chance(log: float, chance: Noise) -> float:
    return 1 - student_cdf(log / chance.deviation, chance.freedom)


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
    change = _percent(log)
    odds = evidence.odds(log, value) if evidence else None
    is_wide = evidence is not None and _is_wide(evidence.hidden, before, bound, floor)
    slow = evidence.slow if evidence and is_wide else None
    if evidence and odds and slow:
        odds = _with_slow_share(odds, slow, evidence.doubt)
    severity, doubt = Severity.PASS, ""
    if rise >= floor:
        severity, odds = _severity(change, bound, odds)
    if severity is Severity.FAIL and evidence and odds:
        doubt = _doubt(run, evidence, value, bound)
        severity = Severity.WARN if doubt else severity
    notes = _notes(severity, rise, change, bound, floor, before, odds)
    limit = f", limit {threshold_text(bound, severity, '+{:g} %')}{doubt}{notes}"
    reason = f"{name} {_ms(value)}, {than} {_ms(before)}, {change:+.1f} %"
    compared = MetricComparison(
        name, severity, reason + limit, "ms", value, before, change, bound=bound, than=than
    )
    if evidence is None or odds is None:
        return compared
    low, high = evidence.interval(log)
    decisive = slow if slow and _sees_more_slow(slow) else None
    excludes = bool(decisive) or high <= bound.fail or before * high / 100 < floor
    # the reference sees what has added up; whether this run sees anything is asked once
    is_noisy = (
        than != REFERENCE
        and severity is Severity.PASS
        and name in ALWAYS_SEEN
        and is_wide
        and not decisive
    )
    if decisive:
        reason += f"{limit}; {decisive.text(_ms(before), than)}"
    else:
        reason += f" (95 %: {low:+.1f} to {high:+.1f}){limit}"
    if severity is Severity.PASS and not excludes:
        reason += f"; cannot exclude {high:+.0f} %"
    if is_noisy:
        severity = Severity.WARN
        hidden = evidence.hidden
        reason = f"{name} is too noisy to be judged: a rise of {hidden:.0f} % could be chance"
    return replace(
        compared,
        severity=severity,
        reason=reason,
        low=None if decisive else low,
        high=None if decisive else high,
        p_value=odds.p_value
        if decisive
        else min(_by_chance(log, evidence.chance) * evidence.doubt, 1.0),
        noise=evidence.hidden,
        is_noisy=is_noisy,
        is_significant=odds.p_value < LIKELY,
        is_improved=_is_improved(rise, change, bound, floor, odds),
        excludes_fail=None if bound.fail == NEVER else excludes,
        level_mean=_mean_document(odds, value, evidence.chance),
        detects=detectable(
            evidence.within, evidence.between(), bound, floor / before, assumed=evidence.assumed
        ),
    )


ALWAYS_SEEN = ("p50", "p95")
"""The quantiles of which a rise that should fail must not go unseen; others are noisy by nature."""


def _with_slow_share(odds: Odds, slow: SlowShare, doubt: float) -> Odds:
    """Where the quantile alone says little, whether the share of slow requests has grown decides.

    If that says little either, neither may be chance.
    """
    chance = _share_noise(slow)
    p_value = min(_by_chance(slow.growth, chance) * doubt, 1.0) if chance.deviation else 1.0
    if _sees_more_slow(slow):
        return Odds(p_value, by_other_alone=p_value)
    return replace(
        odds,
        p_value=max(odds.p_value, p_value),
        by_other_alone=max(odds.by_other_alone, p_value),
    )


def _sees_more_slow(slow: SlowShare) -> bool:
    """Whether half as many slow requests again would be more than chance."""
    chance = _share_noise(slow)
    hidden = student_quantile(1 - LIKELY, chance.freedom) * chance.deviation
    return hidden < math.log(_MORE_SLOW)


def _share_noise(slow: SlowShare) -> Noise:
    return noise(slow.chance, Chance(slow.between**2 / 2, ASSUMED_RUNS))


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
        "change": _percent(rise),
        "ciLow": _percent(rise - margin),
        "ciHigh": _percent(rise + margin),
        "pValue": odds.p_value,
    }


def _percent(log: float) -> float:
    return 100 * math.expm1(min(log, 50.0))


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
