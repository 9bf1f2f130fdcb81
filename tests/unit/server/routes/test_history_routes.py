import json

import pytest

pytestmark = pytest.mark.process


@pytest.fixture
def profile_id(api):
    return api.save()


def finish(api, profile_id, **asked):
    run_id = api.start(profile_id, **asked)
    api.until_status(profile_id, "COMPLETED")
    return api.judged(run_id)


@pytest.fixture(scope="module")
def two_runs(shared_api):
    profile_id = shared_api.save()
    finish(shared_api, profile_id, tags=["a", "b"])
    finish(shared_api, profile_id, tags=["b"])
    return shared_api


def test_a_row_has_all_that_is_known_of_the_run(api):
    profile_id = api.save(script="codes=200:80,404:10&fails=ConnectionRefusedError:10&ms=30")
    detail = finish(api, profile_id, tags=["a"])
    assert detail["profileName"] == "checkout"
    assert (detail["totalRequests"], detail["totalErrors"]) == (400, 80)
    assert (detail["successRate"], detail["avgRps"], detail["peakRps"]) == (80.0, 20.0, 20.0)
    assert detail["durationSeconds"] == 20
    assert detail["triggeredBy"] == "api"
    assert detail["startedAt"] <= detail["finishedAt"] <= detail["createdAt"]
    assert json.loads(detail["responseCodes"]) == {
        "200": 320,
        "404": 40,
        "ConnectionRefusedError": 40,
    }
    quantiles = json.loads(detail["latencyQuantiles"])
    assert list(quantiles) == ["p50", "p90", "p95", "p99", "p99.9"]
    assert quantiles["p99.9"] == pytest.approx(30, rel=0.002)
    assert json.loads(detail["rpsSeries"])[0] == {
        "t": 2.5,
        "rps": 20.0,
        "planned": 20.0,
        "okRatio": 0.8,
        "badRatio": 0.2,
    }
    assert json.loads(detail["latencySeries"])[3] == {"t": 17.5, "p50": 30, "p95": 30, "p99": 30}


def test_the_first_run_has_no_baseline_and_the_second_is_compared_with_it(api, profile_id):
    first, second = finish(api, profile_id), finish(api, profile_id)
    assert (first["autoVerdict"], first["autoCompareBaselineRunId"]) == ("NO_BASELINE", None)
    assert (second["autoVerdict"], second["autoCompareBaselineRunId"]) == ("PASS", first["id"])
    assert isinstance(json.loads(second["autoVerdictReasons"]), list)
    assert isinstance(json.loads(second["autoCompareSnapshot"]), dict)


def test_another_curve_has_another_baseline(api, profile_id):
    finish(api, profile_id)
    api.save(points=[{"x": 0, "y": 10}, {"x": 20, "y": 10}])
    assert finish(api, profile_id)["autoVerdict"] == "NO_BASELINE"


def test_pages_hold_every_row_once_newest_first(api, profile_id):
    made = [finish(api, profile_id)["id"] for _ in range(5)]
    pages = [api.get("/history", params={"size": 2, "page": n}).json() for n in range(4)]
    assert [row["id"] for page in pages for row in page["content"]] == made[::-1]
    assert [len(page["content"]) for page in pages] == [2, 2, 1, 0]
    assert {(page["totalElements"], page["totalPages"]) for page in pages} == {(5, 3)}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 2),
        ({"profileId": 1}, 2),
        ({"profileId": 2}, 0),
        ({"triggeredBy": "api"}, 2),
        ({"triggeredBy": "API"}, 0),
        ({"triggeredBy": "manual"}, 0),
        ({"region": "local"}, 2),
        ({"region": "loc"}, 0),
        ({"autoVerdict": "NO_BASELINE"}, 1),
        ({"autoVerdict": "PASS"}, 1),
        ({"autoVerdict": "pass"}, 0),
        ({"tag": "a"}, 1),
        ({"tag": "b"}, 2),
        ({"tag": "A"}, 0),
        ({"tag": "%"}, 0),
        ({"tag": "a", "autoVerdict": "PASS"}, 0),
        ({"from": "2020-01-01T00:00:00+02:00", "to": "2120-01-01T00:00:00Z"}, 2),
        ({"from": "2120-01-01T00:00:00Z"}, 0),
        ({"to": "2020-01-01T00:00:00.123456789Z"}, 0),
        ({"unknown": "x"}, 2),
    ],
)
def test_filters_are_combined(two_runs, query, found):
    assert len(two_runs.rows(**query)) == found


