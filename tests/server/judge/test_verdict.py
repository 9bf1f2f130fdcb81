import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.server.judge import Judgement, Limits, RunFacts, judge

BASELINE = RunFacts(
    history_id=7,
    verdict="PASS",
    fingerprint="same",
    planned=10_000,
    sent=10_000,
    completed=10_000,
    errors=10,
    quantiles_ms={"p50": 100.0, "p90": 150.0, "p95": 200.0, "p99": 400.0, "p99.9": 800.0},
    generator_saturated=False,
)
RUN = replace(BASELINE, history_id=8, verdict=None)


def with_quantiles(facts: RunFacts, **quantiles: float) -> RunFacts:
    return replace(facts, quantiles_ms={**facts.quantiles_ms, **quantiles})


def small(facts: RunFacts, requests: int, errors: int = 0) -> RunFacts:
    return replace(facts, planned=requests, sent=requests, completed=requests, errors=errors)


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        pytest.param(RUN, "PASS", id="the-same"),
        pytest.param(with_quantiles(RUN, p50=50, p95=90, p99=100), "PASS", id="faster"),
        pytest.param(with_quantiles(RUN, p50=110), "PASS", id="p50-at-the-warning-limit"),
        pytest.param(with_quantiles(RUN, p50=110.1), "WARN", id="p50-above-it"),
        pytest.param(with_quantiles(RUN, p50=125), "WARN", id="p50-at-the-failure-limit"),
        pytest.param(with_quantiles(RUN, p50=125.1), "FAIL", id="p50-beyond-it"),
        pytest.param(with_quantiles(RUN, p95=221), "WARN", id="p95-a-bit-slower"),
        pytest.param(with_quantiles(RUN, p95=251), "FAIL", id="p95-much-slower"),
        pytest.param(with_quantiles(RUN, p99=500), "PASS", id="p99-may-vary-more"),
        pytest.param(with_quantiles(RUN, p99=501), "WARN", id="p99-slower"),
        pytest.param(with_quantiles(RUN, p99=601), "FAIL", id="p99-much-slower"),
        pytest.param(with_quantiles(RUN, **{"p99.9": 8000}), "PASS", id="p99.9-is-not-judged"),
        pytest.param(replace(RUN, errors=30), "PASS", id="errors-at-the-warning-limit"),
        pytest.param(replace(RUN, errors=31), "WARN", id="errors-above-it"),
        pytest.param(replace(RUN, errors=110), "WARN", id="errors-at-the-failure-limit"),
        pytest.param(replace(RUN, errors=111), "FAIL", id="errors-beyond-it"),
        pytest.param(replace(RUN, errors=0), "PASS", id="fewer-errors"),
        pytest.param(small(RUN, 100, errors=1), "PASS", id="a-single-error-does-not-count"),
        pytest.param(small(RUN, 100, errors=3), "FAIL", id="three-of-a-hundred-do"),
        pytest.param(replace(RUN, errors=10_000), "FAIL", id="nothing-but-errors"),
        pytest.param(replace(RUN, sent=9900), "PASS", id="shortfall-at-the-warning-limit"),
        pytest.param(replace(RUN, sent=9899), "WARN", id="shortfall-above-it"),
        pytest.param(replace(RUN, sent=9499), "FAIL", id="shortfall-beyond-the-failure-limit"),
        pytest.param(replace(RUN, generator_saturated=True), "WARN", id="saturated-machine"),
        pytest.param(
            replace(with_quantiles(RUN, p95=400), generator_saturated=True),
            "FAIL",
            id="saturation-excuses-nothing",
        ),
        pytest.param(small(RUN, 99), "WARN", id="too-few-to-say"),
        pytest.param(small(RUN, 100), "PASS", id="just-enough-to-say"),
        pytest.param(small(RUN, 0), "WARN", id="an-empty-run"),
        pytest.param(replace(RUN, sent=0, completed=0, errors=0), "FAIL", id="nothing-was-sent"),
        pytest.param(replace(RUN, quantiles_ms={}), "WARN", id="unknown-response-times"),
        pytest.param(small(replace(RUN, quantiles_ms={}), 1, errors=1), "FAIL", id="one-failure"),
    ],
)
def test_against_its_baseline_a_run_is(run: RunFacts, verdict: str) -> None:
    judgement = judge(run, BASELINE)
    assert (judgement.verdict, judgement.baseline_id) == (verdict, 7)
    assert judgement.reasons


def test_without_a_baseline_the_verdict_says_so() -> None:
    expected = Judgement("NO_BASELINE", ("no earlier run to compare with",), {}, None)
    assert judge(replace(RUN, errors=500), None) == expected


def test_earlier_runs_that_are_not_comparable_are_mentioned() -> None:
    judgement = judge(RUN, None, others=3)
    assert judgement.verdict == "NO_BASELINE"
    assert "of the 3 before it none had the same target" in judgement.reasons[0]


