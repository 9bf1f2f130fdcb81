"""Response times of two runs: larger than the limit, and larger than noise?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from tm_cli.server.judge.distributions import student_cdf, student_quantile
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import (
    BASELINE,
    LIKELY,
    REFERENCE,
    Finding,
    Severity,
    limit_text,
    severity_of,
)
from tm_cli.server.judge.limits import NEVER, QUANTILES, Bound, Limits
from tm_cli.server.judge.resampling import Sample, chances
from tm_cli.server.judge.spread import Noise, between_runs, noise

_FEWEST_BEYOND = MappingProxyType({"p50": 10, "p95": 10, "p99": 10, "p99.9": 20})
"""Requests slower than the quantile that it takes, in both runs."""

_ENOUGH_RUNS = 3  # to have a middle
# A second comparison is a second chance to be wrong, and slow slides only grow.
_REFERENCE_DOUBT = 3.0
_BLIND = 2.0  # times the failure limit: what hides in so much noise should not pass


def quantile_findings(
    run: RunFacts,
    other: RunFacts,
    limits: Limits,
    *,
    than: str,
    passed: Sequence[RunFacts] = (),
    is_paired: bool = False,
) -> Iterator[Finding]:
    """Compare the response times of two runs, or of the two sides of a duet (`is_paired`).

    `passed`: comparable runs that passed, oldest first.
    """
    within = chances(Sample(run.blocks), Sample(other.blocks), QUANTILES)
    for name, bound in limits.quantiles.items():
        value, before = run.quantiles_ms.get(name), other.quantiles_ms.get(name)
        if not value or not before:
            whose = "this run" if not value else f"the {than}"
            yield Finding(
                name, Severity.WARN, f"{name} is not known of {whose}", "ms", value, before
            )
            continue
        enough = round(_FEWEST_BEYOND[name] / (1 - QUANTILES[name]))
        if min(run.completed, other.completed) < enough:
            yield _unjudged(name, value, before, than, enough)
            continue
        usual = [run.quantiles_ms.get(name, 0.0) for run in passed]
        chance = None
        if name in within:
            between = None if is_paired else between_runs(usual, within[name])
            chance = noise(within[name], between)
        odds = _odds(value, before, usual if than == BASELINE else (), chance)
        if than == REFERENCE and odds is not None:
            odds = min(odds * _REFERENCE_DOUBT, 1.0)
        yield _compared(name, (value, before), bound, limits.floor(name), than, chance, odds)


def _unjudged(name: str, value: float, before: float, than: str, enough: int) -> Finding:
    return Finding(
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
    value: float, before: float, usual: Sequence[float], chance: Noise | None
) -> float | None:
    """How often chance alone would make such a rise; None when the noise is not known.

    Where several runs have passed, the run must stand out from their middle as well: the newest of
    them may have been a lucky one.
    """
    if chance is None or chance.deviation == 0:
        return None
    odds = 1 - student_cdf(math.log(value / before) / chance.deviation, chance.freedom)
    logs = [math.log(time) for time in usual if time > 0]
    if len(logs) < _ENOUGH_RUNS:
        return odds
    apart = math.log(value) - statistics.fmean(logs)
    deviation = chance.deviation * math.sqrt((1 + 1 / len(logs)) / 2)
    return max(odds, 1 - student_cdf(apart / deviation, chance.freedom))


def _compared(
    name: str,
    times: tuple[float, float],
    bound: Bound,
    floor: float,
    than: str,
    chance: Noise | None,
    odds: float | None,
) -> Finding:
    """Without histograms the noise is not known, and the limits alone decide."""
    value, before = times
    rise, log = value - before, math.log(value / before)
    change = _percent(log)
    severity = Severity.PASS
    if rise >= floor:
        severity = severity_of(change, bound, odds or 0.0)
    reason = f"{name} {_ms(value)}, {than} {_ms(before)}, {change:+.1f} %"
    limit = f", limit {limit_text(bound, severity, '+{:g} %')}"
    if severity is Severity.PASS:
        limit += _excuse(rise, change, bound, floor)
    if chance is None or odds is None:
        return Finding(
            name, severity, reason + limit, "ms", value, before, change, bound=bound, than=than
        )
    margin = student_quantile(0.975, chance.freedom) * chance.deviation
    hidden = _percent(student_quantile(1 - LIKELY, chance.freedom) * chance.deviation)
    low, high = _percent(log - margin), _percent(log + margin)
    reason += f" (95 %: {low:+.1f} to {high:+.1f}){limit}"
    if severity is Severity.PASS and _is_blind(name, hidden, before, bound, floor):
        severity = Severity.WARN
        reason = f"{name} is too noisy to be judged: a rise of {hidden:.0f} % could be chance"
    return Finding(
        name, severity, reason, "ms", value, before, change, low, high, odds, hidden, bound, than
    )


def _excuse(rise: float, change: float, bound: Bound, floor: float) -> str:
    """Why a rise above the limit did not count."""
    if change <= bound.warn:
        return ""
    if rise < floor:
        return f"; a rise under {floor:g} ms does not count"
    return "; no more than chance"


def _is_blind(name: str, hidden: float, before: float, bound: Bound, floor: float) -> bool:
    """Whether a rise that should fail might go unseen; the rare quantiles are noisy by nature."""
    if name not in ("p50", "p95") or bound.fail == NEVER:
        return False
    return hidden > _BLIND * bound.fail and before * hidden / 100 > floor


def _percent(log: float) -> float:
    return 100 * math.expm1(min(log, 50.0))


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
