"""How much chance there is in the comparison of the response times of two runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import BASELINE, LIKELY, REFERENCE
from tm_cli.server.judge.levels import Levels, find_levels
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
    noise,
    slow_shares,
)
from tm_cli.server.judge.statistics.distributions import student_cdf, student_quantile
from tm_cli.server.judge.thresholds import QUANTILES, Thresholds

_MIN_BEYOND = MappingProxyType({"p50": 10, "p95": 10, "p99": 10, "p99.9": 20})
"""Requests slower than the quantile that it takes, in both runs."""


def requests_needed(quantile: str) -> int:
    return round(_MIN_BEYOND[quantile] / (1 - QUANTILES[quantile]))


_ENOUGH_RUNS = 3  # to have a mean
_KNOWN_RUNS = 5  # whose noise is known
# A second comparison is a second chance to be wrong, and slow slides only grow.
_REFERENCE_DOUBT = 3.0
_MORE_SLOW = 1.5  # times as many slow requests must be seen where the quantile says little
_FLOOR_SHARE = 0.25  # of the other run's value, where little noise was seen


@dataclass(frozen=True, slots=True)
class LevelMean:
    """The mean logarithm of a quantile in so many runs."""

    log: float
    runs: int

    def __str__(self) -> str:
        return f"the mean of the last {self.runs} runs, {ms(math.exp(self.log))}"

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
        return percent_of(log - margin), percent_of(log + margin)

    @property
    def hidden(self) -> float:
        """Percent that a rise must have to be more than chance."""
        return percent_of(student_quantile(1 - LIKELY, self.chance.freedom) * self.chance.deviation)

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
        odds = Odds(min(chance_of(log, chance) * self.doubt, 1.0))
        if self.level_mean is None:
            return odds
        # the deviation of the newest run does not belong to the spread of the others
        alone = chance_of(log, noise(within, self.between(with_other=False)))
        rise = math.log(value) - self.level_mean.log
        p_value = 1 - student_cdf(rise / self.level_mean.deviation(chance), chance.freedom)
        if p_value <= odds.p_value:
            return replace(odds, by_other_alone=alone)
        return Odds(p_value, self.level_mean, alone)


def find_evidence(
    run: RunFacts,
    other: RunFacts,
    thresholds: Thresholds,
    than: str,
    passed: Sequence[RunFacts],
    completed: Sequence[RunFacts],
    is_paired: bool,
    is_named: bool,
    doubts: Mapping[str, float] = MappingProxyType({}),
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
                doubts.get(name, 1.0) * (_REFERENCE_DOUBT if than == REFERENCE else 1.0),
                math.log1p(thresholds.quantiles[name].fail / 100),
                is_paired,
                run.spread_from(other, ASSUMED),
            )
    spreads = [spread for one in found.values() if (spread := one.between())]
    machine = min(spreads, key=lambda spread: spread.variance, default=None)
    return {name: replace(one, machine=machine) for name, one in found.items()}


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


def chance_of(log: float, chance: Noise) -> float:
    return 1 - student_cdf(log / chance.deviation, chance.freedom)


def with_slow_share(odds: Odds, slow: SlowShare, doubt: float) -> Odds:
    """Where the quantile alone says little, whether the share of slow requests has grown decides.

    If that says little either, neither may be chance.
    """
    chance = _share_noise(slow)
    p_value = min(chance_of(slow.growth, chance) * doubt, 1.0) if chance.deviation else 1.0
    if sees_more_slow(slow):
        return Odds(p_value, by_other_alone=p_value)
    return replace(
        odds,
        p_value=max(odds.p_value, p_value),
        by_other_alone=max(odds.by_other_alone, p_value),
    )


def sees_more_slow(slow: SlowShare) -> bool:
    """Whether half as many slow requests again would be more than chance."""
    chance = _share_noise(slow)
    hidden = student_quantile(1 - LIKELY, chance.freedom) * chance.deviation
    return hidden < math.log(_MORE_SLOW)


def _share_noise(slow: SlowShare) -> Noise:
    return noise(slow.chance, Chance(slow.between**2 / 2, ASSUMED_RUNS))


def percent_of(log: float) -> float:
    return 100 * math.expm1(min(log, 50.0))


def ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
