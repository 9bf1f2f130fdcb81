"""Which earlier run a run is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tm_cli.server.judge.facts import RunFacts


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

    `passed`: comparable earlier runs that passed, oldest first; they tell how much unchanged runs
    differ. Without a baseline `reason` says why.
    """

    baseline: RunFacts | None
    how: How | None = None
    reference: RunFacts | None = None
    passed: tuple[RunFacts, ...] = ()
    reason: str = ""


def choose_baseline(run: RunFacts, earlier: Sequence[RunFacts], wish: Wish | None = None) -> Choice:
    """The run that the user asked for or pinned, else the newest one that passed, else the oldest.

    `earlier`: completed runs of the same profile, in any order. Only comparable runs qualify: same
    target, method, curve, duration and region. A wish that cannot be met is not replaced by
    another run: the choice is empty and says why. A run that mostly failed is never chosen:
    refused connections are quick, and everything after them would look slow. One that this
    machine slowed down, or that lost a worker, is chosen only for want of a better.
    """
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
    passed = tuple(other for other in comparable if other.verdict == "PASS")
    if wish is not None:
        return _wished(run, wish, passed)
    if passed:
        oldest = passed[0] if len(passed) > 1 else None
        return Choice(passed[-1], How.NEWEST_PASSING, oldest, passed)
    if comparable:
        # runs that this machine slowed down, or that lost a worker, come behind all others
        first = min(comparable, key=lambda other: (_is_doubtful(other), other.history_id))
        return Choice(first, How.OLDEST)
    return Choice(None, reason=_nothing(run, earlier))


def _is_doubtful(run: RunFacts) -> bool:
    return run.generator_saturated or bool(run.notes)


def _wished(run: RunFacts, wish: Wish, passed: tuple[RunFacts, ...]) -> Choice:
    name = f"the baseline that was {'asked for' if wish.how is How.ASKED else wish.how}"
    name += f", run {wish.history_id},"
    if wish.run is None:
        return Choice(None, wish.how, reason=f"{name} is not in the history any more")
    if difference := differences(run, wish.run):
        return Choice(None, wish.how, reason=f"{name} has {difference}")
    if not wish.run.is_measure:
        return Choice(None, wish.how, reason=f"{name} mostly failed")
    return Choice(wish.run, wish.how, passed=passed)


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
