"""Thinning out a course keeps what people look for: its extremes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.gate.model import Sample
from tm_cli.render.html.charts import aggregated, downsampled

VALUES = st.one_of(st.none(), st.floats(0, 1e6))


@st.composite
def all_series(draw):
    times = sorted(draw(st.sets(st.integers(0, 5000), min_size=1, max_size=120)))
    return tuple(Sample(float(t), rps=draw(VALUES), p99=draw(VALUES)) for t in times)


def known(series, name):
    return [value for sample in series if (value := getattr(sample, name)) is not None]


@given(all_series(), st.integers(1, 40))
def test_extremes_stay_and_time_runs_forward(series, buckets):
    begin, end = series[0].t, series[-1].t
    thin = downsampled(series, begin=begin, end=end, buckets=buckets)
    assert len(thin) <= max(2 * buckets, 1) or thin == series
    for name in ("rps", "p99"):
        before, after = known(series, name), known(thin, name)
        assert (min(before, default=0), max(before, default=0)) == (
            min(after, default=0), max(after, default=0)
        )  # fmt: skip
    times = [sample.t for sample in thin]
    assert times == sorted(set(times))
    assert begin <= times[0] <= times[-1] <= end


def test_a_short_course_stays_as_it_is():
    series = tuple(Sample(float(t), rps=1.0) for t in range(20))
    assert downsampled(series, begin=0, end=19, buckets=10) == series


@pytest.mark.parametrize(("values", "kept"), [((1, 9, 5), (1, 9)), ((9, 5, 1), (9, 1))])
def test_extremes_keep_their_order(values, kept):
    series = tuple(Sample(float(t), p95=float(value)) for t, value in enumerate(values))
    assert [m.p95 for m in downsampled(series, begin=0, end=3, buckets=1)] == list(kept)


def test_a_table_tells_the_mean_rate_and_the_worst_time_of_a_bucket():
    series = tuple(Sample(float(t), rps=float(t), p99=float(t % 5), bad=0.0) for t in range(11))
    first, second = aggregated(series, begin=0, end=10, buckets=2)
    assert (first.t, first.rps, first.p99) == (2.5, 2.0, 4.0)
    assert (second.t, second.rps, second.p99) == (7.5, 7.5, 4.0)
    assert (first.bad, first.p50) == (0.0, None)
