"""The spread that a calibration lets the judge assume."""

from dataclasses import replace

import pytest

from tests.unit.server.judge.test_noise import CALM, played
from tm_cli.server.judge.statistics.bootstrap import ASSUMED
from tm_cli.server.runs.noise import LEAST_SPREAD, assumed_spread, calibrate


@pytest.mark.parametrize(
    ("seen", "runs", "assumed"),
    [
        (0.0, 3, 0.0241),
        (0.0, 5, 0.0220),
        (0.0, 20, 0.0147),
        (0.0, 50, LEAST_SPREAD),
        (ASSUMED, 5, ASSUMED),
        (0.08, 5, 0.0512),
        (0.08, 50, 0.0749),
    ],
)
def test_few_runs_change_little(seen, runs, assumed):
    assert assumed_spread(seen, runs) == pytest.approx(assumed, abs=0.0001)


def test_what_chance_within_the_runs_explains_is_no_spread():
    runs = [played(CALM, seed=seed, per_block=1000) for seed in (1, 2, 3, 4, 5)]
    record = calibrate(runs)
    assert max(record["measured"].values()) < 0.008
    assert record["spread"] < 0.023
    assert record["runs"] == [1, 2, 3, 4, 5]


def test_larger_spread_of_the_two_response_times_counts():
    runs = [played(CALM, seed=seed, per_block=100) for seed in (1, 2, 3, 4, 5)]
    runs[2] = replace(runs[2], quantiles_ms=runs[2].quantiles_ms | {"p95": 80.0})
    record = calibrate(runs)
    assert record["measured"]["p95"] > 0.05 > record["measured"]["p50"]
    assert record["spread"] == round(assumed_spread(record["measured"]["p95"], 5), 5)
