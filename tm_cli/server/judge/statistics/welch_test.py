"""Two runs side by side without thresholds: Welch's test, and bootstrap over the history."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from typing import Any

from tm_cli.server.judge.statistics.distributions import student_cdf

SIGNIFICANCE = 0.05
_DRAWS = 1000
_BINS = 10
_MIN_RUNS = 3
_SEED = 1


def welch(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Compare the means of two samples, `delta` being A minus B (section 11 of the contract).

    There are no boxes without numbers. Test values are None where there are too few numbers, or
    where none of them vary; such a difference is not significant.
    """
    if not a or not b:
        return dict.fromkeys(_NOT_KNOWN) | {"significant": False}
    mean_a, mean_b = statistics.fmean(a), statistics.fmean(b)
    delta = mean_a - mean_b
    t, freedom = _student(a, b, delta)
    p_value = None if t is None or freedom is None else 2 * (1 - student_cdf(abs(t), freedom))
    return {
        "meanA": _rounded(mean_a),
        "meanB": _rounded(mean_b),
        "delta": _rounded(delta),
        "deltaPercent": _rounded(100 * delta / mean_b) if mean_b else None,
        "tStat": _rounded(t),
        "pValue": p_value,
        "degreesOfFreedom": None if freedom is None else int(freedom),
        "significant": p_value is not None and p_value < SIGNIFICANCE,
        "boxA": _box(a),
        "boxB": _box(b),
    }


_NOT_KNOWN = (
    "meanA", "meanB", "delta", "deltaPercent", "tStat", "pValue", "degreesOfFreedom",
)  # fmt: skip


def _student(
    a: Sequence[float], b: Sequence[float], delta: float
) -> tuple[float, float] | tuple[None, None]:
    if min(len(a), len(b)) < 2:
        return None, None
    share_a, share_b = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    both = share_a + share_b
    if both == 0:
        return None, None
    freedom = both**2 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    return delta / math.sqrt(both), freedom


def _box(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    if len(ordered) > 1:
        q1, median, q3 = statistics.quantiles(ordered, n=4, method="inclusive")
    else:
        q1 = median = q3 = ordered[0]
    five = (ordered[0], q1, median, q3, ordered[-1])
    return {
        name: round(value, 3)
        for name, value in zip(("min", "q1", "median", "q3", "max"), five, strict=True)
    }


def against_history(value_a: float, value_b: float, earlier: Sequence[float]) -> dict[str, Any]:
    """Compare two shares in percent; `earlier` are those of comparable runs before, for scale.

    How much two of them, drawn at random, differ shows how unusual this difference is; with too few
    of them there is no `bootstrap`.
    """
    delta = value_a - value_b
    bootstrap = {"bootstrap": _bootstrap(delta, earlier)} if len(earlier) >= _MIN_RUNS else {}
    return bootstrap | {
        "valueA": _rounded(value_a),
        "valueB": _rounded(value_b),
        "delta": _rounded(delta),
    }


def _bootstrap(delta: float, earlier: Sequence[float]) -> dict[str, Any]:
    rng = random.Random(_SEED)  # noqa: S311 - nothing secret
    drawn = sorted(rng.choice(earlier) - rng.choice(earlier) for _ in range(_DRAWS))
    as_far = sum(abs(difference) >= abs(delta) for difference in drawn)
    p_value = (as_far + 1) / (_DRAWS + 1)
    return {
        "bins": _bins(drawn),
        "currentPercentile": round(100 * sum(d <= delta for d in drawn) / _DRAWS, 2),
        "ci95Low": _rounded(drawn[round(0.025 * _DRAWS)]),
        "ci95High": _rounded(drawn[round(0.975 * _DRAWS) - 1]),
        "significant": p_value < SIGNIFICANCE,
        "pValue": round(p_value, 6),
    }


def _bins(drawn: Sequence[float]) -> list[dict[str, Any]]:
    low, high = drawn[0], drawn[-1]
    width = (high - low) / _BINS
    if width == 0:
        return [{"min": _rounded(low), "max": _rounded(high), "count": len(drawn)}]
    counts = [0] * _BINS
    for difference in drawn:
        counts[min(int((difference - low) / width), _BINS - 1)] += 1
    return [
        {"min": _rounded(low + k * width), "max": _rounded(low + (k + 1) * width), "count": count}
        for k, count in enumerate(counts)
    ]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)
