"""What a run was compared with, and each number beside that of the other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of a run beside the one it was compared with; None is what nobody said.

    `change` with its 95 % interval `ci_low` to `ci_high`, and `noise`, the smallest change that is
    more than chance, are in percent, for rates in points. A `change` above `warn` or `fail` is too
    much. `than` says what `baseline` is of: `baseline` or `reference`. All texts are clean.
    """

    metric: str
    unit: str = ""
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    noise: float | None = None
    warn: float | None = None
    fail: float | None = None
    verdict: str | None = None
    significant: bool = False
    than: str | None = None
    reason: str | None = None

    @property
    def is_worth_a_row(self) -> bool:
        """Whether people want to see it: it has two sides, or it is not fine."""
        return self.baseline is not None or self.verdict != "PASS"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verdict rests on.

    `baseline` and `reference` are ids of runs, `choice` says how the baseline was chosen, and `age`
    how many seconds lay between the two runs. In a duet there is no baseline: `against` is the
    address of the other target.
    """

    baseline: int | str | None = None
    choice: str | None = None
    age: float | None = None
    reference: int | None = None
    against: str | None = None

    @property
    def is_duet(self) -> bool:
        """Whether two targets were compared within one run."""
        return self.against is not None

    @property
    def other(self) -> str:
        """What people call the other side of the comparison."""
        return "other target" if self.is_duet else "baseline"
