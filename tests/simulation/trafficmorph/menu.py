"""The faults that can befall TrafficMorph's requests."""

from __future__ import annotations

from tests.simulation.plan import FINAL_STATUSES, NO_ACCESS, Menu
from tests.simulation.trafficmorph.bodies import DECISIVE, SPOILT

MENU = Menu(
    endpoints=("snapshot", "start", "status", "history", "detail", "profile"),
    spoilt=SPOILT,
    decisive=DECISIVE,
    refusals=(FINAL_STATUSES | {"425", "429"}) - NO_ACCESS,
)
