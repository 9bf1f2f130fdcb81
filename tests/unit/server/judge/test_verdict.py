import json
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.server.judge import (
    BaselineChoice,
    RunFacts,
    SelectedBy,
    Thresholds,
    judge,
    judge_ab_run,
)
from tm_cli.server.judge.findings import successes
from tm_cli.server.judge.levels import METRICS

BASELINE = RunFacts(
    history_id=7,
    verdict="PASS",
    fingerprint="same",
    planned=20_000,
    sent=20_000,
    completed=20_000,
    errors=20,
    quantiles_ms={"p50": 100.0, "p90": 150.0, "p95": 200.0, "p99": 400.0, "p99.9": 800.0},
    generator_saturated=False,
    seconds=100.0,
)
RUN = replace(BASELINE, history_id=8, verdict=None)


def with_quantiles(facts: RunFacts, **quantiles: float) -> RunFacts:
    return replace(facts, quantiles_ms={**facts.quantiles_ms, **quantiles})


def reached(facts: RunFacts, *requests: int) -> RunFacts:
    by_address = {f"10.0.0.{number}": got for number, got in enumerate(requests, start=1)}
    return replace(facts, addresses=by_address)


def small(facts: RunFacts, requests: int, errors: int = 0) -> RunFacts:
    return replace(
        facts,
        planned=requests,
        sent=requests,
        completed=requests,
        errors=errors,
        seconds=requests / 200,
    )


def against(baseline: RunFacts | None = BASELINE, reason: str = "no earlier run") -> BaselineChoice:
    return BaselineChoice(baseline, SelectedBy.NEWEST_PASSING, reason=reason)


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        pytest.param(RUN, "PASS", id="the-same"),
        pytest.param(with_quantiles(RUN, p50=50, p95=90, p99=100), "PASS", id="faster"),
        pytest.param(with_quantiles(RUN, p50=104.9), "PASS", id="p50-below-the-warning-limit"),
        pytest.param(with_quantiles(RUN, p50=105.1), "WARN", id="p50-above-it"),
        pytest.param(with_quantiles(RUN, p50=114.9), "WARN", id="p50-below-the-failure-limit"),
        pytest.param(with_quantiles(RUN, p50=115.1), "FAIL", id="p50-beyond-it"),
        pytest.param(with_quantiles(RUN, p95=211), "WARN", id="p95-a-bit-slower"),
        pytest.param(with_quantiles(RUN, p95=231), "FAIL", id="p95-much-slower"),
        pytest.param(with_quantiles(RUN, p99=439), "PASS", id="p99-may-vary-more"),
        pytest.param(with_quantiles(RUN, p99=441), "WARN", id="p99-slower"),
        pytest.param(with_quantiles(RUN, p99=521), "FAIL", id="p99-much-slower"),
        pytest.param(with_quantiles(RUN, **{"p99.9": 970}), "WARN", id="p99.9-slower"),
        pytest.param(with_quantiles(RUN, **{"p99.9": 8000}), "FAIL", id="p99.9-much-slower"),
        pytest.param(
            small(with_quantiles(RUN, **{"p99.9": 8000}), 19_999, 20),
            "PASS",
            id="p99.9-takes-many-requests",
        ),
        pytest.param(replace(RUN, errors=60), "PASS", id="errors-at-the-warning-limit"),
        pytest.param(replace(RUN, errors=61), "WARN", id="errors-above-it"),
        pytest.param(replace(RUN, errors=120), "WARN", id="errors-at-the-failure-limit"),
        pytest.param(replace(RUN, errors=121), "FAIL", id="errors-beyond-it"),
        pytest.param(replace(RUN, errors=0), "PASS", id="fewer-errors"),
        pytest.param(replace(RUN, error_classes={"5xx": 121}), "FAIL", id="a-new-class-of-errors"),
        pytest.param(small(RUN, 300, errors=1), "PASS", id="a-single-error-does-not-count"),
        pytest.param(small(RUN, 300, errors=5), "FAIL", id="five-of-a-few-hundred-do"),
        pytest.param(replace(RUN, errors=20_000), "FAIL", id="nothing-but-errors"),
        pytest.param(replace(RUN, sent=19_800), "PASS", id="shortfall-at-the-warning-limit"),
        pytest.param(replace(RUN, sent=19_799), "WARN", id="shortfall-above-it"),
        pytest.param(replace(RUN, sent=18_999), "FAIL", id="shortfall-beyond-the-failure-limit"),
        pytest.param(replace(RUN, seconds=103.0), "WARN", id="less-throughput"),
        pytest.param(replace(RUN, seconds=112.0), "FAIL", id="much-less-throughput"),
        pytest.param(replace(RUN, generator_saturated=True), "WARN", id="saturated-machine"),
        pytest.param(replace(RUN, notes=("worker 2 was lost",)), "WARN", id="a-lost-worker"),
        pytest.param(
            replace(with_quantiles(RUN, p95=400), generator_saturated=True),
            "WARN",
            id="a-saturated-machine-fails-no-response-time",
        ),
        pytest.param(replace(RUN, sent=0, completed=0, errors=0), "FAIL", id="nothing-was-sent"),
        pytest.param(replace(RUN, quantiles_ms={}), "WARN", id="unknown-response-times"),
        pytest.param(small(replace(RUN, quantiles_ms={}), 1, errors=1), "FAIL", id="one-failure"),
    ],
)
def test_against_its_baseline_a_run_is(run: RunFacts, verdict: str) -> None:
    judgement = judge(run, against())
    assert (judgement.verdict, judgement.baseline_id) == (verdict, 7)
    assert judgement.reasons


