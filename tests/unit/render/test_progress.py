"""Progress for logs and for terminals."""

from __future__ import annotations

import io

import pytest

from tm_cli.commands.shared.follow import open_view
from tm_cli.gate.events import Awaited, Ended, Observed, RunStarted, Unobserved
from tm_cli.gate.model import Phase, Progress, Run, Sample
from tm_cli.render.live import LiveView
from tm_cli.render.progress import PlainView, View, describe
from tm_cli.render.tables import codes, milliseconds, percent, rate, sparkline
from tm_cli.runtime.terminal import Terminal

RUN = Run("run-1", "checkout", "RUNNING", None)


def look(elapsed=10.0, **changes):
    values = {
        "elapsed": elapsed,
        "duration": 60.0,
        "requests": 480,
        "rps": 49.6,
        "planned_rps": 50.0,
        "p95_ms": 21.4,
        "recent": (Sample(2.5, rps=40.0, p95=20.0), Sample(7.5, rps=50.0, p95=21.4)),
        "codes": {"200": 478, "503": 2},
        "bad_ratio": 0.004,
        **changes,
    }
    return Progress(values.pop("phase", Phase.ACTIVE), "RUNNING", **values)


@pytest.fixture
def terminal():
    return Terminal(io.StringIO(), io.StringIO(), width=100)


def lines(terminal):
    return terminal.err.getvalue().splitlines()


def test_log_gets_one_line_per_change(terminal, clock):
    view = PlainView(terminal, clock)
    view.show(RunStarted(RUN))
    for elapsed in range(10, 40):
        view.show(Observed(look(elapsed)))
        clock.seconds += 1
    view.show(Observed(look(40, phase=Phase.PAUSED)))
    view.show(Ended(look(60, phase=Phase.ENDED)))
    view.show(Awaited("not there yet"))
    view.show(Awaited("not there yet"))
    assert len(lines(terminal)) == 5
    assert "paused" in lines(terminal)[2]


def test_log_of_a_long_run_has_at_most_a_line_a_minute(terminal, clock):
    view = PlainView(terminal, clock)
    for elapsed in range(0, 3600, 5):
        view.show(Observed(look(elapsed, duration=3600.0)))
        clock.seconds += 5
    assert len(lines(terminal)) == 60


def test_log_tells_a_new_warning_at_once(terminal, clock):
    view = PlainView(terminal, clock)
    view.show(Observed(look()))
    view.show(Observed(look(warnings=("the target is saturated",))))
    assert "warning: the target is saturated" in lines(terminal)[1]


def test_failed_look_is_told(terminal, clock):
    PlainView(terminal, clock).show(Unobserved("HTTP 502\x1b[1m", 1.0))
    assert lines(terminal) == ["tm: request failed, retrying: HTTP 502 [1m"]


def test_line_tells_time_rate_latency_codes_and_errors():
    assert describe(look()) == (
        "running, elapsed 10s, 50s left, 49.6 of 50 requests/s, p95 21 ms, "
        "200 × 478 503 × 2, 0.40 % errors"
    )


def test_line_of_an_old_server_tells_what_there_is():
    assert describe(Progress(Phase.ACTIVE, "RUNNING")) == "running"


def test_live_view_draws_phase_rates_codes_and_warnings(terminal, clock):
    terminal.live = True
    view = LiveView(terminal, clock)
    with view:
        view.show(RunStarted(RUN))
        view.show(Observed(look(warnings=("the load generator is saturated",))))
        clock.seconds += 5
        shown = terminal.render(view._draw())
        view.show(Observed(look(phase=Phase.PAUSED)))
        clock.seconds += 5
        paused = terminal.render(view._draw())
    for words in ("checkout", "run-1", "15s of 1m", "45s left", "49.6 of 50 planned"):
        assert words in shown
    for words in ("▇█", "200 × 478", "errors 0.40 %", "! the load generator is saturated"):
        assert words in shown
    assert "paused" in paused
    assert "10s of 1m" in paused, "a paused run's clock stands still"


def test_view_fits_the_terminal(terminal, clock):
    assert type(open_view(terminal, clock, quiet=True)) is View
    assert type(open_view(terminal, clock, quiet=False)) is PlainView
    terminal.live = True
    assert type(open_view(terminal, clock, quiet=False)) is LiveView


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (rate(None), "-"),
        (rate(0.0), "0"),
        (rate(49.62), "49.6"),
        (rate(50.0), "50"),
        (rate(12000.4), "12,000"),
        (milliseconds(None), "-"),
        (milliseconds(0.421), "0.42 ms"),
        (milliseconds(4.21), "4.2 ms"),
        (milliseconds(421.3), "421 ms"),
        (milliseconds(1204.0), "1.20 s"),
        (percent(99.5), "99.50 %"),
        (sparkline([]), ""),
        (sparkline([0, 0]), "▁▁"),
        (sparkline([0, 5, 10]), "▁▅█"),
        (codes({"200": 9, "503": 1}), "200 × 9  503 × 1"),
        (
            codes({str(n): n for n in range(1, 9)}),
            "8 × 8  7 × 7  6 × 6  5 × 5  4 × 4  3 × 3  and 2 more",
        ),
    ],
)
def test_numbers_read_well(shown, text):
    assert shown == text


def test_line_of_a_run_of_many_parts_tells_their_states():
    counts = {"running": 3, "completed": 9}
    shown = describe(Progress(Phase.ACTIVE, "running", items=counts, expected=50))
    assert shown == "running, 12 of 50 started: 9 completed, 3 running"


def test_log_tells_each_state_of_a_run_that_is_not_over(terminal, clock):
    view = PlainView(terminal, clock)
    for status in ("queued", "queued", "executing", "queued"):
        view.show(Observed(Progress(Phase.ACTIVE, status)))
    assert lines(terminal) == ["tm: queued", "tm: executing", "tm: queued"]


def test_live_view_draws_the_parts_of_a_run(terminal, clock):
    terminal.live = True
    with LiveView(terminal, clock) as view:
        view.show(RunStarted(RUN))
        counts = {"running": 3, "completed": 9}
        view.show(Observed(Progress(Phase.ACTIVE, "running", items=counts, expected=50)))
        shown = terminal.render(view._draw())
    assert "12 of 50 started: 9 completed, 3 running" in shown
    assert "━" in shown
