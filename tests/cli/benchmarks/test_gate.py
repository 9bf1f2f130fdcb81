"""`tm benchmarks start --wait` and `wait`: every verdict, every way to fail closed."""

from __future__ import annotations

import json

import pytest

from tests.services.runloop import KEY
from tm_cli.exit_codes import ExitCode

GATE = ("start", "bmd_1", "--wait", "--min-score", "80%")


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=3)


@pytest.fixture
def after_start(world):
    """Let things happen, one before each look, to every run that is started from now on."""

    def arrange(*steps):
        start = world._new_run

        def started(body):
            run = start(body)
            world.on_look(run["id"], *steps)
            return run

        world._new_run = started

    return arrange


@pytest.fixture
def driven(world, after_start):
    """Somebody drives the run to these scores while tm looks on."""

    def arrange(*scores, **changes):
        def begin(run):
            world.attempt(run["id"], "scn_1", None, "running")

        def finish(run):
            world.scenario_runs = {
                key: item
                for key, item in world.scenario_runs.items()
                if item["benchmark_run_id"] != run["id"]
            }
            world.drive(run["id"], scores)
            run.update(changes)

        after_start(begin, finish)

    return arrange


def nothing(_run):
    """A look that finds everything as it was."""


@pytest.mark.parametrize(
    ("scores", "flags", "code"),
    [
        ((1.0, 1.0, 0.5), ("--min-score", "0.8"), ExitCode.OK),
        ((1.0, 1.0, 0.0), ("--min-score", "0.8"), ExitCode.FAIL),
        ((1.0, 1.0, 0.5), ("--warn-score", "0.9"), ExitCode.OK),
        ((1.0, 1.0, 0.5), ("--warn-score", "0.9", "--fail-on", "WARN"), ExitCode.WARN),
        ((1.0, 1.0, 0.5), ("--max-drop", "0.03"), ExitCode.NO_BASELINE),
        ((1.0, 1.0, 0.5), ("--max-drop", "0.03", "--fail-on", "FAIL"), ExitCode.OK),
        (
            (1.0, 1.0, 0.5),
            ("--warn-score", "0.9", "--max-drop", "0.03", "--fail-on", "FAIL,WARN"),
            ExitCode.WARN,
        ),
        (
            (1.0, 1.0, 1.0),
            ("--warn-score", "0.9", "--max-drop", "0.03", "--fail-on", "FAIL,WARN"),
            ExitCode.OK,
        ),
    ],
)
def test_score_becomes_the_exit_code(bench, world, driven, scores, flags, code):
    driven(*scores)
    assert bench("start", "bmd_1", "--wait", *flags).exit_code == code
    assert len(world.requests("POST", "start_run")) == 1


def test_gate_with_rules_can_fail_without_being_told_so(bench, driven):
    driven(0.0, 0.0, 0.0)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.FAIL
    assert "fails on FAIL,NO_BASELINE (--fail-on)" in result.stderr


def test_gate_without_a_rule_starts_nothing(bench, world):
    for flags in ((), ("--coverage", "50%"), ("--max-failed-scenarios", "3")):
        result = bench("start", "bmd_1", "--wait", *flags)
        assert result.exit_code == ExitCode.USAGE
        assert "every score would pass" in result.stderr
    assert world.seen == []


@pytest.mark.parametrize(
    "flags",
    [
        ("--min-score", "80"),
        ("--min-score", "0.9", "--warn-score", "0.8"),
        ("--max-drop", "nan"),
        ("--min-score", "0.8", "--match", "branch"),
        ("--min-score", "0.8", "--match", "a=b", "--baseline", "bmr_1"),
        ("--min-score", "0.8", "--metadata", "=x"),
        ("--min-score", "0.8", "--fail-on", "PASS"),
        ("--min-score", "0.8", "--name", " "),
        ("--min-score", "0.8", "--exec", "no-such-program-anywhere"),
        ("--min-score", "0.8", "--exec", "'open"),
    ],
)
def test_wrong_flags_send_nothing(bench, world, flags):
    assert bench("start", "bmd_1", "--wait", *flags).exit_code == ExitCode.USAGE
    assert world.seen == []


