"""Which earlier run a run is compared with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import is_unreliable
from tm_cli.server.judge.latency import is_too_noisy
from tm_cli.server.judge.levels import METRICS, find_levels
from tm_cli.server.judge.thresholds import Limits

_MOST_TRIED = 10  # candidates whose noise is looked at


class How(StrEnum):
    """How a baseline was chosen."""

    ASKED = "asked"
    PINNED = "pinned"
    NEWEST_PASSING = "newest passing"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Wish:
    """The run that the user wants as the baseline; None when it is not there any more."""

    how: How
    history_id: int
    run: RunFacts | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The baseline, and the oldest run that passed as a further reference.

    `improved`: for each metric that has become better for good, the first run that passed since:
    the reference of this metric. `passed`: comparable earlier runs that passed, oldest first; they
    tell how much unchanged runs differ. Without a baseline `reason` says why.
    """

    baseline: RunFacts | None
    how: How | None = None
    reference: RunFacts | None = None
    passed: tuple[RunFacts, ...] = ()
    reason: str = ""
    improved: Mapping[str, RunFacts] = field(default_factory=dict)

    @property
    def is_named(self) -> bool:
        """True when the user has chosen the baseline."""
        return self.how in (How.ASKED, How.PINNED)


Measured = Callable[[RunFacts], RunFacts]
"""Adds the response times by blocks to a run."""


def choose_baseline(
    run: RunFacts,
    earlier: Sequence[RunFacts],
    wish: Wish | None = None,
    *,
    limits: Limits | None = None,
    measured: Measured = lambda run: run,
) -> Choice:
    """The run that the user asked for or pinned, else the newest one that passed, else the oldest.

    `earlier`: completed runs of the same profile, in any order. Only comparable runs qualify: same
    target, method, curve, duration and region. A wish that cannot be met is not replaced by
    another run: the choice is empty and says why. A run that mostly failed is never chosen:
    refused connections are quick, and everything after them would look slow. A doubtful one is
    chosen only for want of a better. The runs of the choice are those that `measured` returns.
    """
    limits = limits or Limits()
    comparable = sorted(
        (
            other
            for other in earlier
            if other.fingerprint == run.fingerprint
            and other.history_id < run.history_id
            and other.is_measure
        ),
        key=lambda other: other.history_id,
    )
    passed = _since_the_last_pin([other for other in comparable if other.verdict == "PASS"])
    if wish is not None:
        return _wished(run, wish, passed, measured)
    if reliable := tuple(other for other in passed if not is_unreliable(other, limits)):
        return _newest_passing(run, reliable, measured)
    # what failed by an older run that is still here does not take its place
    candidates = [
        other for other in comparable if other.verdict != "FAIL" or other is comparable[0]
    ]
    if reliable := tuple(other for other in candidates if not is_unreliable(other, limits)):
        return Choice(_first_quiet(run, reliable, limits, measured), How.OLDEST)
    if passed:
        return _newest_passing(run, passed, measured)
    if comparable:
        return Choice(measured(comparable[0]), How.OLDEST)
    return Choice(None, reason=_nothing(run, earlier))


def _since_the_last_pin(passed: Sequence[RunFacts]) -> tuple[RunFacts, ...]:
    """The runs that passed, oldest first, without those before the run that was last pinned.

    With a pin, the user has said that what was before it does not count any more.
    """
    pins = [other.pinned for other in passed if other.pinned is not None]
    return tuple(other for other in passed if not pins or other.history_id >= pins[-1])


def _newest_passing(run: RunFacts, passed: tuple[RunFacts, ...], measured: Measured) -> Choice:
    levels = find_levels(run, passed)
    improved = {metric: best for metric in METRICS if (best := levels.best(metric))}
    return Choice(
        measured(passed[-1]),
        How.NEWEST_PASSING,
        measured(passed[0]) if len(passed) > 1 else None,
        passed,
        improved={metric: measured(best) for metric, best in improved.items()},
    )


def _first_quiet(
    run: RunFacts, candidates: Sequence[RunFacts], limits: Limits, measured: Measured
) -> RunFacts:
    """The oldest candidate that is not too noisy to measure the run by, else the oldest."""
    tried = map(measured, candidates[:_MOST_TRIED])
    quiet = (other for other in tried if not is_too_noisy(run, other, limits))
    return next(quiet, None) or measured(candidates[0])


def _wished(run: RunFacts, wish: Wish, passed: tuple[RunFacts, ...], measured: Measured) -> Choice:
    name = f"the baseline that was {'asked for' if wish.how is How.ASKED else wish.how}"
    name += f", run {wish.history_id},"
    if wish.run is None:
        return Choice(None, wish.how, reason=f"{name} is not in the history any more")
    if difference := differences(run, wish.run):
        return Choice(None, wish.how, reason=f"{name} has {difference}")
    if not wish.run.is_measure:
        return Choice(None, wish.how, reason=f"{name} mostly failed")
    return Choice(measured(wish.run), wish.how, passed=passed)


def _nothing(run: RunFacts, earlier: Sequence[RunFacts]) -> str:
    if not earlier:
        return "no earlier run to compare with"
    newest = max(earlier, key=lambda other: other.history_id)
    difference = differences(run, newest)
    why = f"has {difference}" if difference else "mostly failed"
    return (
        f"no earlier run to compare with: of the {len(earlier)} before it none had the same "
        "target, method, curve, duration and region, and mostly succeeded; "
        f"run {newest.history_id}, the newest, {why}"
    )


class Loaded(Protocol):
    """Anything that knows under which load it was or will be."""

    @property
    def fingerprint(self) -> str:
        """Equal for what may be compared."""
        ...

    @property
    def traits(self) -> Mapping[str, str]:
        """What the fingerprint is made of, by name."""
        ...


def differences(run: Loaded, other: Loaded) -> str | None:
    """Why two runs cannot be compared, such as "another target and curve"; None if they can."""
    if run.fingerprint == other.fingerprint:
        return None
    known = [name for name in run.traits if name in other.traits]
    changed = [name for name in known if run.traits[name] != other.traits[name]]
    return f"another {' and '.join(changed or ['load'])}"
