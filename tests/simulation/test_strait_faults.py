"""The job gate on the simulated Strait service, whatever goes wrong.

`TM_FAULT_SEED=n` replays one schedule; `python tests/simulation/soak.py 1 strait` plays 20,000.
"""

from __future__ import annotations

import pytest

from tests.simulation.report import say
from tests.simulation.scale import seeds, whole
from tests.simulation.volume import Tally, run_all

pytestmark = pytest.mark.volume

SCHEDULES = 5_000
THROUGH_HTTP = 300
EXITS = {0, 1, 2, 3, 5, 6, 7, 8, 69, 77, 129, 130, 143}


@pytest.fixture(scope="module")
def tally() -> Tally:
    found = run_all("raw_seam", seeds(SCHEDULES), system="strait")
    say(found.report())
    return found


def test_no_job_gate_breaks_an_invariant(tally):
    assert not tally.broken, "\n\n".join([tally.report(), *tally.failures])


def test_no_job_gate_breaks_one_through_the_http_library():
    tally = run_all("httpx_seam", seeds(THROUGH_HTTP), system="strait")
    say(tally.report())
    assert not tally.broken, "\n\n".join([tally.report(), *tally.failures])


@whole
def test_every_fault_befalls_every_read_of_a_job(tally):
    """With these sizes, one in a hundred may be missed."""
    cells = tally.thinnest_cells()
    missed = [cell for cell in cells if cell[0] == 0]
    assert len(missed) <= len(cells) / 100, missed


@whole
def test_every_way_to_end_is_taken_by_jobs(tally):
    assert set(tally.exits) >= EXITS


@whole
def test_jobs_meet_transient_faults_often_enough(tally):
    assert tally.transient >= SCHEDULES / 10
