"""Charts for terminals of every width and encoding."""

from __future__ import annotations

import io

import pytest

from tm_cli.gate.model import Sample
from tm_cli.render.chart import (
    ASCII,
    BRAILLE,
    HEIGHT,
    Scale,
    chart,
    choose_ink,
    draw_series,
    remarkable_moments,
    resample,
)
from tm_cli.runtime.terminal import Terminal


def terminal(*, encoding="utf-8", **options):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Terminal(out, io.StringIO(), **{"width": 80, **options})


def series(count=12, *, step=5.0, factor=1.0):
    return tuple(
        Sample(step / 2 + step * n, 10.0 + n, 12.0 + n, 0.0, *(factor * v for v in (8, 20, 30 + n)))
        for n in range(count)
    )


def test_every_slot_of_a_short_run_shows_its_bucket():
    assert resample([(2.5, 1.0), (7.5, 2.0)], 4, 10.0) == [1.0, 1.0, 2.0, 2.0]


def test_no_spike_of_a_long_run_is_lost():
    points = [(n + 0.5, 100.0 if n == 77 else 1.0) for n in range(1000)]
    values = resample(points, 10, 1000.0)
    assert values[0] == 100.0
    assert values[5] == 1.0


def test_seconds_without_a_bucket_stay_empty():
    assert resample([(2.5, 1.0), (7.5, 1.0), (92.5, 2.0)], 10, 100.0)[4] is None


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], [(0.0, 1.0), (1e6, 2.0)]])
def test_odd_points_are_sampled_without_complaint(points):
    assert len(resample(points, 20, 60.0)) == 20


@pytest.mark.parametrize("width", [10, 40, 80, 100, 300])
@pytest.mark.parametrize("count", [1, 2, 12, 720, 34_560])
def test_picture_is_as_wide_as_the_terminal_within_reason(width, count):
    drawn = draw_series(terminal(width=width, out_is_terminal=True), series(count))
    lines = drawn.splitlines()
    assert max(map(len, lines)) <= max(min(width, 100), 60)
    assert sum("│" in line for line in lines) == 4 * HEIGHT or width == 10


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_picture_is_ascii_where_the_encoding_cannot_carry_more(encoding):
    screen = terminal(encoding=encoding)
    assert choose_ink(screen) is ASCII
    drawn = draw_series(screen, series(), other=series(factor=0.8))
    assert drawn.isascii()
    assert "*" in drawn
    assert "." in drawn


def test_picture_has_no_colour_unless_wanted():
    assert choose_ink(terminal()) is BRAILLE
    assert "\x1b" not in draw_series(terminal(), series(), other=series())
    colourful = terminal(out_is_terminal=True, out_color=True)
    assert "\x1b[" in draw_series(colourful, series())


def test_line_rises_with_its_values_and_stays_above_a_lower_band():
    scale = Scale(60.0, 20, ASCII)
    line = [(n + 0.5, float(n)) for n in range(60)]
    band = [(n + 0.5, 10.0) for n in range(60)]
    rows = chart(scale, line, low=band, high=band, label=str, style="").plain.splitlines()
    assert rows[0].rstrip().endswith("*")
    assert rows[0].split("|")[1].startswith(" ")
    assert rows[-1].split("|")[1].startswith("*")
    assert "." in rows[-1]
    assert "." not in rows[0].split("|")[1]


def test_run_of_nothing_but_zeros_is_drawn_at_the_bottom():
    drawn = draw_series(terminal(), (Sample(2.5, 0.0, 0.0), Sample(7.5, 0.0, 0.0)))
    assert "requests/s" in drawn


def test_run_without_series_draws_and_says_nothing():
    assert draw_series(terminal(), ()) == ""
    assert draw_series(terminal(), (Sample(2.5, bad=0.5),)) == ""
    assert remarkable_moments(()) == []


def test_slowest_moment_is_that_of_the_highest_known_quantile():
    samples = (Sample(2.5, p50=9.0, p95=10.0), Sample(7.5, p50=1.0, p95=11.0))
    assert remarkable_moments(samples) == ["slowest 5s to 10s: p50 1.0 ms, p95 11 ms"]


@pytest.mark.parametrize(
    ("duration", "end"), [(12.0, "12s"), (15.0, "15s"), (None, "15s"), (0.0, "15s"), (9.0, "15s")]
)
def test_last_moment_and_axis_end_with_the_curve(duration, end):
    samples = series(3)
    assert remarkable_moments(samples, duration)[0].startswith(f"slowest 10s to {end}: ")
    axis = draw_series(terminal(), samples, duration=duration).splitlines()[-1]
    assert axis.split() == ["0s", end]


def test_longer_curve_than_the_run_is_drawn_to_its_end():
    axis = draw_series(terminal(), series(3), duration=60.0).splitlines()[-1]
    assert axis.split() == ["0s", "1m"]
    assert remarkable_moments(series(3), 60.0)[0].startswith("slowest 10s to 15s: ")


def test_axis_marks_the_seconds_that_are_not_judged():
    drawn = draw_series(terminal(), series(12), duration=60.0, warmup=15.0).splitlines()
    assert drawn[-2].count("┄") == 18
    assert drawn[-1].split() == ["0s", "the", "first", "15", "s", "are", "not", "judged", "1m"]
    assert len(drawn[-2]) == len(drawn[-1])
    narrow = draw_series(terminal(width=30), series(12), duration=60.0, warmup=15.0).splitlines()
    assert narrow[-1].split() == ["0s", "1m"]
    assert "┄" not in draw_series(terminal(), series(12), duration=60.0)