@pytest.mark.parametrize(("requests", "verdict"), [(199, "WARN"), (200, "PASS")])
def test_too_little_data_is_a_warning(requests: int, verdict: str) -> None:
    same = small(BASELINE, requests)
    judgement = judge(small(RUN, requests), against(same))
    assert judgement.verdict == verdict


def test_without_a_baseline_the_verdict_reports_it() -> None:
    judgement = judge(replace(RUN, errors=500), against(None, "no earlier run to compare with"))
    assert (judgement.verdict, judgement.baseline_id) == ("NO_BASELINE", None)
    assert judgement.reasons == ("no earlier run to compare with",)


@pytest.mark.parametrize("baseline", [None, BASELINE], ids=["alone", "compared"])
def test_a_run_whose_curve_was_cut_off_is_a_warning_at_best(baseline) -> None:
    """Without that, a run that others leave less than its baseline had would escape it."""
    cut = replace(RUN, traits={"rate limit": "100"}, notes=("the curve was cut off at 100",))
    judgement = judge(cut, against(baseline))
    assert (judgement.verdict, judgement.reasons) == ("WARN", cut.notes)


@pytest.mark.parametrize("baseline", [None, BASELINE], ids=["alone", "compared"])
@pytest.mark.parametrize(
    ("errors", "verdict"), [(1_001, "WARN"), (9_999, "WARN"), (10_000, "FAIL"), (20_000, "FAIL")]
)
def test_many_errors_are_bad_whatever_the_baseline(baseline, errors, verdict) -> None:
    same = replace(baseline, errors=errors) if baseline else None
    assert judge(replace(RUN, errors=errors), against(same)).verdict == verdict


def test_run_without_a_completed_request_fails() -> None:
    assert judge(replace(RUN, sent=0, completed=0, errors=0), against(None)).verdict == "FAIL"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        pytest.param(1.0, 2.9, "PASS", id="within-the-floor"),
        pytest.param(1.0, 3.1, "FAIL", id="above-the-floor"),
    ],
)
def test_a_rise_of_a_few_milliseconds_never_counts(
    before: float, after: float, verdict: str
) -> None:
    baseline = with_quantiles(BASELINE, p95=before)
    assert judge(with_quantiles(RUN, p95=after), against(baseline)).verdict == verdict


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        pytest.param(
            with_quantiles(RUN, p95=312),
            "p95 312 ms, baseline 200 ms, +56.0 %, limit +15 %",
            id="failed-quantile",
        ),
        pytest.param(
            with_quantiles(RUN, p50=110),
            "p50 110 ms, baseline 100 ms, +10.0 %, limit +5 %",
            id="warned-quantile",
        ),
        pytest.param(
            with_quantiles(RUN, p95=204),
            "p95 204 ms, baseline 200 ms, +2.0 %, limit +15 %",
            id="pass",
        ),
        pytest.param(
            replace(RUN, errors=420),
            "errors 2.10 % (420 of 20000), baseline 0.10 %, +2.00 points, limit +0.5 points",
            id="errors",
        ),
        pytest.param(
            replace(RUN, sent=18_000),
            "2000 of 20000 planned requests were not sent, 10.00 %, limit 5 %",
            id="shortfall",
        ),
        pytest.param(
            replace(RUN, seconds=105.0),
            "throughput 190.5/s, baseline 200.0/s, -4.8 %, limit -2 %",
            id="throughput",
        ),
        pytest.param(
            replace(RUN, generator_saturated=True),
            "the load generator's machine, not the target, was the limit of this run",
            id="saturated",
        ),
        pytest.param(replace(RUN, notes=("worker 2 was lost",)), "worker 2 was lost", id="worker"),
        pytest.param(replace(RUN, quantiles_ms={}), "p50 is not known of this run", id="unknown"),
    ],
)
def test_the_reason_has_the_numbers(run: RunFacts, reason: str) -> None:
    assert judge(run, against()).reasons[0] == reason


