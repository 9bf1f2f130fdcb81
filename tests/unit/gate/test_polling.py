"""When to look again, as tables."""

from __future__ import annotations

import pytest

from tm_cli.gate.model import Phase, Progress
from tm_cli.gate.polling import PollingPolicy, pause_before_poll, pause_before_scan

POLL_INTERACTIVE = PollingPolicy(max_interval=5.0)


def progress(elapsed=None, duration=None, phase=Phase.ACTIVE):
    return Progress(phase, "RUNNING", elapsed=elapsed, duration=duration)


@pytest.mark.parametrize(
    ("look", "policy", "overdue", "pause"),
    [
        pytest.param(None, PollingPolicy(), 0, 5.0, id="nothing seen yet"),
        pytest.param(progress(), PollingPolicy(), 0, 5.0, id="no clock in the status"),
        pytest.param(progress(0, 60), PollingPolicy(), 0, 30.0, id="half of what is left"),
        pytest.param(progress(30, 60), PollingPolicy(), 0, 15.0, id="and half again"),
        pytest.param(progress(10, 6000), PollingPolicy(), 0, 30.0, id="but never blind"),
        pytest.param(progress(41, 60), PollingPolicy(), 0, 19.0, id="exactly at the expected end"),
        pytest.param(progress(59.99, 60), PollingPolicy(), 0, 0.2, id="not too eager"),
        pytest.param(progress(60, 60), PollingPolicy(), 0.0, 0.2, id="due"),
        pytest.param(progress(60, 60), PollingPolicy(), 10.0, 1.5, id="overdue"),
        pytest.param(progress(60, 60), PollingPolicy(), 1000.0, 5.0, id="overdue for long"),
        pytest.param(progress(10, 60), POLL_INTERACTIVE, 0, 5.0, id="watched"),
        pytest.param(progress(57, 60), POLL_INTERACTIVE, 0, 3.0, id="watched at its end"),
        pytest.param(
            progress(10, 60), PollingPolicy(max_interval=1.0), 0, 1.0, id="watched on this machine"
        ),
        pytest.param(progress(59, 60, Phase.PAUSED), PollingPolicy(), 0, 5.0, id="paused"),
        pytest.param(
            progress(10, 60), PollingPolicy(budget_interval=40.0), 0, 40.0, id="one of many"
        ),
        pytest.param(
            progress(57, 60),
            PollingPolicy(budget_interval=20.0),
            0,
            3.0,
            id="one of many at its end",
        ),
        pytest.param(
            progress(60, 60),
            PollingPolicy(budget_interval=60.0),
            0.0,
            10.0,
            id="one of very many, due",
        ),
    ],
)
def test_pause_by_policy(look, policy, overdue, pause):
    assert pause_before_poll(look, policy, overdue=overdue) == pytest.approx(pause)


@pytest.mark.parametrize("look", [None, progress(59, 60), progress(60, 60)])
def test_fixed_interval_is_kept(look):
    assert pause_before_poll(look, PollingPolicy(interval=7.0), overdue=3) == 7.0


@pytest.mark.parametrize(
    ("waited", "pause"), [(0.0, 0.2), (1.0, 0.2), (2.0, 0.3), (10.0, 1.5), (60.0, 5.0)]
)
def test_scans_begin_short_and_grow_with_the_wait(waited, pause):
    assert pause_before_scan(waited, PollingPolicy()) == pytest.approx(pause)


def test_waiting_a_minute_for_a_verdict_stays_inside_the_usual_budget():
    waited, scans = 0.0, 0
    while waited < 60:
        waited += pause_before_scan(waited, PollingPolicy())
        scans += 1
    assert scans < 45
