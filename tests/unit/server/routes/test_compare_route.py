"""`GET /history/compare`."""

import pytest

pytestmark = pytest.mark.process


def run(api, profile_id):
    return api.judged(api.start(profile_id))["id"]


@pytest.fixture
def pair(api, tmp_path):
    """The history ids of a quick run and of a later one that is slower and fails at times."""
    ms, codes = tmp_path / "ms", tmp_path / "codes"
    profile = api.save(script=f"ms=@{ms}&codes=@{codes}")
    ms.write_text("100", encoding="utf-8")
    codes.write_text("200:100", encoding="utf-8")
    older = run(api, profile)
    ms.write_text("150", encoding="utf-8")
    codes.write_text("200:97,503:3", encoding="utf-8")
    return older, run(api, profile)


def compare(api, a, b):
    return api.get("/history/compare", params={"runA": a, "runB": b})


def test_the_newer_run_is_a_in_any_order(api, pair):
    older, newer = pair
    for ids in ((older, newer), (newer, older)):
        answer = compare(api, *ids)
        assert answer.status_code == 200
        document = answer.json()
        assert (document["runA"]["id"], document["runB"]["id"]) == (newer, older)


def test_the_answer_has_what_the_contract_names(api, pair):
    document = compare(api, *pair).json()
    assert set(document["runA"]) == {
        "id", "profileName", "startedAt", "durationSeconds", "totalRequests", "totalErrors",
        "avgRps", "region", "regionDisplayName", "tags",
    }  # fmt: skip
    p95 = document["latency"]["p95"]
    assert (p95["meanA"], p95["meanB"], p95["delta"], p95["deltaPercent"]) == (150, 100, 50, 50)
    assert p95["boxA"] == {"min": 150, "q1": 150, "median": 150, "q3": 150, "max": 150}
    assert p95["pValue"] is None, "nothing varies here"
    assert document["errorComparison"]["delta"] == pytest.approx(3.0)
    assert document["successComparison"]["delta"] == pytest.approx(-3.0)
    assert "bootstrap" not in document["errorComparison"]
    assert set(document["responseCodeComparisons"]) == {"200", "503"}


def test_the_answer_has_what_the_judge_would_say(api, pair):
    found = {item["metric"]: item for item in compare(api, *pair).json()["comparisons"]}
    assert found["p95"]["verdict"] == "FAIL"
    assert found["p95"]["change"] == pytest.approx(50, abs=0.5)
    assert (found["p95"]["warn"], found["p95"]["fail"]) == (5, 15)
    assert found["errors_5xx"]["verdict"] == "FAIL"


def test_two_runs_are_compared_as_if_there_were_no_others(api, tmp_path):
    """Most of the history is as slow as the newer one."""
    ms = tmp_path / "ms"
    profile = api.save(script=f"ms=@{ms}")
    ids = []
    for time in (100, 100, 100, 100, 60, 100):
        ms.write_text(str(time), encoding="utf-8")
        ids.append(run(api, profile))
    found = {item["metric"]: item for item in compare(api, *ids[-2:]).json()["comparisons"]}
    assert found["p95"]["verdict"] == "FAIL"
    assert found["p95"]["pValue"] < 0.001


def test_earlier_runs_are_the_scale_for_errors(api):
    profile = api.save(script="ms=20&codes=200:98,500:2")
    ids = [run(api, profile) for _ in range(5)]
    compared = compare(api, ids[3], ids[4]).json()["errorComparison"]
    assert compared["bootstrap"]["pValue"] == 1.0
    assert compared["bootstrap"]["significant"] is False


def test_runs_of_another_load_are_not_judged_by_each_other(api):
    profile = api.save(script="ms=20")
    older = run(api, profile)
    api.save(script="ms=20", points=[{"x": 0, "y": 10}, {"x": 20, "y": 10}])
    document = compare(api, older, run(api, profile)).json()
    assert (document["notComparable"], document["comparisons"]) == ("another curve", [])
    assert document["latency"]["p95"]["delta"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"runA": 1}, 400),
        ({"runA": 1, "runB": 1}, 400),
        ({"runA": "x", "runB": 1}, 400),
        ({"runA": 1, "runB": 2}, 404),
    ],
)
def test_what_cannot_be_compared_is_refused(api, query, status):
    assert api.get("/history/compare", params=query).status_code == status


def test_runs_of_different_profiles_cannot_be_compared(api):
    ids = [run(api, api.save(name)) for name in ("one", "two")]
    assert compare(api, *ids).status_code == 400
