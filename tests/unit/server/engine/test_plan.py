import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.server.engine.schedule import WHOLE, RequestPlan, Share, Sides
from tm_cli.values.load.curve import Curve

SHARES = st.integers(1, 9).flatmap(
    lambda count: st.builds(Share, index=st.integers(0, count - 1), count=st.just(count))
)
CHANGES = st.lists(st.tuples(st.floats(0, 12), SHARES), max_size=4)


def taken(plan: RequestPlan) -> list[int]:
    return [number for number, _ in enumerate(plan.curve.arrivals()) if plan.takes(number)]


def shared(total: int, count: int) -> list[RequestPlan]:
    return [
        RequestPlan(Curve([(0, total / 10)], 10), Share(index, count)) for index in range(count)
    ]


@given(st.integers(0, 300), st.integers(1, 9))
def test_workers_with_all_shares_send_everything_once(total: int, count: int) -> None:
    numbers = [number for plan in shared(total, count) for number in taken(plan)]
    assert sorted(numbers) == list(range(total))


@given(st.integers(1, 5), st.integers(1, 5), st.floats(0, 10))
def test_nothing_is_lost_or_doubled_when_all_change_at_one_second(
    before: int, after: int, second: float
) -> None:
    plans = shared(200, max(before, after))
    nobody = Share(10**9, 10**9 + 1)
    for index, plan in enumerate(plans):
        plan.change(Share(index, before) if index < before else nobody, 0)
        plan.change(Share(index, after) if index < after else nobody, second)
    assert sorted(number for plan in plans for number in taken(plan)) == list(range(200))


@given(CHANGES, st.lists(st.floats(0, 11), min_size=1, max_size=4))
def test_what_is_planned_is_what_is_taken(
    changes: list[tuple[float, Share]], cuts: list[float]
) -> None:
    plan = RequestPlan(Curve([(0, 3), (10, 40)], 10, "LINEAR"))
    for second, share in changes:
        plan.change(share, second)
    numbers = taken(plan)
    for first, beyond in itertools.pairwise(sorted(cuts)):
        low, high = (plan.curve.planned_before(cut) for cut in (first, beyond))
        assert plan.planned_before(beyond) - plan.planned_before(first) == sum(
            low <= k < high for k in numbers
        )
    assert plan.planned_before(10) == len(numbers)


@given(CHANGES, st.integers(0, 400), st.integers(0, 400), st.integers())
def test_both_sides_of_an_ab_run_are_counted_exactly(
    changes: list[tuple[float, Share]], first: int, beyond: int, seed: int
) -> None:
    plan = RequestPlan(Curve([(0, 40)], 10), sides=Sides(seed))
    for second, share in changes:
        plan.change(share, second)
    numbers = [number for number in taken(plan) if first <= number < beyond]
    found = Counter(plan.side(number) for number in numbers)
    assert [plan.count(first, beyond, side) for side in (0, 1)] == [found[0], found[1]]
    assert plan.count(first, beyond) == len(numbers)


def test_a_change_moves_nothing_that_is_decided() -> None:
    plan = RequestPlan(Curve([(0, 10)], 10), Share(0, 2))
    assert [number for number in range(50) if plan.takes(number)] == list(range(0, 50, 2))
    plan.change(WHOLE, 1.0)
    assert plan.planned_before(10) == 25 + 50
    assert [number for number in range(50, 100) if plan.takes(number)] == list(range(50, 100))


def test_the_newest_change_stands() -> None:
    plan = RequestPlan(Curve([(0, 10)], 10), Share(0, 2))
    plan.change(Share(0, 5), 6.0)
    plan.change(WHOLE, 5.0)
    assert plan.planned_before(10) == 25 + 50


def test_the_sides_of_a_pair_differ_and_their_order_is_drawn() -> None:
    sides = Sides(3)
    drawn = [sides.of(number) for number in range(20_000)]
    assert all(a != b for a, b in zip(drawn[::2], drawn[1::2], strict=True))
    assert sum(drawn[::2]) == pytest.approx(5_000, abs=250)  # 5 standard deviations
    changes = sum(a != b for a, b in itertools.pairwise(drawn[::2]))
    assert changes == pytest.approx(5_000, abs=250)


def test_the_seed_and_nothing_else_decides_the_sides() -> None:
    first, again, other = ([Sides(seed).of(number) for number in range(256)] for seed in (1, 1, 2))
    assert first == again != other
    assert [Sides(1).of(number) for number in reversed(range(256))] == first[::-1]


@pytest.mark.parametrize(("index", "count"), [(1, 1), (-1, 2), (0, 0), (0, -1)])
def test_an_impossible_share_is_refused(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="invalid share"):
        Share(index, count)


@given(st.integers(1, 5), st.floats(0, 10))
def test_workers_that_finish_at_one_second_send_what_was_due_before(
    count: int, second: float
) -> None:
    plans = shared(200, count)
    for plan in plans:
        plan.finish(second)
    due = plans[0].curve.planned_before(second)
    assert sum(plan.planned_before(10) for plan in plans) == due
    assert sum(plan.count(due, 200) for plan in plans) == 0


def test_what_is_decided_already_is_sent_although_the_curve_ends_before() -> None:
    plan = RequestPlan(Curve([(0, 10)], 10))
    assert [plan.takes(number) for number in range(7)] == [True] * 7
    plan.finish(0.5)
    assert plan.planned_before(10) == 7