def test_a_pass_explains_a_big_relative_rise() -> None:
    judgement = judge(with_quantiles(RUN, p95=3.0), against(with_quantiles(BASELINE, p95=2.0)))
    [reason] = judgement.reasons
    assert reason == (
        "p95 3.0 ms, baseline 2.0 ms, +50.0 %, limit +15 %; a rise under the floor of 2 ms, "
        "+100 % here, does not count"
    )


def test_the_worst_reason_comes_first() -> None:
    run = with_quantiles(RUN, p50=110, p99=900)
    assert [reason.split()[0] for reason in judge(run, against()).reasons] == ["p99", "p50"]


class TestASaturatedGenerator:
    SATURATED = replace(RUN, generator_saturated=True)
    SLOW = with_quantiles(RUN, p50=205, p95=410, p99=900, **{"p99.9": 2000})

    def test_is_mentioned_when_it_was_the_baselines(self) -> None:
        judgement = judge(RUN, against(replace(BASELINE, generator_saturated=True)))
        assert judgement.verdict == "WARN"
        assert judgement.reasons[0] == (
            "the load generator's machine was the limit of the baseline run;"
            " run it again, or choose another baseline: tm baseline pin 8"
        )

    @pytest.mark.parametrize("whose", ["this run's", "the baseline's", "both"])
    def test_fails_no_response_time_and_is_the_first_reason(self, whose: str) -> None:
        run = replace(self.SLOW, generator_saturated=whose != "the baseline's")
        baseline = replace(BASELINE, generator_saturated=whose != "this run's")
        judgement = judge(run, against(baseline))
        assert judgement.verdict == "WARN"
        assert "the load generator's machine" in judgement.reasons[0]
        assert judgement.reasons[1] == (
            "p50 205 ms, baseline 100 ms, +105.0 %, limit +15 %; "
            "no failure: the load generator's machine may be the cause"
        )
        assert len(judgement.reasons) == 5

    def test_is_none_against_an_older_run_either(self) -> None:
        reference = with_quantiles(replace(BASELINE, history_id=2), p95=100)
        choice = replace(against(), reference=reference)
        assert judge(RUN, choice).verdict == "FAIL"
        assert judge(self.SATURATED, choice).verdict == "WARN"

    @pytest.mark.parametrize("baseline_too", [False, True])
    @pytest.mark.parametrize(
        ("errors", "classes", "verdict"),
        [
            pytest.param(400, {"5xx": 400}, "FAIL", id="the-targets-own-errors"),
            pytest.param(400, {"4xx": 400}, "FAIL", id="refusals"),
            pytest.param(400, {"connection": 400}, "FAIL", id="refused-connections"),
            pytest.param(400, {"timeout": 400}, "WARN", id="timeouts-may-be-its-own-doing"),
            pytest.param(800, {"timeout": 400, "5xx": 400}, "FAIL", id="some-of-each"),
            pytest.param(430, {"timeout": 400, "5xx": 30}, "WARN", id="mostly-timeouts"),
            pytest.param(0, {}, "WARN", id="no-errors-do-not-pass"),
            pytest.param(10_000, {"timeout": 10_000}, "FAIL", id="nothing-was-measured"),
        ],
    )
    def test_may_be_the_cause_of_timeouts_only(
        self, errors: int, classes: dict[str, int], verdict: str, baseline_too: bool
    ) -> None:
        run = replace(self.SATURATED, errors=errors, error_classes=classes)
        baseline = replace(BASELINE, generator_saturated=baseline_too)
        assert judge(run, against(baseline)).verdict == verdict

    def test_explains_less_throughput(self) -> None:
        slow = replace(self.SATURATED, seconds=112.0)
        assert judge(replace(slow, generator_saturated=False), against()).verdict == "FAIL"
        assert judge(slow, against()).verdict == "WARN"

    def test_does_not_explain_less_throughput_than_its_own(self) -> None:
        saturated = replace(BASELINE, generator_saturated=True)
        assert judge(replace(RUN, seconds=112.0), against(saturated)).verdict == "FAIL"

    def test_excuses_no_load_that_was_never_sent(self) -> None:
        assert judge(replace(self.SATURATED, sent=18_000), against()).verdict == "FAIL"

    def test_fails_no_response_time_of_an_ab_run(self) -> None:
        assert judge_ab_run(self.SLOW, BASELINE).verdict == "FAIL"
        run = replace(self.SLOW, generator_saturated=True)
        assert judge_ab_run(run, BASELINE).verdict == "WARN"


