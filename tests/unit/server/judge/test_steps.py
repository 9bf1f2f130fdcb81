"""Steps are judged like runs of their own, at a level for all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.server.judge.test_noise import played
from tests.unit.server.judge.test_verdict import BASELINE, RUN, against, small, with_quantiles
from tm_cli.server.judge import BaselineChoice, Judgement, RunFacts, Thresholds, judge, judge_ab_run
from tm_cli.server.judge.sequential import Interim, SequentialTest

CALM = [1.0, 1.02, 0.98, 1.01, 0.99, 1.0, 1.02, 0.98, 1.01, 0.99, 1.0, 1.0]


def with_steps(run: RunFacts, **steps: RunFacts) -> RunFacts:
    return replace(run, steps=steps)


def both(now: RunFacts, before: RunFacts = BASELINE, gate: Any = None) -> Judgement:
    """Judge a run of which one step, /cart, is `now` by one in which it was `before`."""
    thresholds = Thresholds().changed(None if gate is None else {"steps": gate})
    baseline = against(with_steps(BASELINE, login=BASELINE, cart=before))
    return judge(with_steps(RUN, login=RUN, cart=now), baseline, thresholds)


def step(judgement: Judgement, name: str = "cart") -> Mapping[str, Any]:
    return next(item for item in judgement.snapshot["steps"] if item["name"] == name)


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (RUN, "PASS"),
        (with_quantiles(RUN, p95=212), "WARN"),
        (with_quantiles(RUN, p95=240), "FAIL"),
        (with_quantiles(RUN, p50=90, p95=150), "PASS"),
        (replace(RUN, errors=400), "FAIL"),
        (replace(RUN, errors=70), "WARN"),
    ],
)
def test_the_worst_step_is_the_verdict(now: RunFacts, verdict: str) -> None:
    judgement = both(now)
    assert (judgement.verdict, step(judgement)["verdict"]) == (verdict, verdict)
    assert step(judgement, "login")["verdict"] == "PASS"
    assert ("step cart: " in judgement.reasons[0]) is (verdict != "PASS")


def test_the_comparisons_of_steps_are_not_among_those_of_the_run() -> None:
    judgement = both(with_quantiles(RUN, p95=240))
    metrics = [item["metric"] for item in judgement.snapshot["comparisons"]]
    assert metrics.count("p95") == 1
    found = {item["metric"]: item for item in step(judgement)["comparisons"]}
    assert (found["p95"]["value"], found["p95"]["baseline"]) == (240, 200)
    assert "reason" not in found["p50"]


@pytest.mark.parametrize(
    ("gate", "p95", "verdict"),
    [
        ({"cart": {"p95": {"fail": 50}}}, 240, "WARN"),
        ({"cart": {"p95": False}}, 240, "PASS"),
        ({"cart": False}, 240, "PASS"),
        (False, 240, "PASS"),
        ({"cart": {"p95": {"failMs": 205}}}, 206, "FAIL"),
        ({"cart": {"p95": {"warn": 1, "fail": 2}}}, 206, "FAIL"),
        ({"login": {"p95": {"fail": 50}}}, 240, "FAIL"),
    ],
)
def test_a_step_has_thresholds_of_its_own(gate: Any, p95: float, verdict: str) -> None:
    assert both(with_quantiles(RUN, p95=p95), gate=gate).verdict == verdict


@pytest.mark.parametrize("choice", [against(None), against(with_steps(BASELINE, cart=BASELINE))])
def test_limits_of_a_step_need_no_baseline(choice: BaselineChoice) -> None:
    thresholds = Thresholds().changed({"steps": {"cart": {"p95": {"failMs": 150}}}})
    judgement = judge(with_steps(RUN, cart=RUN), choice, thresholds)
    assert judgement.verdict == "FAIL"
    assert judgement.reasons[0].startswith("step cart: p95 200 ms, limit 150 ms")


@pytest.mark.parametrize("choice", [against(None), against()])
@pytest.mark.parametrize("run", [RUN, with_steps(RUN, login=RUN)])
def test_a_threshold_of_a_step_that_was_not_played_fails(
    run: RunFacts, choice: BaselineChoice
) -> None:
    thresholds = Thresholds().changed({"steps": {"cart": {"errors": {"fail": 1}}}})
    judgement = judge(run, choice, thresholds)
    assert judgement.verdict == "FAIL"
    assert "step cart: it has thresholds (gate.steps), but it was not played" in str(
        judgement.reasons
    )
    assert judge_ab_run(run, BASELINE, thresholds).verdict == "FAIL"


def test_a_step_may_be_one_of_those_that_are_counted_together() -> None:
    thresholds = Thresholds().changed({"steps": {"cart": {"errors": {"fail": 1}}}})
    run = replace(RUN, steps={"(other steps)": RUN, "login": RUN})
    judgement = judge(run, against(run), thresholds)
    assert judgement.verdict == "FAIL"
    assert judgement.reasons[0].endswith("login; it may be counted in (other steps)")


def test_a_threshold_without_a_step_to_compare_with_is_a_warning() -> None:
    thresholds = Thresholds().changed({"steps": {"cart": {"errors": {"fail": 1}}}})
    judgement = judge(with_steps(RUN, cart=small(RUN, 10)), against(), thresholds)
    assert judgement.verdict == "WARN"
    assert "cannot be judged, because the baseline did not play it" in judgement.reasons[0]


def test_a_named_quantile_with_too_few_requests_is_a_warning_and_others_are_not_judged() -> None:
    few = small(RUN, 150), small(BASELINE, 150)
    assert both(*few).verdict == "PASS"
    judgement = both(*few, gate={"cart": {"p95": {"fail": 20}}})
    assert judgement.verdict == "WARN"
    assert "p95 is not judged: that takes 200 requests" in judgement.reasons[0]
    assert both(*few, gate={"cart": {"p95": False}}).verdict == "PASS"


@pytest.mark.parametrize(("completed", "verdict"), [(19, "WARN"), (20, "PASS")])
def test_a_step_with_thresholds_that_was_hardly_played_does_not_pass(
    completed: int, verdict: str
) -> None:
    few = small(RUN, completed), small(BASELINE, completed)
    assert both(*few).verdict == "PASS"
    assert both(*few, gate={"cart": {"errors": {"fail": 1}}}).verdict == verdict


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        (0, 2000, "WARN"),
        (2000, 0, "WARN"),
        (800, 2000, "WARN"),
        (1500, 2000, "PASS"),
        (0, 15, "PASS"),
        (20, 45, "PASS"),
    ],
)
def test_a_step_that_is_played_much_more_rarely_is_a_warning(
    now: int, before: int, verdict: str
) -> None:
    assert both(small(RUN, now), small(BASELINE, before)).verdict == verdict


@pytest.mark.parametrize(
    ("completed", "errors", "verdict"),
    [(19, 15, "WARN"), (1000, 600, "FAIL"), (1000, 60, "WARN"), (1000, 30, "NO_BASELINE")],
)
def test_a_step_that_mostly_fails_is_bad_on_the_first_run(
    completed: int, errors: int, verdict: str
) -> None:
    run = with_steps(RUN, cart=small(RUN, completed, errors))
    assert judge(run, against(None)).verdict == verdict


def test_many_steps_need_better_evidence_except_for_thresholds_of_their_own() -> None:
    before = [played(CALM, seed=seed, per_block=60) for seed in range(10)]
    now = [played(CALM, seed=100 + seed, per_block=60) for seed in range(9)]

    def verdict(steps: int, own: Any = None, factor: float = 1.12) -> str:
        slower = played([factor * one for one in CALM], seed=7, per_block=60)
        names = [f"step {number}" for number in range(steps)]
        run = replace(RUN, steps=dict(zip(names, [slower, *now], strict=False)))
        other = replace(BASELINE, steps=dict(zip(names, before, strict=False)))
        gate = {"steps": dict.fromkeys(names, own)} if own else {}
        steps_of = judge(run, against(other), Thresholds().changed(gate)).snapshot["steps"]
        return str(steps_of[0]["verdict"])

    assert verdict(1) == "WARN"
    assert verdict(3) == "PASS"
    assert verdict(3, {"p95": {"fail": 5}}) == "WARN"
    # other thresholds ask nothing about the quantile that has risen
    assert verdict(3, {"errors": {"fail": 1}}) == "PASS"
    assert verdict(3, {"p95": {"failMs": 10_000}}) == "PASS"
    # among enough others, it is known how fast the machine was
    assert verdict(10, factor=1.15) == "WARN"


def test_a_slower_machine_makes_no_step_stand_out() -> None:
    names = [f"step {number}" for number in range(10)]
    before = [played(CALM, seed=seed, per_block=60) for seed in range(10)]
    now = [played([1.08 * f for f in CALM], seed=50 + seed, per_block=60) for seed in range(10)]
    run = replace(RUN, steps=dict(zip(names, now, strict=True)))
    other = replace(BASELINE, steps=dict(zip(names, before, strict=True)))
    verdicts = [item["verdict"] for item in judge(run, against(other)).snapshot["steps"]]
    assert verdicts == ["PASS"] * 10


def test_nothing_is_decided_early_while_a_step_with_thresholds_was_not_played() -> None:
    seen = Interim(60.0, 0.9, 11, 12, frozenset({"PASS", "FAIL"}))
    run = replace(played(CALM, seed=3), history_id=8, verdict=None)
    run = with_steps(run, cart=played(CALM, seed=4))
    baseline = against(with_steps(played(CALM, seed=5), cart=played(CALM, seed=6)))
    gates = {"cart": {"p50": {"fail": 15}}}, {"chekout": {"p50": {"fail": 15}}}
    known = [
        SequentialTest().look(run, baseline, Thresholds().changed({"steps": gate}), seen)
        for gate in gates
    ]
    assert known == ["PASS", None]


def test_few_of_many_bad_steps_are_among_the_reasons() -> None:
    names = [f"/{number}" for number in range(50)]
    slow = with_quantiles(RUN, p95=400)
    run = replace(RUN, steps=dict.fromkeys(names, slow))
    judgement = judge(run, against(replace(BASELINE, steps=dict.fromkeys(names, BASELINE))))
    assert judgement.verdict == "FAIL"
    assert len(judgement.reasons) == 6
    assert judgement.reasons[-1] == "45 more steps have findings"
    assert len(judgement.snapshot["steps"]) == 50


def test_a_saturated_generator_fails_no_step_by_its_times() -> None:
    baseline = against(with_steps(BASELINE, cart=BASELINE))
    run = replace(RUN, generator_saturated=True)
    slow = with_steps(run, cart=with_quantiles(run, p95=400))
    assert judge(slow, baseline).verdict == "WARN"
    failing = with_steps(run, cart=replace(run, errors=400))
    assert judge(failing, baseline).verdict == "FAIL"


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ({"steps": 5}, "gate: steps: it is neither"),
        ({"steps": {"cart": 5}}, "gate: steps: cart: it is neither"),
        ({"steps": {"cart": {}}}, "gate: steps: cart: it is neither"),
        ({"steps": {"cart": {"shortfall": False}}}, "gate: steps: cart: shortfall: unknown"),
        ({"steps": {"cart": {"p95[0s..5s]": {"fail": 5}}}}, "unknown threshold of a step"),
        ({"steps": {"cart": {"p95": {"warn": 20}}}}, "gate: steps: cart: p95: warn 20 is above"),
        ({"steps": {"a\nb": {"p95": False}}}, "is not the name of a step"),
        ({"steps": {str(n): False for n in range(201)}}, "more than 200 steps"),
    ],
)
def test_thresholds_of_steps_that_cannot_be_used_are_named(gate: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("(", r"\(")):
        Thresholds().changed(gate)


def test_thresholds_of_steps_are_told_as_they_were_given_and_later_ones_are_added() -> None:
    project = Thresholds().changed({"steps": {"cart": {"p95": {"fail": 25}}, "login": False}})
    both = project.changed({"steps": {"cart": {"p95": {"failMs": 400}}}})
    assert both.document()["steps"] == {
        "cart": {"p95": {"fail": 25, "failMs": 400}},
        "login": False,
    }
    assert Thresholds().changed(both.document()) == both
    off = both.changed({"steps": False})
    assert (off.document()["steps"], Thresholds().changed(off.document())) == (False, off)
