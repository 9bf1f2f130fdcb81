"""Lines of several workers become one bucket without losing anything."""

import itertools
import random
from collections import defaultdict

import pytest
from hdrh.histogram import HdrHistogram

from tests.unit.server.engine.distributed.test_whole_plan import JOB
from tm_cli.server.engine.distributed.aggregate import (
    Aggregate,
    BucketMerge,
    StepMerge,
    WholePlan,
    WorkerCounts,
    WorkerState,
    merged,
)
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.played import MOST_ERRORS, OTHER_ERRORS
from tm_cli.server.validation import merge_encoded
from tm_cli.server.workers.engine_events import EngineBucket, EngineSteps, StepBucket
from tm_cli.values.load.step_names import MOST_STEPS, OTHER_STEPS


def encoded(values):
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        histogram.record_value(value)
    return histogram.encode().decode()


def bucket(values=(), *, index=0, side=0, sent=None, codes=None, failures=None):
    sent = len(values) if sent is None else sent
    return EngineBucket(
        index=index,
        planned=sent,
        sent=sent,
        completed=len(values),
        codes={"200": len(values)} if codes is None else codes,
        failures=failures or {},
        response=encoded(values),
        service=encoded(values),
        side=side,
    )


def merge_of(planned=100):
    return BucketMerge(lambda index, side: planned)


def test_merged_quantiles_are_those_of_one_histogram():
    rolls = random.Random(7)
    shares = [[rolls.randint(500, 90_000) for _ in range(size)] for size in (300, 40, 1)]
    whole = merged([bucket(share) for share in shares], planned=400)
    together = HdrHistogram(1, 3_600_000_000, 3)
    for value in itertools.chain(*shares):
        together.record_value(value)
    assert whole.completed == 341
    for name, percent in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
        expected = together.get_value_at_percentile(percent) / 1000
        assert getattr(whole, name) == expected, name
    assert HdrHistogram.decode(whole.response).get_total_count() == 341
    assert HdrHistogram.decode(whole.service).get_total_count() == 341


def test_counts_are_summed_and_the_plan_is_that_of_the_whole_curve():
    first = bucket([1000] * 3, codes={"200": 2, "503": 1}, failures={"TimeoutError": 1})
    second = bucket([1000] * 4, sent=6, codes={"200": 4}, failures={"OSError": 2})
    whole = merged([first, second], planned=11)
    assert (whole.planned, whole.sent, whole.completed) == (11, 9, 7)
    assert whole.codes == {"200": 6, "503": 1}
    assert whole.failures == {"OSError": 2, "TimeoutError": 1}


def test_nothing_completed_has_no_quantiles():
    whole = merged([bucket(sent=3), bucket(sent=2)], planned=5)
    assert (whole.sent, whole.p50_ms, whole.p95_ms, whole.p99_ms) == (5, None, None, None)


def test_unreadable_histograms_are_passed_on_to_be_found():
    broken = EngineBucket(index=0, planned=1, sent=1, completed=1, response="rubbish", service="")
    assert merged([bucket([5]), broken], planned=2).response == "rubbish"


def test_the_newest_line_of_a_worker_replaces_its_older_one():
    merge = merge_of()
    merge.add(0, bucket([1000] * 3))
    merge.add(1, bucket([1000] * 5))
    merge.add(0, bucket([1000] * 4))
    (whole,) = merge.changed()
    assert whole.sent == 9
    assert merge.by_worker[0].sent == merge.by_worker[0].completed == 4


def test_only_what_changed_is_reported_again_and_with_all_its_lines():
    merge = merge_of()
    merge.add(0, bucket([1000], index=0))
    merge.add(0, bucket([1000], index=1))
    assert [found.index for found in merge.changed()] == [0, 1]
    assert list(merge.changed()) == []
    merge.add(1, bucket([1000] * 2, index=0))
    assert [(found.index, found.sent) for found in merge.changed()] == [(0, 3)]


def test_the_sides_of_an_ab_run_stay_apart():
    merge = BucketMerge(lambda index, side: 10 + side)
    for worker in (0, 1):
        for side in (0, 1):
            merge.add(worker, bucket([1000] * (1 + side), side=side))
    found = [(whole.side, whole.planned, whole.sent) for whole in merge.changed()]
    assert found == [(0, 10, 2), (1, 11, 4)]


def test_a_line_for_a_bucket_that_was_let_go_is_not_counted():
    merge = merge_of()
    merge.add(0, bucket([1000], index=0))
    list(merge.changed())
    merge.forget_before(1)
    merge.add(1, bucket([1000], index=0))
    assert list(merge.changed()) == []
    assert merge.by_worker[1].completed == 0
    assert merge.by_worker[0].completed == 1


def test_what_was_not_reported_yet_is_kept():
    merge = merge_of()
    merge.add(0, bucket([1000], index=0))
    merge.forget_before(5)
    assert [found.index for found in merge.changed()] == [0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_workers_adds_up(count):
    shares = [bucket([2000] * 10) for _ in range(count)]
    assert merged(shares, planned=10 * count).completed == 10 * count


def steps(*names, index=0, side=0, completed=2):
    step = StepBucket(completed, {"200": completed}, {}, (encoded([1000] * completed),))
    return EngineSteps(index, dict.fromkeys(names, step), side)


def step_merge():
    return StepMerge(defaultdict(WorkerCounts))


def test_steps_of_several_workers_are_added_up_by_name():
    merge = step_merge()
    merge.add(0, steps("login", completed=2))
    merge.add(0, steps("login", "cart", completed=3))
    merge.add(1, steps("login", completed=5))
    cart, login = merge.changed()
    assert (cart.steps["cart"].completed, login.steps["login"].codes) == (3, {"200": 8})
    assert merge_encoded(login.steps["login"].response).get_total_count() == 8
    assert list(merge.changed()) == []
    merge.forget_before(1)
    merge.add(1, steps("login", completed=6))
    assert list(merge.changed()) == []


def test_the_names_of_all_workers_together_are_bounded():
    merge = step_merge()
    for worker in range(3):
        merge.add(worker, steps(*(f"{worker}/{number}" for number in range(100))))
    found = {name: step for event in merge.changed() for name, step in event.steps.items()}
    assert len(found) == MOST_STEPS + 1
    assert (found[OTHER_STEPS].completed, len(found[OTHER_STEPS].response)) == (200, 100)


def test_the_errors_of_all_workers_together_are_bounded():
    plan = WholePlan(EngineJob.parse({**JOB, "points": [[0, 500], [20, 500]]}).plan)
    states = [WorkerState(str(number), 0.0) for number in range(12)]
    added = Aggregate(states, plan, request_timeout=1.0)
    for worker in range(12):
        failures = {f"CheckFailed order {worker}/{number}": 1 for number in range(100)}
        added.add(worker, bucket(failures=failures))
        added.add_steps(worker, EngineSteps(0, {"cart": StepBucket(100, {}, failures)}))
    told, whole = added.changed_results()
    for failures in (told.steps["cart"].failures, whole.failures):
        assert (len(failures), failures[OTHER_ERRORS]) == (MOST_ERRORS + 1, 1100)
