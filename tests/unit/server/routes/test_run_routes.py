import json

import pytest

from tests.unit.server.running_server import Api, eventually

pytestmark = pytest.mark.process


def test_a_run_completes_and_stays_visible_until_stopped(api):
    profile_id = api.save(script="codes=200:90,503:10")
    run_id = api.start(profile_id, tags=["Nightly", "nightly", " v1.2 "])
    status = api.until_status(profile_id, "COMPLETED")
    assert status["runId"] == run_id
    assert status["tags"] == ["nightly", "v1.2"]
    assert status["region"] == "local"
    assert status["responseCodeCounts"] == {"200": 360, "503": 40}
    assert [bucket["t"] for bucket in status["recentBuckets"]] == [2.5, 7.5, 12.5, 17.5]
    assert status["recentBuckets"][0]["okRatio"] == 0.9
    assert status["currentRps"] == 20.0
    answer = api.post(f"/profiles/{profile_id}/stop")
    assert answer.json() == {"runId": run_id, "status": "IDLE", "profileId": profile_id}
    assert api.status(profile_id)["status"] == "IDLE"
    assert [row["outcome"] for row in api.rows()] == ["COMPLETED"]


def test_the_end_is_never_visible_before_the_row(api):
    profile_id = api.save()
    for _ in range(10):
        run_id = api.start(profile_id)
        api.until_status(profile_id, "COMPLETED")
        assert api.rows()[0]["runId"] == run_id


def test_an_idle_profile_has_a_status_at_rest(api):
    status = api.status(api.save())
    assert status == {
        "profileId": 1,
        "runId": None,
        "status": "IDLE",
        "region": None,
        "elapsedSeconds": 0.0,
        "durationSeconds": 0.0,
        "requestsSent": 0,
        "responseCodeCounts": {},
        "currentRps": None,
        "plannedRps": None,
        "recentBuckets": [],
        "scriptOk": 0,
        "scriptErrors": 0,
        "generatorSaturated": False,
        "downstreamSaturated": False,
        "flakyDispatch": False,
        "tags": [],
    }


def test_the_engine_gets_the_job_as_agreed(api, tmp_path):
    headers = [{"name": "X-Trace", "value": "1"}]
    profile_id = api.save(
        script=f"log={tmp_path / 'log'}",
        httpMethod="PUT",
        requestBody="hello",
        requestHeaders=json.dumps(headers),
        interpolationMode="LINEAR",
    )
    run_id = api.start(profile_id)
    api.until_status(profile_id, "COMPLETED")
    job = json.loads((tmp_path / "log").read_text().splitlines()[0])["job"]
    assert job.pop("target_url").startswith("http://127.0.0.1:9/?log=")
    assert job == {
        "run_id": run_id,
        "against": None,
        "addresses": ["127.0.0.1"],
        "method": "PUT",
        "headers": [["X-Trace", "1"]],
        "body": "hello",
        "points": [[0.0, 20.0], [20.0, 20.0]],
        "duration": 20.0,
        "interpolation": "LINEAR",
        "loop": False,
        "slots": 256,
        "timeout": 10.0,
        "max_rps": 10_000.0,
        "share": {"index": 0, "count": 1},
        "hold": False,
        "probe": {"url": None, "addresses": None, "wait": 0.0},
        "expect_status": None,
        "ca_file": None,
        "locustfile": None,
        "visit_timeout": None,
        "data": [],
        "client_certificate": None,
        "tokens": {},
        "http_version": None,
        "steps": None,
        "checks": None,
        "cookies": False,
        "follow_redirects": 0,
        "origins": [],
        "response_script": None,
        "init_values": {},
    }


def test_pause_and_resume_reach_the_engine(api, tmp_path):
    log = tmp_path / "log"
    profile_id = api.save(script=f"mode=hold&log={log}")
    run_id = api.start(profile_id)
    for verb, status in [("pause", "PAUSED"), ("pause", "PAUSED"), ("resume", "RUNNING")]:
        answer = api.post(f"/profiles/{profile_id}/{verb}")
        assert answer.json() == {"runId": run_id, "status": status, "profileId": profile_id}
        assert api.status(profile_id)["status"] == status
        assert api.get(f"/profiles/{profile_id}").json()["status"] == status
    eventually(lambda: '"resume"' in log.read_text() if log.exists() else False)
    assert api.post(f"/profiles/{profile_id}/resume").json()["status"] == "RUNNING"


