"""Single schedules that have a right end: found once by chance, or the only test of a rule."""

from __future__ import annotations

import pytest

from tests.simulation.corners import corners
from tests.simulation.shrink import narrate


@pytest.mark.parametrize(
    ("system", "corner"),
    [pytest.param(*pair, id=f"{pair[0]}: {pair[1].name}") for pair in corners()],
)
def test_corner(system, corner):
    recording, wrong = corner.judge()
    assert not wrong, narrate(corner.schedule, recording, wrong)