@pytest.mark.parametrize("flag", [("--confirm", "1"), ("--fail-fast",), ("--report", "json=x")])
def test_flags_of_a_wait_need_one(bench, world, flag):
    assert bench("start", "bmd_1", *flag).exit_code == ExitCode.USAGE
    assert world.seen == []


def test_verdict_behind_the_first_stays_in_the_report(bench, tm, driven):
    driven(1.0, 1.0, 0.5)
    rules = ("--warn-score", "0.9", "--max-drop", "0.03")
    argv = ("start", "bmd_1", "--wait", *rules, "--fail-on", "FAIL", "--report", "json=gate.json")
    assert bench(*argv).exit_code == ExitCode.OK
    assert json.loads((tm.cwd / "gate.json").read_text())["data"]["also"] == ["WARN"]
    again = tm("report", "eval", "gate.json", "--fail-on", "FAIL,WARN")
    assert again.exit_code == ExitCode.WARN
    assert "exit 3 (WARN)" in again.stdout


@pytest.mark.parametrize("state", ["canceled", "failed"])
def test_run_that_did_not_complete_fails_however_good_its_score(bench, driven, state):
    driven(1.0, 1.0, 1.0, state=state, score=0.99)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.FAIL
    assert "canceled; its score 99 % covers what was done by then" in result.stdout or (
        "failed as a whole" in result.stdout
    )


def test_score_over_three_of_five_hundred_scenarios_fails(bench, world, driven):
    world.benchmark(scenarios=500)
    driven(1.0, 1.0, 1.0)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.FAIL
    assert "3 of 500 scenarios were run: 0.6 % coverage, 100 % is needed" in result.stdout


def test_scenarios_that_are_added_after_the_start_do_not_count(
    bench, driven, after_start, benchmark
):
    after_start(lambda _run: benchmark["scenarioIds"].append("scn_4"))
    driven(1.0, 1.0, 1.0)
    assert bench(*GATE).exit_code == ExitCode.OK


def test_late_score_is_waited_for(bench, driven, after_start, clock):
    driven(1.0, 1.0, 1.0, score=None)
    after_start(nothing, nothing, lambda run: run.update(score=1.0))
    assert bench(*GATE).exit_code == ExitCode.OK
    assert sum(clock.slept) < 30


def test_score_that_never_comes_is_undecided(bench, driven):
    driven(1.0, 1.0, 1.0, score=None)
    result = bench(*GATE, "--json")
    assert result.exit_code == ExitCode.UNDECIDED
    assert "has no score yet" in result.json["error"]["message"]
    assert result.json["data"]["verdict"] is None


@pytest.mark.parametrize("score", ["0.9", True, 1.5, -1, [1.0], {"value": 1}])
def test_score_that_is_no_score_is_undecided(bench, driven, score):
    driven(1.0, 1.0, 1.0, score=score)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "a score that is not between 0 and 1" in result.stdout


def test_unknown_state_is_waited_out_and_named(bench, after_start):
    after_start(lambda run: run.update(state="exploded", score=1.0))
    result = bench(*GATE, "--wait-timeout", "5m")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert "the state exploded is unknown to tm" in result.stderr


def test_run_that_nobody_drives_ends_at_the_deadline(bench, world):
    result = bench(*GATE, "--wait-timeout", "20m")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert "no scenario run has appeared for 5m: does anything drive this run?" in result.stderr
    assert "tm benchmarks wait bmr_1 --min-score 0.8" in result.stderr


def test_run_that_nobody_completes_is_told(bench, world, after_start):
    def score_all(run):
        for n in (1, 2, 3):
            world.attempt(run["id"], f"scn_{n}", 1.0, "scored")

    after_start(score_all)
    result = bench(*GATE, "--wait-timeout", "20m")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert "(tm benchmarks complete bmr_1)" in result.stderr


