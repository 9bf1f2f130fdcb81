"""Runs whose first seconds are not judged."""

import json
import sqlite3

import pytest

pytestmark = pytest.mark.process

OLD = "http://127.0.0.1:9/old?{}"


def played(api, profile, **asked):
    return api.judged(api.start(profile, **asked))


def comparison(detail, metric):
    found = json.loads(detail["autoCompareSnapshot"])["comparisons"]
    return next(item for item in found if item["metric"] == metric)


def test_slow_and_failing_requests_of_the_warm_up_fail_no_run(api, tmp_path):
    ms, codes = tmp_path / "ms", tmp_path / "codes"
    ms.write_text("20")
    codes.write_text("200:100")
    profile = api.save(script=f"ms=@{ms}&first_codes=@{codes}", warmup=5)
    assert played(api, profile)["autoVerdict"] == "NO_BASELINE"
    ms.write_text("900,20")
    codes.write_text("200:10,500:90")
    detail = played(api, profile)
    assert detail["autoVerdict"] == "PASS", detail["autoVerdictReasons"]
    assert (detail["totalRequests"], detail["totalErrors"]) == (400, 90)
    assert json.loads(detail["latencyQuantiles"])["p99.9"] == pytest.approx(20, rel=0.01)
    assert (detail["warmupSeconds"], detail["judged"]["totalRequests"]) == (5, 300)
    assert comparison(detail, "errors")["value"] == 0
    assert comparison(detail, "throughput")["value"] == pytest.approx(300 / 15)


def test_what_is_slow_after_the_warm_up_fails(api, tmp_path):
    ms = tmp_path / "ms"
    ms.write_text("900,20")
    profile = api.save(script=f"ms=@{ms}", warmup=5)
    played(api, profile)
    ms.write_text("20,90")
    assert played(api, profile)["autoVerdict"] == "FAIL"


def test_the_start_says_what_is_not_judged_else_the_profile_does(api):
    found = []
    for number, asked in enumerate([{}, {"warmup": 10}, {"warmup": 0}]):
        profile = api.save(name=str(number), warmup=5)
        found.append(played(api, profile, **asked)["warmupSeconds"])
    assert found == [5, 10, 0]


def test_a_run_with_another_warm_up_is_not_comparable(api):
    profile = api.save()
    played(api, profile)
    detail = played(api, profile, warmup=5)
    assert detail["autoVerdict"] == "NO_BASELINE"
    assert "has another warm-up" in detail["autoVerdictReasons"]
    refused = api.post(f"/profiles/{profile}/runs", json={"warmup": 5, "baselineRunId": 1})
    assert "it has another warm-up" in refused.json()["error"]


def test_runs_of_an_older_server_had_none(api, server, tmp_path):
    profile = api.save()
    played(api, profile)
    with sqlite3.connect(tmp_path / "data" / "tm.db") as database:
        database.execute("""UPDATE runs SET traits = json_remove(traits, '$."warm-up"')""")
    database.close()
    assert played(api, profile)["autoVerdict"] == "PASS"
    assert "has another warm-up" in played(api, profile, warmup=5)["autoVerdictReasons"]


def test_live_status_tells_the_warm_up(api):
    profile = api.save()
    played(api, profile, warmup=5)
    assert api.status(profile)["warmupSeconds"] == 5
    played(api, profile)
    assert "warmupSeconds" not in api.status(profile)


def test_both_sides_of_an_ab_run_warm_up(api):
    profile = api.save(script="ms=20", warmup=5)
    detail = played(api, profile, againstUrl=OLD.format("ms=900,20"))
    assert detail["autoVerdict"] == "PASS"
    against = detail["against"]
    assert against["latencyQuantiles"]["p95"] == pytest.approx(20, rel=0.01)
    assert (against["totalRequests"], against["judged"]["totalRequests"]) == (400, 300)


@pytest.mark.parametrize("warmup", [3, 5.5, -5, 20, 3605, "5s", True])
def test_a_warm_up_is_some_stretches_and_leaves_something_to_judge(api, warmup):
    profile = api.save()
    answer = api.post(f"/profiles/{profile}/runs", json={"warmup": warmup})
    assert (answer.status_code, "warmup" in answer.json()["error"]) == (400, True)
    again = api.put(f"/profiles/{profile}", json={**api.get(f"/profiles/{profile}").json()})
    assert again.status_code == 200


def test_the_share_of_the_time_that_tasks_waited_for_a_cpu_is_recorded(api):
    assert played(api, api.save("a", script="pressure=0.31"))["cpuPressure"] == 0.31
    assert played(api, api.save("b"))["cpuPressure"] is None


def test_a_machine_that_is_much_busier_than_in_the_baseline_is_a_reason(api, tmp_path):
    pressure = tmp_path / "pressure"
    pressure.write_text("0.04")
    profile = api.save(script=f"pressure=@{pressure}")
    played(api, profile)
    pressure.write_text("0.31")
    detail = played(api, profile)
    pressures = comparison(detail, "cpu_pressure")
    assert (pressures["value"], pressures["baseline"]) == (31, 4)
    assert "waited for a CPU 31 % of the time, the baseline 4 %" in detail["autoVerdictReasons"]
