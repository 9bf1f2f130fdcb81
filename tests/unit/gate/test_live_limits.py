"""Live limits: what they take, and what is evidence that one is broken."""

from dataclasses import replace

import pytest

from tm_cli.gate.live_limits import LiveReadings, parse_live_limit
from tm_cli.gate.model import Phase, Progress, Result, Sample


def buckets(*values, metric="p95", start=0, **more):
    """One bucket after the other, from second `start`; None is a bucket without a value."""
    return tuple(
        Sample(start + 2.5 + 5 * n, **{metric: value}, **more) for n, value in enumerate(values)
    )


def poll(recent, elapsed=None, **changes):
    until = recent[-1].t + 2.5 if elapsed is None else elapsed
    values = {"is_ours": True, "elapsed": until, "recent": recent, **changes}
    return Progress(values.pop("phase", Phase.ACTIVE), "RUNNING", **values)


def ended(*series, seconds=None):
    facts = {"durationSeconds": seconds or 5 * len(series)}
    return Result(None, None, None, series=tuple(series), facts=facts)


def read(limit, *polls):
    readings = LiveReadings([parse_live_limit(limit)])
    for each in polls:
        readings.take(each)
    return readings


@pytest.mark.parametrize(
    ("text", "metric", "limit", "seconds"),
    [
        ("p95>2s for 30s", "p95", 2000, 30),
        ("p99>=5s", "p99", 5000, 0),
        (" errors > 20 %   for  1m30s ", "errors", 20, 90),
        ("rps<50 for 15", "rps", 50, 15),
        ("success<=99.5%", "success", 99.5, 0),
    ],
)
def test_limit_is_a_condition_and_how_long_it_must_hold(text, metric, limit, seconds):
    found = parse_live_limit(text)
    assert (found.condition.metric, found.condition.limit) == (metric, limit)
    assert found.seconds == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no condition"),
        ("for 30s", "invalid check"),
        ("p95>2s for", "invalid check"),
        ("p95>2s for ever", "invalid duration"),
        ("p95>2s for 0s", "longer than zero"),
        ("p95>2s for 10s for 20s", "invalid duration"),
        ("p95>2", "in ms or s"),
        ("p95>+10%", "no baseline"),
        ("p90>2s", "live data of a run have no p90; they have p50, p95, p99, errors"),
        ("requests>100 for 5s", "live data of a run have no requests"),
        ("errors>20", "in %"),
    ],
)
def test_what_is_no_limit_is_refused_with_the_reason(text, words):
    with pytest.raises(ValueError, match=words):
        parse_live_limit(text)


def test_limit_is_broken_once_it_has_been_for_as_long_as_it_says():
    assert read("p95>2s for 15s", poll(buckets(3000, 3000))).breach is None
    breach = read("p95>2s for 15s", poll(buckets(100, 2500, 3000, 3400), 20.6)).breach
    assert breach.reason == "p95 was above 2 s for 15s (last 3.4 s)"
    assert (breach.value, breach.at, breach.limit) == (3400, 20.6, "p95>2s for 15s")


def test_without_a_time_one_stretch_is_enough():
    assert read("errors>50%", poll(buckets(0.0, 0.8, metric="bad"))).breach is not None


@pytest.mark.parametrize(
    "values",
    [(3000, 3000, 100, 3000, 3000), (3000, 3000, None, 3000, 3000), (2000,) * 5],
    ids=["it recovers", "nothing is known of some seconds", "it is reached and not passed"],
)
def test_only_an_unbroken_stretch_counts(values):
    assert read("p95>2s for 15s", poll(buckets(*values))).breach is None


def test_seconds_that_no_poll_has_shown_are_no_evidence():
    recent = (*buckets(3000, 3000), *buckets(3000, start=15))
    assert read("p95>2s for 15s", poll(recent)).breach is None


def test_polls_that_fail_lose_nothing_that_a_later_one_shows():
    slow = buckets(*[3000] * 8)
    assert read("p95>2s for 40s", poll(slow[:1]), poll(slow[2:])).breach is None
    assert read("p95>2s for 40s", poll(slow[:3]), poll(slow[2:])).breach is not None


def test_stretch_that_still_fills_is_no_evidence():
    fast = poll(buckets(0.0, 1.0, metric="bad"), elapsed=6.0)
    assert read("errors>50%", fast).breach is None
    assert read("rps<50", poll(buckets(9, metric="rps"), elapsed=4.9)).breach is None