class TestADoubtfulBaseline:
    @pytest.mark.parametrize(
        ("doubtful", "why"),
        [
            pytest.param(replace(BASELINE, errors=3_200), "had 16.00 % errors", id="errors"),
            pytest.param(replace(BASELINE, sent=19_000), "5.00 % of its", id="shortfall"),
            pytest.param(replace(BASELINE, notes=("worker 2 was lost",)), "worker 2", id="worker"),
        ],
    )
    @pytest.mark.parametrize("run", [RUN, with_quantiles(RUN, p50=300)], ids=["alike", "slower"])
    def test_neither_passes_nor_fails_a_run(
        self, run: RunFacts, doubtful: RunFacts, why: str
    ) -> None:
        judgement = judge(run, replace(against(doubtful), how=SelectedBy.OLDEST))
        assert judgement.verdict == "WARN"
        [reason] = [text for text in judgement.reasons if "a doubtful measure" in text]
        assert why in reason
        assert reason.endswith("; run it again, or choose another baseline: tm baseline pin 8")

    def test_fails_a_run_with_more_errors_still(self) -> None:
        doubtful = replace(BASELINE, errors=1_200)
        run = replace(RUN, errors=1_500)
        judgement = judge(run, replace(against(doubtful), how=SelectedBy.OLDEST))
        assert judgement.verdict == "FAIL"
        assert any(text.endswith("tm baseline pin ID") for text in judgement.reasons)

    def test_that_the_user_has_chosen_fails_a_run(self) -> None:
        choice = replace(against(replace(BASELINE, errors=1_200)), how=SelectedBy.PINNED)
        assert judge(RUN, choice).verdict == "WARN"
        judgement = judge(with_quantiles(RUN, p50=300), choice)
        assert judgement.verdict == "FAIL"
        assert judgement.reasons[-1].endswith(
            "a doubtful measure; choose another baseline: tm baseline pin 8"
        )


def test_a_metric_that_improved_has_a_reference_of_its_own() -> None:
    first = with_quantiles(replace(BASELINE, history_id=2), p95=300)
    since = with_quantiles(replace(BASELINE, history_id=5), p50=70, p95=170)
    choice = replace(against(), reference=first, improved={"p95": since})
    judgement = judge(with_quantiles(RUN, p95=206), choice)
    [reason] = judgement.reasons
    assert reason.startswith("p95 206 ms, reference 170 ms, +21.2 %, limit +15 %")
    assert reason.endswith(" (run 5, the first that passed since p95 improved)")
    compared = judgement.snapshot["comparisons"]
    references = {c["metric"]: c["baseline"] for c in compared if c["than"] == "reference"}
    assert (references["p50"], references["p95"]) == (100, 170)
    assert judgement.snapshot["reference"] == 2


def test_the_oldest_run_that_was_compared_is_the_reference_of_the_snapshot() -> None:
    first, since = (replace(BASELINE, history_id=number) for number in (2, 5))
    every = dict.fromkeys(METRICS, since)
    assert (
        judge(RUN, replace(against(), reference=first, improved=every)).snapshot["reference"] == 5
    )
    newest = dict.fromkeys(METRICS, BASELINE)
    choice = replace(against(), reference=first, improved=newest)
    assert judge(RUN, choice).snapshot["reference"] is None