def test_a_pause_before_the_engine_is_up_is_not_lost(api, tmp_path):
    log = tmp_path / "log"
    profile_id = api.save(script=f"mode=hold&log={log}")
    api.start(profile_id)
    api.post(f"/profiles/{profile_id}/pause")
    eventually(lambda: '"pause"' in log.read_text() if log.exists() else False)
    assert api.status(profile_id)["status"] == "PAUSED"


def test_stop_ends_a_paused_run(api):
    profile_id = api.save(script="mode=hold")
    run_id = api.start(profile_id)
    api.post(f"/profiles/{profile_id}/pause")
    assert api.post(f"/profiles/{profile_id}/stop").json()["status"] == "IDLE"
    row = api.row_of(run_id)
    assert (row["outcome"], row["autoVerdict"]) == ("STOPPED", None)


def test_there_is_nothing_to_resume_without_a_run(api):
    profile_id = api.save()
    answer = api.post(f"/profiles/{profile_id}/resume")
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "No active run to resume for selected profile"},
    )
    api.start(profile_id)
    api.until_status(profile_id, "COMPLETED")
    answer = api.post(f"/profiles/{profile_id}/resume")
    assert answer.json()["error"] == "Run already completed. Start a new run or reset."
    assert api.post(f"/profiles/{profile_id}/pause").json()["status"] == "IDLE"


@pytest.mark.parametrize("verb", ["stop", "pause"])
def test_stop_and_pause_answer_for_unknown_ids(api, verb):
    answer = api.post(f"/profiles/99/{verb}")
    assert (answer.status_code, answer.json()) == (
        200,
        {"runId": None, "status": "IDLE", "profileId": 99},
    )


def test_a_second_start_replaces_the_active_run(api):
    profile_id = api.save(script="mode=hold")
    first = api.start(profile_id)
    second = api.start(profile_id)
    assert first != second
    assert api.status(profile_id)["runId"] == second
    row = api.row_of(first)
    assert (row["outcome"], row["autoVerdict"]) == ("REPLACED", None)
    assert api.status(profile_id)["status"] == "RUNNING"


def test_an_engine_that_ignores_the_stop_is_killed_for_its_successor(api):
    profile_id = api.save(script="mode=deaf")
    first = api.start(profile_id)
    eventually(lambda: api.status(profile_id)["requestsSent"])
    second = api.start(profile_id)
    assert api.row_of(first)["outcome"] == "REPLACED"
    eventually(lambda: api.status(profile_id)["requestsSent"])
    assert api.status(profile_id)["runId"] == second


def test_many_starts_leave_one_run_and_a_row_for_every_other(api):
    profile_id = api.save(script="mode=hold")
    runs = [api.start(profile_id) for _ in range(6)]
    outcomes = {run_id: api.row_of(run_id)["outcome"] for run_id in runs[:-1]}
    assert set(outcomes.values()) == {"REPLACED"}
    assert api.status(profile_id)["runId"] == runs[-1]
    assert api.get("/account").json()["usage"]["activeRunCount"] == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("mode=crash", "out of file descriptors"),
        ("mode=fail", "the curve makes no sense"),
        ("mode=garbage", "hello"),
        ("histogram=HISTFAAAAA", "response times cannot be read"),
        ("swallow=100", "counted 400 responses, its buckets hold 300"),
    ],
)
def test_a_broken_engine_aborts_the_run_and_says_why(api, script, reason):
    profile_id = api.save(script=script)
    row = api.row_of(api.start(profile_id))
    assert (row["outcome"], row["autoVerdict"]) == ("ABORTED", None)
    assert reason in json.loads(row["autoVerdictReasons"])[0]
    assert api.status(profile_id)["status"] == "IDLE"


