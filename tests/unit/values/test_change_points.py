"""Where a series changes its level, and how seldom one without a change seems to."""

from __future__ import annotations

import math
import random

import pytest

from tm_cli.values.change_points import find_changes

CHANCE = 0.01


def logs(values, seed=1, noise=0.01):
    rng = random.Random(seed)
    return [math.log(value) + rng.gauss(0, noise) for value in values]


@pytest.mark.parametrize(
    ("values", "cuts"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([100], [], id="one-run"),
        pytest.param([100] * 20, [], id="no-change"),
        pytest.param([100] * 10 + [130] * 5, [10], id="slower"),
        pytest.param([100] * 10 + [60] * 5, [10], id="faster"),
        pytest.param([100] * 10 + [130], [], id="one-run-is-no-level"),
        pytest.param([100] * 10 + [130] + [100] * 10, [], id="one-odd-run"),
        pytest.param([100] * 10 + [130] * 8 + [90] * 8, [10, 18], id="twice"),
        pytest.param([100] * 10 + [130] * 5 + [100] * 10, [10, 15], id="and-back"),
        pytest.param([100, 112] * 10, [], id="two-types-of-machines"),
    ],
)
def test_levels_begin(values, cuts):
    assert [change.index for change in find_changes(logs(values), CHANCE)] == cuts


def test_equal_values_have_no_change():
    assert find_changes([0.0] * 30, CHANCE) == []


def test_the_same_history_always_has_the_same_changes():
    values = logs([100] * 12 + [108] * 12, noise=0.03)
    assert find_changes(values, CHANCE) == find_changes(values, CHANCE)


def test_change_has_its_size_an_interval_and_a_p_value():
    (change,) = find_changes(logs([100] * 15 + [130] * 15), CHANCE)
    assert change.low < change.shift < change.high
    assert change.shift == pytest.approx(math.log(1.3), abs=0.01)
    assert 0 < change.p_value <= CHANCE


def test_too_few_values_have_no_interval():
    (change,) = find_changes([0.0] * 3 + [1.0] * 3, 0.3)
    assert (change.low, change.high) == (None, None)


def test_interval_holds_the_shift_in_95_of_100_histories():
    held = 0
    for seed in range(20):
        (change, *_) = find_changes(logs([100] * 12 + [130] * 12, seed=seed, noise=0.03), CHANCE)
        held += change.low < math.log(1.3) < change.high
    assert held >= 16


def test_place_of_the_change_is_within_its_range_in_95_of_100_histories():
    found = [find_changes(logs([100] * 12 + [115] * 12, seed, 0.06), CHANCE) for seed in range(20)]
    single = [changes[0] for changes in found if len(changes) == 1]
    assert len(single) >= 16
    assert sum(change.earliest <= 12 <= change.latest for change in single) >= len(single) - 3
    assert any(change.earliest < change.latest for change in single)


def hosted(rng):
    return rng.gauss(0, 0.0266)


def two_machine_types(rng):
    return hosted(rng) + (math.log(1.12) if rng.random() < 0.3 else 0.0)


def with_outliers(rng):
    return hosted(rng) + (rng.expovariate(1 / 0.15) if rng.random() < 0.1 else 0.0)


@pytest.mark.parametrize("noise", [hosted, two_machine_types, with_outliers])
def test_unchanged_history_of_30_runs_seldom_seems_to_change(noise):
    rng = random.Random(30)
    found = sum(bool(find_changes([noise(rng) for _ in range(30)], CHANCE)) for _ in range(150))
    assert found <= 5  # 1.5 are expected; more than 5 in one of 200 simulations


@pytest.mark.parametrize(("noise", "least"), [(hosted, 19), (two_machine_types, 17)])
def test_change_of_a_quarter_is_found_after_six_runs(noise, least):
    rng = random.Random(1)
    right = 0
    for _ in range(20):
        values = [noise(rng) for _ in range(20)] + [noise(rng) + math.log(1.25) for _ in range(6)]
        right += any(abs(change.index - 20) <= 1 for change in find_changes(values, CHANCE))
    assert right >= least