def test_many_small_slides_are_seen_against_the_first_run_that_passed() -> None:
    first = with_quantiles(replace(BASELINE, history_id=2), p95=170)
    choice = replace(against(), reference=first)
    judgement = judge(with_quantiles(RUN, p95=206), choice)
    assert judgement.verdict == "FAIL"
    assert judgement.reasons == (
        "p95 206 ms, reference 170 ms, +21.2 %, limit +15 % (run 2, the first that passed)",
    )
    assert judgement.snapshot["reference"] == 2


def test_the_snapshot_holds_every_comparison() -> None:
    aged = replace(BASELINE, age=86_400.0)
    snapshot = judge(with_quantiles(RUN, p95=251), against(aged)).snapshot
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot
    verdicts = {c["metric"]: c["verdict"] for c in snapshot["comparisons"]}
    assert verdicts == {
        "yardstick": "PASS",
        "p50": "PASS",
        "p95": "FAIL",
        "p99": "PASS",
        "p99.9": "PASS",
        "errors": "PASS",
        "throughput": "PASS",
        "all_errors": "PASS",
        "shortfall": "PASS",
        "requests": "PASS",
        "workers": "PASS",
        "generator": "PASS",
    }
    head = {name: snapshot[name] for name in ("method", "baseline", "baselineChoice")}
    assert head == {"method": "runs", "baseline": 7, "baselineChoice": "newest passing"}
    assert snapshot["baselineAgeSeconds"] == 86_400.0
    assert snapshot["limits"]["p95"] == {"warn": 5, "fail": 15}


def test_what_has_too_little_data_is_shown_without_a_verdict() -> None:
    few = small(with_quantiles(RUN, p99=800), 500)
    [p99] = [c for c in judge(few, against()).snapshot["comparisons"] if c["metric"] == "p99"]
    assert (p99["verdict"], p99["significant"], p99["pValue"]) == (None, False, None)
    assert p99["change"] == pytest.approx(100)
    assert p99["reason"] == "p99 is not judged: that takes 1,000 requests"


def test_without_any_response_time_to_judge_nothing_passes() -> None:
    limits = Thresholds(fewest_requests=1)
    few = against(small(BASELINE, 19))
    assert judge(small(RUN, 19), few, limits).verdict == "WARN"
    assert judge(small(RUN, 20), against(small(BASELINE, 20)), limits).verdict == "PASS"


def test_what_is_switched_off_has_no_verdict() -> None:
    limits = Thresholds().changed({"errors": False, "p95": False})
    found = judge(with_quantiles(RUN, p95=900), against(), limits).snapshot["comparisons"]
    assert {c["metric"]: c["verdict"] for c in found if c["metric"] in ("errors", "p95")} == {
        "errors": None,
        "p95": None,
    }


def test_limits_can_be_chosen() -> None:
    assert judge(RUN, against(), Thresholds(fewest_requests=40_000)).verdict == "WARN"


class TestADuet:
    @pytest.mark.parametrize(
        ("now", "verdict"),
        [
            pytest.param(RUN, "PASS", id="alike"),
            pytest.param(with_quantiles(RUN, p95=231), "FAIL", id="slower"),
            pytest.param(replace(RUN, errors=121), "FAIL", id="more-errors"),
            pytest.param(replace(RUN, generator_saturated=True), "WARN", id="saturated-machine"),
        ],
    )
    def test_is_judged_by_the_other_side(self, now: RunFacts, verdict: str) -> None:
        judgement = judge_ab_run(now, BASELINE)
        assert (judgement.verdict, judgement.baseline_id) == (verdict, None)
        assert judgement.snapshot["method"] == "duet"

    def test_fails_when_there_is_nothing_to_be_measured_by(self) -> None:
        broken = with_quantiles(replace(BASELINE, errors=20_000), p50=0.1, p95=0.1, p99=0.1)
        judgement = judge_ab_run(RUN, broken)
        assert judgement.verdict == "FAIL"
        assert judgement.reasons == (
            "the other target had 100.00 % errors (20000 of 20000): nothing can be measured by it",
        )

    @pytest.mark.parametrize(
        "sick",
        [
            pytest.param(replace(BASELINE, errors=1_200), id="errors"),
            pytest.param(replace(BASELINE, planned=20_600), id="requests-that-it-never-got"),
        ],
    )
    def test_is_in_doubt_when_the_other_side_is_sick(self, sick: RunFacts) -> None:
        slow = with_quantiles(sick, p50=900, p95=9000, p99=10_000)
        judgement = judge_ab_run(RUN, slow)
        assert judgement.verdict == "WARN"
        assert "a doubtful measure" in judgement.reasons[0]


