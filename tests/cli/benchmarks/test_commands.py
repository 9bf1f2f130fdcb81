"""The commands beside the gate: lists, shows, actions, comparison."""

from __future__ import annotations

import json

import pytest

from tests.services.runloop import ZIP, Reply, outcome
from tm_cli.exit_codes import ExitCode


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=2)


def test_list_shows_the_newest_first_and_says_what_it_left_out(bench, world):
    world.page_size = 2
    for score in (0.1, 0.2, 0.3):
        world.finished_run((score, score))
    result = bench("list", "--limit", "2")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ID", "bmr_7", "bmr_4"]
    assert "1 more; --limit shows them" in result.stderr
    assert len(bench("list", "--state", "completed", "--json").json["data"]["runs"]) == 3
    assert bench("list", "--name", "x", "--json").json["data"]["runs"] == []


def test_show_lists_scenario_runs_and_hides_secrets(bench, world):
    run = world.finished_run((1.0, 0.5), environment_variables={"TOKEN": "s3cret"})
    result = bench("show", run["id"])
    assert "run bmr_1: completed, score 75 %" in result.stdout
    assert "scn_2" in result.stdout
    shown = bench("show", run["id"], "--json")
    assert len(shown.json["data"]["scenario_runs"]) == 2
    assert "s3cret" not in shown.stdout + result.stdout
    assert bench("show", "bmr_9").exit_code == ExitCode.ERROR


@pytest.mark.parametrize("depth", [200, 250, 300, 450])
@pytest.mark.parametrize("place", ["metadata", "newField"])
def test_answer_that_is_nested_deeply_is_shown_or_told(bench, world, place, depth):
    answer, deep = world.answer, b"[" * depth + b"]" * depth

    def reply(request):
        found = answer(request)
        return Reply(found.status, found.body.replace(b'"DEEP"', deep))

    world.answer = reply
    world.finished_run((1.0, 1.0), **{place: {"x": "DEEP"}})
    for flags in ((), ("--json",)):
        result = bench("show", "bmr_1", *flags)
        assert result.exit_code == (ExitCode.OK if depth <= 250 else ExitCode.ERROR)
        assert "File" not in result.stderr
    judged = bench("wait", "bmr_1", "--max-drop", "3%", "--match", "x=1", "--wait-timeout", "9s")
    assert judged.exit_code in {ExitCode.NO_BASELINE, ExitCode.UNDECIDED}


def test_show_tells_why_a_scenario_counts_as_failed(bench, world):
    run = world._new_run({"benchmark_id": "bmd_1"})
    broken = world.attempt(run["id"], "scn_1", 0.0)
    broken["scoring_contract_result"]["scoring_function_results"][0]["state"] = "error"
    assert "its scorer tests failed" in bench("show", run["id"]).stdout


def test_run_is_completed_and_canceled_by_hand(bench, world):
    for verb, state in (("complete", "completed"), ("cancel", "canceled")):
        run = world._new_run({"benchmark_id": "bmd_1"})
        assert f"run {run['id']} is {state}" in bench(verb, run["id"]).stdout


def test_cancellation_that_came_too_late_says_completed(bench, world):
    run = world.finished_run((1.0, 1.0))
    assert "is completed" in bench("cancel", run["id"]).stdout


def test_logs_are_written_and_not_unpacked(bench, tm, world):
    run = world.finished_run((1.0, 1.0))
    assert bench("logs", run["id"], "-o", "logs.zip").exit_code == ExitCode.OK
    assert (tm.cwd / "logs.zip").read_bytes() == ZIP
    scenario_run = next(iter(world.scenario_runs))
    assert bench("scenario", "logs", scenario_run, "-o", "one.zip").exit_code == ExitCode.OK
    missing = bench("logs", run["id"], "-o", "no/such/place.zip")
    assert missing.exit_code == ExitCode.OUTPUT
    assert [path.name for path in tm.cwd.iterdir()] != []