def test_an_engine_that_cannot_be_started_aborts_the_run(start_server, tmp_path):
    server = start_server(engine_command=[str(tmp_path / "missing")])
    with server.client() as client:
        api = Api(client)
        row = api.row_of(api.start(api.save()))
    assert row["outcome"] == "ABORTED"
    assert "could not be started" in row["autoVerdictReasons"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"targetUrl": "http://127.0.0.1/$$id$$"}, "targetUrl"),
        ({"requestBody": "a $$token$$"}, "requestBody"),
        ({"requestHeaders": '[{"name": "A", "value": "$$b$$"}]'}, "requestHeaders"),
        ({"requestHeaders": '[{"name": "Content-Length", "value": "5"}]'}, "Content-Length"),
        ({"requestHeaders": '[{"name": "A", "value": "\u20ac"}]'}, "requestHeaders: A"),
        ({"targetUrl": "http://127.0.0.1//x"}, "two slashes"),
        ({"region": "eu-west"}, "eu-west"),
        ({"targetUrl": "http://user:secret@127.0.0.1/"}, "credentials"),
        ({"targetUrl": "http://8.8.8.8/"}, "is public"),
        ({"targetUrl": "http://0xa9fea9fe/"}, "link-local"),
    ],
)
def test_what_cannot_be_executed_is_not_started(shared_api, fields, place):
    profile_id = shared_api.save(place, **fields)
    answer = shared_api.post(f"/profiles/{profile_id}/start")
    assert answer.status_code == 400
    assert place in answer.json()["error"]
    assert shared_api.status(profile_id)["status"] == "IDLE"


REQUEST = {"request": "GET /"}
LOCUSTFILE = {"file": "shop.py", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"locustfile": LOCUSTFILE, "httpVersion": "2"}, "a locustfile has its own"),
        ({"steps": [REQUEST], "httpVersion": "2"}, "steps is not possible with httpVersion 2"),
        ({"checks": {"status": 200}, "httpVersion": "2"}, "checks is not possible"),
        ({"cookies": True, "httpVersion": "2"}, "cookies is not possible"),
        ({"followRedirects": 1, "httpVersion": "2"}, "followRedirects is not possible"),
        ({"responseScript": "x", "httpVersion": "2"}, "responseScript is not possible"),
        ({"responseScript": "x", "steps": [REQUEST]}, "responseScript is not possible with steps"),
        ({"initScript": "x", "locustfile": LOCUSTFILE}, "initScript is not possible with a locust"),
    ],
)
def test_what_would_be_left_out_in_silence_is_not_started(shared_api, fields, reason):
    profile_id = shared_api.save(reason, **fields)
    answer = shared_api.post(f"/profiles/{profile_id}/start")
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def test_the_server_refuses_to_load_itself(api, server):
    profile_id = api.save(targetUrl=server.info.base_url + "/api/v1/profiles")
    assert "this server itself" in api.post(f"/profiles/{profile_id}/start").json()["error"]


def test_a_schedule_and_a_callback_do_not_prevent_a_start(api):
    schedule = {"mode": "ONCE", "timezone": "UTC", "slots": [{"dayOfWeek": 7, "time": "00:00"}]}
    api.start(api.save(schedule=schedule, callbackUrl="http://127.0.0.1/done"))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"headers": {"Content-Type": "application/json"}},
        {"json": {}},
        {"json": {"region": None, "tags": None}},
        {"json": {"region": " ", "tags": []}},
        {"json": {"region": "local"}},
    ],
)
def test_the_start_body_is_optional(shared_api, how):
    profile_id = shared_api.save("optional")
    assert shared_api.post(f"/profiles/{profile_id}/runs", **how).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"region": "mars"},
        {"tags": ["a b"]},
        {"tags": [""]},
        {"tags": ["x" * 61]},
        {"tags": ["x"] * 21},
        {"tags": "x"},
        {"tags": [1]},
        ["x"],
    ],
)
def test_an_unusable_start_body_starts_nothing(shared_api, asked):
    profile_id = shared_api.save("unusable")
    assert shared_api.post(f"/profiles/{profile_id}/runs", json=asked).status_code == 400
    assert shared_api.status(profile_id)["status"] == "IDLE"


