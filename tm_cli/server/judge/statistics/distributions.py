"""The few probability distributions that the judgement needs."""

import math
from bisect import bisect_left

_PRECISION = 1e-12
_MAX_TERMS = 500
_TINY = 1e-300


def student_cdf(t: float, freedom: float) -> float:
    """P(T <= t) of Student's distribution with so many degrees of freedom, broken or not."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    beyond = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1.0 - beyond if t > 0 else beyond


def student_quantile(probability: float, freedom: float) -> float:
    """The t below which a share of `probability` lies; for 0.5 <= probability < 1."""
    high = 1.0
    while student_cdf(high, freedom) < probability:
        high *= 2
    steps = 2**40  # finer than needed
    found = bisect_left(
        range(steps), probability, key=lambda step: student_cdf(high * step / steps, freedom)
    )
    return high * found / steps


def binomial_tail(count: float, trials: float, chance: float) -> float:
    """P(X >= count) of the binomial distribution, continued to broken numbers."""
    if count <= 0:
        return 1.0
    if count > trials or chance <= 0:
        return 0.0
    if chance >= 1:
        return 1.0
    return _incomplete_beta(count, trials - count + 1, chance)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function (DLMF 8.17, continued fraction 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges quickly on the other side
        return 1.0 - _incomplete_beta(b, a, 1 - x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return math.exp(log_front) / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)), evaluated from the front by the method of Lentz."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, _MAX_TERMS):
        m = term // 2
        if term % 2:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _not_zero(1 + step * d)
        c = _not_zero(1 + step / c)
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _not_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