@given(
    factor=st.floats(0, 100),
    p95=st.floats(0, 1e6),
    requests=st.integers(0, 10**7),
    errors=st.integers(0, 10**7),
    saturated=st.booleans(),
)
def test_a_pass_is_never_far_from_the_baseline(
    factor: float, p95: float, requests: int, errors: int, saturated: bool
) -> None:
    run = replace(
        with_quantiles(small(RUN, requests, min(errors, requests)), p95=p95 * factor),
        generator_saturated=saturated,
    )
    judgement = judge(run, against(with_quantiles(BASELINE, p95=p95)))
    json.dumps(judgement.snapshot, allow_nan=False)
    if judgement.verdict == "PASS":
        assert not saturated
        assert requests >= 200
        assert p95 * factor <= max(p95 * 1.0500001, p95 + 2)


@pytest.mark.parametrize(
    ("run", "others", "verdict"),
    [
        ((20_000, 0), [(10_000, 10_000)], "WARN"),
        ((15_001, 4_999), [(10_000, 10_000)], "WARN"),
        ((14_999, 5_001), [(10_000, 10_000)], "PASS"),
        ((10_000, 10_000, 0), [(20_000,)], "WARN"),
        ((20_000, 0, 0), [(10_000, 10_000, 0)], "WARN"),
        ((20_000, 0), [(0, 20_000)], "PASS"),  # ::1 of a server on 127.0.0.1, for example
        ((20_000, 0), [()], "PASS"),  # the run of an older version
        ((20_000, 0), [(0, 20_000), (10_000, 10_000)], "WARN"),
        ((20_000, 0), [(), (10_000, 10_000)], "WARN"),
        ((20_000,), [(10_000, 10_000)], "PASS"),  # the name has one address fewer
        ((), [(10_000, 10_000)], "PASS"),
        ((0, 0), [(10_000, 10_000)], "PASS"),
        ((1, 0), [(1, 0)], "PASS"),
    ],
)
def test_no_run_passes_that_left_out_an_instance_which_others_reached(run, others, verdict) -> None:
    baseline, *passed = (reached(BASELINE, *other) for other in others)
    choice = BaselineChoice(baseline, SelectedBy.NEWEST_PASSING, passed=tuple(passed))
    judgement = judge(reached(RUN, *run), choice)
    assert judgement.verdict == verdict
    if verdict == "WARN":
        assert judgement.reasons[0].startswith("hardly tested: 10.0.0.")


def test_a_baseline_that_was_named_says_alone_which_instances_there_are() -> None:
    choice = BaselineChoice(
        reached(BASELINE, 20_000, 0), SelectedBy.PINNED, passed=(reached(BASELINE, 9, 9),)
    )
    assert judge(reached(RUN, 20_000, 0), choice).verdict == "PASS"


def test_both_versions_of_an_ab_run_must_have_been_reached_alike() -> None:
    whole, half = reached(RUN, 10_000, 10_000), reached(RUN, 20_000, 0)
    assert judge_ab_run(half, whole).verdict == "WARN"
    assert judge_ab_run(whole, half).verdict == "PASS"


