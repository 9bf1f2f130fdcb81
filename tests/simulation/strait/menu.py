"""The faults that can befall Strait's requests."""

from __future__ import annotations

from tests.simulation.plan import FINAL_STATUSES, NO_ACCESS, Menu
from tests.simulation.strait.bodies import DECISIVE, ERRORS, REFUSED, RIDDEN_OUT, SPOILT

MENU = Menu(
    endpoints=("snapshot", "subject", "start", "run", "list", "lineage"),
    spoilt=SPOILT,
    decisive=DECISIVE,
    refusals=(FINAL_STATUSES | {"429"} | REFUSED) - NO_ACCESS,
    errors=ERRORS,
    rides_out=RIDDEN_OUT,
)
