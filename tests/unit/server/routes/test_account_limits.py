"""Limits of the account: what is refused when it is saved or started, and what is cut off."""

import json
from contextlib import ExitStack

import pytest

from tests.unit.server.routes.test_run_routes import job_of
from tests.unit.server.running_server import Api, body, serving

LIMITS = {
    "profiles": 2,
    "variables_sets": 1,
    "request_bytes": 200,
    "headers_bytes": 150,
    "header_bytes": 100,
    "header_count": 3,
    "history_days": 30,
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("limited") / "data", **LIMITS) as api:
        yield api


@pytest.fixture
def start(start_server):
    with ExitStack() as clients:
        yield lambda *data, **limits: Api(
            clients.enter_context(start_server(*data, **limits).client())
        )


def headers(*lengths):
    return json.dumps(
        [{"name": f"X-{n}", "value": "v" * length} for n, length in enumerate(lengths)]
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"requestBody": "b" * 201}, "more than 200 bytes"),
        ({"requestBody": "\u20ac" * 60, "requestHeaders": headers(1)}, "more than 200 bytes"),
        ({"requestHeaders": headers(1, 1, 1, 1)}, "more than 3 headers"),
        ({"requestHeaders": headers(94)}, "more than 100 bytes in one header"),
        ({"requestHeaders": headers(60, 60)}, "more than 150 bytes"),
    ],
)
def test_a_request_that_is_too_large_is_not_saved(limited, fields, words):
    answer = limited.post("/profiles", json=body("large", **fields))
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_values_count_when_a_run_is_started(limited):
    profile_id = limited.save("filled", requestBody="${TEXT}")
    asked = {"values": {"TEXT": "t" * 201}}
    answer = limited.post(f"/profiles/{profile_id}/runs", json=asked)
    assert answer.json() == {"error": "requestBody and requestHeaders: more than 200 bytes"}
    limited.delete(f"/profiles/{profile_id}")


def test_counts_are_limited_and_reported(limited):
    for name in ("one", "two"):
        limited.save(name)
    refused = limited.post("/profiles", json=body("three"))
    assert (refused.status_code, refused.json()["error"]) == (400, "Profile limit reached (2)")
    limited.save("one", duration=30)
    csv = {"name": "users", "mode": "SEQUENTIAL", "csvContent": "user\nann\n"}
    assert limited.post("/variables-sets", json=csv).status_code == 201
    refused = limited.post("/variables-sets", json={**csv, "name": "more"})
    assert (refused.status_code, refused.json()["error"]) == (
        400,
        "Variables-set quota reached (1)",
    )
    account = limited.get("/account").json()
    assert account["limits"]["historyRetentionDays"] == 30
    assert account["limits"]["maxRequestBytes"] == 200
    assert (account["usage"]["profileCount"], account["usage"]["variablesSetCount"]) == (2, 1)


def ended(api, run_id):
    return api.get(f"/history/{api.row_of(run_id)['id']}").json()


def high(y, **fields):
    return {
        "points": [{"x": 0, "y": y}, {"x": 20, "y": y}],
        "interpolationMode": "LINEAR",
        **fields,
    }


@pytest.mark.process
def test_a_curve_above_the_limit_is_cut_off_and_says_so(start, tmp_path):
    api = start(profile_rps=100)
    low, cut = (api.save(str(y), f"log={tmp_path / str(y)}", **high(y)) for y in (100, 101))
    whole, less = ended(api, api.start(low)), ended(api, api.start(cut))
    assert whole["notes"] == []
    [note] = less["notes"]
    assert "cut off at 100 requests per second (maxProfileRps" in note
    assert job_of(tmp_path / "101")["max_rps"] == 100
    assert api.row_of(api.start(cut))["loadFingerprint"] == less["loadFingerprint"]


@pytest.mark.process
def test_steps_count_as_the_requests_that_they_are(start, tmp_path):
    api = start(profile_rps=100)
    steps = [{"request": "GET /a"}, {"request": "GET /b"}]
    url = {"targetUrl": "http://127.0.0.1:9/"}
    row = ended(api, api.start(api.save("visits", **high(60), **url, steps=steps)))
    assert "cut off at 50 visitors per second" in row["notes"][0]


@pytest.mark.process
def test_active_runs_share_the_rate(start, tmp_path):
    api = start(max_rps=100)
    first = api.save("first", "mode=hold", **high(70))
    second = api.save("second", f"mode=hold&log={tmp_path / 'log'}", **high(70))
    api.start(first)
    api.until_status(first, "RUNNING")
    runs = [api.start(second)]
    third = api.save("third", **high(1))
    refused = api.post(f"/profiles/{third}/start")
    assert refused.status_code == 400
    assert "No rate is left" in refused.json()["error"]
    runs.append(api.start(second))  # replaces its own run, and takes over its part
    for profile_id in (first, second):
        api.post(f"/profiles/{profile_id}/stop")
    for run_id in runs:
        [note] = ended(api, run_id)["notes"]
        assert "cut off at 30 requests per second (maxRps" in note


@pytest.mark.process
def test_used_up_requests_of_the_month_refuse_a_start(start):
    api = start(monthly_requests=500)
    profile_id = api.save()
    api.row_of(api.start(profile_id))
    api.row_of(api.start(profile_id))
    answer = api.post(f"/profiles/{profile_id}/runs", json={})
    usage = api.get("/account").json()["usage"]
    assert answer.status_code == 409
    told = answer.json()
    assert "500 requests of this month" in told.pop("error")
    assert told == {
        "code": "USAGE_LIMIT_REACHED",
        "usedRequests": usage["usedRequests"],
        "includedRequests": 500,
        "usagePercent": 160.0,
        "upgradeUrl": "",
    }


@pytest.mark.process
def test_a_looping_run_ends_after_the_iteration_that_uses_them_up(start, tmp_path):
    line = {"event": "progress", "elapsed": 21.0, "sent": 500, "in_flight": 0, "flags": {}}
    (tmp_path / "line").write_text(json.dumps(line))
    script = f"mode=say&line=@{tmp_path / 'line'}"
    for used_up, outcome in ((501, "COMPLETED"), (500, "STOPPED")):
        api = start(tmp_path / outcome, monthly_requests=used_up)
        row = ended(api, api.start(api.save("looping", script, loop=True)))
        assert row["outcome"] == outcome
        assert [note for note in row["notes"] if "used up" in note] == [
            "stopped after an iteration: the month's requests are used up"
        ] * (outcome == "STOPPED")


@pytest.mark.process
def test_without_a_limit_runs_and_requests_are_not_counted(start):
    api = start(concurrent_runs=0)
    ids = [api.save(str(n), "mode=hold") for n in range(5)]
    for profile_id in ids:
        api.start(profile_id)
    account = api.get("/account").json()
    assert account["usage"]["activeRunCount"] == 5
    assert (account["limits"]["maxConcurrentRuns"], account["limits"]["maxRps"]) == (0, 0)