def answered(facts: RunFacts, mean_body: float | None = 1000.0, **shares: float) -> RunFacts:
    """A run whose responses had these statuses, such as `s200=0.9`."""
    counts = {name[1:]: round(share * facts.completed) for name, share in shares.items()}
    return replace(facts, statuses=counts, mean_body=mean_body)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        pytest.param({"s200": 1.0}, {"s302": 1.0}, "status 302 for 100.00 %", id="redirect"),
        pytest.param({"s200": 1.0}, {"s200": 0.98, "s204": 0.02}, "status 204", id="new"),
        pytest.param({"s200": 0.6, "s302": 0.4}, {"s200": 0.4, "s302": 0.6}, "302", id="more"),
        pytest.param({"s200": 1.0}, {"s200": 1.0, "mean_body": 0.0}, "mean body 0 bytes", id="0"),
        pytest.param({"s200": 1.0}, {"s200": 1.0, "mean_body": 490.0}, "mean body", id="half"),
        pytest.param({"s201": 1.0}, {"s200": 1.0}, "status 200", id="created-before"),
    ],
)
def test_responses_of_another_kind_are_a_warning_that_names_both(before, now, words) -> None:
    judgement = judge(answered(RUN, **now), against(answered(BASELINE, **before)))
    assert judgement.verdict == "WARN"
    reason = next(reason for reason in judgement.reasons if words in reason)
    assert "baseline" in reason


def test_a_new_status_is_told_with_the_one_it_replaces() -> None:
    judgement = judge(answered(RUN, s302=1.0), against(answered(BASELINE, s200=1.0)))
    assert judgement.reasons[0] == (
        "status 302 for 100.00 % of the responses (20000 of 20000), baseline 0.00 %, most had 200, "
        "+100.00 points, limit +1 points; if that is intended: tm baseline pin 8"
    )


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param({"s200": 0.8, "s304": 0.2}, {"s200": 0.76, "s304": 0.24}, id="cache"),
        pytest.param({"s200": 1.0}, {"s200": 0.995, "s204": 0.005}, id="few"),
        pytest.param({"s200": 1.0}, {"s200": 1.0, "mean_body": 510.0}, id="smaller"),
        pytest.param({"s200": 1.0}, {"s200": 1.0, "mean_body": 9e9}, id="larger"),
        pytest.param({"s200": 1.0, "mean_body": None}, {"s200": 1.0}, id="size-unknown-before"),
        pytest.param({"s200": 1.0}, {"s200": 1.0, "mean_body": None}, id="size-unknown-now"),
        pytest.param({"s200": 1.0, "mean_body": 0.0}, {"s200": 1.0}, id="nothing-before"),
    ],
)
def test_responses_of_the_same_kind_pass(before, now) -> None:
    judgement = judge(answered(RUN, **now), against(answered(BASELINE, **before)))
    assert judgement.verdict == "PASS", judgement.reasons


def random_statuses(chance: Random, requests: int, shares: dict[str, float]) -> RunFacts:
    names = chance.choices([*shares], weights=[*shares.values()], k=requests)
    numbers = {"planned": requests, "sent": requests, "completed": requests, "errors": 0}
    return replace(RUN, statuses=Counter(names), mean_body=1000.0, **numbers)


def share_of_warnings(requests: int, before: dict[str, float], now: dict[str, float]) -> float:
    """Of 300 pairs of runs whose statuses were drawn with these chances."""
    chance = Random(f"{requests} {before}")
    pairs = [
        [random_statuses(chance, requests, shares) for shares in (now, before)] for _ in range(300)
    ]
    found = [any(successes(*pair, Thresholds(), "baseline")) for pair in pairs]
    return sum(found) / len(found)


@pytest.mark.parametrize("requests", [200, 500, 2000])
@pytest.mark.parametrize(
    "shares",
    [
        {"200": 0.5, "204": 0.5},
        {"200": 0.95, "304": 0.05},
        {"200": 0.9, "304": 0.1},
        dict.fromkeys(("200", "201", "202", "204", "304"), 0.2),
    ],
    ids=lambda shares: " ".join(map(str, shares.values())),
)
def test_a_service_that_draws_its_statuses_is_no_warning(requests, shares) -> None:
    assert share_of_warnings(requests, shares, shares) <= 0.015


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"200": 1.0}, {"200": 0.95, "302": 0.05}),
        ({"200": 0.95, "304": 0.05}, {"200": 0.8, "304": 0.2}),
        ({"200": 0.7, "304": 0.3}, {"200": 0.3, "304": 0.7}),
    ],
)
def test_a_service_that_draws_its_statuses_with_other_chances_is_a_warning(before, now) -> None:
    assert share_of_warnings(500, before, now) > 0.95


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [(0, 800, "WARN"), (800, 800, "PASS"), (0, 100, "PASS"), (800, 0, "PASS")],
)
def test_requests_sent_again_for_a_target_that_closes_connections(before, now, verdict) -> None:
    run, baseline = replace(RUN, repeated=now), replace(BASELINE, repeated=before)
    judgement = judge(run, against(baseline))
    assert judgement.verdict == verdict
    told = "4.00 % of the requests (800 of 20000) were sent again"
    assert judgement.reasons[0].startswith(told) is (verdict == "WARN")