@pytest.mark.parametrize("baseline", [None, BASELINE], ids=["alone", "compared"])
@pytest.mark.parametrize(
    ("errors", "verdict"), [(501, "WARN"), (4_999, "WARN"), (5_000, "FAIL"), (10_000, "FAIL")]
)
def test_many_errors_are_bad_whatever_the_baseline(baseline, errors, verdict) -> None:
    same = replace(baseline, errors=errors) if baseline else None
    assert judge(replace(RUN, errors=errors), same).verdict == verdict


def test_run_without_a_completed_request_fails() -> None:
    assert judge(replace(RUN, sent=0, completed=0, errors=0), None).verdict == "FAIL"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        pytest.param(1.0, 5.9, "PASS", id="within-the-floor"),
        pytest.param(1.0, 6.0, "FAIL", id="at-the-floor"),
        pytest.param(0.0, 4.0, "PASS", id="from-nothing-within-the-floor"),
        pytest.param(0.0, 9.0, "FAIL", id="from-nothing"),
    ],
)
def test_a_rise_of_a_few_milliseconds_never_counts(
    before: float, after: float, verdict: str
) -> None:
    judgement = judge(with_quantiles(RUN, p95=after), with_quantiles(BASELINE, p95=before))
    assert judgement.verdict == verdict


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        pytest.param(
            with_quantiles(RUN, p95=312),
            "p95 312 ms, baseline 200 ms, +56 %, limit +25 %",
            id="failed-quantile",
        ),
        pytest.param(
            with_quantiles(RUN, p50=115),
            "p50 115 ms, baseline 100 ms, +15 %, limit +10 %",
            id="warned-quantile",
        ),
        pytest.param(
            with_quantiles(RUN, p95=204),
            "p95 204 ms, baseline 200 ms, +2 %, limit +25 %",
            id="pass",
        ),
        pytest.param(
            replace(RUN, errors=210),
            "errors 2.10 % (210 of 10000), baseline 0.10 %, +2.00 points, limit +1 points",
            id="errors",
        ),
        pytest.param(
            replace(RUN, sent=9000),
            "1000 of 10000 planned requests were not sent, 10.00 %, limit 5 %",
            id="shortfall",
        ),
        pytest.param(
            small(RUN, 12), "12 requests completed; fewer than 100 say little", id="too-few"
        ),
        pytest.param(
            replace(RUN, generator_saturated=True),
            "the load generator's machine, not the target, was the limit of this run",
            id="saturated",
        ),
        pytest.param(replace(RUN, quantiles_ms={}), "p50 is not known of this run", id="unknown"),
    ],
)
def test_the_reason_has_the_numbers(run: RunFacts, reason: str) -> None:
    assert judge(run, BASELINE).reasons[0] == reason


def test_a_pass_explains_a_big_relative_rise() -> None:
    judgement = judge(with_quantiles(RUN, p95=4.0), with_quantiles(BASELINE, p95=2.0))
    assert judgement.reasons == (
        "p95 4.0 ms, baseline 2.0 ms, +100 %, limit +25 %; a rise under 5 ms does not count",
    )


def test_the_worst_reason_comes_first() -> None:
    run = replace(with_quantiles(RUN, p50=115, p99=900), generator_saturated=True)
    assert [reason.split()[0] for reason in judge(run, BASELINE).reasons] == ["p99", "p50", "the"]


def test_a_saturated_baseline_is_mentioned() -> None:
    judgement = judge(RUN, replace(BASELINE, generator_saturated=True))
    assert judgement.verdict == "WARN"
    assert "baseline" in judgement.reasons[0]


def test_the_snapshot_holds_every_comparison() -> None:
    snapshot = judge(with_quantiles(RUN, p95=251), BASELINE).snapshot
    assert json.loads(json.dumps(snapshot, allow_nan=False)) == snapshot
    verdicts = {c["metric"]: c["verdict"] for c in snapshot["comparisons"]}
    assert verdicts == {
        "p50": "PASS",
        "p95": "FAIL",
        "p99": "PASS",
        "errors": "PASS",
        "all_errors": "PASS",
        "shortfall": "PASS",
        "completed": "PASS",
        "generator_saturated": "PASS",
    }
    assert snapshot["baseline"] == 7


def test_limits_can_be_chosen() -> None:
    strict = Limits(fewest_completed=20_000)
    assert judge(RUN, BASELINE, strict).verdict == "WARN"


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
    judgement = judge(run, with_quantiles(BASELINE, p95=p95))
    json.dumps(judgement.snapshot, allow_nan=False)
    if judgement.verdict == "PASS":
        assert not saturated
        assert requests >= 100
        assert p95 * factor <= max(p95 * 1.1000001, p95 + 5)
