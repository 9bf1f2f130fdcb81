import math
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.played import (
    OTHER_ERRORS,
    Names,
    Played,
    StepCounts,
    StepResult,
    microseconds,
)
from tm_cli.server.engine.recorder import EngineReport, OpenBucket, Recorder
from tm_cli.server.engine.saturation import CpuPressure
from tm_cli.server.engine.schedule import WHOLE, RequestPlan, Share, Sides
from tm_cli.server.validation import merge_encoded, new_histogram
from tm_cli.values.failures import CHECK_FAILED, UNEXPECTED_STATUS
from tm_cli.values.load.curve import Curve
from tm_cli.values.load.step_names import MOST_STEPS, OTHER_STEPS


def about(microseconds: int) -> object:
    """Histograms keep three digits."""
    return pytest.approx(microseconds, rel=0.001)


class Records(Recorder):
    """A recorder whose requests are claimed one after the other."""

    def __init__(self, curve: Curve, share: Share = WHOLE, sides: Sides | None = None) -> None:
        self.plan = RequestPlan(curve, share, sides)
        super().__init__(self.plan)
        self._arrivals = enumerate(curve.arrivals())

    def next(self) -> OpenBucket:
        """Claim the next request that is ours."""
        number, second = next(item for item in self._arrivals if self.plan.takes(item[0]))
        return self.claim(number, second)


def recorder(rate: float = 10, duration: float = 12) -> Records:
    return Records(Curve([(0, rate)], duration))


def longest(histogram: HdrHistogram | None) -> int:
    """Microseconds."""
    assert histogram
    return int(histogram.get_max_value())


def send(
    recorder: Records, *, wait: float = 0, service: float = 0.1, result: int | str | Played = 200
) -> OpenBucket:
    bucket = recorder.next()
    start = 100.0 + wait
    recorder.began(bucket, 100.0, start)
    recorder.ended(bucket, 100.0, start, start + service, result)
    return bucket


def test_every_bucket_gets_exactly_what_was_planned_for_it() -> None:
    records = recorder(rate=7.3)
    curve = Curve([(0, 7.3)], 12)
    indexes = [records.next().index for _ in range(curve.planned_before(12))]
    assert [indexes.count(k) for k in range(3)] == [
        curve.planned_before(5 * k + 5) - curve.planned_before(5 * k) for k in range(3)
    ]


def test_buckets_without_a_plan_are_passed_over() -> None:
    records = Records(Curve([(0, 0), (10, 0), (10, 5), (20, 5)], 20, "LINEAR"))
    assert records.next().index == 2


def test_a_passed_bucket_without_a_plan_may_be_gone() -> None:
    records = Records(Curve([(0, 0), (10, 0), (10, 5), (20, 5)], 20, "LINEAR"))
    assert [bucket.index for bucket in records.changed(9)] == [0, 1]
    assert records.next().index == 2


def test_response_counts_from_due_and_service_from_sent() -> None:
    records = recorder()
    bucket = send(records, wait=0.5, service=0.1)
    assert longest(bucket.response) == about(600_000)
    assert longest(bucket.service) == about(100_000)


def test_a_timer_a_millisecond_late_is_not_the_targets_doing() -> None:
    bucket = send(recorder(), wait=0.0015, service=0.1)
    assert longest(bucket.response) == about(100_000)


def test_codes_and_failures_are_counted_by_name() -> None:
    records = recorder()
    for result in (200, 503, 200, "ConnectionRefusedError"):
        bucket = send(records, result=result)
    document = bucket.document()
    assert document["codes"] == {"200": 2, "503": 1}
    assert document["failures"] == {"ConnectionRefusedError": 1}
    assert (document["planned"], document["sent"], document["completed"]) == (50, 4, 4)


def test_an_unexpected_status_is_a_failure_but_no_lost_request() -> None:
    records = recorder()
    for result in (f"{UNEXPECTED_STATUS} 302", "TimeoutError"):
        bucket = send(records, result=result)
    assert bucket.document()["failures"] == {"TimeoutError": 1, "UnexpectedStatus 302": 1}
    assert records.window.failed == 1


