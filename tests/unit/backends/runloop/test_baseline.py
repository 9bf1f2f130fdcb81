"""Which run a benchmark is compared with: pinned before the start, chosen by fixed rules."""

from __future__ import annotations

import pytest

from tm_cli.exit_codes import ExitCode

GATE = ("start", "bmd_1", "--wait", "--max-drop", "3%")


@pytest.fixture(autouse=True)
def benchmark(world):
    return world.benchmark(scenarios=2)


@pytest.fixture
def driven(world):
    """Every run that is started from now on comes to these scores at the first look."""

    def arrange(*scores):
        start = world._new_run

        def started(body):
            run = start(body)
            world.on_look(run["id"], lambda it: world.drive(it["id"], scores))
            return run

        world._new_run = started

    return arrange


def baseline_of(result):
    return result.json["data"]["baseline_run_id"]


@pytest.mark.parametrize(("score", "code"), [(0.98, ExitCode.OK), (0.96, ExitCode.FAIL)])
def test_newest_completed_run_is_the_baseline(bench, world, driven, score, code):
    world.finished_run((0.1, 0.1))
    world.finished_run((1.0, 1.0))
    world.finished_run((0.1, 0.1), state="canceled")
    world.finished_run((0.1, 0.1), score=None)
    driven(score, score)
    result = bench(*GATE, "--json")
    assert result.exit_code == code
    assert baseline_of(result) == "bmr_4"


def test_baseline_is_pinned_before_the_start_and_told(bench, world, driven):
    world.finished_run((1.0, 1.0))
    start = world._new_run

    def overtaken(body):
        world._new_run = start
        world.finished_run((0.1, 0.1))
        driven(0.5, 0.5)
        return world._new_run(body)

    world._new_run = overtaken
    result = bench(*GATE, "--json")
    assert result.exit_code == ExitCode.FAIL
    assert baseline_of(result) == "bmr_1"
    assert "baseline run bmr_1, score 100 %" in result.stderr


def test_named_baseline_wins(bench, world, driven):
    world.finished_run((0.5, 0.5))
    world.finished_run((1.0, 1.0))
    driven(0.5, 0.5)
    result = bench(*GATE, "--baseline", "bmr_1", "--json")
    assert result.exit_code == ExitCode.OK
    assert (baseline_of(result), result.json["data"]["baseline_choice"]) == ("bmr_1", "chosen")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "canceled"}, "it is canceled"),
        ({"score": None}, "no usable score"),
        ({"score": "1.0"}, "no usable score"),
        ({"benchmark_id": "bmd_2"}, "of another benchmark"),
    ],
)
def test_named_baseline_that_cannot_be_one_starts_nothing(bench, world, changes, reason):
    world.finished_run((1.0, 1.0), **changes)
    result = bench(*GATE, "--baseline", "bmr_1")
    assert result.exit_code == ExitCode.REFUSED
    assert reason in result.stderr
    assert world.requests("POST") == []


def test_unknown_baseline_starts_nothing(bench, world):
    assert bench(*GATE, "--baseline", "bmr_77").exit_code == ExitCode.ERROR
    assert world.requests("POST") == []


def test_metadata_chooses_the_baseline(bench, world, driven):
    world.finished_run((0.5, 0.5), metadata={"branch": "main"})
    world.finished_run((1.0, 1.0), metadata={"branch": "feature"})
    driven(0.5, 0.5)
    result = bench(*GATE, "--match", "branch=main", "--json")
    assert (result.exit_code, baseline_of(result)) == (ExitCode.OK, "bmr_1")
    result = bench(*GATE, "--match", "branch=other")
    assert result.exit_code == ExitCode.NO_BASELINE


def test_all_pages_are_read_for_the_baseline(bench, world, driven):
    world.page_size = 2
    for _ in range(5):
        world.finished_run((0.1, 0.1))
    best = world.finished_run((1.0, 1.0))
    best["start_time_ms"] += 10**9
    for _ in range(5):
        world.finished_run((0.1, 0.1))
    driven(1.0, 1.0)
    assert baseline_of(bench(*GATE, "--json")) == best["id"]


def test_filters_of_the_server_are_not_relied_on(bench, world, driven):
    world.benchmark("bmd_2", scenarios=2)
    world.finished_run((0.1, 0.1))
    world.finished_run((1.0, 1.0), benchmark_id="bmd_2")
    page = world._page
    world._page = lambda key, items, query, _fields=(): page(key, items, query)
    driven(0.1, 0.1)
    assert baseline_of(bench(*GATE, "--json")) == "bmr_1"


def test_attached_run_is_compared_with_older_runs_only(bench, world):
    world.finished_run((0.5, 0.5))
    ours = world.finished_run((0.5, 0.5))
    world.finished_run((1.0, 1.0))
    result = bench("wait", ours["id"], "--max-drop", "3%", "--json")
    assert (result.exit_code, baseline_of(result)) == (ExitCode.OK, "bmr_1")


def test_changed_scenarios_are_no_baseline(bench, world, driven, benchmark):
    world.finished_run((1.0, 1.0))
    benchmark["scenarioIds"].append("scn_3")
    driven(1.0, 1.0, 1.0)
    result = bench(*GATE)
    assert result.exit_code == ExitCode.NO_BASELINE
    assert "run bmr_1 has other scenarios" in result.stdout
    result = bench(*GATE, "--common-only", "--baseline", "bmr_1", "--json")
    assert (result.exit_code, result.json["data"]["verdict"]) == (ExitCode.OK, "WARN")


def test_baseline_that_no_rule_needs_is_still_compared(bench, world, driven):
    world.finished_run((1.0, 0.0))
    driven(1.0, 1.0)
    argv = ("start", "bmd_1", "--wait", "--min-score", "0.5", "--baseline", "last", "--json")
    compared = bench(*argv).json["data"]["comparisons"]
    assert [item["metric"] for item in compared] == ["score", "coverage", "scenario scn_2"]
