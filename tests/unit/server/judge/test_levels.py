"""Changes of level in the history: where they are found, and what they are good for."""

import math
import random
from collections.abc import Sequence

import pytest

from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.levels import RARELY, SELDOM, change_points, find_levels

ONE_RUN = 0.027**2


def run(history_id: int, *, p50=100.0, p95=200.0, errors=0, server_errors=0) -> RunFacts:
    return RunFacts(
        history_id=history_id,
        verdict="PASS",
        fingerprint="same",
        planned=10_000,
        sent=10_000,
        completed=10_000,
        errors=errors,
        error_classes={"5xx": server_errors},
        quantiles_ms={"p50": p50, "p95": p95},
        generator_saturated=False,
    )


def runs(**numbers: Sequence[float]) -> list[RunFacts]:
    rows = zip(*numbers.values(), strict=True)
    return [
        run(number, **dict(zip(numbers, row, strict=True))) for number, row in enumerate(rows, 1)
    ]


NOW = run(99)


@pytest.mark.parametrize(
    ("times", "cuts"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([100], [], id="one-run"),
        pytest.param([100, 100], [], id="two-alike"),
        pytest.param([100, 60], [1], id="one-run-after-one"),
        pytest.param([100] * 10 + [60], [10], id="one-run-after-ten"),
        pytest.param([100] * 10 + [80], [10], id="a-fifth-faster"),
        pytest.param([100] * 10 + [94], [], id="one-lucky-run"),
        pytest.param([100] * 40 + [60] * 3, [40], id="after-many"),
        pytest.param([100] * 10 + [60] * 10, [10], id="ten-and-ten"),
        pytest.param([100] * 10 + [130] * 3, [10], id="slower"),
        pytest.param([100] * 10 + [60] * 3 + [36] * 2, [10, 13], id="twice"),
        pytest.param([100] * 10 + [60] * 3 + [100] * 4, [10, 13], id="and-back"),
        pytest.param([100, 112] * 6, [], id="two-kinds-of-machines"),
        pytest.param([100] * 5 + [125] + [100] * 4 + [60], [10], id="although-one-run-was-odd"),
        pytest.param([100] * 5 + [60] + [100] * 5, [], id="one-odd-run"),
        pytest.param([100, 104, 97, 101, 98, 103, 99, 96, 102, 100], [], id="noise"),
    ],
)
def test_levels_begin(times: list[float], cuts: list[int]) -> None:
    logs = [math.log(time) for time in times]
    assert change_points(logs, ONE_RUN, RARELY) == cuts
    assert change_points(logs, ONE_RUN, SELDOM) == cuts


@pytest.mark.parametrize("chance", [RARELY, SELDOM])
@pytest.mark.parametrize("count", [2, 5, 12, 40])
def test_chance_hardly_ever_looks_like_a_level(count: int, chance: float) -> None:
    rng = random.Random(count)
    found = sum(
        bool(change_points([rng.gauss(0, 0.0266) for _ in range(count)], ONE_RUN, chance))
        for _ in range(400)
    )
    assert found <= 400 * 2 * chance + 2


def test_nor_does_it_where_runs_differ_by_more_than_is_assumed() -> None:
    rng = random.Random(7)
    found = sum(
        bool(change_points([rng.gauss(0, 0.05) for _ in range(12)], ONE_RUN, RARELY))
        for _ in range(400)
    )
    assert found <= 12


def test_a_slow_slide_is_no_improvement() -> None:
    slide = runs(p50=[100 * 1.02**k for k in range(30)])
    assert find_levels(NOW, slide).best("p50") is None


def test_every_metric_has_levels_of_its_own() -> None:
    passed = runs(p50=[100] * 10 + [60] * 2, p95=[200] * 12)
    levels = find_levels(NOW, passed)
    assert [len(level) for level in levels.divided("p50", SELDOM)] == [10, 2]
    assert [len(level) for level in levels.divided("p95", SELDOM)] == [12]
    assert [other.history_id for other in levels.present("p50")] == [11, 12]


def test_a_present_level_is_found_more_easily_than_a_best_one() -> None:
    """A seventh less time, in one run: too little to measure others by, too much for a mean."""
    levels = find_levels(NOW, runs(p50=[101, 99, 100, 101, 99, 88]))
    assert [other.history_id for other in levels.present("p50")] == [6]
    assert levels.best("p50") is None


@pytest.mark.parametrize(
    ("times", "best"),
    [
        pytest.param([100] * 5, None, id="one-level"),
        pytest.param([100] * 5 + [60] * 2, 6, id="an-improvement"),
        pytest.param([100] * 5 + [140] * 5, None, id="a-regression-is-no-new-norm"),
        pytest.param([100] * 5 + [140] * 5 + [120] * 5, None, id="half-a-repair-neither"),
        pytest.param([100] * 5 + [60] * 5 + [100] * 3, 6, id="what-was-lost-again-still-counts"),
        pytest.param([100] * 5 + [80] * 5 + [50] * 3, 11, id="the-best-of-several"),
    ],
)
def test_the_best_level_begins(times: list[float], best: int | None) -> None:
    found = find_levels(NOW, runs(p50=times)).best("p50")
    assert (found and found.history_id) == best


@pytest.mark.parametrize(
    ("errors", "best"),
    [
        pytest.param([200] * 6 + [0] * 2, 7, id="gone"),
        pytest.param([200] * 6 + [20], 7, id="fewer"),
        pytest.param([0] * 6 + [200] * 3, None, id="more"),
        pytest.param([3, 0, 5, 1, 2, 4, 0], None, id="a-few"),
        pytest.param([0] * 8, None, id="none"),
    ],
)
def test_errors_have_levels_as_well(errors: list[int], best: int | None) -> None:
    levels = find_levels(NOW, runs(errors=errors, server_errors=errors))
    for metric in ("errors", "errors_5xx"):
        found = levels.best(metric)
        assert (found and found.history_id) == best
    assert levels.best("errors_4xx") is None


def test_what_is_not_known_of_a_run_is_left_out() -> None:
    passed = [*runs(p50=[100] * 4), run(5, p50=0.0), run(6, p50=60)]
    assert [len(level) for level in find_levels(NOW, passed).divided("p50", SELDOM)] == [4, 1]
    assert find_levels(NOW, []).present("p50") == ()


def test_few_requests_make_a_level_of_one_run_doubtful() -> None:
    """The p95 of 200 requests differs by a fifth from run to run."""
    rng = random.Random(1)
    times = sorted(int(100_000 * rng.lognormvariate(0, 0.8)) for _ in range(200))
    small = RunFacts(
        history_id=99,
        verdict=None,
        fingerprint="same",
        planned=200,
        sent=200,
        completed=200,
        errors=0,
        quantiles_ms={},
        generator_saturated=False,
        blocks=[[(time, 1) for time in times]],
    )
    passed = runs(p95=[200] * 10 + [150])
    assert len(find_levels(NOW, passed).divided("p95", SELDOM)) == 2
    assert len(find_levels(small, passed).divided("p95", SELDOM)) == 1
