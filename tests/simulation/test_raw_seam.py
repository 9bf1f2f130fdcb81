"""The gate on the simulated service: no false pass, no second start, no hang, whatever goes wrong.

`TM_FAULT_SEED=n` replays one schedule.
"""

from __future__ import annotations

import pytest

from tests.simulation.report import say
from tests.simulation.scale import seeds, whole
from tests.simulation.volume import Tally, run_all

pytestmark = pytest.mark.volume

SCHEDULES = 50_000
THINNEST = 20
RAREST = 0.001
EXITS = {0, 1, 2, 3, 4, 5, 6, 7, 8, 69, 77, 129, 130, 143}


@pytest.fixture(scope="module")
def tally() -> Tally:
    found = run_all("raw_seam", seeds(SCHEDULES))
    say(found.report())
    return found


def test_no_schedule_breaks_an_invariant(tally):
    assert not tally.broken, "\n\n".join([tally.report(), *tally.failures])


@whole
def test_every_fault_befalls_every_endpoint(tally):
    assert [cell for cell in tally.thinnest_cells() if cell[0] < THINNEST] == []


@whole
def test_every_way_to_end_is_taken(tally):
    rare = {code: tally.exits[code] for code in EXITS if tally.exits[code] < RAREST * SCHEDULES}
    assert rare == {}


@whole
def test_transient_faults_are_tried_often_enough(tally):
    assert tally.transient >= SCHEDULES / 10
