"""Which earlier run a run is compared with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.findings import is_unreliable
from tm_cli.server.judge.latency import is_too_noisy
from tm_cli.server.judge.levels import METRICS, find_levels
from tm_cli.server.judge.thresholds import Thresholds

_MAX_TRIED = 10  # candidates whose noise is looked at
_RECENT = 5  # runs that passed of which one that excludes a failure is preferred


class SelectedBy(StrEnum):
    """How a baseline was chosen."""

    ASKED = "asked"
    PINNED = "pinned"
    NEWEST_PASSING = "newest passing"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class BaselineSelection:
    """The run that the user selected as the baseline; None when it has been deleted."""

    how: SelectedBy
    history_id: int
    run: RunFacts | None


@dataclass(frozen=True, slots=True)
class BaselineChoice:
    """The baseline, and the oldest run that passed as a further reference.

    `improved`: for each metric that has become better for good, the first run that passed since:
    the reference of this metric. `passed`: comparable earlier runs that passed, oldest first; they
    show what has been accepted. `completed`: all reliable ones that did not fail, which show how
    much runs differ. Without a baseline there is a `reason`.
    """

    baseline: RunFacts | None
    how: SelectedBy | None = None
    reference: RunFacts | None = None
    passed: tuple[RunFacts, ...] = ()
    completed: tuple[RunFacts, ...] = ()
    reason: str = ""
    improved: Mapping[str, RunFacts] = field(default_factory=dict)

    @property
    def is_named(self) -> bool:
        return self.how in (SelectedBy.ASKED, SelectedBy.PINNED)


Measured = Callable[[RunFacts], RunFacts]
"""Adds the response times by blocks to a run."""


def choose_baseline(
    run: RunFacts,
    earlier: Sequence[RunFacts],
    selection: BaselineSelection | None = None,
    *,
    thresholds: Thresholds | None = None,
    measured: Measured = lambda run: run,
) -> BaselineChoice:
    """The run that the user asked for or pinned, else the newest one that passed, else the oldest.

    `earlier`: completed runs of the same profile, in any order. Only comparable runs qualify: same
    target, method, curve, duration and region. A selected run that is not usable is not
    replaced by another: the choice is empty and has a reason. A run that mostly failed is never
    chosen: refused connections are fast, and everything after them would look slow. A doubtful one
    is chosen only if there is no better one. Neither is a run that was stopped early, because there
    is nothing to compare the rest of the curve with; it counts among those that `passed`. The runs
    of the choice are those that `measured` returns.
    """
    thresholds = thresholds or Thresholds()
    comparable = _comparable(run, earlier)
    choice = _chosen(run, earlier, comparable, selection, thresholds, measured)
    return replace(choice, completed=not_failed(comparable, thresholds))


def not_failed(runs: Sequence[RunFacts], thresholds: Thresholds) -> tuple[RunFacts, ...]:
    """The reliable runs that show how much runs differ.

    Those that failed do not: where regressions are frequent, each would excuse the next.
    """
    return reliable([run for run in runs if run.verdict != "FAIL"], thresholds)


def reliable(runs: Sequence[RunFacts], thresholds: Thresholds) -> tuple[RunFacts, ...]:
    return tuple(other for other in runs if not is_unreliable(other, thresholds))


def _comparable(run: RunFacts, earlier: Sequence[RunFacts]) -> list[RunFacts]:
    """The usable runs of the same load before this one, oldest first."""
    return sorted(
        (
            other
            for other in earlier
            if other.fingerprint == run.fingerprint
            and other.history_id < run.history_id
            and other.can_be_baseline
        ),
        key=lambda other: other.history_id,
    )


def _chosen(
    run: RunFacts,
    earlier: Sequence[RunFacts],
    comparable: Sequence[RunFacts],
    selection: BaselineSelection | None,
    thresholds: Thresholds,
    measured: Measured,
) -> BaselineChoice:
    passed = _since_the_last_pin([other for other in comparable if other.verdict == "PASS"])
    if selection is not None:
        return _selected(run, selection, passed, measured)
    sound = reliable(passed, thresholds)
    if any(map(_is_whole, sound)):
        return _newest_passing(run, sound, measured)
    pin = _last_pin(passed)
    passed = tuple(filter(_is_whole, passed))
    comparable = [other for other in comparable if _is_whole(other) and other.history_id >= pin]
    # what failed by an older run that is still here does not take its place
    candidates = [
        other for other in comparable if other.verdict != "FAIL" or other is comparable[0]
    ]
    if sound := reliable(candidates, thresholds):
        return BaselineChoice(_first_quiet(run, sound, thresholds, measured), SelectedBy.OLDEST)
    if passed:
        return _newest_passing(run, passed, measured)
    if comparable:
        return BaselineChoice(measured(comparable[0]), SelectedBy.OLDEST)
    return BaselineChoice(None, reason=_nothing(run, earlier))


def _since_the_last_pin(passed: Sequence[RunFacts]) -> tuple[RunFacts, ...]:
    """The runs that passed, oldest first, without those before the run that was last pinned.

    With a pin, the user decided that earlier runs no longer count.
    """
    pin = _last_pin(passed)
    return tuple(other for other in passed if other.history_id >= pin)


def _last_pin(passed: Sequence[RunFacts]) -> int:
    return next((other.pinned for other in reversed(passed) if other.pinned is not None), 0)


def _newest_passing(
    run: RunFacts, passed: tuple[RunFacts, ...], measured: Measured
) -> BaselineChoice:
    levels = find_levels(run, passed)
    improved = {metric: best for metric in METRICS if (best := levels.best(metric))}
    whole = list(filter(_is_whole, passed))
    return BaselineChoice(
        _newest_conclusive(whole, measured),
        SelectedBy.NEWEST_PASSING,
        measured(whole[0]) if len(passed) > 1 else None,
        passed,
        improved={metric: measured(best) for metric, best in improved.items()},
    )


def _is_whole(run: RunFacts) -> bool:
    return run.stopped_after is None


def _newest_conclusive(passed: Sequence[RunFacts], measured: Measured) -> RunFacts:
    """The newest run that passed and was seen to be no slower than the limit.

    A run that passed although it may have been slower would hand that on. If none of the last few
    could tell, the newest is the baseline all the same: an old one would be no better measure.
    """
    recent = map(measured, reversed(passed[-_RECENT:]))
    conclusive = (other for other in recent if other.excludes_fail is not False)
    return next(conclusive, None) or measured(passed[-1])


def _first_quiet(
    run: RunFacts, candidates: Sequence[RunFacts], thresholds: Thresholds, measured: Measured
) -> RunFacts:
    """The oldest candidate that is not too noisy to compare with, else the oldest."""
    tried = map(measured, candidates[:_MAX_TRIED])
    quiet = (other for other in tried if not is_too_noisy(run, other, thresholds))
    return next(quiet, None) or measured(candidates[0])


def _selected(
    run: RunFacts, selection: BaselineSelection, passed: tuple[RunFacts, ...], measured: Measured
) -> BaselineChoice:
    how = "asked for" if selection.how is SelectedBy.ASKED else selection.how
    name = f"the baseline that was {how}"
    name += f", run {selection.history_id},"
    if selection.run is None:
        return BaselineChoice(None, selection.how, reason=f"{name} is not in the history any more")
    if difference := differences(run, selection.run):
        return BaselineChoice(None, selection.how, reason=f"{name} has {difference}")
    if not selection.run.can_be_baseline:
        return BaselineChoice(None, selection.how, reason=f"{name} mostly failed")
    if not _is_whole(selection.run):
        return BaselineChoice(None, selection.how, reason=f"{name} was stopped early")
    return BaselineChoice(measured(selection.run), selection.how, passed=passed)


def _nothing(run: RunFacts, earlier: Sequence[RunFacts]) -> str:
    if not earlier:
        return "no earlier run to compare with"
    newest = max(earlier, key=lambda other: other.history_id)
    difference = differences(run, newest)
    ended = "mostly failed" if _is_whole(newest) else "was stopped early"
    why = f"has {difference}" if difference else ended
    return (
        f"no earlier run to compare with: of the {len(earlier)} before it none had the same "
        "target, method, curve, duration and region, and mostly succeeded; "
        f"run {newest.history_id}, the newest, {why}"
    )


class HasLoad(Protocol):
    """Anything with the fingerprint of a load and the traits that it is made of."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def traits(self) -> Mapping[str, str]: ...


def differences(run: HasLoad, other: HasLoad) -> str | None:
    """Why two runs cannot be compared, such as "another target and curve"; None if they can."""
    if run.fingerprint == other.fingerprint:
        return None
    known = [name for name in run.traits if name in other.traits]
    changed = [name for name in known if run.traits[name] != other.traits[name]]
    return f"another {' and '.join(changed or ['load'])}"
