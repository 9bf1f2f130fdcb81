"""What the whole curve plans, in one piece and in two sides."""

import pytest

from tm_cli.server.engine.distributed.aggregate import WholePlan
from tm_cli.server.engine.job import EngineJob

JOB = {
    "run_id": "r",
    "target_url": "http://127.0.0.1:1/",
    "points": [[0, 0], [20, 31]],
    "duration": 20.0,
    "interpolation": "LINEAR",
    "loop": False,
    "max_rps": None,
}


def planned(job):
    return WholePlan(EngineJob.parse(job).plan)


def test_buckets_add_up_to_the_curve():
    plan = planned(JOB)
    assert sum(plan.in_bucket(index, 0) for index in range(4)) == plan.before(20.0) == 310
    assert plan.in_bucket(0, 1) == 0
    assert plan.end == 20.0


def test_a_loop_has_no_end():
    plan = planned({**JOB, "loop": True})
    assert plan.end == float("inf")
    assert plan.before(40.0) == 620


def test_the_rate_is_capped_as_the_engine_caps_it():
    assert planned({**JOB, "max_rps": 10.0}).before(20.0) < 310


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_the_sides_of_an_ab_run_share_every_bucket_about_equally(seed):
    plan = planned({**JOB, "against": {"target_url": "http://127.0.0.1:1/", "seed": seed}})
    for index in range(4):
        both = [plan.in_bucket(index, side) for side in (0, 1)]
        assert sum(both) == planned(JOB).in_bucket(index, 0)
        assert abs(both[0] - both[1]) <= 2
