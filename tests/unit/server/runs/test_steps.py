"""Runs whose arrivals are several requests: results by step, from the engine to the verdict."""

import json

import pytest

pytestmark = pytest.mark.process

OLD = "http://127.0.0.1:9/old?{}"


def played(api, profile, **asked):
    return api.judged(api.start(profile, **asked))


def step_of(detail, name):
    return next(step for step in detail["steps"] if step["name"] == name)


def compared(detail, name):
    steps = json.loads(detail["autoCompareSnapshot"])["steps"]
    return next(step for step in steps if step["name"] == name)


@pytest.fixture
def steps(tmp_path):
    """A file with the steps that runs of the profile play."""
    file = tmp_path / "steps"
    file.write_text("login:20,/cart:30")
    return file


def test_steps_are_counted_and_judged_by_the_same_step_of_the_baseline(api, steps):
    profile = api.save(script=f"steps=@{steps}")
    first = played(api, profile)
    assert (first["autoVerdict"], first["totalRequests"]) == ("NO_BASELINE", 400)
    login = step_of(first, "login")
    assert (login["totalRequests"], login["totalErrors"]) == (400, 0)
    assert login["latencyQuantiles"]["p95"] == pytest.approx(20, rel=0.001)
    assert played(api, profile)["autoVerdict"] == "PASS"
    steps.write_text("login:20,/cart:90")
    slow = played(api, profile)
    assert slow["autoVerdict"] == "FAIL"
    assert "step /cart: p50 90.0 ms, baseline 30.0 ms" in slow["autoVerdictReasons"]
    assert (compared(slow, "/cart")["verdict"], compared(slow, "login")["verdict"]) == (
        "FAIL",
        "PASS",
    )


def test_errors_of_one_step_fail_the_run(api, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("/cart:0")
    profile = api.save(script=f"steps=login:20,/cart:30&bad_steps=@{bad}")
    played(api, profile)
    bad.write_text("/cart:10")
    detail = played(api, profile)
    assert detail["autoVerdict"] == "FAIL"
    assert "step /cart: errors 10.00 % (40 of 400)" in detail["autoVerdictReasons"]
    assert step_of(detail, "/cart")["responseCodes"] == {"200": 360, "500": 40}


def test_a_step_has_limits_of_its_own_on_the_first_run(api):
    gate = {"steps": {"/cart": {"p95": {"failMs": 25}}}}
    detail = played(api, api.save(script="steps=login:20,/cart:30", gate=gate))
    assert detail["autoVerdict"] == "FAIL"
    assert "step /cart: p95 30.0" in detail["autoVerdictReasons"]


@pytest.mark.parametrize("script", ["steps=login:20", ""])
def test_a_threshold_of_a_step_that_is_not_played_never_passes(api, script):
    gate = {"steps": {"/chekout": {"p95": {"fail": 10}}}}
    profile = api.save(script=script, gate=gate)
    for _ in range(2):
        detail = played(api, profile)
        assert detail["autoVerdict"] == "FAIL"
        assert "step /chekout: it has thresholds (gate.steps), but" in detail["autoVerdictReasons"]


def test_a_step_that_is_played_no_more_is_a_warning(api, steps):
    profile = api.save(script=f"steps=@{steps}")
    played(api, profile)
    steps.write_text("login:20")
    detail = played(api, profile)
    assert detail["autoVerdict"] == "WARN"
    assert "step /cart: played 0.00 times per arrival (0)" in detail["autoVerdictReasons"]


def test_the_warm_up_is_in_no_step(api):
    detail = played(api, api.save(script="steps=login:20", warmup=5))
    assert step_of(detail, "login")["totalRequests"] == 300


def test_both_sides_of_an_ab_run_have_steps(api):
    profile = api.save(script="steps=login:20,/cart:90")
    detail = played(api, profile, againstUrl=OLD.format("steps=login:20,/cart:30"))
    assert detail["autoVerdict"] == "FAIL"
    assert "step /cart: p50 90.0 ms, other target 30.0 ms" in detail["autoVerdictReasons"]
    assert step_of(detail["against"], "/cart")["latencyQuantiles"]["p95"] == pytest.approx(
        30, rel=0.001
    )


def test_steps_that_were_counted_and_not_told_of_leave_the_run_unjudged(api):
    profile = api.save(script="steps=login:20&lost_steps=1")
    detail = api.row_of(api.start(profile))
    assert (detail["outcome"], detail["autoVerdict"]) == ("ABORTED", None)
    assert "counted 401 steps, it told of 400" in detail["autoVerdictReasons"]


def test_live_status_and_comparison_have_steps(api, steps):
    profile = api.save(script=f"steps=@{steps}")
    for _ in range(2):
        played(api, profile)
    [cart, login] = api.status(profile)["steps"]
    assert (cart["name"], cart["totalRequests"], login["totalErrors"]) == ("/cart", 400, 0)
    answer = api.get("/history/compare", params={"runA": 1, "runB": 2}).json()
    assert [step["name"] for step in answer["steps"]] == ["/cart", "login"]


def test_a_slow_step_ends_a_run_early(api, tmp_path):
    mode, steps = tmp_path / "mode", tmp_path / "steps"
    mode.write_text("quick")
    steps.write_text("login:20,/cart:30")
    long = {"duration": 60, "points": [{"x": 0, "y": 20}, {"x": 60, "y": 20}]}
    profile = api.save(script=f"codes=200:500&mode=@{mode}&steps=@{steps}", **long)
    played(api, profile)
    mode.write_text("live")
    steps.write_text("login:20,/cart:60")
    slow = played(api, profile, stopEarly=True)
    assert slow["autoVerdict"] == "FAIL"
    assert slow["stoppedAfterSeconds"] < 60
    assert "step /cart" in slow["autoVerdictReasons"]