def test_the_document_carries_histograms_of_microseconds() -> None:
    records = recorder()
    for milliseconds in range(1, 51):
        bucket = send(records, service=milliseconds / 1000)
    document = bucket.document()
    decoded = HdrHistogram.decode(document["response"])
    assert decoded.get_total_count() == 50
    assert decoded.get_value_at_percentile(50) == pytest.approx(25_000, rel=0.001)
    assert document["p50_ms"] == pytest.approx(25, rel=0.001)
    assert document["p99_ms"] == pytest.approx(50, rel=0.001)


def test_an_empty_bucket_knows_no_quantiles() -> None:
    document = recorder().next().document()
    assert (document["p50_ms"], document["p95_ms"], document["p99_ms"]) == (None, None, None)
    assert HdrHistogram.decode(document["service"]).get_total_count() == 0


@pytest.mark.parametrize(("service", "recorded"), [(0.0, 1), (1e-9, 1), (1e9, 3_600_000_000)])
def test_times_beyond_the_range_are_kept_at_its_edge(service: float, recorded: int) -> None:
    bucket = send(recorder(), service=service)
    assert bucket.completed == 1
    assert longest(bucket.service) == about(recorded)


def test_only_changed_buckets_are_news() -> None:
    records = recorder()
    send(records)
    assert [bucket.index for bucket in records.changed(1)] == [0]
    assert list(records.changed(2)) == []
    send(records)
    assert [bucket.index for bucket in records.changed(3)] == [0]


def test_a_late_response_is_news_of_its_old_bucket() -> None:
    records = recorder(rate=0.2, duration=20)  # one request for each bucket
    bucket = records.next()
    records.began(bucket, 100, 100)
    list(records.changed(1))
    assert [b.index for b in records.changed(7)] == [1]
    records.ended(bucket, 100, 100, 108, 200)
    assert [b.index for b in records.changed(8)] == [0]


def test_no_bucket_lies_beyond_the_end() -> None:
    records = recorder(duration=10)
    assert [bucket.index for bucket in records.changed(10)] == [0, 1]
    assert list(records.changed(11)) == []


def test_a_loop_goes_on_opening_buckets() -> None:
    records = Records(Curve([(0, 1)], 5, loop=True))
    assert [bucket.index for bucket in records.changed(17)] == [0, 1, 2, 3]


def test_what_was_given_up_settles_a_bucket_too() -> None:
    records = recorder(rate=0.4, duration=20)  # two requests for each bucket
    bucket = send(records)
    records.gave_up(records.next())
    assert bucket.is_settled
    assert (bucket.sent, bucket.unsent, records.unsent) == (1, 1, 1)


def test_the_window_is_empty_after_it_was_taken() -> None:
    records = recorder()
    bucket = records.next()
    records.began(bucket, 100, 100.25)
    send(records, result="TimeoutError")
    first, second = records.take_window(), records.take_window()
    assert (first.waits, first.most_in_flight, first.failed) == ([0.25, 0], 2, 1)
    assert (second.waits, second.most_in_flight, second.failed) == ([], 1, 0)


def test_a_share_of_the_requests_is_a_share_of_every_bucket() -> None:
    shares = [Records(Curve([(0, 7.3)], 12), Share(index, 3)) for index in range(3)]
    planned = [[bucket.planned for bucket in records.changed(12)] for records in shares]
    curve = Curve([(0, 7.3)], 12)
    whole = [curve.planned_before(5 * k + 5) - curve.planned_before(5 * k) for k in range(3)]
    assert [sum(column) for column in zip(*planned, strict=True)] == whole


def test_a_bucket_whose_share_changes_reports_its_new_plan() -> None:
    records = Records(Curve([(0, 10)], 10), Share(0, 2))
    assert [bucket.planned for bucket in records.changed(1)] == [25]
    records.plan.change(WHOLE, 2.0)
    records.replan()
    assert [bucket.planned for bucket in records.changed(2)] == [10 + 30]


