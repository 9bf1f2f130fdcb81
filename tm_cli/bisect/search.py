"""Which commit is the first slow one: probabilistic bisection. No I/O.

Bisection by yes and no is wrong for good after one wrong answer. Here every measurement moves the
probabilities of all commits by Bayes' rule, and the next commit is the one whose answer is least
certain (Horstein, 1963; Waeber, Frazier and Henderson, 2013). Commits are a graph: a commit is slow
if it contains the first slow one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MOST_EVIDENCE = math.log(99)
"""What each run can count at most: one in a hundred is wrong, however clear it looks."""

BETWEEN_BUILDS = 0.01
"""Standard deviation of the response times of builds that do the same; no repetition removes it."""

CERTAIN, LIKELY, UNLIKELY = 5.0, 3.0, 1.0
"""Standard errors by which BAD is slower than GOOD.

The search begins when the difference is certain: one that is known badly would be taken for larger
than it is, and commits that are slow for fast ones.
"""

FEWEST_SHIFT = math.log(1.01)
"""Of less than one percent, no number of runs would find the commit in a reasonable time."""


@dataclass(frozen=True, slots=True)
class Effect:
    """How much slower a commit is than GOOD: logarithm of the ratio, and its standard error."""

    shift: float
    error: float

    @property
    def standard_errors(self) -> float:
        return self.shift / self.error if self.error > 0 else math.inf * (self.shift or 0.0)


def pooled(effects: Sequence[Effect]) -> Effect:
    """Return the mean of several measurements of the same commit, weighted by their precision."""
    weights = [1 / max(effect.error, 1e-9) ** 2 for effect in effects]
    shifts = [effect.shift for effect in effects]
    return Effect(statistics.fmean(shifts, weights), 1 / math.sqrt(sum(weights)))


def is_slower(effect: Effect, standard_errors: float) -> bool:
    """Whether a commit is slower than GOOD by so many standard errors."""
    return effect.shift > FEWEST_SHIFT and effect.standard_errors >= standard_errors


def evidence(measured: Effect, slow: Effect, runs: int) -> float:
    """Return the logarithm of how many times likelier the measurements are of a slow commit.

    `slow` is how much slower BAD is. A commit is as slow as that or as fast as GOOD, apart from
    what two builds of the same code differ by. `runs`: how many measurements that are.
    """
    variance = measured.error**2 + slow.error**2 + BETWEEN_BUILDS**2
    found = slow.shift * (measured.shift - slow.shift / 2) / variance
    return min(max(found, -MOST_EVIDENCE * runs), MOST_EVIDENCE * runs)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Commits of which one is the first slow one; no testable commit tells them apart."""

    commits: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Search:
    """What is known so far.

    `contained`: for each commit after GOOD, oldest first, those after GOOD that it contains, itself
    included; the last one is BAD, which is slow and contains all. `evidence`: by commit, the sum
    of what its measurements say. `untestable` commits cannot be built or served.
    """

    contained: Mapping[str, frozenset[str]]
    evidence: Mapping[str, float] = field(default_factory=dict)
    untestable: frozenset[str] = frozenset()

    @property
    def probabilities(self) -> dict[str, float]:
        """How likely each commit is the first slow one; before any measurement, all alike."""
        logs = {
            commit: sum(
                self.evidence[measured]
                for measured in self.evidence
                if commit in self.contained[measured]
            )
            for commit in self.contained
        }
        most = max(logs.values())
        weights = {commit: math.exp(log - most) for commit, log in logs.items()}
        total = math.fsum(weights.values())
        return {commit: weight / total for commit, weight in weights.items()}

    def slowness(self) -> dict[str, float]:
        """How likely each testable commit is slow; BAD, which is, is left out."""
        probabilities = self.probabilities
        return {
            commit: math.fsum(probabilities[other] for other in contained)
            for commit, contained in self.contained.items()
            if commit not in self.untestable and len(contained) < len(self.contained)
        }

    def next_commit(self) -> str | None:
        """Return the commit whose measurement tells most; None if there is none to measure."""
        slowness = self.slowness()
        return min(slowness, key=lambda commit: abs(slowness[commit] - 0.5), default=None)

    def candidates(self) -> Candidates:
        """Return the likeliest commit, together with those that only untestable ones divide."""
        groups: dict[frozenset[str], list[str]] = {}
        testable = [commit for commit in self.contained if commit not in self.untestable]
        for commit in self.contained:
            slow = frozenset(other for other in testable if commit in self.contained[other])
            groups.setdefault(slow, []).append(commit)
        probabilities = self.probabilities
        found = [
            Candidates(tuple(group), math.fsum(probabilities[commit] for commit in group))
            for group in groups.values()
        ]
        return max(found, key=lambda group: group.probability)

    def likeliest(self, confidence: float) -> list[str]:
        """Return the fewest commits that hold the first slow one with this probability."""
        probabilities = self.probabilities
        found, total = list[str](), 0.0
        for commit in sorted(probabilities, key=lambda name: -probabilities[name]):
            if total < confidence:
                found.append(commit)
                total += probabilities[commit]
        return found

    def runs_left(self, confidence: float) -> int:
        """Return about how many more runs it takes."""
        entropy = -math.fsum(p * math.log2(p) for p in self.probabilities.values() if p > 0)
        return 0 if self.candidates().probability >= confidence else max(math.ceil(entropy) + 1, 1)


def containment(parents: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Return what each commit contains; `parents` come before their children."""
    found: dict[str, frozenset[str]] = {}
    for commit, above in parents.items():
        found[commit] = frozenset({commit}).union(*(found.get(parent, ()) for parent in above))
    return found
