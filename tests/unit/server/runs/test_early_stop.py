"""Runs that end as soon as their verdict is known, on a server whose engine only pretends."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.unit.server.running_server import Api, eventually

pytestmark = pytest.mark.process

LONG = {"duration": 60, "points": [{"x": 0, "y": 20}, {"x": 60, "y": 20}]}


def stopped_early(api, profile, **asked):
    return api.judged(api.start(profile, stopEarly=True, **asked))


@pytest.fixture
def script(tmp_path):
    """Say what the target of the next run does; all runs have the same target."""
    files = {name: tmp_path / name for name in ("mode", "ms", "codes")}

    def say(mode="live", ms="100", codes="200:500"):
        for name, text in {"mode": mode, "ms": ms, "codes": codes}.items():
            files[name].write_text(text)

    say.text = "&".join(f"{name}=@{path}" for name, path in files.items())
    return say


@pytest.fixture
def profile(api, script):
    """A profile with one whole run."""
    profile = api.save(script=script.text, **LONG)
    script(mode="quick")
    assert api.judged(api.start(profile))["autoVerdict"] == "NO_BASELINE"
    script()
    return profile


def test_a_slower_run_is_stopped_and_fails(api, profile, script):
    script(ms="150")
    detail = stopped_early(api, profile)
    assert (detail["outcome"], detail["autoVerdict"]) == ("COMPLETED", "FAIL")
    assert 15 < detail["stoppedAfterSeconds"] == detail["durationSeconds"] < 30
    assert detail["curveSeconds"] == 60


def test_a_run_like_its_baseline_is_stopped_after_half_and_passes(api, profile):
    detail = stopped_early(api, profile)
    assert (detail["outcome"], detail["autoVerdict"]) == ("COMPLETED", "PASS")
    assert 30 < detail["stoppedAfterSeconds"] < 60


def test_requests_that_were_not_due_yet_are_no_shortfall(api, profile):
    detail = stopped_early(api, profile)
    assert detail["shortfall"] == 0
    assert detail["plannedRequests"] == detail["sentRequests"] == detail["totalRequests"]
    comparisons = json.loads(detail["autoCompareSnapshot"])["comparisons"]
    assert {item["metric"]: item["verdict"] for item in comparisons}["throughput"] == "PASS"


def test_errors_stop_a_run_as_well(api, profile, script):
    script(codes="200:470,500:30")
    detail = stopped_early(api, profile)
    assert detail["autoVerdict"] == "FAIL"
    assert 15 < detail["stoppedAfterSeconds"] < 30


def test_a_generator_that_was_saturated_for_a_while_lets_nothing_be_known(api, script):
    script.text += "&first_flags=generator_saturated"
    points = [{"x": 0, "y": 20}, {"x": 40, "y": 20}]
    profile = api.save(script=script.text, duration=40, points=points)
    script(ms="150")
    old = "http://127.0.0.1:9/old?ms=100&codes=200:500"
    detail = api.judged(api.start(profile, againstUrl=old))
    assert (detail["autoVerdict"], detail["stoppedAfterSeconds"]) == ("WARN", None)


def test_without_the_option_a_run_is_whole(api, profile, script):
    script(mode="quick")
    detail = api.judged(api.start(profile))
    assert (detail["stoppedAfterSeconds"], detail["durationSeconds"]) == (None, 60)


def test_a_first_run_is_whole(api, script):
    script(mode="quick")
    detail = stopped_early(api, api.save(script=script.text, **LONG))
    assert (detail["autoVerdict"], detail["stoppedAfterSeconds"]) == ("NO_BASELINE", None)


def test_a_profile_can_ask_for_it_and_a_start_can_decline(api, script):
    profile = api.save(script=script.text, stopEarly=True, **LONG)
    script(mode="quick")
    api.judged(api.start(profile))
    script()
    assert 30 < api.judged(api.start(profile))["stoppedAfterSeconds"] < 60
    script(mode="quick")
    assert api.judged(api.start(profile, stopEarly=False))["stoppedAfterSeconds"] is None


@pytest.mark.parametrize(
    ("ms", "asked", "seconds", "verdict"),
    [
        pytest.param("150", {}, (15, 30), "FAIL", id="slower"),
        pytest.param("150", {"stopEarly": False}, (59, 61), "FAIL", id="declined"),
    ],
)
def test_an_ab_run_is_stopped_early_by_default(api, script, ms, asked, seconds, verdict):
    script(ms=ms, mode="quick" if asked else "live")
    profile = api.save(script=script.text, **LONG)
    old = "http://127.0.0.1:9/old?ms=100&codes=200:500"
    detail = api.judged(api.start(profile, againstUrl=old, **asked))
    assert detail["autoVerdict"] == verdict
    assert seconds[0] < detail["durationSeconds"] < seconds[1]
    assert detail["shortfall"] == 0
    assert detail["against"]["planned"] == detail["against"]["sent"]


def test_a_run_that_was_stopped_early_is_never_a_baseline(api, profile, script):
    first = stopped_early(api, profile)
    assert first["autoVerdict"] == "PASS"
    whole = api.rows()[-1]["id"]
    script(mode="quick")
    assert api.judged(api.start(profile))["autoCompareBaselineRunId"] == whole
    refused = api.put(f"/profiles/{profile}/baseline", json={"historyId": first["id"]})
    assert refused.status_code == 400
    said = f"it was stopped early, after {first['durationSeconds']} s of 60 s"
    assert said in refused.json()["error"]
    refused = api.post(f"/profiles/{profile}/runs", json={"baselineRunId": first["id"]})
    assert "it was stopped early" in refused.json()["error"]


def test_an_improvement_of_runs_that_were_stopped_early_is_not_lost_again(api, profile, script):
    script(ms="60", mode="quick")
    assert stopped_early(api, profile)["stoppedAfterSeconds"] is None
    script(ms="60")
    later = [stopped_early(api, profile) for _ in range(2)]
    assert all(detail["stoppedAfterSeconds"] for detail in later)
    assert [detail["autoVerdict"] for detail in later] == ["PASS", "PASS"]
    script(ms="100")
    assert stopped_early(api, profile)["autoVerdict"] == "FAIL"


def test_the_comparison_of_a_whole_and_a_stopped_run_is_over_what_both_have(api, profile, script):
    stopped = stopped_early(api, profile)
    script(mode="quick")
    whole = api.judged(api.start(profile))
    ids = {"runA": stopped["id"], "runB": whole["id"]}
    answer = api.get("/history/compare", params=ids).json()
    values = {item["metric"]: item for item in answer["comparisons"]}
    assert values["throughput"]["value"] == pytest.approx(values["throughput"]["baseline"])
    assert values["p95"]["change"] == 0


def test_the_status_says_that_the_run_may_end_early_and_then_when(api, profile):
    run = api.start(profile, stopEarly=True)
    assert api.until_status(profile, "RUNNING")["stopsEarly"] is True
    ended = eventually(lambda: (found := api.status(profile))["durationSeconds"] < 60 and found)
    assert ended["durationSeconds"] > 30
    assert api.judged(run)["durationSeconds"] == ended["durationSeconds"]


def test_a_run_that_the_user_stops_has_no_verdict_even_if_it_was_about_to_end(api, profile, script):
    script(mode="hang")
    run = api.start(profile, stopEarly=True)
    eventually(lambda: api.status(profile)["durationSeconds"] < 60)
    api.post(f"/profiles/{profile}/stop")
    row = eventually(lambda: next((row for row in api.rows() if row["runId"] == run), None))
    assert (row["outcome"], row["autoVerdict"]) == ("STOPPED", None)


def test_a_quarter_of_what_is_judged_does_not_pass_however_long_the_warm_up(
    start_server, script, tmp_path
):
    server = start_server()
    with server.client() as client:
        api = Api(client)
        profile = api.save(script=script.text, warmup=20, **LONG)
        script(mode="quick")
        whole, other = [api.judged(api.start(profile)) for _ in range(2)]
    server.stop()
    with closing(sqlite3.connect(tmp_path / "data" / "tm.db")) as database, database:
        database.executescript(
            f"""
            CREATE TEMP TABLE changed AS SELECT * FROM history WHERE id = {other["id"]};
            UPDATE changed SET duration_seconds = 35, auto_verdict = NULL;
            DELETE FROM history WHERE id = {other["id"]};
            INSERT INTO history SELECT * FROM changed;
            """
        )
    with start_server().client() as client:
        again = Api(client).judged(other["runId"])
    assert (other["autoVerdict"], again["autoVerdict"]) == ("PASS", "WARN")
    assert again["autoCompareBaselineRunId"] == whole["id"]
    assert "it was stopped early to fail" in again["autoVerdictReasons"]
