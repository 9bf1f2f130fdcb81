"""kill -9 of server, engine and worker; more of it in tests/simulation/soak/kills_at_random.py."""

import os

import pytest

from tests.simulation.scale import scaled
from tests.unit.server.kills import SERVER_DEATHS, play

pytestmark = pytest.mark.volume


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_whatever_is_killed_no_finished_run_changes_and_the_next_one_is_fine(tmp_path):
    seed = int(os.environ.get("TM_FAULT_SEED", "1"))
    deaths = scaled(SERVER_DEATHS)
    assert play(tmp_path, [seed], latest=2.5, deaths=deaths) == 2 * (2 * deaths + 2)
