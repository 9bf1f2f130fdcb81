import math

import pytest

from tm_cli.server.judge.statistics.distributions import (
    binomial_tail,
    student_cdf,
    student_quantile,
)


@pytest.mark.parametrize(
    ("probability", "freedom", "t"),
    [  # from the printed tables
        (0.95, 1, 6.314),
        (0.975, 4, 2.776),
        (0.99, 11, 2.718),
        (0.95, 30, 1.697),
        (0.995, 120, 2.617),
        (0.975, 1e7, 1.960),
    ],
)
def test_student_agrees_with_the_tables(probability: float, freedom: float, t: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(t, abs=6e-4)
    assert student_cdf(t, freedom) == pytest.approx(probability, abs=1e-4)
    assert student_cdf(-t, freedom) == pytest.approx(1 - probability, abs=1e-4)


def test_student_has_a_middle_and_ends() -> None:
    assert student_cdf(0.0, 5) == pytest.approx(0.5)
    assert student_cdf(math.inf, 5) == 1.0
    assert student_cdf(-math.inf, 5) == 0.0
    assert student_quantile(0.5, 5) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("trials", "chance"), [(10, 0.5), (7, 0.03), (40, 0.9)])
def test_the_binomial_tail_is_the_sum_of_its_terms(trials: int, chance: float) -> None:
    for count in range(trials + 2):
        terms = (
            math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k)
            for k in range(count, trials + 1)
        )
        assert binomial_tail(count, trials, chance) == pytest.approx(sum(terms), abs=1e-12)


@pytest.mark.parametrize(
    ("count", "chance", "tail"), [(0, 0.0, 1.0), (1, 0.0, 0.0), (5, 1.0, 1.0), (6, 1.0, 0.0)]
)
def test_the_binomial_tail_knows_what_is_certain(count: int, chance: float, tail: float) -> None:
    assert binomial_tail(count, 5, chance) == tail
