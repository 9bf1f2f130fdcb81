"""The judge of benchmark runs: the table of section 8 of the contract, row by row."""

from __future__ import annotations

import pytest

from tm_cli.backends.runloop.judge import Baseline, Case, Expected, judge
from tm_cli.backends.runloop.measurements import Measured, ScenarioAttempt
from tm_cli.backends.runloop.rules import Rules, parse_share, read_score
from tm_cli.values.verdict import Verdict

ALL = frozenset({"a", "b", "c"})


def attempts(scores=None, **states):
    """Scenario runs by scenario; a state of `x failed` says why in the same way as a server."""
    scores = {"a": 1.0, "b": 1.0, "c": 0.5} if scores is None else scores
    return tuple(
        ScenarioAttempt(
            name,
            states.get(name, "completed"),
            score,
            problem=states.get(name) if states.get(name) in {"failed", "timeout"} else None,
        )
        for name, score in scores.items()
    )


def run(score=0.8, state="completed", made=None, run_id="bmr_2", benchmark="bmd_1", began=2000):
    made = attempts() if made is None else made
    return Measured(run_id, f"run {run_id}", state, score, made, benchmark, began)


def earlier(score=0.8, made=None, **more):
    return Baseline(run(score, run_id="bmr_1", began=1000, made=made, **more), choice="last")


def case(measured=None, baseline=None, expected=Expected(ALL), **rules):  # noqa: B008
    rules = Rules(**(rules or {"min_score": 0.5}))
    return Case(measured or run(), rules, expected, baseline or Baseline())


ROWS = [
    pytest.param(case(run(0.99, "canceled")), Verdict.FAIL, "canceled", id="4-canceled"),
    pytest.param(case(run(0.99, "failed")), Verdict.FAIL, "failed as a whole", id="5-failed"),
    pytest.param(case(run(0.99, "exploded")), None, "exploded", id="6-unknown-state"),
    pytest.param(case(run(1.0, made=())), Verdict.FAIL, "no scenario runs", id="7-nothing-run"),
    pytest.param(
        case(run(1.0), expected=Expected(frozenset(f"s{n}" for n in range(497)) | ALL)),
        Verdict.FAIL,
        "3 of 500 scenarios were run: 0.6 % coverage, 100 % is needed",
        id="7-three-of-five-hundred",
    ),
    pytest.param(
        case(run(1.0), expected=Expected(count=4)), Verdict.FAIL, "3 of 4", id="7-fewer-than-said"
    ),
    pytest.param(
        case(run(1.0), expected=Expected()), None, "unknown how many", id="7-number-is-unknown"
    ),
    pytest.param(
        case(run(1.0, made=attempts(b="scoring"))), Verdict.FAIL, "scoring", id="7-still-scoring"
    ),
    pytest.param(
        case(run(1.0), expected=Expected(frozenset({"a", "b"})), min_score=0.5, coverage=1.0),
        Verdict.FAIL,
        "does not have what was run: c",
        id="7-strange-scenario",
    ),
    pytest.param(case(run(None)), None, "no score yet", id="8-score-is-late"),
    pytest.param(case(run("0.9")), None, "not between 0 and 1", id="8-score-is-text"),
    pytest.param(case(run(True)), None, "not between 0 and 1", id="8-score-is-a-boolean"),
    pytest.param(case(run(float("nan"))), None, "not between 0 and 1", id="8-score-is-nan"),
    pytest.param(case(run(1.2)), None, "not between 0 and 1", id="8-score-above-1"),
    pytest.param(
        case(run(1.0, made=attempts(b="timeout"))),
        Verdict.FAIL,
        "1 of 3 scenario runs failed, 0 may: b (timeout)",
        id="9-failed-scenario",
    ),
    pytest.param(case(run(0.49)), Verdict.FAIL, "49 % of run bmr_2 is below 50 %", id="10-low"),
    pytest.param(case(max_drop=0.1), Verdict.NO_BASELINE, "no earlier run", id="11-no-baseline"),
    pytest.param(
        case(baseline=earlier(state="canceled"), max_drop=0.1),
        Verdict.NO_BASELINE,
        "run bmr_1 is canceled",
        id="11-baseline-canceled",
    ),
    pytest.param(
        case(baseline=earlier(None), warn_drop=0.1),
        Verdict.NO_BASELINE,
        "no usable score",
        id="11-baseline-without-score",
    ),
    pytest.param(
        case(baseline=earlier(made=attempts({"a": 1.0, "d": 1.0})), max_drop=0.1),
        Verdict.NO_BASELINE,
        "other scenarios",
        id="11-baseline-of-other-scenarios",
    ),
    pytest.param(
        case(baseline=earlier(benchmark="bmd_2"), max_drop=0.1),
        Verdict.NO_BASELINE,
        "another benchmark",
        id="11-baseline-of-another-benchmark",
    ),
    pytest.param(
        case(baseline=earlier(0.95), max_drop=0.1),
        Verdict.FAIL,
        "15 points below run bmr_1, 10 points may be",
        id="12-dropped",
    ),
    pytest.param(
        case(min_score=0.5, warn_score=0.9),
        Verdict.WARN,
        "is below 90 %",
        id="13-low-for-a-warning",
    ),
    pytest.param(
        case(baseline=earlier(0.9), warn_drop=0.05),
        Verdict.WARN,
        "10 points below",
        id="13-dropped-for-a-warning",
    ),
    pytest.param(
        case(baseline=earlier(made=attempts({"a": 1.0, "d": 1.0})), max_drop=0.1, common_only=True),
        Verdict.WARN,
        "1 common ones were compared",
        id="13-other-scenarios-tolerated",
    ),
    pytest.param(
        case(baseline=earlier(0.85), min_score=0.7, max_drop=0.1),
        Verdict.PASS,
        "run bmr_2 scored 80 % over 3 scenarios, run bmr_1 85 %",
        id="14-pass",
    ),
]