def test_what_responses_may_be_can_be_set() -> None:
    now, before = answered(RUN, 100.0, s302=1.0), answered(BASELINE, s200=1.0)
    never = Thresholds().changed({"statuses": False, "bodySize": False})
    assert judge(now, against(before), never).verdict == "PASS"
    fail = Thresholds().changed({"statuses": {"fail": 10}, "bodySize": False})
    assert judge(now, against(before), fail).verdict == "FAIL"


@pytest.mark.parametrize("share", [0.85, 0.95])
def test_a_first_run_of_redirects_says_so(share: float) -> None:
    judgement = judge(answered(RUN, s302=share, s200=1 - share), against(None))
    assert judgement.verdict == "NO_BASELINE"
    is_told = any("were redirects (302 ×" in reason for reason in judgement.reasons)
    assert is_told is (share > 0.9)


def test_a_first_run_of_redirects_that_were_expected_says_nothing() -> None:
    expected = Thresholds().changed({"expectStatus": [302]})
    judgement = judge(answered(RUN, s302=1.0), against(None), expected)
    assert not any("redirects" in reason for reason in judgement.reasons)


def test_the_sides_of_an_ab_run_must_answer_alike() -> None:
    judgement = judge_ab_run(answered(RUN, s302=1.0), answered(BASELINE, s200=1.0))
    assert judgement.verdict == "WARN"


@pytest.mark.parametrize("value", [200, ["200"], [404], [199], [True], None, {"a": 1}])
def test_expected_statuses_are_a_list_of_those_below_400(value: object) -> None:
    with pytest.raises(ValueError, match="gate: expectStatus: "):
        Thresholds().changed({"expectStatus": value})


@pytest.mark.parametrize(
    ("now", "before", "is_told"),
    [(0.31, 0.04, True), (0.13, 0.04, False), (None, 0.04, False), (0.31, None, False)],
)
@pytest.mark.parametrize(("p95", "verdict"), [(200, "PASS"), (300, "FAIL")])
def test_a_busier_machine_is_told_and_excuses_nothing(now, before, is_told, p95, verdict) -> None:
    run = replace(with_quantiles(RUN, p95=p95), cpu_pressure=now)
    judgement = judge(run, against(replace(BASELINE, cpu_pressure=before)))
    assert judgement.verdict == verdict
    told = "the load generator's machine waited for a CPU 31 % of the time, the baseline 4 %"
    assert judgement.reasons[-1].startswith(told) is is_told


def test_bodies_whose_sizes_vary_by_themselves_have_not_collapsed() -> None:
    """The baseline had a few large ones by chance, others did not."""
    sizes = (900.0, 1100.0, 800.0)
    passed = tuple(answered(replace(BASELINE, history_id=n), size) for n, size in enumerate(sizes))
    bad = answered(replace(BASELINE, history_id=6, verdict="WARN"), 300.0)
    choice = replace(against(answered(BASELINE, 2500.0)), passed=passed, completed=(*passed, bad))
    assert judge(answered(RUN, 1000.0), choice).verdict == "PASS"
    assert judge(answered(RUN, 300.0), choice).verdict == "WARN"
    pinned = replace(choice, how=SelectedBy.PINNED)
    assert judge(answered(RUN, 1000.0), pinned).verdict == "WARN"


def test_improvements_are_told_with_a_pass_and_listed() -> None:
    calm = [[(90_000, 900), (200_000, 100)]] * 20
    quick = [[(60_000, 900), (200_000, 100)]] * 20
    judgement = judge(
        replace(with_quantiles(RUN, p50=60), blocks=quick),
        against(replace(with_quantiles(BASELINE, p50=90), blocks=calm)),
    )
    assert judgement.snapshot["improved"] == ["p50"]
    assert [reason.endswith("; improved") for reason in judgement.reasons] == [True, False]
