"""Limits that hold whatever the baseline, and those of stretches of the curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.unit.server.judge.test_noise import played
from tests.unit.server.judge.test_verdict import (
    BASELINE,
    RUN,
    against,
    small,
    with_quantiles,
)
from tm_cli.server.judge import (
    BaselineChoice,
    Judgement,
    RunFacts,
    SelectedBy,
    Thresholds,
    judge,
    judge_ab_run,
)
from tm_cli.values.thresholds import Stretch

PEAK = Stretch(60, 90)


def limits(**changes: object) -> Thresholds:
    return Thresholds().changed(changes)


def at_peak(facts: RunFacts, requests: int = 6000, errors: int = 0, **quantiles: float) -> RunFacts:
    part = small(with_quantiles(facts, **quantiles), requests, errors)
    return replace(facts, stretches={PEAK: part})


def compared(judgement: Judgement, metric: str, than: str | None) -> Mapping[str, object]:
    found = judgement.snapshot["comparisons"]
    return next(item for item in found if (item["metric"], item["than"]) == (metric, than))


@pytest.mark.parametrize(
    ("p95", "verdict"),
    [(190, "NO_BASELINE"), (300, "NO_BASELINE"), (301, "WARN"), (400, "WARN"), (401, "FAIL")],
)
def test_a_first_run_has_absolute_limits(p95: float, verdict: str) -> None:
    thresholds = limits(p95={"warnMs": 300, "failMs": 400})
    judgement = judge(with_quantiles(RUN, p95=p95), against(None), thresholds)
    assert judgement.verdict == verdict
    assert compared(judgement, "p95", "limit")["value"] == p95
    if verdict == "FAIL":
        assert judgement.reasons == ("p95 401 ms, limit 400 ms, whatever the baseline",)
    if verdict == "NO_BASELINE":
        assert judgement.reasons == ("no earlier run",)


def test_a_limit_does_not_hide_that_the_named_baseline_is_lost() -> None:
    lost = BaselineChoice(None, SelectedBy.PINNED, reason="the pinned run is gone")
    judgement = judge(with_quantiles(RUN, p95=350), lost, limits(p95={"warnMs": 300}))
    assert judgement.verdict == "WARN"
    assert judgement.reasons[1:] == ("the pinned run is gone",)


def test_an_absolute_limit_holds_next_to_the_relative_one() -> None:
    slow = with_quantiles(BASELINE, p95=500), with_quantiles(RUN, p95=500)
    thresholds = limits(p95={"warn": 10, "fail": 25, "failMs": 400})
    assert judge(slow[1], against(slow[0]), thresholds).verdict == "FAIL"
    slower = with_quantiles(RUN, p95=260)
    assert judge(slower, against(), thresholds).verdict == "FAIL"
    assert judge(RUN, against(), thresholds).verdict == "PASS"


def test_an_ab_run_has_the_absolute_limits_of_its_new_side() -> None:
    slow = with_quantiles(RUN, p95=500)
    thresholds = limits(p95={"failMs": 400})
    assert judge_ab_run(slow, slow, thresholds).verdict == "FAIL"
    assert judge_ab_run(RUN, slow, thresholds).verdict == "PASS"


@pytest.mark.parametrize(
    ("run", "verdict", "words"),
    [
        (
            small(with_quantiles(RUN, p95=150), 199),
            "WARN",
            "that takes 200 requests, there were 199",
        ),
        (small(with_quantiles(RUN, p95=500), 199), "FAIL", "p95 500 ms, limit 400 ms"),
        (replace(RUN, quantiles_ms={}), "WARN", "p95 is not known, so its limit of 400 ms"),
        (
            replace(with_quantiles(RUN, p95=500), generator_saturated=True),
            "WARN",
            "no failure: the load generator's machine",
        ),
    ],
    ids=["too-few-requests", "few-but-beyond", "unknown", "saturated"],
)
@pytest.mark.parametrize("baseline", [None, BASELINE], ids=["first-run", "compared"])
def test_what_cannot_be_judged_by_its_limit_does_not_pass(
    run: RunFacts, verdict: str, words: str, baseline: RunFacts | None
) -> None:
    judgement = judge(run, against(baseline), limits(p95={"failMs": 400}, minRequests=1))
    assert judgement.verdict == verdict
    assert words in "; ".join(judgement.reasons)


@pytest.mark.parametrize(
    ("said", "run", "verdict", "words"),
    [
        ({"fail": 20}, at_peak(RUN, p95=230), "PASS", ""),
        ({"fail": 20}, at_peak(RUN, p95=250), "FAIL", "p95[60s..90s] 250 ms, baseline 200 ms"),
        ({"warn": 10}, at_peak(RUN, p95=250), "WARN", "limit +10 %"),
        ({"failMs": 800}, at_peak(RUN, p95=790), "PASS", ""),
        ({"failMs": 800}, at_peak(RUN, p95=810), "FAIL", "p95[60s..90s] 810 ms, limit 800 ms"),
        ({"fail": 20}, at_peak(RUN, 150), "WARN", "is not judged: that takes 200 requests"),
        ({"failMs": 800}, at_peak(RUN, 150), "WARN", "cannot be judged by its limit of 800 ms"),
        ({"fail": 20}, RUN, "WARN", "p95[60s..90s] is not known of this run"),
        ({"failMs": 800}, RUN, "WARN", "p95[60s..90s] is not known, so"),
        (
            {"fail": 20},
            replace(at_peak(RUN, p95=250), generator_saturated=True),
            "WARN",
            "no failure: the load generator's machine",
        ),
    ],
)
def test_a_stretch_has_limits_of_its_own(
    said: object, run: RunFacts, verdict: str, words: str
) -> None:
    judgement = judge(run, against(at_peak(BASELINE)), limits(**{"p95[60s..90s]": said}))
    assert judgement.verdict == verdict
    assert words in "; ".join(judgement.reasons)


def test_a_stretch_that_the_baseline_does_not_know_is_not_passed() -> None:
    judgement = judge(at_peak(RUN), against(), limits(**{"p95[60s..90s]": {"fail": 20}}))
    assert judgement.verdict == "WARN"
    assert judgement.reasons == ("p95[60s..90s] is not known of the baseline",)


def test_a_stretch_that_is_too_noisy_for_its_limit_is_not_passed() -> None:
    run, before = (
        replace(facts, stretches={PEAK: played([0.7, 1.4] * 6, seed=seed)})
        for facts, seed in ((RUN, 1), (BASELINE, 3))
    )
    judgement = judge(run, against(before), limits(**{"p99[60s..90s]": {"fail": 3}}))
    assert judgement.verdict == "WARN"
    assert "cannot exclude" in "; ".join(judgement.reasons)


@pytest.mark.parametrize(
    ("key", "errors", "verdict"),
    [
        ("errors[60s..90s]", 30, "PASS"),
        ("errors[60s..90s]", 70, "FAIL"),
        ("allErrors[60s..90s]", 60, "PASS"),
        ("allErrors[60s..90s]", 70, "FAIL"),
    ],
)
def test_errors_of_a_stretch_have_limits(key: str, errors: int, verdict: str) -> None:
    thresholds = limits(**{key: {"fail": 1}})
    run = at_peak(RUN, errors=errors)
    judgement = judge(run, against(at_peak(BASELINE)), thresholds)
    assert judgement.verdict == verdict
    assert [item for item in judgement.snapshot["comparisons"] if item["metric"] == key]


def test_errors_of_a_stretch_fail_a_run_of_a_saturated_generator_as_all_errors_do() -> None:
    thresholds = limits(**{"errors[60s..90s]": {"fail": 1}})
    run = replace(at_peak(RUN, errors=70), generator_saturated=True)
    assert judge(run, against(at_peak(BASELINE)), thresholds).verdict == "FAIL"


def test_a_stretch_of_a_first_run_has_its_absolute_limits_alone() -> None:
    thresholds = limits(**{"p95[60s..90s]": {"fail": 20, "failMs": 800}})
    assert judge(at_peak(RUN), against(None), thresholds).verdict == "NO_BASELINE"
    assert judge(at_peak(RUN, p95=900), against(None), thresholds).verdict == "FAIL"


def test_a_stretch_without_requests_is_not_passed() -> None:
    thresholds = limits(**{"errors[60s..90s]": {"fail": 1}, "allErrors[60s..90s]": {"fail": 1}})
    judgement = judge(at_peak(RUN, 0), against(at_peak(BASELINE, 0)), thresholds)
    assert judgement.verdict == "WARN"
    assert len(judgement.reasons) == 2


def test_a_stretch_is_compared_between_the_sides_of_an_ab_run() -> None:
    thresholds = limits(**{"p95[60s..90s]": {"fail": 20}})
    old = at_peak(BASELINE)
    assert judge_ab_run(at_peak(RUN, p95=250), old, thresholds).verdict == "FAIL"
    assert judge_ab_run(at_peak(RUN), old, thresholds).verdict == "PASS"


def test_the_limits_are_in_the_snapshot_and_can_be_read_back() -> None:
    said = {
        "p95": {"warn": 10, "fail": 25, "failMs": 400},
        "p50": {"warn": False, "fail": False, "warnMs": 100},
        "p95[60s..90s]": {"fail": 20, "failMs": 800},
    }
    document = judge(RUN, against(), limits(**said)).snapshot["limits"]
    assert {key: document[key] for key in said} == {
        **said,
        "p50": {"warn": False, "fail": False, "warnMs": 100},
    }
    assert Thresholds().changed(document) == limits(**said)