def test_run_id_is_found_by_its_beginning(two_runs):
    newest = two_runs.rows()[0]
    assert newest["runId"] in [row["runId"] for row in two_runs.rows(runId=newest["runId"][:6])]
    assert two_runs.rows(runId=newest["runId"], tag="b") == [newest]
    assert two_runs.rows(runId=newest["runId"] + "0") == []


def test_list_has_the_changes_since_the_baseline(two_runs):
    second, first = two_runs.rows()
    assert first["latencyChanges"] is None
    assert second["latencyChanges"] == {"p50": 0.0, "p95": 0.0, "p99": 0.0}


def test_both_bounds_are_inclusive(api, profile_id):
    created = finish(api, profile_id)["createdAt"]
    assert len(api.rows(**{"from": created, "to": created})) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"page": "-1"},
        {"page": "x"},
        {"page": "1.0"},
        {"page": str(2**31)},
        {"size": "x"},
        {"size": "١٢"},
        {"profileId": "1_0"},
        {"from": "2020-01-01T00:00:00"},
        {"to": "yesterday"},
    ],
)
def test_an_unusable_query_is_refused(shared_api, query):
    answer = shared_api.get("/history", params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error"]


@pytest.mark.parametrize(("asked", "used"), [("0", 1), ("-5", 1), ("100", 100), ("999", 100)])
def test_the_page_size_is_clamped(shared_api, asked, used):
    assert shared_api.get("/history", params={"size": asked}).json()["size"] == used


def test_deleted_row_is_in_no_list(api, profile_id):
    number = finish(api, profile_id, tags=["gone"])["id"]
    assert api.rows(tag="gone", autoVerdict="NO_BASELINE")
    api.delete(f"/history/{number}")
    assert api.rows(tag="gone") == api.rows(profileId=profile_id) == []
    assert api.get("/history/filters").json()["tags"] == []


def test_deleting_a_row_is_final(api, profile_id):
    row = finish(api, profile_id)
    assert api.delete(f"/history/{row['id']}").status_code == 204
    for answer in (api.delete(f"/history/{row['id']}"), api.get(f"/history/{row['id']}")):
        assert (answer.status_code, answer.json()) == (400, {"error": "Run history not found"})
    assert finish(api, profile_id)["id"] > row["id"]


def test_filters_list_what_rows_have(api, profile_id):
    finish(api, profile_id, tags=["z", "a"])
    api.put(f"/profiles/{profile_id}", json={**api.get("/profiles/1").json(), "name": "renamed"})
    assert api.get("/history/filters").json()["profiles"] == [{"id": 1, "name": "checkout"}]
    finish(api, profile_id)
    api.delete(f"/profiles/{profile_id}")
    assert api.get("/history/filters").json() == {
        "profiles": [{"id": 1, "name": "renamed"}],
        "regions": ["local"],
        "tags": ["a", "z"],
        "triggeredBy": ["api", "manual", "scheduled"],
        "autoVerdicts": ["PASS", "WARN", "FAIL", "NO_BASELINE"],
    }


def test_comparing_is_answered_like_an_unknown_route(api):
    answer = api.get("/history/compare", params={"runA": 1, "runB": 2})
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_a_run_without_requests_has_no_success_rate(api):
    detail = api.row_of(api.start(api.save(script="mode=fail")))
    assert detail["totalRequests"] == 0
    assert detail["successRate"] is None
