"""Limits of stretches of the curve, from the request to the verdict."""

import json

import pytest

pytestmark = pytest.mark.process

OLD = "http://127.0.0.1:9/old?{}"


def played(api, profile, **asked):
    return api.judged(api.start(profile, **asked))


@pytest.fixture
def ms(tmp_path):
    path = tmp_path / "ms"
    path.write_text("20")
    return path


@pytest.fixture
def profile(api, ms):
    """Four stretches of 5 s with 300 requests each."""
    limits = {"p95[5s..10s]": {"fail": 20}, "p95[10s..]": {"failMs": 500}}
    return api.save(
        script=f"ms=@{ms}&codes=200:300", gate=limits | dict.fromkeys(["p50", "p95", "p99"], False)
    )


@pytest.mark.parametrize(
    ("times", "verdict", "reason"),
    [
        ("20,20,20,20", "PASS", ""),
        ("90,20,20,20", "PASS", ""),
        ("20,90,20,20", "FAIL", "p95[5s..10s] 90.0 ms, baseline 20.0 ms"),
        ("20,20,90,20", "PASS", ""),
        ("20,20,20,900", "FAIL", "p95[10s..] 900.1 ms, limit 500 ms, whatever the baseline"),
    ],
)
def test_only_the_stretch_is_judged_by_its_limits(api, ms, profile, times, verdict, reason):
    assert played(api, profile)["autoVerdict"] == "NO_BASELINE"
    ms.write_text(times)
    detail = played(api, profile, gate={"p99.9": False})
    assert detail["autoVerdict"] == verdict, detail["autoVerdictReasons"]
    assert reason in detail["autoVerdictReasons"]
    limits = json.loads(detail["autoCompareSnapshot"])["limits"]
    assert limits["p95[5s..10s]"] == {"fail": 20}


def test_a_first_run_has_the_absolute_limits_of_its_stretches(api, ms, profile):
    ms.write_text("20,20,20,2000")
    detail = played(api, profile)
    assert detail["autoVerdict"] == "FAIL"
    assert "p95[10s..]" in detail["autoVerdictReasons"]


def test_a_stretch_is_compared_between_two_targets(api, ms, profile):
    ms.write_text("20,90,20,20")
    detail = played(api, profile, againstUrl=OLD.format("ms=20&codes=200:300"))
    assert detail["autoVerdict"] == "FAIL"
    assert "p95[5s..10s] 90.0 ms, other target 20.0 ms" in detail["autoVerdictReasons"]


def test_two_finished_runs_are_compared_by_the_limits_of_the_newer_one(api, ms, profile):
    first = played(api, profile)
    ms.write_text("20,90,20,20")
    second = played(api, profile)
    ids = {"runA": first["id"], "runB": second["id"]}
    found = api.get("/history/compare", params=ids).json()["comparisons"]
    assert [item["verdict"] for item in found if item["metric"] == "p95[5s..10s]"] == ["FAIL"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"gate": {"p95[15s..25s]": {"fail": 5}}}, "p95[15s..25s]: the stretch ends after"),
        ({"gate": {"p95[0s..5s]": {"fail": 5}}, "warmup": 5}, "begins in the warm-up of 5s"),
        ({"gate": {"p95[3s..5s]": {"fail": 5}}}, "multiple of 5s"),
    ],
)
def test_a_stretch_that_is_not_there_is_refused_at_the_start(api, asked, words):
    answer = api.post(f"/profiles/{api.save()}/runs", json=asked)
    assert (answer.status_code, api.rows()) == (400, [])
    assert words in answer.json()["error"]
