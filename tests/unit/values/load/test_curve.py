import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm_cli.values.load.curve import Curve, Interpolation

RAMP = [(0.0, 50.0), (15.0, 400.0), (30.0, 50.0)]
INTERPOLATIONS: tuple[Interpolation, ...] = ("SPLINE", "LINEAR")


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    duration = draw(st.floats(0.5, 30))
    seconds = st.integers(0, int(duration * 10)).map(lambda tenths: tenths / 10)
    rates = st.one_of(st.floats(0, 60), st.sampled_from([0.0, 10.0]))
    points = draw(st.lists(st.tuples(seconds, rates), min_size=1, max_size=8))
    return Curve(
        points,
        duration,
        draw(st.sampled_from(INTERPOLATIONS)),
        max_rate=draw(st.floats(1, 500)),  # uneven points make splines overshoot far
    )


def integral(curve: Curve, start: float, end: float, steps: int = 2_000) -> float:
    """The area under the rate, by midpoints: crude, but with nothing in common with the code."""
    width = (end - start) / steps
    return math.fsum(curve.rate(start + (i + 0.5) * width) for i in range(steps)) * width


@settings(deadline=None)
@given(curves())
def test_the_total_is_the_integral_to_within_one(curve: Curve) -> None:
    total = len(list(curve.arrivals()))
    assert total == curve.planned_before(curve.duration)
    # points lie at tenths of a second, so no jump falls within a span
    cuts = [*(k / 10 for k in range(math.ceil(curve.duration * 10))), curve.duration]
    area = math.fsum(integral(curve, a, b, 20) for a, b in itertools.pairwise(cuts))
    assert total == pytest.approx(area, abs=0.6)


@settings(deadline=None)
@given(curves())
def test_arrivals_ascend_within_the_duration(curve: Curve) -> None:
    arrivals = list(curve.arrivals())
    assert arrivals == sorted(arrivals)
    assert all(0 <= second <= curve.duration for second in arrivals)


@settings(deadline=None)
@given(curves(), st.floats(0, 1))
def test_the_rate_is_never_negative(curve: Curve, share: float) -> None:
    assert curve.rate(share * curve.duration) >= -1e-6


@settings(deadline=None)
@given(curves(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_adjacent_spans_sum_to_the_whole(curve: Curve, shares: list[float]) -> None:
    cuts = [0.0, *sorted(share * curve.duration for share in shares), curve.duration]
    spans = [curve.planned_before(b) - curve.planned_before(a) for a, b in itertools.pairwise(cuts)]
    assert min(spans) >= 0
    assert sum(spans) == curve.planned_before(curve.duration)


@settings(deadline=None)
@given(curves())
def test_each_arrival_is_where_the_area_says(curve: Curve) -> None:
    for number, second in enumerate(curve.arrivals()):
        # within a step of 10 ms, or of a quarter of a request, the rate counts as constant
        assert curve.expected(second) == pytest.approx(number + 0.5, abs=0.3)


def test_a_ramp_has_the_exact_total() -> None:
    assert len(list(Curve(RAMP, 30, "LINEAR").arrivals())) == 6750


def test_a_constant_rate_is_evenly_spaced() -> None:
    arrivals = list(Curve([(0, 4)], 2).arrivals())
    assert arrivals == pytest.approx([0.125 + 0.25 * k for k in range(8)])


def test_the_rate_holds_before_the_first_and_after_the_last_point() -> None:
    curve = Curve([(2, 10), (3, 20)], 6, "LINEAR")
    assert [curve.rate(s) for s in (0, 1, 2.5, 4, 5.9)] == [10, 10, 15, 20, 20]
    assert curve.expected(6) == pytest.approx(20 + 15 + 60)


def test_points_beyond_the_duration_shape_the_curve_but_are_not_reached() -> None:
    curve = Curve([(0, 0), (10, 100)], 5, "LINEAR")
    assert curve.planned_before(100) == 125


def test_two_points_at_one_second_are_a_jump() -> None:
    for interpolation in INTERPOLATIONS:
        curve = Curve([(0, 10), (2, 10), (2, 50), (4, 50)], 4, interpolation)
        assert curve.rate(1.999) == pytest.approx(10)
        assert curve.rate(2.001) == pytest.approx(50)
        assert curve.planned_before(4) == 120


def test_points_less_than_a_millisecond_apart_are_a_jump() -> None:
    curve = Curve([(0, 10), (2, 10), (2.0005, 50), (4, 50)], 4)
    assert curve.planned_before(4) == 120


def test_points_may_come_in_any_order() -> None:
    curve = Curve(RAMP[::-1], 30, "LINEAR")
    assert curve.rate(15) == 400


def test_the_spline_is_the_natural_one() -> None:
    # by hand: the second derivative is 0, -3, 0 at the three points
    curve = Curve([(0, 0), (1, 1), (2, 0)], 2, "SPLINE")
    assert curve.rate(0.5) == pytest.approx(0.6875)
    assert curve.rate(1.5) == pytest.approx(0.6875)
    assert curve.expected(2) == pytest.approx(1.25)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=3, max_size=8, unique=True),
    st.data(),
)
def test_the_spline_passes_through_its_points_without_a_kink(
    seconds: list[int], data: st.DataObject
) -> None:
    xs = [float(x) for x in sorted(seconds)]
    # far from zero, so that nothing is cut off
    points = [(x, data.draw(st.floats(10_000, 10_050))) for x in xs]
    curve = Curve(points, xs[-1] + 1, "SPLINE")
    step = 1e-4
    for x, y in points[1:-1]:
        assert curve.rate(x) == pytest.approx(y)
        before = (curve.rate(x) - curve.rate(x - step)) / step
        after = (curve.rate(x + step) - curve.rate(x)) / step
        assert before == pytest.approx(after, abs=0.1)


