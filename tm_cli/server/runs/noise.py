"""What the stored runs of a profile say about its noise: plans and calibrations."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from tm_cli.server.judge import RunFacts, Thresholds
from tm_cli.server.judge.baseline import not_failed
from tm_cli.server.judge.findings import BASELINE, is_unreliable
from tm_cli.server.judge.latency import find_evidence, floor_of, requests_needed
from tm_cli.server.judge.power import (
    Load,
    Question,
    Variation,
    find_variation,
    options,
    smallest_of_two_runs,
)
from tm_cli.server.judge.statistics.bootstrap import (
    ASSUMED,
    ASSUMED_RUNS,
    ResponseTimes,
    chances,
)
from tm_cli.server.judge.thresholds import QUANTILES
from tm_cli.server.runs.verdicts import Judge

_PAIRS_FROM = 4  # runs: as many are compared with each other
_LARGEST_ID = 2**63 - 1

LEAST_SPREAD = ASSUMED / 2
"""A calibration assumes no less: an hour on one machine does not see all that differs later, and a
spread that is assumed too small fails unchanged runs."""

FEWEST_RUNS = 3
CALIBRATED = ("p50", "p95")


@dataclass(frozen=True, slots=True)
class Asked:
    """A rise of `detect` percent of `metric`, to be seen in `power` percent of the runs."""

    metric: str
    detect: float
    power: float

    def document(self) -> dict[str, Any]:
        return asdict(self)


def comparable_runs(
    judge: Judge, profile_id: int, fingerprint: str, thresholds: Thresholds
) -> list[RunFacts]:
    """The reliable completed runs of one load, newest first, without their blocks."""
    rows = judge.history.completed_before(_LARGEST_ID, profile_id)
    found = (judge.facts(row) for row in rows if row["fingerprint"] == fingerprint)
    whole = (run for run in found if run.stopped_after is None and run.seconds > 0)
    usable = (run for run in whole if run.can_be_baseline)
    return [run for run in usable if not is_unreliable(run, thresholds)]


def plan(
    judge: Judge,
    runs: Sequence[RunFacts],
    thresholds: Thresholds,
    asked: Asked,
    most_rate: float,
) -> dict[str, Any]:
    """What the profile of `runs` (newest first) can detect, and how to run to detect more.

    With fewer than two runs nothing is known, and there are no options.
    """
    document = asked.document() | {
        "runs": [run.history_id for run in runs[:_PAIRS_FROM]],
        "limits": None,
        "lowerLimits": None,
        "value": None,
        "spread": None,
        "twoRuns": None,
        "options": [],
    }
    measured = _measured(judge, runs, thresholds, asked.metric)
    if len(measured) < 2:
        return document
    variation, floor = _variation(measured, runs, thresholds, asked.metric)
    question = Question(
        asked.detect,
        asked.power / 100,
        thresholds.quantiles[asked.metric],
        floor,
        requests_needed(asked.metric),
    )
    lower = question.with_lower_limits(variation.value)
    now = Load(variation.requests / variation.seconds, variation.seconds)
    found = options(variation, question, now, most_rate=most_rate)
    return document | {
        "runs": [run.history_id for run in measured],
        "limits": question.limits(),
        "lowerLimits": _lower_limits(question, lower, thresholds, asked.metric),
        "value": variation.value,
        "spread": _spread(variation),
        "twoRuns": smallest_of_two_runs(variation, lower).document(),
        "options": [option.document(measured[0].warmup) for option in found],
    }


def _lower_limits(
    question: Question, lower: Question, thresholds: Thresholds, metric: str
) -> dict[str, Any] | None:
    """The thresholds to set, in the API's form; None where none hides the rise."""
    changes: dict[str, Any] = {}
    if lower.bound != question.bound:
        changes[metric] = {"warn": lower.bound.warn}
    if lower.floor_ms != question.floor_ms:
        share = lower.floor_ms / thresholds.floor(metric)
        changes["floorMs"] = round(thresholds.floor_ms * share, 3)
    return changes or None


def _spread(variation: Variation) -> dict[str, float]:
    return {
        "percent": round(100 * math.sqrt(variation.between.variance), 2),
        "assumedPercent": round(100 * variation.assumed, 2),
        "runs": round(variation.between.freedom - ASSUMED_RUNS),
    }


def _measured(
    judge: Judge, runs: Sequence[RunFacts], thresholds: Thresholds, metric: str
) -> list[RunFacts]:
    """The newest runs with their blocks, without those whose measurements are damaged."""
    found = []
    for run in runs[:_PAIRS_FROM]:
        with suppress(ValueError):
            found.append(judge.with_blocks(run, thresholds))
    return [run for run in found if run.blocks and run.quantiles_ms.get(metric)]


def _variation(
    measured: Sequence[RunFacts], runs: Sequence[RunFacts], thresholds: Thresholds, metric: str
) -> tuple[Variation, float]:
    """Why the quantile varies, and its floor, as the judge sees it when the next run has ended."""
    newest, before = measured[:2]
    completed = not_failed(list(reversed(runs)), thresholds)
    passed = [run for run in completed if run.verdict == "PASS"]
    known = find_evidence(before, newest, thresholds, BASELINE, passed, completed, False, False)
    evidence = known.get(metric)
    assumed = newest.assumed_spread or ASSUMED
    between = evidence.between() if evidence else None
    variation = find_variation(measured, metric, between, assumed)
    return variation, floor_of(metric, thresholds, variation.value, evidence)


def calibrate(runs: Sequence[RunFacts]) -> dict[str, Any]:
    """The spread from one run to the next, from runs of one load and their blocks, as a record."""
    seen = {name: _seen_spread(runs, name) for name in CALIBRATED}
    return {
        "spread": round(assumed_spread(max(seen.values()), len(runs)), 5),
        "measured": {name: round(spread, 5) for name, spread in seen.items()},
        "runs": [run.history_id for run in runs],
        "target": runs[0].traits.get("target", ""),
    }


def assumed_spread(seen: float, runs: int) -> float:
    """The spread to assume after one was seen in so many runs, which may have been lucky.

    It is mixed with what is assumed otherwise, in proportion to the number of runs.
    """
    freedom = runs - 1
    mixed = (freedom * seen**2 + ASSUMED_RUNS * ASSUMED**2) / (freedom + ASSUMED_RUNS)
    return max(math.sqrt(mixed), LEAST_SPREAD)


def _seen_spread(runs: Sequence[RunFacts], metric: str) -> float:
    """The standard deviation of a quantile's logarithm beyond what chance within runs explains."""
    share = {metric: QUANTILES[metric]}
    times = [ResponseTimes(run.blocks) for run in runs]
    within = [chances(now, before, share)[metric].variance for before, now in pairwise(times)]
    logs = [math.log(run.quantiles_ms[metric]) for run in runs]
    return math.sqrt(max(statistics.variance(logs) - statistics.fmean(within) / 2, 0.0))
