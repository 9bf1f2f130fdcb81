"""What the judge needs to know of a run."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A finished run in numbers.

    `verdict`: the stored verdict of an earlier run, None for the run being judged. `fingerprint`:
    equal for runs that may be compared. `errors`: requests without a response, and responses of
    status 400 and above. `quantiles_ms`: response times by name, such as "p95".
    """

    history_id: int
    verdict: str | None
    fingerprint: str
    planned: int
    sent: int
    completed: int
    errors: int
    quantiles_ms: Mapping[str, float]
    generator_saturated: bool

    @property
    def error_rate(self) -> float:
        """Errors as a percentage of the completed requests."""
        return 100 * self.errors / self.completed if self.completed else 0.0

    @property
    def shortfall(self) -> float:
        """Requests that were planned but never sent, as a percentage of the plan."""
        return 100 * max(0, self.planned - self.sent) / self.planned if self.planned else 0.0

    @property
    def is_measure(self) -> bool:
        """True when others may be measured by this run: most of its requests succeeded."""
        return self.completed > 2 * self.errors
