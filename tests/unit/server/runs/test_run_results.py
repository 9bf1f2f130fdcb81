import json
import math
from datetime import UTC, datetime

import pytest
from hdrh.histogram import HdrHistogram

from tm_cli.server.engine.saturation import Flags
from tm_cli.server.runs.progress import RunState
from tm_cli.server.runs.results import summarize, summarize_partial
from tm_cli.server.validation import UnreadableHistogram
from tm_cli.server.workers.engine_events import (
    EngineBucket,
    EngineFailed,
    EngineFinished,
    EngineProgress,
    EngineStarted,
    EngineWaiting,
    parse_event,
)

pytestmark = pytest.mark.process


def encoded(*milliseconds):
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value in milliseconds:
        histogram.record_value(int(value * 1000))
    return histogram.encode().decode()


def bucket(index, sent=100, planned=100, codes=None, **more):
    return EngineBucket(index, planned, sent, sent, codes or {"200": sent}, **more)


def finished(**change):
    values = {
        "completed_curve": True,
        "elapsed": 20.0,
        "planned": 400,
        "sent": 400,
        "completed": 400,
        "shortfall": 0,
        "flags": Flags(),
    }
    return EngineFinished(**{**values, **change})


def test_quantiles_come_from_the_merged_histograms_not_from_the_buckets():
    quick = bucket(0, response=encoded(*[10] * 99), p95_ms=10.0)
    slow = bucket(1, response=encoded(1000), p95_ms=1000.0)
    quantiles = summarize([quick, slow], curve_end=10.0).quantiles_ms
    assert quantiles["p99"] == pytest.approx(10, rel=0.002)
    assert quantiles["p99.9"] == pytest.approx(1000, rel=0.002)


def test_the_engines_last_word_beats_the_sums():
    results = summarize(
        [bucket(0)], curve_end=20.0, finished=finished(planned=105, sent=101, shortfall=4)
    )
    assert (results.planned, results.sent, results.shortfall) == (105, 101, 4)
    assert results.completed == 100


def test_requests_without_a_response_are_no_success():
    results = summarize([EngineBucket(0, 100, 100, 90, {"200": 81, "500": 9})], curve_end=5.0)
    assert (results.completed, results.errors, results.success_rate) == (90, 9, 90.0)


def test_unreadable_response_times_are_an_error_and_the_rest_is_salvaged():
    broken = [bucket(0, response="HISTFAAAAA"), bucket(1, response=encoded(10))]
    with pytest.raises(UnreadableHistogram):
        summarize(broken, curve_end=10.0)
    results, complaint = summarize_partial(broken, curve_end=10.0)
    assert (results.completed, results.quantiles_ms) == (200, {})
    assert "cannot be read" in complaint


def test_lost_buckets_are_noticed():
    whole = [bucket(index) for index in range(4)]
    assert summarize_partial(whole, curve_end=20.0, finished=finished())[1] is None
    complaint = summarize_partial(whole[1:], curve_end=20.0, finished=finished())[1]
    assert complaint == "the load generator counted 400 responses, its buckets hold 300"


def test_a_run_that_never_began_sums_up_to_nothing():
    results = summarize([], curve_end=20.0, elapsed=0.0)
    assert (results.completed, results.success_rate) == (0, None)
    assert (results.average_rps, results.peak_rps) == (0.0, 0.0)
    assert results.quantiles_ms == {}


def test_a_short_last_bucket_has_its_true_rate():
    results = summarize([bucket(0), bucket(1, 40, 40)], curve_end=7.0, elapsed=7.0)
    assert [point["rps"] for point in results.rps_series] == [20.0, 20.0]
    assert [point["planned"] for point in results.rps_series] == [20.0, 20.0]


def test_a_few_requests_at_a_buckets_beginning_are_no_peak():
    results = summarize([bucket(0), bucket(1, 1, 100)], curve_end=20.0, elapsed=5.001)
    assert results.peak_rps == 20.0


def test_redirects_are_neither_good_nor_bad():
    results = summarize([bucket(0, codes={"302": 50, "200": 50})], curve_end=5.0)
    assert results.rps_series[0]["okRatio"] == 0.5
    assert results.rps_series[0]["badRatio"] == 0.0
    assert results.errors == 0


