"""`--last`: a run is judged later by what was fixed when it was started."""

from __future__ import annotations

import pytest

from tests.services.runloop import KEY, outcome
from tm_cli.exit_codes import ExitCode

RULES = ("--min-score", "80%", "--max-drop", "3%")


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=2)


@pytest.fixture
def started(bench, world):
    """A run that was started with rules; it has been driven to these scores since."""

    def start(*scores, flags=RULES):
        world.finished_run((1.0, 1.0))
        assert bench("start", "bmd_1", *flags).exit_code == ExitCode.OK
        world.drive("bmr_4", scores)

    return start


@pytest.mark.parametrize(("score", "code"), [(0.98, ExitCode.OK), (0.9, ExitCode.FAIL)])
def test_last_run_is_judged_by_the_rules_of_its_start(bench, started, score, code):
    started(score, score)
    assert bench("wait", "--last").exit_code == code


def test_runs_wait_takes_a_benchmark_run_too(tm, url, started):
    started(0.9, 0.9)
    environ = {"RUNLOOP_BASE_URL": url, "RUNLOOP_API_KEY": KEY}
    assert tm("runs", "wait", "--last", environ=environ).exit_code == ExitCode.FAIL


def test_baseline_stays_the_one_that_was_pinned(bench, world, started):
    started(0.9, 0.9)
    world.finished_run((0.1, 0.1), start_time_ms=0)
    result = bench("wait", "--last", "--json")
    assert result.json["data"]["baseline_run_id"] == "bmr_1"


def test_scenarios_stay_those_of_the_start(bench, benchmark, started):
    started(1.0, 1.0)
    benchmark["scenarioIds"].append("scn_3")
    assert bench("wait", "--last").exit_code == ExitCode.OK


def test_verdicts_that_fail_stay_those_of_the_start(bench, started):
    started(0.1, 0.1, flags=(*RULES, "--fail-on", "NO_BASELINE"))
    assert bench("wait", "--last").exit_code == ExitCode.OK
    assert bench("wait", "--last", "--fail-on", "FAIL").exit_code == ExitCode.FAIL


def test_rules_given_now_replace_those_of_the_start(bench, started):
    started(0.9, 0.9)
    assert bench("wait", "--last", "--min-score", "0.8").exit_code == ExitCode.OK
    assert bench("wait", "--last", "--coverage", "50%").exit_code == ExitCode.USAGE


def test_start_without_rules_needs_them_later(bench, started):
    started(0.9, 0.9, flags=())
    assert bench("wait", "--last").exit_code == ExitCode.USAGE
    assert bench("wait", "--last", "--max-drop", "20%").exit_code == ExitCode.OK


def test_start_without_a_rule_says_that_its_verdicts_do_not_gate(bench):
    result = bench("start", "bmd_1", "--fail-on", "FAIL", "--quiet")
    assert result.exit_code == ExitCode.OK
    assert "this start does not gate" in result.stderr


def test_start_says_that_it_does_not_gate(bench):
    result = bench("start", "bmd_1", *RULES)
    assert "this start does not gate" in result.stderr
    assert "tm benchmarks wait bmr_1 --min-score 0.8 --max-drop 0.03" in result.stderr


def test_nothing_started_is_told(bench, world):
    assert bench("wait", "--last").exit_code == ExitCode.CONFIGURATION
    assert world.seen == []


def test_another_server_is_not_asked(bench, tm, started):
    started(0.9, 0.9)
    environ = {"RUNLOOP_BASE_URL": "http://127.0.0.1:9", "RUNLOOP_API_KEY": KEY}
    result = tm("benchmarks", "wait", "--last", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "was started on" in result.stderr


def test_last_job_is_judged_agent_by_agent(bench, world):
    assert bench("job", "start", "bmd_1", "--agent", "a", *RULES[:2]).exit_code == ExitCode.OK
    done = [outcome({"scn_1": 0.5, "scn_2": 0.5})]
    world.jobs["bmj_1"].update(state="completed", benchmark_outcomes=done)
    assert bench("wait", "--last").exit_code == ExitCode.FAIL


def test_last_job_is_compared_by_rules_that_are_given_later(bench, world):
    for scores in ((1.0, 1.0), (0.5, 0.5)):
        assert bench("job", "start", "bmd_1", "--agent", "a").exit_code == ExitCode.OK
        done = [outcome(dict(zip(("scn_1", "scn_2"), scores, strict=True)))]
        list(world.jobs.values())[-1].update(state="completed", benchmark_outcomes=done)
        world.now_ms += 1000
    result = bench("wait", "--last", "--max-drop", "10%")
    assert result.exit_code == ExitCode.FAIL
    assert "50 points below agent a" in result.stdout


def test_runs_before_a_start_that_fails_do_not_pass_for_all_of_them(bench, world):
    world.benchmark("bmd_2", scenarios=2)
    start = world._start_run

    def failing(body):
        if body["benchmark_id"] == "bmd_2":
            raise RuntimeError
        return start(body)

    world._start_run = failing
    result = bench("start", "bmd_1", "bmd_2", *RULES[:2])
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "started run bmr_1 of agents" in result.stderr
    world.drive("bmr_1", (1.0, 1.0))
    last = bench("wait", "--last")
    assert last.exit_code == ExitCode.START_UNKNOWN
    assert "known are: agents bmr_1" in last.stderr
