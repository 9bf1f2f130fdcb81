"""Runs that may lose an engine, and how they may end."""

import time
from dataclasses import dataclass, field

DURATION = 10  # seconds, the shortest there is
RATE = 20  # requests per second and engine
NOTICED = 8.0  # seconds after which a death must have been noticed, also by who just starts
AT_ONCE = "at once"


@dataclass
class Victim:
    """A run and what happened to it; times are monotonic seconds.

    Of several engines the first is the master, without which the run cannot go on.
    """

    name: str
    run_id: str
    started_at: float
    engines: list = field(default_factory=list)
    lost_at: float | None = None
    has_lost_all: bool = False

    def lose_engine(self, chance):
        """Kill one of its engines."""
        chosen = chance.choice(self.engines)
        chosen.kill()
        self.has_lost_all = chosen is self.engines[0]
        self.lost_at = time.monotonic()


def check_end(victim, detail, workers, died_at):
    """A run ended as what happened to it allows, `died_at` being when the server was killed."""
    outcome, verdict = detail["outcome"], detail["autoVerdict"]
    seen = f"{victim}, server killed at {died_at}: {detail}"
    assert outcome in possible_outcomes(victim, died_at), seen
    if outcome != "COMPLETED":
        assert (verdict, detail["autoCompareSnapshot"]) == (None, None), seen
        assert detail["autoVerdictReasons"], seen
        return
    assert verdict in ("PASS", "WARN", "FAIL", "NO_BASELINE"), seen
    if victim.lost_at is not None:
        assert detail["notes"], seen
        assert verdict != "PASS", seen
    if any(" was lost at second" in note for note in detail["notes"]):
        assert detail["shortfall"] > 0, seen
    elif victim.name != AT_ONCE:
        assert detail["plannedRequests"] == DURATION * RATE * workers, seen


def possible_outcomes(victim, died_at):
    found = set() if died_at is None else {"INTERRUPTED"}
    if victim.has_lost_all:
        if died_at is not None and died_at > victim.lost_at + NOTICED:
            found.clear()
        return found | {"ABORTED"}
    duration = 0 if victim.name == AT_ONCE else DURATION
    if died_at is None or died_at > victim.started_at + duration:
        found.add("COMPLETED")
    return found