def test_a_dip_below_zero_is_held_at_zero() -> None:
    curve = Curve([(0, 100), (1, 0), (2, 0), (3, 100)], 3, "SPLINE")
    assert curve.rate(1.5) == 0
    arrivals = list(curve.arrivals())
    assert not [s for s in arrivals if 1.05 < s < 1.95]
    assert len(arrivals) == pytest.approx(integral(curve, 0, 3), abs=0.6)


def test_the_cap_holds_and_is_exact() -> None:
    curve = Curve([(0, 0), (10, 100)], 10, "LINEAR", max_rate=50)
    assert curve.rate(9) == 50
    assert curve.planned_before(10) == 125 + 250


def test_a_cap_below_everything_is_the_rate() -> None:
    assert Curve(RAMP, 30, "SPLINE", max_rate=10).planned_before(30) == 300


def test_a_silent_curve_has_no_arrivals() -> None:
    for loop in (False, True):
        assert list(Curve([(0, 0), (5, 0)], 5, loop=loop).arrivals()) == []


def test_after_its_end_a_curve_plans_nothing() -> None:
    curve = Curve([(0, 10)], 5)
    assert (curve.rate(5), curve.planned_before(100) - curve.planned_before(5)) == (0, 0)


def test_a_loop_repeats_and_keeps_counting() -> None:
    curve = Curve([(0, 0), (1, 3)], 1, "LINEAR", loop=True)  # one and a half requests a cycle
    arrivals = list(itertools.islice(curve.arrivals(), 300))
    assert arrivals == sorted(arrivals)
    assert curve.planned_before(200) == 300
    assert arrivals[-1] < 200 <= arrivals[-1] + 0.5
    assert curve.rate(7.5) == pytest.approx(1.5)


def test_buckets_count_arrivals_exactly() -> None:
    curve = Curve([(0, 0.5), (20, 7), (60, 1)], 60, "SPLINE")
    counted = [0] * 12
    for second in curve.arrivals():
        counted[int(second // 5)] += 1
    assert counted == [
        curve.planned_before(5 * k + 5) - curve.planned_before(5 * k) for k in range(12)
    ]


def test_a_long_slow_curve_is_walked_in_few_steps() -> None:
    curve = Curve([(0, 0.001), (86_400, 0.002)], 86_400, "LINEAR")
    assert len(list(curve.arrivals())) == 130  # 129.6


@given(curves(), st.floats(0, 1))
def test_no_rate_is_above_the_highest(curve: Curve, share: float) -> None:
    assert curve.rate(share * curve.duration) <= curve.highest_rate + 1e-6


@pytest.mark.parametrize(
    ("points", "interpolation", "highest"),
    [
        ([(0, 10), (10, 40)], "LINEAR", 40.0),
        ([(0, 10)], "SPLINE", 10.0),
        ([(5, 30), (5, 10)], "LINEAR", 30.0),
        ([(0, 10), (10, 40), (20, 40), (30, 10)], "SPLINE", 44.5),
        ([(0, 10), (20, 90)], "LINEAR", 50.0),
    ],
)
def test_the_highest_rate_is_that_of_the_run(
    points: list[tuple[float, float]], interpolation: Interpolation, highest: float
) -> None:
    duration = 10.0 if points[-1] == (20, 90) else 30.0
    assert Curve(points, duration, interpolation).highest_rate == pytest.approx(highest)