def test_catalog_and_scenarios(bench, world):
    world.benchmark("bmd_2", name="of everybody")
    world.public.add("bmd_2")
    assert "bmd_2" not in bench("catalog").stdout
    assert "of everybody" in bench("catalog", "--public").stdout
    assert "name of scn_2" in bench("scenarios", "agents").stdout


def test_driver_of_a_shell_can_do_its_work(bench, world):
    run = world._new_run({"benchmark_id": "bmd_1"})
    made = bench("scenario", "start", "scn_1", "--run", run["id"], "--json").json["data"]["id"]
    assert "is scoring" in bench("scenario", "score", made).stdout
    assert "100 %" in bench("scenario", "show", made).stdout
    assert "is completed" in bench("scenario", "complete", made).stdout
    other = bench("scenario", "start", "scn_2", "--run", run["id"], "--json").json["data"]["id"]
    assert "is canceled" in bench("scenario", "cancel", other).stdout
    listed = bench("scenario", "list", "--run", run["id"], "--state", "canceled", "--json")
    assert [item["id"] for item in listed.json["data"]["scenario_runs"]] == [other]


def test_job_is_listed_and_shown(bench, world):
    bench("job", "start", "bmd_1", "--agent", "a")
    done = [outcome({"scn_1": 1.0, "scn_2": None}, model_name="m")]
    world.jobs["bmj_1"].update(state="completed", benchmark_outcomes=done)
    assert "bmj_1" in bench("job", "list").stdout
    shown = bench("job", "show", "bmj_1").stdout
    assert "agent a (m): average 100 % over what was completed" in shown
    assert "name of scn_2" in shown


def test_compare_lays_the_newer_run_beside_the_older_one(bench, world):
    world.finished_run((1.0, 0.0))
    world.finished_run((0.5, 1.0))
    table = bench("compare", "bmr_1", "bmr_4").stdout
    assert table.startswith("bmd_1: run bmr_4 compared with run bmr_1")
    assert "scenario scn_1" in table
    document = bench("compare", "bmr_1", "bmr_4", "--json").json["data"]
    changes = {item["metric"]: item["change"] for item in document["comparisons"]}
    assert changes == {"score": 25.0, "scenario scn_1": -50.0, "scenario scn_2": 100.0}
    assert "| scenario scn" in bench("compare", "bmr_1", "bmr_4", "--format", "markdown").stdout


def test_runs_of_two_benchmarks_are_not_compared(bench, world):
    world.benchmark("bmd_2")
    world.finished_run((1.0, 1.0))
    world.finished_run((1.0, 1.0), benchmark_id="bmd_2")
    result = bench("compare", "bmr_1", "bmr_4", "--json")
    assert result.json["error"]["code"] == "not_comparable"
    assert bench("compare", "bmr_1", "bmr_1").exit_code == ExitCode.USAGE


def test_error_of_the_server_is_told_in_its_own_words(bench, world):
    world.served = False
    result = bench("list", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert "not found (HTTP 404)" in result.json["error"]["message"]
    assert json.loads(result.stdout)["data"] is None


def test_score_is_waited_for(bench, world, clock):
    run = world._new_run({"benchmark_id": "bmd_1"})
    made = bench("scenario", "start", "scn_1", "--run", run["id"], "--json").json["data"]["id"]
    world.on_look(made, lambda _: None)
    assert "is scored" in bench("scenario", "score", made, "--wait").stdout
    assert clock.slept == [2.0, 2.0]


def test_score_that_does_not_come_ends_the_wait(bench, world):
    run = world._new_run({"benchmark_id": "bmd_1"})
    made = world.attempt(run["id"], "scn_1", None, "running")["id"]
    world.on_look(made, lambda it: it.update(state="failed"))
    result = bench("scenario", "score", made, "--wait")
    assert result.exit_code == ExitCode.ERROR
    assert "is failed without a score" in result.stderr
    world.looks[made] = [lambda it: it.update(state="scoring")] * 9
    late = bench("scenario", "score", made, "--wait", "--wait-timeout", "6s")
    assert late.exit_code == ExitCode.WAIT_TIMEOUT