@pytest.mark.parametrize(("evidence", "verdict", "reason"), ROWS)
def test_row_of_the_contract(evidence, verdict, reason):
    judged = judge(evidence)
    assert judged.verdict is verdict
    assert reason in judged.reasons[0]


def test_first_rule_decides_and_the_others_are_told():
    judged = judge(case(run(0.2, "canceled", attempts(b="failed")), min_score=0.5, max_drop=0.1))
    assert judged.verdict is Verdict.FAIL
    said = [" canceled", "1 of 3 scenario runs failed", "is below 50 %", "no baseline"]
    assert all(word in reason for word, reason in zip(said, judged.reasons, strict=True))


@pytest.mark.parametrize(
    ("score", "verdict"), [(0.699999988, Verdict.PASS), (0.69999, Verdict.FAIL)]
)
def test_a_score_of_32_bits_meets_its_threshold(score, verdict):
    assert judge(case(run(score), min_score=0.7)).verdict is verdict


def test_drop_exactly_at_its_limit_is_allowed():
    evidence = case(run(0.699999988), earlier(0.8), max_drop=0.1)
    assert judge(evidence).verdict is Verdict.PASS


def test_scored_scenarios_count_as_done():
    assert judge(case(run(made=attempts(a="scored")))).verdict is Verdict.PASS


def test_lower_coverage_may_be_accepted():
    wide = Expected(ALL | {"d"})
    assert judge(case(expected=wide, min_score=0.5, coverage=0.75)).verdict is Verdict.PASS
    assert judge(case(expected=wide, min_score=0.5, coverage=0.76)).verdict is Verdict.FAIL


def test_failed_scenarios_may_be_accepted():
    made = attempts(b="failed")
    assert judge(case(run(made=made), min_score=0.5, max_failed=1)).verdict is Verdict.PASS


def test_common_scenarios_are_compared_by_their_own_means():
    before = earlier(0.1, made=attempts({"a": 1.0, "d": 0.0}))
    now = run(0.9, made=attempts({"a": 0.6, "b": 1.0, "c": 1.0}))
    judged = judge(case(now, before, max_drop=0.3, common_only=True))
    assert judged.verdict is Verdict.FAIL
    assert "40 points below" in judged.reasons[0]


