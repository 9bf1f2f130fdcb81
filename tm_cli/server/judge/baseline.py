"""Which earlier run a run is compared with."""

from collections.abc import Sequence

from tm_cli.server.judge.facts import RunFacts


def choose_baseline(run: RunFacts, earlier: Sequence[RunFacts]) -> RunFacts | None:
    """The newest comparable run that passed, else the oldest comparable one, else None.

    `earlier`: completed runs of the same profile, in any order. A run that mostly failed is never
    chosen: refused connections are quick, and everything after them would look slow. One that
    this machine slowed down is chosen only for want of a better.
    """
    comparable = [
        other
        for other in earlier
        if other.fingerprint == run.fingerprint
        and other.history_id < run.history_id
        and other.is_measure
    ]
    passed = [other for other in comparable if other.verdict == "PASS"]
    if passed:
        return max(passed, key=lambda other: other.history_id)
    return min(comparable, key=_oldest_and_sound, default=None)


def _oldest_and_sound(run: RunFacts) -> tuple[bool, int]:
    """Sort runs that this machine slowed down behind all others."""
    return run.generator_saturated, run.history_id