def test_errors_count_when_the_slow_requests_of_their_stretch_have_ended():
    early = poll(buckets(0.6, metric="bad", p99=3000.0), elapsed=6.0)
    assert read("errors>50%", early).breach is None
    late = poll(buckets(0.6, metric="bad", p99=3000.0), elapsed=8.0)
    assert read("errors>50%", late).breach is not None


def test_newer_value_of_a_stretch_replaces_the_older_one():
    readings = read("p95>2s for 10s", poll(buckets(3000)), poll(buckets(1500, 3000)))
    assert readings.breach is None


def test_rate_that_the_profile_plans_is_no_breach():
    ramp = buckets(10, 20, 30, metric="rps", planned=40.0)
    assert read("rps<50 for 15s", poll(ramp)).breach is None
    readings = read("rps<50 for 15s")
    readings.finish(ended(*ramp, *buckets(55, metric="rps", planned=60.0, start=15)))
    assert readings.outcomes()[0].reason.endswith("the lowest value over 5 s was 55")
    readings.finish(ended(*ramp))
    assert readings.outcomes()[0].reason.endswith("the profile plans such a rate all the time")
    lost = buckets(10, 20, 30, metric="rps", planned=60.0)
    assert read("rps<50 for 15s", poll(lost)).breach is not None
    assert read("rps<50 for 15s", poll(buckets(1, 1, 1, metric="rps"))).breach is not None


def test_warm_up_is_no_evidence():
    cold = (*buckets(3000, 3000), *buckets(100, 100, start=10))
    readings = read("p95>2s", poll(cold, warmup=10.0))
    readings.finish(replace(ended(*cold), facts={"durationSeconds": 20, "warmupSeconds": 10}))
    assert readings.breach is None
    assert [item.passed for item in readings.outcomes()] == [True]
    assert read("p95>2s", poll(cold, warmup=5.0)).breach is not None


@pytest.mark.parametrize("change", [{"is_ours": False}, {"elapsed": None}])
def test_another_run_and_a_run_without_a_clock_are_no_evidence(change):
    slow = buckets(*[3000] * 6)
    readings = LiveReadings([parse_live_limit("p95>2s")])
    values = {"is_ours": True, "elapsed": 30.0, "recent": slow, **change}
    readings.take(Progress(Phase.ACTIVE, "RUNNING", **values))
    assert readings.breach is None


def test_breach_that_no_poll_has_shown_is_found_in_the_record():
    readings = read("p95>2s for 10s", poll(buckets(100)))
    readings.finish(ended(*buckets(100, 3000, 3000, 100)))
    assert readings.breach.at == 15
    assert [item.passed for item in readings.outcomes()] == [False]


def test_last_part_of_a_stretch_counts_for_what_it_lasted():
    for seconds, is_broken in ((12, False), (14, True)):
        readings = read("p95>2s for 9s")
        readings.finish(ended(*buckets(100, 3000, 3000), seconds=seconds))
        assert (readings.breach is not None) is is_broken, seconds


def test_rate_of_the_last_part_of_a_stretch_is_no_evidence():
    readings = read("rps<50")
    readings.finish(ended(*buckets(60, 60, 12, metric="rps"), seconds=11))
    assert readings.breach is None


def test_limit_that_was_kept_tells_how_close_it_was():
    readings = read("p95>2s for 10s")
    readings.finish(ended(*buckets(100, 3000, 1200)))
    (outcome,) = readings.outcomes()
    assert outcome.passed is True
    assert outcome.reason == "never p95>2s for 10s: the highest value over 5 s was 3 s"
    assert outcome.check.text == "never p95>2s for 10s"


def test_limit_without_any_reading_was_not_measured():
    readings = read("p95>2s", poll(buckets(0.1, metric="bad")))
    readings.finish(ended(*buckets(0.1, metric="bad")))
    (outcome,) = readings.outcomes()
    assert outcome.passed is None
    assert "there was no reading of p95" in outcome.reason


@pytest.mark.parametrize(("shown", "passed"), [(4, None), (7, True)])
def test_without_a_record_the_polls_must_have_shown_the_run(shown, passed):
    readings = read("p95>2s for 10s", poll(buckets(*[100] * shown)))
    readings.finish(Result(None, None, None, facts={"durationSeconds": 60}))
    assert [item.passed for item in readings.outcomes()] == [passed]


def test_rate_of_a_record_without_the_planned_one_gives_way_to_the_polls():
    ramp = buckets(10, 60, metric="rps", planned=20.0)
    readings = read("rps<50", poll(ramp))
    readings.finish(ended(*buckets(10, 60, metric="rps")))
    assert readings.breach is None
