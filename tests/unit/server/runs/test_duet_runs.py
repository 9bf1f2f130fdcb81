"""Runs against two targets."""

import json

import pytest

pytestmark = pytest.mark.process

OLD = "http://127.0.0.1:9/old?{}"


def played(api, script, old):
    profile = api.save(script=script)
    detail = api.judged(api.start(profile, againstUrl=OLD.format(old)))
    return profile, detail, json.loads(detail["autoCompareSnapshot"])


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        pytest.param("ms=100", "ms=100", "PASS", id="alike"),
        pytest.param("ms=150", "ms=100", "FAIL", id="slower"),
        pytest.param("ms=50", "ms=100", "PASS", id="quicker"),
        pytest.param("codes=200:97,500:3", "codes=200:100", "FAIL", id="more-errors"),
        pytest.param("ms=100", "codes=500:100", "FAIL", id="nothing-to-measure-by"),
        pytest.param("ms=100", "ms=100&codes=200:90,500:10", "WARN", id="a-doubtful-measure"),
        pytest.param("ms=100", "ms=900&codes=200:70,500:30", "WARN", id="slow-because-it-is-sick"),
    ],
)
def test_the_new_version_is_judged_by_the_old_one(api, new, old, verdict):
    _, detail, snapshot = played(api, new, old)
    assert detail["autoVerdict"] == verdict
    assert (snapshot["method"], snapshot["baseline"]) == ("duet", None)
    assert detail["autoCompareBaselineRunId"] is None


def test_each_side_has_results_of_its_own(api):
    _, detail, _ = played(api, "ms=150", "ms=100&codes=200:90,404:10")
    against = detail["against"]
    assert against["targetUrl"] == OLD.format("ms=100&codes=200:90,404:10")
    quantiles = json.loads(detail["latencyQuantiles"])
    assert quantiles["p95"] == pytest.approx(150, rel=0.01)
    assert against["latencyQuantiles"]["p95"] == pytest.approx(100, rel=0.01)
    assert (detail["totalRequests"], detail["totalErrors"]) == (400, 0)
    assert (against["totalRequests"], against["totalErrors"]) == (400, 40)
    assert len(against["latencySeries"]) == len(json.loads(detail["latencySeries"])) == 4


def test_requests_by_address_are_those_of_each_side(api):
    _, detail, _ = played(api, "addresses=10.0.0.1:201,10.0.0.2:199", "addresses=10.0.0.3:400")
    assert detail["addresses"] == {"10.0.0.1": 201, "10.0.0.2": 199}
    assert detail["against"]["addresses"] == {"10.0.0.3": 400}
    assert detail["notes"] == []


def test_an_ordinary_run_has_no_other_side(api):
    assert api.judged(api.start(api.save()))["against"] is None


def test_an_ab_run_is_no_baseline_for_an_ordinary_run(api):
    profile, duet, _ = played(api, "ms=100", "ms=100")
    assert api.judged(api.start(profile))["autoVerdict"] == "NO_BASELINE"
    pinned = api.put(f"/profiles/{profile}/baseline", json={"historyId": duet["id"]})
    assert pinned.status_code == 400


def test_the_engine_gets_both_targets(api, tmp_path):
    log = tmp_path / "log"
    profile = api.save(script=f"log={log}")
    api.judged(api.start(profile, againstUrl=OLD.format("")))
    against = json.loads(log.read_text().splitlines()[0])["job"]["against"]
    assert against["target_url"] == OLD.format("")
    assert isinstance(against["seed"], int)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "http://169.254.169.254/",
        "http://93.184.216.34/",
        "http://u:p@127.0.0.1/",
    ],
)
def test_the_other_target_is_checked_like_the_first(api, url):
    profile = api.save()
    refused = api.post(f"/profiles/{profile}/runs", json={"againstUrl": url})
    assert refused.status_code == 400
    assert "againstUrl" in refused.json()["error"]
    assert api.rows(profileId=profile) == []


def test_a_target_is_not_compared_with_itself(api):
    profile = api.save()
    own = api.get(f"/profiles/{profile}").json()["targetUrl"]
    refused = api.post(f"/profiles/{profile}/runs", json={"againstUrl": own})
    assert refused.status_code == 400
    assert "nothing would be compared" in refused.json()["error"]
