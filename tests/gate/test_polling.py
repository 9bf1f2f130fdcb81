"""When to look again, as a table."""

from __future__ import annotations

import pytest

from tm_cli.gate.evidence import Phase, Progress
from tm_cli.gate.polling import Pace, pause_before_look, pause_before_scan


def progress(elapsed=None, duration=None, phase=Phase.ACTIVE):
    return Progress(phase, "RUNNING", elapsed=elapsed, duration=duration)


@pytest.mark.parametrize(
    ("look", "overdue", "pause"),
    [
        pytest.param(None, 0, 5.0, id="nothing seen yet"),
        pytest.param(progress(), 0, 5.0, id="no clock in the status"),
        pytest.param(progress(10, 60), 0, 5.0, id="in the middle"),
        pytest.param(progress(57, 60), 0, 3.0, id="exactly at the expected end"),
        pytest.param(progress(59.9, 60), 0, 0.25, id="not too eager"),
        pytest.param(progress(60, 60), 1, 0.5, id="overdue once"),
        pytest.param(progress(60, 60), 2, 1.0, id="overdue twice"),
        pytest.param(progress(60, 60), 50, 5.0, id="overdue for long"),
        pytest.param(progress(59, 60, Phase.PAUSED), 0, 5.0, id="paused"),
    ],
)
def test_auto_pace(look, overdue, pause):
    assert pause_before_look(look, Pace(), overdue=overdue) == pause


@pytest.mark.parametrize("look", [None, progress(59, 60), progress(60, 60)])
def test_fixed_interval_is_kept(look):
    assert pause_before_look(look, Pace(interval=7.0), overdue=3) == 7.0


def test_scans_double_up_to_five_seconds():
    assert [pause_before_scan(n) for n in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert pause_before_scan(10**6) == 5.0
