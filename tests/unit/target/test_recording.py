"""Samples and what they say about a run."""

from __future__ import annotations

import pytest

from tm_cli.target.recording import MOST_POINTS, Recording


def recorded(*samples, name="target.cpu", unit="%"):
    recording = Recording()
    for at, value in samples:
        recording.take(name, unit, at, value)
    return recording


def test_only_samples_of_the_run_count():
    recording = recorded((1, 500.0), (10, 10.0), (11, 30.0), (12, 20.0), (20, 900.0))
    found = recording.during(9.5, 12.5)["target.cpu"]
    assert (found.mean, found.min, found.max, found.last) == (20.0, 10.0, 30.0, 20.0)
    assert found.gap == 1.0
    assert found.seconds == 3.0


def test_course_is_in_seconds_of_the_run():
    assert recorded((10, 1.0), (11, 2.0)).during(9, 12, zero=8)["target.cpu"].course == (
        (2.0, 1.0),
        (3.0, 2.0),
    )


@pytest.mark.parametrize(
    ("samples", "gap"), [([(5, 1.0)], 5), ([(0, 1.0), (9, 1.0)], 9), ([(0, 1.0), (3, 1.0)], 7)]
)
def test_gap_counts_from_the_begin_to_the_end(samples, gap):
    assert recorded(*samples).during(0, 10)["target.cpu"].gap == gap


def test_metric_without_samples_in_the_run_is_not_there():
    assert recorded((1, 1.0)).during(5, 6) == {}


def test_restarts_of_earlier_runs_do_not_count():
    recording = recorded((1, 0.0), (2, 2.0), (3, 2.0), (4, 3.0), name="target.restarts", unit="")
    assert recording.during(2.5, 4.5)["target.restarts"].last == 1.0
    assert recording.during(0, 4.5)["target.restarts"].last == 3.0


def test_long_course_is_thinned_and_its_extremes_are_kept():
    recording = recorded(*((at, float(at == 5000)) for at in range(10_000)))
    found = recording.during(0, 10_000)["target.cpu"]
    assert len(found.course) <= MOST_POINTS
    assert (found.max, found.p95) == (1.0, 0.0)