def test_run_that_starts_again_is_undecided(bench, world, driven, after_start):
    driven(1.0, 1.0, 1.0)
    after_start(lambda run: run.update(state="running"))
    result = bench(*GATE)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "had ended and is running now" in result.stderr


def test_score_that_changes_while_it_is_judged_is_undecided(bench, driven, after_start):
    driven(1.0, 1.0, 1.0)
    after_start(nothing, lambda run: run.update(score=0.1))
    assert bench(*GATE).exit_code == ExitCode.UNDECIDED


def test_withdrawn_api_is_told_apart_from_a_missing_benchmark(bench, world):
    result = bench("start", "nothing", "--wait", "--min-score", "80%", "--json")
    assert result.exit_code == ExitCode.REFUSED
    assert result.json["error"]["code"] == "unknown_benchmark"
    world.served = False
    result = bench(*GATE, "--json")
    assert result.exit_code == ExitCode.REFUSED
    assert result.json["error"]["code"] == "not_supported"
    assert "not available at this base URL" in result.json["error"]["message"]
    assert world.requests("POST") == []


def test_key_that_is_refused_ends_at_once(bench, world):
    result = bench(*GATE, environ={"RUNLOOP_API_KEY": "rl-other"})
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert "rl-other" not in result.stdout + result.stderr
    assert len(world.seen) == 1


@pytest.mark.parametrize("key", ["", " ", "rl-test-key\n", " rl-test-key"])
def test_key_that_cannot_be_meant_sends_nothing(bench, world, key):
    result = bench(*GATE, environ={"RUNLOOP_API_KEY": key})
    assert result.exit_code == ExitCode.CONFIGURATION
    assert world.seen == []


def test_archived_benchmark_is_not_started(bench, world, benchmark):
    benchmark["status"] = "archived"
    assert bench(*GATE).exit_code == ExitCode.REFUSED
    assert world.requests("POST") == []


@pytest.mark.parametrize("ids", [[], None])
def test_benchmark_that_names_no_scenarios_needs_a_count(bench, world, benchmark, driven, ids):
    benchmark["scenarioIds"] = ids
    refused = bench(*GATE)
    assert refused.exit_code == ExitCode.REFUSED
    assert "--expect N" in refused.stderr
    assert world.requests("POST") == []
    driven(1.0, 1.0, 1.0)
    assert bench(*GATE, "--expect", "4").exit_code == ExitCode.FAIL
    assert bench(*GATE, "--expect", "3").exit_code == ExitCode.OK


def test_benchmark_is_found_by_its_exact_name(bench, world, driven):
    world.benchmark("bmd_2", name="agents too")
    driven(1.0, 1.0, 1.0)
    assert bench("start", "agents too", "--wait", "--min-score", "0.5").exit_code == ExitCode.OK
    assert world.requests("POST", "start_run")[0].document["benchmark_id"] == "bmd_2"
    world.benchmark("bmd_3", name="agents too")
    result = bench("start", "agents too", "--wait", "--min-score", "0.5")
    assert "2 benchmarks are named agents too" in result.stderr


def test_start_sends_name_metadata_and_run_profile(bench, tm, world, driven):
    driven(1.0, 1.0, 1.0)
    profile = {"purpose": "ci", "envVars": {"TOKEN": "s3cret"}, "launchParameters": {}}
    (tm.cwd / "profile.json").write_text(json.dumps(profile))
    flags = ("--name", "nightly", "--metadata", "team=shop", "--profile", "profile.json")
    result = bench(*GATE, *flags, "--verbose", "--json", environ={"GITHUB_SHA": "c0ffee"})
    assert world.requests("POST", "start_run")[0].document == {
        "benchmark_id": "bmd_1",
        "run_name": "nightly",
        "metadata": {"commit": "c0ffee", "team": "shop", "tm_start": "0123456789abcdef"},
        "runProfile": profile,
    }
    assert "s3cret" not in result.stdout + result.stderr


