"""The steps of a run in flight become blocks: complete, exact to one, and few."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tm_cli.server.judge import RunFacts, Thresholds
from tm_cli.server.runs.progress import ServerRun
from tm_cli.server.runs.results import quantiles_of, summarize, times_of
from tm_cli.server.runs.steps import LiveSteps, known_steps, packed, summed_up, unpacked
from tm_cli.server.runs.stretches import Stretches
from tm_cli.server.validation import new_histogram, quantiles_ms
from tm_cli.server.workers.engine_events import EngineBucket, EngineSteps, StepBucket

RUN = ServerRun(
    run_id="r",
    profile_id=1,
    profile_name="checkout",
    target_url="http://127.0.0.1:1/",
    region="local",
    tags=(),
    triggered_by="api",
    fingerprint="",
    duration=1000.0,
    loop=False,
    started_at=datetime(2026, 1, 31, tzinfo=UTC),
)


def line(index, completed, *, name="login", side=0, micros=20_000, errors=0):
    histogram = new_histogram()
    if completed:
        histogram.record_value(micros, completed)
    codes = {"200": completed - errors, "500": errors}
    step = StepBucket(completed, codes, {}, (histogram.encode().decode(),))
    return EngineSteps(index, {name: step}, side)


def test_the_newest_line_of_a_bucket_counts_and_blocks_are_those_of_the_run():
    steps = LiveSteps(RUN)  # 200 buckets, so blocks of five
    for index in range(12):
        steps.take(line(index, 3))
        steps.take(line(index, 10, errors=1))
    steps.close_before(11)
    found = list(steps.changed(with_open=False))
    assert [(block.position, block.completed) for block in found] == [(0, 50), (1, 50)]
    steps.close()
    found += steps.changed(with_open=True)
    assert [(block.position, block.completed) for block in found] == [(0, 50), (1, 50), (2, 20)]
    assert steps.completed == 120
    whole = summed_up(found, 0)["login"]
    assert (whole.total_requests, whole.total_errors) == (120, 12)
    assert whole.response_codes == {"200": 108, "500": 12}
    assert whole.latency_quantiles["p95"] == pytest.approx(20, rel=0.001)


def test_the_open_block_is_stored_again_when_it_has_changed():
    steps = LiveSteps(RUN)
    steps.take(line(0, 10))
    steps.close_before(1)
    assert [block.completed for block in steps.changed(with_open=True)] == [10]
    assert list(steps.changed(with_open=True)) == []
    steps.take(line(1, 10))
    steps.close_before(2)
    assert [block.completed for block in steps.changed(with_open=True)] == [20]


def test_blocks_begin_after_the_warm_up_and_an_endless_run_has_one():
    warm = LiveSteps(replace(RUN, duration=100.0, warmup=10.0))
    endless = LiveSteps(replace(RUN, duration=20.0, loop=True))
    for index in range(4):
        warm.take(line(index, 1))
        endless.take(line(index + 100, 1))
    for steps in (warm, endless):
        steps.close()
    assert [block.position for block in warm.changed(with_open=True)] == [0, 1]
    assert [block.completed for block in endless.changed(with_open=True)] == [4]
    assert warm.completed == 4


def test_a_line_that_comes_too_late_is_noticed():
    steps = LiveSteps(RUN)
    steps.take(line(0, 10))
    steps.close_before(1)
    steps.take(line(0, 11))
    assert (steps.late, steps.completed) == (1, 10)


def test_what_is_shown_while_the_run_lasts():
    steps = LiveSteps(RUN)
    for index in range(4):
        steps.take(line(index, 50, errors=1))
        steps.take(line(index, 10, name="cart"))
        steps.close_before(index - 1)
    assert steps.counters(19.0) == [
        {"name": "cart", "totalRequests": 40, "totalErrors": 0, "currentRps": 2.0},
        {"name": "login", "totalRequests": 200, "totalErrors": 4, "currentRps": 10.0},
    ]
    assert LiveSteps(RUN).counters(0.0) == []


def test_the_quantiles_of_steps_are_those_of_a_histogram():
    histogram = new_histogram()
    rolls = random.Random(3)
    for _ in range(3000):
        histogram.record_value(int(20_000 * rolls.lognormvariate(0, 0.8)))
    times = times_of([histogram.encode().decode()])
    assert unpacked(packed(times)) == times
    found = quantiles_of(times)
    for name, value in quantiles_ms(histogram).items():
        assert found[name.removesuffix("_ms")] == value
    assert quantiles_of([]) == {}


@pytest.mark.parametrize("data", [b"", b"x", packed([(5, 1)])[:-3], packed([(5, 0)])])
def test_damaged_response_times_are_no_measurement(data):
    with pytest.raises(ValueError, match="response times"):
        unpacked(data)


def test_errors_after_the_last_block_of_a_run_that_was_stopped_early_count():
    live = LiveSteps(replace(RUN, duration=100.0))
    buckets = []
    for index in range(4):
        event = line(index, 10, errors=4 * (index == 3))
        live.take(event)
        step = event.steps["login"]
        buckets.append(EngineBucket(index, 10, 10, 10, step.codes, {}, step.response[0]))
    live.take(line(3, 5, name="late"))
    live.close()
    blocks = sorted(live.changed(with_open=True), key=lambda block: block.name)
    whole = summarize(buckets, curve_end=100.0)
    run = RunFacts(1, None, "", 40, 40, 40, 4, whole.quantiles_ms, False, stopped_after=17)
    run = replace(run, steps=known_steps(run, summed_up(blocks, 0)))
    found = Stretches(20, 0, Thresholds()).with_blocks(run, buckets, blocks)
    assert len(found.blocks) == 3
    login, late = found.steps["login"], found.steps["late"]
    assert (login.completed, login.errors, len(login.blocks)) == (40, 4, 3)
    assert login.quantiles_ms["p95"] == pytest.approx(20, rel=0.001)
    assert (late.completed, late.quantiles_ms) == (5, {})
