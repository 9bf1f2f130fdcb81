"""What a run with many scenarios shows while it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tm_cli.clock import Clock
from tm_cli.durations import format_duration
from tm_cli.systems.runloop.evidence import FINISHED, SCORED, UNDER_WAY
from tm_cli.text import clean

STALLED = 300.0
"""Seconds without any change after which a warning is shown."""


class StallDetector:
    """Notices that nothing changes any more; its warnings stay the same, so each is shown once."""

    def __init__(self, clock: Clock, run_id: str) -> None:
        self._clock = clock
        self._run_id = clean(run_id)
        self._last: Mapping[str, int] | None = None
        self._since = clock.monotonic()

    def warnings(
        self, state: str, items: Mapping[str, int] | None, expected: int | None
    ) -> tuple[str, ...]:
        """Return warnings about a run that goes on; `items` counts scenario runs by state."""
        found = []
        if state not in UNDER_WAY:
            found.append(f"the state {clean(state) or 'without a name'} is unknown to tm")
        if items is not None and items != self._last:
            self._last, self._since = dict(items), self._clock.monotonic()
        if self._last is not None and self._clock.monotonic() - self._since >= STALLED:
            found.append(self._stalled(self._last, expected))
        return tuple(found)

    def _stalled(self, items: Mapping[str, int], expected: int | None) -> str:
        waited = format_duration(STALLED)
        if not items:
            return f"no scenario run has appeared for {waited}: does anything drive this run?"
        is_done = set(items) <= FINISHED and sum(items.values()) >= (expected or 1)
        if is_done and SCORED in items:
            return (
                "all scenarios are scored, but neither they nor the run are completed "
                f"(tm benchmarks complete {self._run_id})"
            )
        if is_done:
            return f"all scenarios have ended: tm benchmarks complete {self._run_id} ends the run"
        return f"no scenario run has changed for {waited}"


def count_states(states: list[str]) -> dict[str, int]:
    """How many scenario runs are in each state, the most frequent first."""
    return {clean(state) or "no state": n for state, n in Counter(states).most_common()}
