"""The measurements since the last report, for detecting saturation."""

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class ReportWindow:
    """Measurements of about one second. Durations are seconds.

    `lags`: from due to handed over; `waits`: from due to sent; `services`: from sent to ended.
    `most_in_flight` is that of the side with the most.
    """

    lags: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    services: list[float] = field(default_factory=list)
    most_in_flight: int = 0
    failed: int = 0
    unsent: int = 0

    def began(self, wait: float, in_flight: int) -> None:
        self.waits.append(wait)
        self.most_in_flight = max(self.most_in_flight, in_flight)


def p99(values: list[float]) -> float:
    """The 99th percentile (nearest rank); 0 without values."""
    if not values:
        return 0.0
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def share_above(values: list[float], limit: float) -> float:
    """The share of the values above the limit, 0 to 1; 0 without values."""
    return sum(value > limit for value in values) / len(values) if values else 0.0
