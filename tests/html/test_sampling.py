"""Thinning out a course keeps what people look for: its extremes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.gate.model import Moment
from tm_cli.render.html.charts import sampled, summed_up

VALUES = st.one_of(st.none(), st.floats(0, 1e6))


@st.composite
def courses(draw):
    times = sorted(draw(st.sets(st.integers(0, 5000), min_size=1, max_size=120)))
    return tuple(Moment(float(t), rps=draw(VALUES), p99=draw(VALUES)) for t in times)


def known(course, name):
    return [value for moment in course if (value := getattr(moment, name)) is not None]


@given(courses(), st.integers(1, 40))
def test_extremes_stay_and_time_runs_forward(course, stretches):
    begin, end = course[0].t, course[-1].t
    thin = sampled(course, begin=begin, end=end, stretches=stretches)
    assert len(thin) <= max(2 * stretches, 1) or thin == course
    for name in ("rps", "p99"):
        before, after = known(course, name), known(thin, name)
        assert (min(before, default=0), max(before, default=0)) == (
            min(after, default=0), max(after, default=0)
        )  # fmt: skip
    times = [moment.t for moment in thin]
    assert times == sorted(set(times))
    assert begin <= times[0] <= times[-1] <= end


def test_a_short_course_stays_as_it_is():
    course = tuple(Moment(float(t), rps=1.0) for t in range(20))
    assert sampled(course, begin=0, end=19, stretches=10) == course


@pytest.mark.parametrize(("values", "kept"), [((1, 9, 5), (1, 9)), ((9, 5, 1), (9, 1))])
def test_extremes_keep_their_order(values, kept):
    course = tuple(Moment(float(t), p95=float(value)) for t, value in enumerate(values))
    assert [m.p95 for m in sampled(course, begin=0, end=3, stretches=1)] == list(kept)


def test_a_table_tells_the_mean_rate_and_the_worst_time_of_a_stretch():
    course = tuple(Moment(float(t), rps=float(t), p99=float(t % 5), bad=0.0) for t in range(11))
    first, second = summed_up(course, begin=0, end=10, stretches=2)
    assert (first.t, first.rps, first.p99) == (2.5, 2.0, 4.0)
    assert (second.t, second.rps, second.p99) == (7.5, 7.5, 4.0)
    assert (first.bad, first.p50) == (0.0, None)