def test_a_start_without_profile_is_refused(api):
    for path in ("/profiles/99/start", "/profiles/99/runs"):
        answer = api.post(path)
        assert (answer.status_code, answer.json()) == (400, {"error": "Profile not found"})


def test_the_fifth_concurrent_run_is_refused_and_a_replacement_is_not(api):
    profiles = [api.save(f"p{number}", script="mode=hold") for number in range(5)]
    for profile_id in profiles[:4]:
        api.start(profile_id)
    refused = api.post(f"/profiles/{profiles[4]}/start")
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("Concurrent run limit reached")
    api.start(profiles[0])
    api.post(f"/profiles/{profiles[1]}/stop")
    api.start(profiles[4])


def job_of(log):
    return json.loads(log.read_text().splitlines()[0])["job"]


def test_the_start_says_how_long_to_wait_for_the_target_else_the_profile_does(api, tmp_path):
    waits = []
    for number, asked in enumerate([{}, {"waitForTarget": 5}, {"waitForTarget": 0}]):
        log = tmp_path / str(number)
        profile_id = api.save(name=str(number), script=f"log={log}", waitForTarget=30)
        api.start(profile_id, **asked)
        api.until_status(profile_id, "COMPLETED")
        waits.append(job_of(log)["probe"]["wait"])
    assert waits == [30.0, 5.0, 0.0]


def test_a_readiness_url_is_checked_like_a_target(api, tmp_path):
    log = tmp_path / "log"
    script, ready = f"log={log}", "http://127.0.0.2:9/ready"
    profile_id = api.save(script=script, readinessUrl=ready)
    api.start(profile_id)
    api.until_status(profile_id, "COMPLETED")
    assert job_of(log)["probe"] == {"url": ready, "addresses": ["127.0.0.2"], "wait": 0.0}
    for url, words in [
        ("http://169.254.169.254/", "readinessUrl cannot be used"),
        ("http://8.8.8.8/", "is public"),
        ("http://u:p@127.0.0.1/", "readinessUrl"),
        ("ftp://127.0.0.1/", "readinessUrl"),
        ("http://127.0.0.1:99999/", "readinessUrl"),
        ("http://$$host$$/", "which has no macros"),
    ]:
        profile_id = api.save(name=url[:40], readinessUrl=url)
        answer = api.post(f"/profiles/{profile_id}/runs", json={})
        assert answer.status_code == 400
        assert words in answer.json()["error"]


def test_expected_statuses_reach_the_load_generator(api, tmp_path):
    log = tmp_path / "log"
    profile_id = api.save(script=f"log={log}", gate={"expectStatus": [201, 200]})
    api.start(profile_id)
    api.until_status(profile_id, "COMPLETED")
    assert sorted(job_of(log)["expect_status"]) == [200, 201]


def test_a_curve_at_the_limit_is_played_as_it_is(api):
    curve = [{"x": 0, "y": 10_000}, {"x": 7, "y": 10_000}, {"x": 20, "y": 1}]
    run_id = api.start(api.save(points=curve, interpolationMode="LINEAR"))
    assert api.get(f"/history/{api.row_of(run_id)['id']}").json()["notes"] == []


def test_an_international_target_is_stored_as_it_is_connected_to(api):
    profile_id = api.save(targetUrl="http://fa\u00df.test/\u00e4")
    assert (
        api.get(f"/profiles/{profile_id}").json()["targetUrl"].startswith("http://xn--fa-hia.test/")
    )


def test_certificates_that_the_server_trusts_are_those_of_its_load_generator(
    start_server, tmp_path
):
    log = tmp_path / "log"
    server = start_server(ca_file="/etc/own.pem")
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(script=f"log={log}")
        api.start(profile_id)
        api.until_status(profile_id, "COMPLETED")
    assert job_of(log)["ca_file"] == "/etc/own.pem"