def test_run_profile_with_a_misspelt_key_sends_nothing(bench, tm, world):
    (tm.cwd / "profile.yaml").write_text("envvars: {A: b}\n")
    result = bench(*GATE, "--profile", "profile.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "did you mean envVars?" in result.stderr
    assert world.seen == []


def test_variables_of_a_run_profile_are_the_characters_of_the_file(bench, tm, world, driven):
    driven(1.0, 1.0, 1.0)
    (tm.cwd / "profile.yaml").write_text(
        "envVars: {PIN: 0123, FLAG: NO, TIME: 12:30, VERSION: 1.10, EMPTY: , DAY: 2026-01-01}\n"
        "secrets: {KEY: 007}\n"
    )
    bench(*GATE, "--profile", "profile.yaml")
    assert world.requests("POST", "start_run")[0].document["runProfile"] == {
        "envVars": {
            "PIN": "0123",
            "FLAG": "NO",
            "TIME": "12:30",
            "VERSION": "1.10",
            "EMPTY": "",
            "DAY": "2026-01-01",
        },
        "secrets": {"KEY": "007"},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("envVars:\n  A: [b]\n", "line 2: envVars.A must be text"),
        ("envVars:\n  A: {b: c}\n", "line 2: envVars.A must be text"),
        ("envVars: [A]\n", "line 1: envVars: expected a mapping"),
        ("purpose: .nan\n", "line 1: purpose is .nan"),
        ("purpose: !!binary aGk=\n", "line 1: purpose has the tag !!binary"),
        ("mounts: &a [*a]\n", "line 1: mounts[0] contains itself"),
        ("purpose: a\npurpose: b\n", "line 2: duplicate key 'purpose'"),
        ("envvars: {}\n", "line 1: unknown key 'envvars'; did you mean envVars?"),
        ("launchParameters: {1: a}\n", "line 1: the key 1 in launchParameters is not text"),
        ("[" * 5000, "nested too deeply"),
        ("a: [", "invalid YAML"),
        ("- a\n", "expected a mapping"),
    ],
)
def test_odd_run_profile_is_refused_with_its_place_and_sends_nothing(bench, tm, world, text, words):
    (tm.cwd / "profile.yaml").write_text(text)
    result = bench(*GATE, "--profile", "profile.yaml")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert words in result.stderr
    assert world.seen == []


def test_several_benchmarks_end_with_the_worst(bench, world, after_start):
    world.benchmark("bmd_2")

    def drive(run):
        world.drive(run["id"], (1.0, 1.0, 1.0) if run["benchmark_id"] == "bmd_1" else (0.0,) * 3)

    after_start(drive)
    result = bench("start", "bmd_1", "bmd_2", "--wait", "--min-score", "0.5", "--json")
    assert result.exit_code == ExitCode.FAIL
    verdicts = [run["verdict"] for run in result.json["data"]["runs"]]
    assert verdicts == ["PASS", "FAIL"]


def test_benchmark_named_twice_is_a_mistake(bench, world):
    assert bench("start", "bmd_1", "bmd_1", "--wait", "--min-score", "1").exit_code == 64
    assert world.requests("POST") == []


def test_failing_run_is_repeated_before_the_gate_is_red(bench, world, after_start):
    scores = iter([(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)])
    after_start(lambda run: world.drive(run["id"], next(scores)))
    result = bench(*GATE, "--confirm", "1", "--json")
    assert result.exit_code == ExitCode.OK
    assert [run["verdict"] for run in result.json["data"]["earlier_runs"]] == ["FAIL"]


def test_json_has_the_keys_of_every_gate(bench, world, driven):
    world.finished_run((1.0, 1.0, 1.0))
    driven(1.0, 1.0, 0.5)
    data = bench(*GATE, "--max-drop", "50%", "--json").json["data"]
    assert data["run_id"] == data["started_run_id"] == "bmr_5"
    assert data["baseline_run_id"] == "bmr_1"
    assert data["baseline_choice"] == "last"
    assert data["system"] == "runloop"
    assert data["metrics"]["score"] == pytest.approx(0.8333, abs=1e-4)
    assert [item["metric"] for item in data["comparisons"]] == [
        "score",
        "coverage",
        "scenario scn_3",
    ]


