"""The faults that can befall Runloop's requests."""

from __future__ import annotations

from tests.simulation.plan import FINAL_STATUSES, NO_ACCESS, Menu
from tests.simulation.runloop.bodies import DECISIVE, SPOILT

MENU = Menu(
    endpoints=(
        "benchmark", "early-run", "early-list", "early-items",
        "start", "run", "items", "list", "complete",
    ),
    spoilt=SPOILT,
    decisive=DECISIVE,
    refusals=((FINAL_STATUSES - {"409"}) | {"429", "429-html"}) - NO_ACCESS,
    rides_out=frozenset({"409"}),
)  # fmt: skip
"""A 409 is contention, after which a start may have happened; a 429 comes before any effect."""
