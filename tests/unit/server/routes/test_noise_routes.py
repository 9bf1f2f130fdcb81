"""Plans and calibrations."""

import sqlite3
from contextlib import closing

import pytest

from tm_cli.server.judge.statistics.bootstrap import ASSUMED
from tm_cli.server.runs.noise import LEAST_SPREAD

pytestmark = pytest.mark.process


def played(api, profile, count):
    return [api.judged(api.start(profile))["id"] for _ in range(count)]


def plan(api, profile, **question):
    return api.post(f"/profiles/{profile}/plan", json={"detect": 10} | question)


def test_nothing_is_known_before_there_are_two_runs(api):
    profile = api.save(script="ms=50")
    ids = played(api, profile, 1)
    found = plan(api, profile).json()
    assert (found["runs"], found["options"], found["spread"]) == (ids, [], None)


def test_plan_of_a_profile_names_its_runs_and_the_ways_to_run(api):
    profile = api.save(script="ms=50")
    ids = played(api, profile, 2)
    found = plan(api, profile).json()
    assert found["runs"] == ids[::-1]
    assert (found["metric"], found["detect"], found["power"]) == ("p95", 10, 95)
    assert (found["value"], found["limits"]) == (
        pytest.approx(50, abs=0.1),
        {"warn": 5, "fail": 15, "floorMs": 2},
    )
    assert found["lowerLimits"] is None
    first = found["options"][0]
    assert (first["name"], first["rate"], first["seconds"]) == ("as it is", 20, 20)
    assert first["requests"] == 400
    assert [option["abRun"] for option in found["options"]].count(True) >= 1
    assert sum(option["isCheapest"] for option in found["options"]) == 1


def test_limits_that_hide_the_rise_are_named(api):
    profile = api.save(script="ms=50", gate={"p95": {"warn": 8, "fail": 20}})
    played(api, profile, 2)
    found = plan(api, profile, detect=3).json()
    assert found["limits"]["fail"] == 20
    assert found["lowerLimits"] == {"p95": {"warn": 1.5}, "floorMs": pytest.approx(0.75, abs=0.01)}


def test_thresholds_of_the_settings_count_as_in_a_start(api):
    profile = api.save(script="ms=50")
    played(api, profile, 2)
    found = plan(api, profile, gate={"p95": {"fail": 30}, "floorMs": 4}).json()
    assert found["limits"] == {"warn": 5, "fail": 30, "floorMs": 4}


def test_runs_of_another_load_do_not_count(api):
    profile = api.save(script="ms=50")
    played(api, profile, 2)
    api.save(script="ms=50", duration=30)
    assert plan(api, profile).json()["runs"] == []


@pytest.mark.parametrize(
    "question",
    [{"detect": 0}, {"detect": 2000}, {"power": 10}, {"power": 100}, {"metric": "p99.9"}, {"x": 1}],
)
def test_question_that_makes_no_sense_is_refused(api, question):
    profile = api.save()
    answer = plan(api, profile, **question)
    expected = 200 if question == {"x": 1} else 400  # unknown keys are ignored, as everywhere
    assert answer.status_code == expected


def calibration(api):
    return api.get("/calibration").json()


def test_calibration_is_kept_for_the_class_of_the_machine(api):
    ids = played(api, api.save(script="ms=50"), 3)
    answer = api.put("/calibration", json={"runIds": ids})
    assert answer.status_code == 200, answer.text
    found = calibration(api)
    record = found["calibrations"][found["runnerClass"]]
    assert (record["runs"], found["assumedSpread"]) == (ids, ASSUMED)
    assert record["target"].startswith("http://127.0.0.1:9/")
    assert LEAST_SPREAD <= record["spread"] < ASSUMED, "the runs were alike"
    assert api.delete("/calibration").json() == found | {"calibrations": {}}


def test_runs_are_judged_by_the_calibration_from_then_on(api):
    profile = api.save(script="ms=50")
    ids = played(api, profile, 3)
    before = api.judged(api.start(profile))["autoCompareSnapshot"]
    api.put("/calibration", json={"runIds": ids})
    after = api.judged(api.start(profile))["autoCompareSnapshot"]
    assert '"calibratedSpread": null' in before
    assert '"calibratedSpread": 0.0' in after


@pytest.mark.parametrize("count", [1, 2])
def test_calibration_takes_three_runs(api, count):
    ids = played(api, api.save(script="ms=50"), count)
    answer = api.put("/calibration", json={"runIds": ids})
    assert answer.status_code == 400
    assert "takes 3 usable runs" in answer.json()["error"]


def test_calibration_of_two_loads_is_refused(api):
    one, other = api.save("one", script="ms=50"), api.save("other", script="ms=51")
    ids = [*played(api, one, 2), *played(api, other, 1)]
    answer = api.put("/calibration", json={"runIds": ids})
    assert answer.status_code == 400
    assert "one load" in answer.json()["error"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("codes=200:50,500:50", "too many errors"),
        ("flags=generator_saturated", "load generator's machine"),
    ],
)
def test_run_that_went_wrong_is_not_used(api, script, why):
    ids = played(api, api.save(script=script), 3)
    answer = api.put("/calibration", json={"runIds": ids})
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert calibration(api)["calibrations"] == {}


def test_run_that_is_not_there_is_named(api):
    answer = api.put("/calibration", json={"runIds": [7]})
    assert answer.json()["error"].endswith("run 7 is not in the history")


def test_runs_whose_measurements_are_gone_are_left_out(api, tmp_path):
    profile = api.save(script="ms=50")
    ids = played(api, profile, 3)
    with closing(sqlite3.connect(tmp_path / "data" / "tm.db")) as database, database:
        database.execute("DELETE FROM buckets")
    found = plan(api, profile)
    assert (found.status_code, found.json()["options"]) == (200, [])
    answer = api.put("/calibration", json={"runIds": ids})
    assert answer.status_code == 400
    assert "has no response times" in answer.json()["error"]