def test_differences_are_told_scenario_by_scenario():
    before = earlier(made=attempts({"a": 1.0, "b": 0.0, "gone": 1.0}))
    now = run(
        made=(*attempts({"a": 0.0, "b": 1.0}), ScenarioAttempt("c", "failed", problem="failed"))
    )
    shown = {item.metric: item for item in judge(case(now, before)).comparisons}
    assert shown["scenario a"].reason == "scenario a regressed: now 0 %, baseline 100 %"
    assert shown["scenario b"].verdict == Verdict.PASS
    assert shown["scenario c"].verdict == Verdict.FAIL
    assert "gone" in (shown["scenario gone"].reason or "")
    assert "1 failed, 1 gone, 1 improved, 1 regressed" in judge(case(now, before)).notes[-1]


def test_repeated_scenarios_are_told_and_compared_by_the_worst():
    made = (*attempts({"a": 1.0, "b": 1.0, "c": 1.0}), ScenarioAttempt("a", "completed", 0.0))
    judged = judge(case(run(0.75, made=made), earlier(made=attempts(dict.fromkeys("abc", 1.0)))))
    assert "1 scenarios were attempted more than once" in judged.notes[0]
    regressed = [item for item in judged.comparisons if item.metric == "scenario a"]
    assert regressed[0].change == -100.0


@pytest.mark.parametrize(
    ("score", "note"),
    [
        (0.5, "counts 1 scenario runs without a score"),
        (0.75, "leaves out 1 scenario runs without a score"),
        (
            0.9,
            "is not the mean of the scenario scores (75 % over those with a score, 50 % over all)",
        ),
    ],
)
def test_score_is_checked_against_its_scenarios(score, note):
    made = attempts({"a": 1.0, "b": 0.5, "c": None}, c="failed")
    assert note in judge(case(run(score, made=made), min_score=0.1, max_failed=1)).notes[0]


def test_five_hundred_equal_scenarios_are_counted_and_not_listed():
    many = attempts({f"s{n}": 1.0 for n in range(500)})
    evidence = case(run(1.0, made=many), earlier(1.0, made=many), Expected(count=500))
    judged = judge(evidence)
    assert [item.metric for item in judged.comparisons] == ["score", "coverage"]
    assert "500 unchanged" in judged.notes[0]


@pytest.mark.parametrize(("text", "value"), [("0.85", 0.85), ("85%", 0.85), ("1", 1), ("100 %", 1)])
def test_share_is_read(text, value):
    assert parse_share(text) == value


@pytest.mark.parametrize("text", ["85", "-0.1", "nan", "101%", "", "1e-3", "٠٫٥", "0.5x"])
def test_share_that_may_be_meant_otherwise_is_refused(text):
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        parse_share(text)


@pytest.mark.parametrize(
    "rules",
    [
        {"min_score": 1.5},
        {"min_score": float("nan")},
        {"min_score": 0.9, "warn_score": 0.8},
        {"max_drop": 0.1, "warn_drop": 0.2},
        {"coverage": -1.0},
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules):
    with pytest.raises(ValueError):
        Rules(**rules)


def test_rules_survive_being_remembered():
    rules = Rules(min_score=0.8, max_drop=0.03, max_failed=2, coverage=0.9, common_only=True)
    assert Rules.from_document(rules.document()) == rules
    with pytest.raises(ValueError, match="does not know"):
        Rules.from_document({"min_scor": 0.8})


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), -0.1, 1.01, [1]])
def test_what_is_no_score_is_never_read_as_one(value):
    assert read_score(value) is None


def test_every_sum_of_findings_stays_out_of_a_pass():
    """No state but `completed`, no missing evidence and no broken rule can pass."""
    rules = [{"min_score": 0.5}, {"max_drop": 0.1}, {"warn_score": 0.99}]
    for chosen in rules:
        for state in ("completed", "canceled", "failed", "running", ""):
            for score in (None, 0.0, 0.4, 0.8, 2.0):
                for made in ((), attempts(), attempts(a="running"), attempts(a="failed")):
                    judged = judge(case(run(score, state, made), **chosen))
                    is_sound = state == "completed" and made == attempts() and score == 0.8
                    assert judged.verdict is not Verdict.PASS or is_sound