def test_a_dead_run_has_lasted_as_long_as_its_buckets():
    assert summarize([bucket(0), bucket(1)], curve_end=20.0).elapsed == 10.0


def test_the_live_view_shows_the_newest_twelve_buckets():
    state = RunState(3600.0)
    for index in range(20):
        state.apply(bucket(index))
    state.apply(EngineProgress(100.0, 2000, Flags()))
    view = state.counters()
    assert [item["t"] for item in view["recentBuckets"]] == [5 * k + 2.5 for k in range(8, 20)]
    assert view["requestsSent"] == 2000
    assert view["responseCodeCounts"] == {"200": 2000}
    assert (view["currentRps"], view["plannedRps"]) == (20.0, 20.0)


def test_the_live_view_says_why_no_load_is_sent_yet():
    state = RunState(20.0)
    assert "waitingFor" not in state.counters()
    state.apply(EngineWaiting("nothing listens"))
    assert state.counters()["waitingFor"] == "nothing listens"
    state.apply(EngineStarted(datetime.now(UTC)))
    assert "waitingFor" not in state.counters()


def test_a_resent_bucket_replaces_its_older_line():
    state = RunState(20.0)
    state.apply(bucket(0, 10))
    state.apply(EngineProgress(1.0, 10, Flags()))
    state.apply(bucket(0, 40, codes={"200": 30, "500": 10}))
    state.apply(EngineProgress(2.0, 40, Flags(downstream_saturated=True)))
    view = state.counters()
    assert view["responseCodeCounts"] == {"200": 30, "500": 10}
    assert view["currentRps"] == 20.0
    assert view["recentBuckets"][0]["badRatio"] == 0.25
    assert view["downstreamSaturated"] is True


def test_the_plan_of_an_open_bucket_is_that_of_its_whole_width():
    state = RunState(20.0)
    state.apply(bucket(0, 10, planned=100))
    state.apply(EngineProgress(0.5, 10, Flags()))
    assert state.counters()["plannedRps"] == 20.0


def test_a_loop_has_no_end_of_the_plan():
    state = RunState(12.0, math.inf)
    state.apply(bucket(2))
    state.apply(EngineProgress(15.0, 100, Flags()))
    assert state.counters()["plannedRps"] == 20.0


def test_histograms_are_not_kept_in_memory():
    state = RunState(20.0)
    state.apply(bucket(0, response="x" * 5000, service="y" * 5000))
    assert (state.buckets[0][0].response, state.buckets[0][0].service) == ("", "")


def test_an_event_of_a_newer_engine_is_ignored():
    assert parse_event(b'{"event": "weather", "sunny": true}') is None
    line = {"event": "failed", "message": "no", "extra": 1}
    assert parse_event(json.dumps(line).encode()) == EngineFailed("no")


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"[]",
        b"{}",
        b'{"event": "progress"}',
        b'{"event": "bucket", "index": "x"}',
        b'{"event": "started", "at": "12:00"}',
        b"\xff",
    ],
)
def test_a_line_without_sense_is_an_error(line):
    with pytest.raises(ValueError, match="invalid line"):
        parse_event(line)


def test_a_warm_up_is_in_the_totals_and_not_in_what_is_judged():
    cold = bucket(0, codes={"200": 60, "503": 40}, response=encoded(*[900] * 100))
    warm = [bucket(index, response=encoded(*[10] * 100)) for index in (1, 2)]
    results = summarize([cold, *warm], curve_end=15.0, warmup=5.0)
    assert (results.completed, results.errors, results.planned) == (300, 40, 300)
    assert results.quantiles_ms["p99.9"] == pytest.approx(10, rel=0.002)
    judged = results.judged
    assert (judged.planned, judged.sent, judged.total_requests) == (200, 200, 200)
    assert (judged.total_errors, judged.response_codes) == (0, {"200": 200})


def test_both_sides_of_an_ab_run_have_the_same_warm_up():
    buckets = [
        bucket(index, side=side, response=encoded(*[900 if index == 0 else 10 + side] * 100))
        for side in (0, 1)
        for index in range(3)
    ]
    results = summarize(buckets, curve_end=15.0, warmup=5.0)
    for side, ms in ((results, 10), (results.against, 11)):
        assert side.quantiles_ms["p99"] == pytest.approx(ms, rel=0.01)
        assert (side.completed, side.judged.total_requests) == (300, 200)
