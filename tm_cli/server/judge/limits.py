"""How much worse than its baseline a run may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Bound:
    """More than `warn` is worth a warning, more than `fail` is a failure."""

    warn: float
    fail: float


def _quantile_bounds() -> Mapping[str, Bound]:
    return MappingProxyType(
        {"p50": Bound(10, 25), "p95": Bound(10, 25), "p99": Bound(25, 50)}  # p99 is noisier
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the judgement.

    `quantiles`: rise of a response time in percent. `smallest_rise_ms`: a smaller rise never
    counts. `error_rate`: rise in percentage points. `fewest_more_errors`: fewer additional errors
    never count. `errors`: percent of the requests, whatever the baseline. `shortfall`: percent of
    the plan not sent. `fewest_completed`: with less there is nothing to rely on.
    """

    quantiles: Mapping[str, Bound] = field(default_factory=_quantile_bounds)
    smallest_rise_ms: float = 5.0
    error_rate: Bound = Bound(0.2, 1.0)
    fewest_more_errors: int = 2
    errors: Bound = Bound(5.0, 50.0)
    shortfall: Bound = Bound(1.0, 5.0)
    fewest_completed: int = 100