def test_an_ab_run_has_a_bucket_for_each_side() -> None:
    records = Records(Curve([(0, 10)], 10), sides=Sides(1))
    for _ in range(100):
        send(records)
    told = [bucket.document() for bucket in records.changed(10)]
    assert [(line["index"], line["side"]) for line in told] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [line["planned"] for line in told] == [25] * 4
    assert [line["sent"] for line in told] == [25] * 4


def test_a_bucket_without_a_request_has_no_histogram() -> None:
    bucket = recorder().next()
    assert (bucket.response, bucket.service) == (None, None)


def test_a_change_while_a_bucket_is_reported_is_reported_later() -> None:
    records = recorder(rate=0.2, duration=20)
    bucket = records.next()
    records.began(bucket, 100, 100)
    telling = records.changed(8)
    assert next(telling).index == 0
    records.ended(bucket, 100, 100, 108, 200)  # while the line is written
    assert [b.index for b in telling] == [1]
    assert [(b.index, b.completed) for b in records.changed(9)] == [(0, 1)]


def test_a_bucket_stays_until_what_was_claimed_for_it_is_handed_over() -> None:
    records = recorder(rate=0.2, duration=20)
    bucket = records.next()
    list(records.changed(6))  # the dispatcher is late
    list(records.changed(7))
    records.began(bucket, 100, 100)
    assert [b.index for b in records.changed(8)] == [0]


def test_of_two_days_few_buckets_are_alive_at_once() -> None:
    hour = 3600
    points = [(0, 0.2), (2 * hour, 0), (46 * hour, 0), (48 * hour, 0.2)]
    curve = Curve(points, 48 * hour, "LINEAR")
    records = Records(curve)
    most = total = 0
    for second in range(5, 48 * hour + 5, 5):
        while total < curve.planned_before(second):
            send(records)
            total += 1
        list(records.changed(second))
        most = max(most, len(records._live))
    assert records.sent == total == 1440
    assert most <= 2


def journey(*steps: StepResult, thinking: float = 0.0, result: int | str = 200) -> Played:
    return Played(result, thinking, steps)


def report_on(records: Records) -> EngineReport:
    job = EngineJob(run_id="run", target_url="http://127.0.0.1:80/", points=[(0, 10)], duration=12)
    return EngineReport(
        job,
        records.plan,
        records,
        monotonic=lambda: 0.0,
        cpu_time=lambda: 0.0,
        pressure=CpuPressure(lambda: 0.0),
    )


def told(records: Records, elapsed: float = 0, *, at_the_end: bool = True) -> list[dict[str, Any]]:
    """The lines about steps."""
    events = report_on(records).results(elapsed, at_the_end=at_the_end)
    return [fields for event, fields in events if event == "steps"]


def test_think_time_is_no_part_of_the_response_time_and_the_service_time() -> None:
    bucket = send(recorder(), wait=0.5, service=2.0, result=journey(thinking=1.8))
    assert longest(bucket.response) == about(700_000)
    assert longest(bucket.service) == about(200_000)


def test_an_arrival_counts_once_and_each_of_its_steps_under_its_name() -> None:
    records = recorder()
    login, cart = StepResult("login", 0.1, 200), StepResult("cart", 0.25, "TimeoutError")
    for _ in range(3):
        bucket = send(records, result=journey(login, login, cart, result="cart: TimeoutError"))
    assert (bucket.completed, dict(bucket.failures)) == (3, {"cart: TimeoutError": 3})
    lines = told(records)
    assert {(line["index"], line["side"]) for line in lines} == {(0, 0)}
    steps = {name: step for line in lines for name, step in line["steps"].items()}
    assert steps["cart"]["failures"] == {"TimeoutError": 3}
    assert (steps["login"]["completed"], steps["login"]["codes"]) == (6, {"200": 6})
    assert merge_encoded([steps["login"]["response"]]).get_total_count() == 6


