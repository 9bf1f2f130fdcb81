"""When to look again, as tables."""

from __future__ import annotations

import pytest

from tm_cli.gate.evidence import Phase, Progress
from tm_cli.gate.polling import Pace, pause_before_look, pause_before_scan

WATCHED = Pace(steady=5.0)


def progress(elapsed=None, duration=None, phase=Phase.ACTIVE):
    return Progress(phase, "RUNNING", elapsed=elapsed, duration=duration)


@pytest.mark.parametrize(
    ("look", "pace", "overdue", "pause"),
    [
        pytest.param(None, Pace(), 0, 5.0, id="nothing seen yet"),
        pytest.param(progress(), Pace(), 0, 5.0, id="no clock in the status"),
        pytest.param(progress(10, 60), Pace(), 0, 10.0, id="sparse in the middle"),
        pytest.param(progress(10, 6000), Pace(), 0, 30.0, id="but not blind"),
        pytest.param(progress(5, 12), Pace(), 0, 5.0, id="short runs as the contract says"),
        pytest.param(progress(10, 60), WATCHED, 0, 5.0, id="watched"),
        pytest.param(progress(10, 60), Pace(steady=1.0), 0, 1.0, id="watched on this machine"),
        pytest.param(progress(57, 60), Pace(), 0, 3.0, id="exactly at the expected end"),
        pytest.param(progress(59.99, 60), Pace(), 0, 0.1, id="not too eager"),
        pytest.param(progress(60, 60), Pace(), 1, 0.1, id="due"),
        pytest.param(progress(60, 60), Pace(), 3, 0.225, id="overdue"),
        pytest.param(progress(60, 60), Pace(), 99, 5.0, id="overdue for long"),
        pytest.param(progress(59, 60, Phase.PAUSED), Pace(), 0, 5.0, id="paused"),
        pytest.param(progress(10, 60), Pace(share=20.0), 0, 20.0, id="one of many"),
        pytest.param(progress(57, 60), Pace(share=20.0), 0, 3.0, id="one of many at its end"),
        pytest.param(progress(60, 60), Pace(share=60.0), 1, 10.0, id="one of very many, due"),
    ],
)
def test_auto_pace(look, pace, overdue, pause):
    assert pause_before_look(look, pace, overdue=overdue) == pytest.approx(pause)


@pytest.mark.parametrize("look", [None, progress(59, 60), progress(60, 60)])
def test_fixed_interval_is_kept(look):
    assert pause_before_look(look, Pace(interval=7.0), overdue=3) == 7.0


def test_scans_begin_short_and_grow_to_five_seconds():
    pauses = [pause_before_scan(n, Pace()) for n in range(20)]
    assert pauses[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert pauses == sorted(pauses)
    assert pauses[-1] == pause_before_scan(10**6, Pace()) == 5.0