def test_reports_have_the_differences_scenario_by_scenario(bench, tm, world, driven):
    world.finished_run((1.0, 1.0, 1.0))
    driven(1.0, 1.0, 0.5)
    flags = ("--max-drop", "3%", "--report", "junit=out.xml", "--report", "json=out.json")
    assert bench(*GATE, *flags).exit_code == ExitCode.FAIL
    told = "scenario scn_3 regressed: now 50 %, baseline 100 %"
    assert told in (tm.cwd / "out.xml").read_text()
    assert told in (tm.cwd / "out.json").read_text()


def test_live_progress_counts_scenarios(bench, driven):
    driven(1.0, 1.0, 1.0)
    result = bench(*GATE)
    assert "running, 1 of 3 started: 1 running" in result.stderr


def test_wait_takes_runs_by_id_and_by_name(bench, world):
    run = world.finished_run((1.0, 1.0, 1.0), name="nightly")
    assert bench("wait", run["id"], "--min-score", "0.8").exit_code == ExitCode.OK
    assert bench("wait", "--name", "nightly", "--min-score", "0.8").exit_code == ExitCode.OK
    world.finished_run((1.0, 1.0, 1.0), name="nightly")
    result = bench("wait", "--name", "nightly", "--min-score", "0.8")
    assert result.exit_code == ExitCode.ERROR
    assert "2 runs are named nightly" in result.stderr
    assert bench("wait", "--name", "night", "--min-score", "0.8").exit_code == ExitCode.ERROR
    assert world.requests("POST") == []


def test_wait_for_an_unknown_run_says_so(bench):
    result = bench("wait", "bmr_99", "--min-score", "0.8", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "unknown_run"
    assert "wait for it again" not in result.json["error"]["hint"]


def test_wait_needs_a_rule_and_exactly_one_way_to_name_a_run(bench, world):
    for argv in (("bmr_1",), (), ("bmr_1", "--name", "x"), ("--last", "bmr_1")):
        flags = () if argv == ("bmr_1",) else ("--min-score", "0.8")
        assert bench("wait", *argv, *flags).exit_code == ExitCode.USAGE
    assert world.seen == []


def test_run_without_a_benchmark_needs_a_count(bench, world):
    run = world.finished_run((1.0, 1.0, 1.0), benchmark_id=None)
    run["benchmark_id"] = None
    gate = ("wait", run["id"], "--min-score", "0.8")
    assert bench(*gate).exit_code == ExitCode.USAGE
    assert bench(*gate, "--expect", "3").exit_code == ExitCode.OK


@pytest.mark.parametrize("odd", [".", "..", "a" * 201, "a\nb"])
def test_id_that_is_another_path_is_not_sent(bench, world, odd):
    assert bench("wait", odd, "--min-score", "0.8").exit_code == ExitCode.USAGE
    assert world.seen == []


def test_hostile_text_of_the_server_steers_nothing(bench, world):
    run = world.finished_run(())
    evil = "x\x1b[31m\n::error::owned"
    run["state"] = "running"
    world.attempt(run["id"], "scn_3", None, "failed")["name"] = evil
    world.attempt(run["id"], evil, None, "exploded\n::error::state")
    run["state"] = "completed"
    result = bench("wait", run["id"], "--min-score", "0.8")
    assert result.exit_code == ExitCode.FAIL
    assert "\x1b" not in result.stdout
    assert not [line for line in result.stdout.splitlines() if line.lstrip().startswith("::")]


def test_key_never_shows(bench, driven):
    driven(1.0, 1.0, 1.0)
    result = bench(*GATE, "--verbose", "--json")
    assert KEY not in result.stdout + result.stderr


def test_run_is_not_compared_with_itself(bench, world):
    world.finished_run((0.1, 0.1, 0.1))
    result = bench("wait", "bmr_1", "--max-drop", "3%", "--baseline", "bmr_1")
    assert result.exit_code == ExitCode.REFUSED
    assert "cannot be the baseline of itself" in result.stderr
