"""Single schedules that have a right end: found once by chance, or the only test of a rule."""

from __future__ import annotations

import pytest

from faults.checkers import violations
from faults.corners import CORNERS
from faults.raw_seam import run
from faults.shrink import narrate


@pytest.mark.parametrize("corner", CORNERS, ids=lambda corner: corner.name)
def test_corner(corner):
    recording = run(corner.schedule)
    wrong = violations(corner.schedule, recording)
    if recording.exit_code not in corner.exits:
        wrong.append(f"exit {recording.exit_code}, not {sorted(corner.exits)}")
    assert not wrong, narrate(corner.schedule, recording, wrong)
