import pytest
from hdrh.histogram import HdrHistogram

from tm_cli.curve import Curve
from tm_cli.server.engine.recorder import Bucket, Recorder


def about(microseconds: int) -> object:
    """Histograms keep three digits."""
    return pytest.approx(microseconds, rel=0.001)


def recorder(rate: float = 10, duration: float = 12) -> Recorder:
    return Recorder(Curve([(0, rate)], duration))


def send(
    recorder: Recorder, *, wait: float = 0, service: float = 0.1, result: int | str = 200
) -> Bucket:
    bucket = recorder.bucket_of_next()
    start = 100.0 + wait
    recorder.began(bucket, 100.0, start)
    recorder.ended(bucket, 100.0, start, start + service, result)
    return bucket


def test_every_bucket_gets_exactly_what_was_planned_for_it() -> None:
    records = recorder(rate=7.3)
    curve = Curve([(0, 7.3)], 12)
    indexes = [records.bucket_of_next().index for _ in range(curve.planned_before(12))]
    assert [indexes.count(k) for k in range(3)] == [
        curve.planned_between(5 * k, 5 * k + 5) for k in range(3)
    ]


def test_buckets_without_a_plan_are_passed_over() -> None:
    records = Recorder(Curve([(0, 0), (10, 0), (10, 5), (20, 5)], 20, "LINEAR"))
    assert records.bucket_of_next().index == 2


def test_a_passed_bucket_without_a_plan_may_be_gone() -> None:
    records = Recorder(Curve([(0, 0), (10, 0), (10, 5), (20, 5)], 20, "LINEAR"))
    assert [bucket.index for bucket in records.news(9)] == [0, 1]
    assert records.bucket_of_next().index == 2


def test_response_counts_from_due_and_service_from_sent() -> None:
    records = recorder()
    bucket = send(records, wait=0.5, service=0.1)
    assert bucket.response.get_max_value() == about(600_000)
    assert bucket.service.get_max_value() == about(100_000)


def test_a_timer_a_millisecond_late_is_not_the_targets_doing() -> None:
    bucket = send(recorder(), wait=0.0015, service=0.1)
    assert bucket.response.get_max_value() == about(100_000)


def test_codes_and_failures_are_counted_by_name() -> None:
    records = recorder()
    for result in (200, 503, 200, "ConnectionRefusedError"):
        bucket = send(records, result=result)
    document = bucket.document()
    assert document["codes"] == {"200": 2, "503": 1}
    assert document["failures"] == {"ConnectionRefusedError": 1}
    assert (document["planned"], document["sent"], document["completed"]) == (50, 4, 4)


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
    document = recorder().bucket_of_next().document()
    assert (document["p50_ms"], document["p95_ms"], document["p99_ms"]) == (None, None, None)
    assert HdrHistogram.decode(document["service"]).get_total_count() == 0


@pytest.mark.parametrize(("service", "recorded"), [(0.0, 1), (1e-9, 1), (1e9, 3_600_000_000)])
def test_times_beyond_the_range_are_kept_at_its_edge(service: float, recorded: int) -> None:
    bucket = send(recorder(), service=service)
    assert bucket.completed == bucket.service.get_total_count() == 1
    assert bucket.service.get_max_value() == about(recorded)


def test_only_changed_buckets_are_news() -> None:
    records = recorder()
    send(records)
    assert [bucket.index for bucket in records.news(1)] == [0]
    assert list(records.news(2)) == []
    send(records)
    assert [bucket.index for bucket in records.news(3)] == [0]


def test_a_late_response_is_news_of_its_old_bucket() -> None:
    records = recorder(rate=0.2, duration=20)  # one request for each bucket
    bucket = records.bucket_of_next()
    records.began(bucket, 100, 100)
    list(records.news(1))
    assert [b.index for b in records.news(7)] == [1]
    records.ended(bucket, 100, 100, 108, 200)
    assert [b.index for b in records.news(8)] == [0]


def test_no_bucket_lies_beyond_the_end() -> None:
    records = recorder(duration=10)
    assert [bucket.index for bucket in records.news(10)] == [0, 1]
    assert list(records.news(11)) == []


def test_a_loop_goes_on_opening_buckets() -> None:
    records = Recorder(Curve([(0, 1)], 5, loop=True))
    assert [bucket.index for bucket in records.news(17)] == [0, 1, 2, 3]


def test_what_was_given_up_settles_a_bucket_too() -> None:
    records = recorder(rate=0.4, duration=20)  # two requests for each bucket
    bucket = send(records)
    records.gave_up(records.bucket_of_next())
    assert bucket.is_settled
    assert (bucket.sent, bucket.unsent, records.unsent) == (1, 1, 1)


def test_the_window_starts_anew_when_taken() -> None:
    records = recorder()
    bucket = records.bucket_of_next()
    records.began(bucket, 100, 100.25)
    send(records, result="TimeoutError")
    first, second = records.take_window(), records.take_window()
    assert (first.waits, first.most_in_flight, first.failed) == ([0.25, 0], 2, 1)
    assert (second.waits, second.most_in_flight, second.failed) == ([], 1, 0)