def test_steps_are_told_again_after_five_seconds_and_once_their_bucket_is_settled() -> None:
    records = recorder(rate=2)
    step = journey(StepResult("login", 0.1, 200))
    send(records, result=step)
    assert len(told(records, 0.5, at_the_end=False)) == 1
    send(records, result=step)
    assert told(records, 4.0, at_the_end=False) == []
    for _ in range(8):
        send(records, result=step)
    records.next()  # of the next bucket
    [line] = told(records, 5.4, at_the_end=False)
    assert line["steps"]["login"]["completed"] == 10
    assert told(records, 6.0) == []


def test_steps_are_told_before_their_bucket_is_shown_to_be_complete() -> None:
    records = recorder(rate=2)
    bucket = records.next()
    records.began(bucket, 100.0, 100.0)
    for _ in range(9):
        send(records, result=journey(StepResult("login", 0.1, 200)))
    records.next()  # of the next bucket
    events = report_on(records).results(5.5)
    assert next(events)[0] == "steps"
    # it ends while the steps are told
    records.ended(bucket, 100.0, 100.0, 101.0, journey(StepResult("login", 1.0, 200)))
    first = [(event, fields) for event, fields in events if fields["index"] == 0]
    assert [(event, fields["completed"]) for event, fields in first] == [("bucket", 9)]
    later = [(event, fields) for event, fields in report_on(records).results(6.5)]
    assert [event for event, _ in later] == ["steps", "bucket"]
    assert later[0][1]["steps"]["login"]["completed"] == later[1][1]["completed"] == 10


def test_what_was_not_told_because_the_report_was_cut_off_is_told_at_the_end() -> None:
    records = recorder(rate=2)
    for _ in range(10):
        send(records, result=journey(StepResult("login", 0.1, 200)))
    next(report_on(records).results(6.0))
    events = [event for event, _ in report_on(records).results(12.0, at_the_end=True)]
    assert events.count("bucket") == 3


@pytest.mark.parametrize("seconds", [1e-7, 0.0004, 0.002047, 0.0123456, 3.3, 999.9, 1e9, math.nan])
def test_the_counts_of_a_step_are_as_precise_as_a_histogram(seconds: float) -> None:
    counts, histogram = StepCounts(), new_histogram()
    counts.count(seconds, 200)
    histogram.record_value(microseconds(seconds))
    assert counts.document()["response"] == histogram.encode().decode()


def test_times_of_a_bucket_are_those_of_a_histogram_whenever_it_is_read() -> None:
    records, histogram = recorder(), new_histogram()
    for number, seconds in enumerate([0.0, 1e-6, 0.001, 0.0020481, 0.0041, 0.0041, 7.77, 1e9]):
        bucket = send(records, service=seconds)
        histogram.record_value(microseconds(seconds))
        if number % 3 == 0:
            assert bucket.service
    assert bucket.document()["service"] == histogram.encode().decode()
    assert bucket.service
    assert bucket.service.get_total_count() == 8


def test_too_many_names_count_together() -> None:
    records = recorder()
    steps = [StepResult(f"/order/{number}", 0.1, f"Bad {number}") for number in range(300)]
    send(records, result=journey(*steps))
    lines = told(records)
    assert len(lines) == MOST_STEPS + 1
    [rest] = [line["steps"][OTHER_STEPS] for line in lines if OTHER_STEPS in line["steps"]]
    assert (rest["completed"], rest["failures"]) == (100, {OTHER_ERRORS: 100})


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a\n\tb", "a b"),
        ("", "(no name)"),
        ("\ud800", "?"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_the_name_of_a_step_can_be_written_down(name: str, written: str) -> None:
    assert Names(5, "rest").bounded(name) == written


def test_requests_of_steps_are_what_the_window_measures() -> None:
    records = recorder()
    steps = [StepResult("a", 0.1, f"{CHECK_FAILED} total"), StepResult("b", 0.2, "TimeoutError")]
    send(records, service=9.0, result=journey(*steps, result="a: CheckFailed total"))
    window = records.take_window()
    assert (window.services, window.failed) == ([0.1, 0.2], 1)
