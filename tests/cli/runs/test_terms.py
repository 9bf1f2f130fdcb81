"""What a start asks for beside its profile: a baseline, another target, limits."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import (
    KEY,
    PROFILE,
    RUN,
    comparison,
    other_side,
    row,
    verdict_snapshot,
)
from tm_cli.exit_codes import ExitCode

DOCUMENT = """
name: checkout
duration: 1m
endpointUrl: https://shop.example/checkout
points: [[0, 10], [60, 10]]
gate: {p95: {warn: 5%, fail: 10%}, floor: 3ms}
"""
LIMITS = {"p95": {"warn": 5, "fail": 10}, "floorMs": 3}
IMPORTED = {"id": PROFILE, "name": "checkout", "warnings": []}
STARTED = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}
OLD = "http://localhost:8081/checkout"
GATED = ("runs", "start", "42", "--wait", "--fail-on", "FAIL,WARN")
CAN_ALL = {"baselinePins": True, "runLimits": True, "duet": True}


def expect_run(server, body, **detail):
    """Profile, snapshot, a start with exactly this body, and the run to its end."""
    server.profile().snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body=body)
    return server.status().status("COMPLETED").scan(row()).detail(**detail)


@pytest.mark.parametrize(("used", "code"), [(5, ExitCode.OK), (4, ExitCode.UNDECIDED)])
def test_a_later_wait_holds_the_verdict_against_what_the_start_asked_for(gate, server, used, code):
    server.features(baselinePins=True).profile()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"baselineRunId": 5})
    started = gate("runs", "start", "42", "--baseline", "5")
    assert started.exit_code == ExitCode.OK
    assert "--baseline 5" in started.stderr
    server.status("COMPLETED").scan(row()).detail(autoCompareBaselineRunId=used)
    assert gate("runs", "wait", "--last", "--fail-on", "FAIL").exit_code == code


def test_wait_by_id_can_be_told_what_the_start_asked_for(gate, server):
    server.status("COMPLETED").scan(row()).detail(autoCompareBaselineRunId=4)
    argv = ("runs", "wait", "42", "--run-id", RUN, "--baseline", "5", "--fail-on", "FAIL")
    result = gate(*argv)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "compared with 4 instead of run 5" in result.stderr


def test_verdict_whose_detail_cannot_be_read_rests_on_nothing_that_was_asked_for(gate, server):
    server.features(baselinePins=True).profile().snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"baselineRunId": 5})
    server.status().status("COMPLETED").scan(row())
    server.error("GET", "/history/7", 400, "Run history not found")
    assert gate(*GATED, "--baseline", "5").exit_code == ExitCode.UNDECIDED


def test_asked_baseline_goes_with_the_start(gate, server):
    server.features(baselinePins=True)
    expect_run(server, {"baselineRunId": 5})
    assert gate(*GATED, "--baseline", "5").exit_code == ExitCode.OK


def test_other_target_goes_with_the_start_and_is_what_was_compared(gate, server):
    server.features(duet=True)
    found = verdict_snapshot(method="duet", baseline=None, baselineChoice=None, reference=None)
    expect_run(
        server,
        {"againstUrl": OLD},
        against=other_side(targetUrl=OLD),
        autoCompareSnapshot=found,
        autoCompareBaselineRunId=None,
    )
    result = gate(*GATED, "--against", OLD)
    assert result.exit_code == ExitCode.OK
    assert f"compared with {OLD}" in result.stdout
    assert "OTHER TARGET" in result.stdout


def test_relative_check_of_a_duet_names_the_other_target(gate, server):
    server.features(duet=True)
    expect_run(server, {"againstUrl": OLD}, against=other_side(), autoCompareBaselineRunId=None)
    shown = gate("runs", "start", "42", "--wait", "--assert", "p95<+10%", "--against", OLD).stdout
    assert "p95<+10%: p95 is 21 ms, other target 20 ms" in shown


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("p95<+10%", ExitCode.OK),
        ("p95<+4%", ExitCode.FAIL),
        ("rps<+150%", ExitCode.OK),
        ("rps<+90%", ExitCode.FAIL),
        ("errors<=+5%", ExitCode.FAIL),
        ("p99.9<+10%", ExitCode.UNDECIDED),
    ],
)
def test_relative_check_of_a_duet_compares_with_its_other_target(gate, server, check, code):
    server.features(duet=True)
    expect_run(server, {"againstUrl": OLD}, against=other_side(), autoCompareBaselineRunId=None)
    assert gate("runs", "start", "42", "--wait", "--assert", check, "--against", OLD).exit_code == (
        code
    )


@pytest.mark.parametrize("against", [None, "an address", [], 7])
def test_duet_that_the_server_did_not_play_is_undecided(gate, server, against):
    server.features(duet=True)
    expect_run(server, {"againstUrl": OLD}, against=against)
    result = gate(*GATED, "--against", OLD)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "without the other target" in result.stderr


def test_duet_that_was_aborted_before_its_load_says_why(gate, server):
    server.features(duet=True).profile().snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"againstUrl": OLD})
    aborted = {
        "outcome": "ABORTED",
        "autoVerdict": None,
        "autoVerdictReasons": ["the target cannot be reached; no load was sent"],
    }
    server.status().status("IDLE").scan(row(**aborted)).detail(**aborted, against=None)
    result = gate(*GATED, "--against", OLD)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "no load was sent" in result.stderr
    assert "without the other target" not in result.stderr


@pytest.mark.parametrize(
    ("verdict", "used", "code"),
    [
        ("PASS", 5, ExitCode.OK),
        ("PASS", 4, ExitCode.UNDECIDED),
        ("FAIL", 4, ExitCode.UNDECIDED),
        ("PASS", None, ExitCode.UNDECIDED),
        ("FAIL", None, ExitCode.FAIL),
        ("WARN", None, ExitCode.UNDECIDED),
        ("NO_BASELINE", None, ExitCode.UNDECIDED),
    ],
)
def test_verdict_against_another_baseline_than_asked_for_decides_nothing(
    gate, server, verdict, used, code
):
    server.features(baselinePins=True)
    server.profile().snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"baselineRunId": 5})
    server.status().status("COMPLETED").scan(row(autoVerdict=verdict))
    server.detail(autoVerdict=verdict, autoCompareBaselineRunId=used)
    argv = ("runs", "start", "42", "--wait", "--fail-on", "FAIL,NO_BASELINE", "--baseline", "5")
    assert gate(*argv).exit_code == code


def test_repetitions_to_confirm_ask_for_the_same(gate, server):
    server.features(duet=True)
    body, bad = {"againstUrl": OLD}, {"autoVerdict": "FAIL", "against": other_side()}
    server.profile()
    for number in (7, 8):
        run_id = f"{RUN[:-1]}{number}"
        started = {**STARTED, "runId": run_id}
        server.snapshot(*([row(7, runId=f"{RUN[:-1]}7")] if number == 8 else []))
        server.answer("POST", f"/profiles/{PROFILE}/runs", started, body=body)
        server.status(runId=run_id).status("COMPLETED", runId=run_id)
        server.scan(row(number, runId=run_id, autoVerdict="FAIL")).detail(
            number, runId=run_id, **bad
        )
    result = gate(*GATED, "--confirm", "1", "--against", OLD)
    assert result.exit_code == ExitCode.FAIL


def test_start_without_wait_takes_them_too(gate, server):
    server.features(**CAN_ALL).profile()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"againstUrl": OLD})
    assert gate("runs", "start", "42", "--against", OLD).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("target", "against"),
    [
        ("http://localhost:8080/a?b=1", "http://localhost:8080/a?b=1"),
        (" http://localhost:8080 ", "http://localhost:8080/"),
        ("https://shop.example:443/a", "https://SHOP.example/a"),
        ("HTTP://shop.example/a", "http://shop.example:80/a"),
    ],
)
@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["start", "wait"])
def test_target_is_not_compared_with_itself(gate, server, target, against, wait):
    server.features(duet=True).profile(targetUrl=target)
    result = gate("runs", "start", "42", "--against", against, *wait)
    assert result.exit_code == ExitCode.USAGE
    assert "both targets are the same" in result.stderr
    assert "another query" in result.stderr


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["start", "wait"])
def test_target_of_a_document_is_compared_with_another_before_anything_is_sent(
    gate, tm, server, wait
):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    argv = ("runs", "start", "checkout.yaml", "--against", "https://shop.example/checkout")
    assert gate(*argv, *wait).exit_code == ExitCode.USAGE
    assert not server.requests


@pytest.mark.parametrize(
    "target",
    [
        "https://localhost:8081/checkout",
        "http://localhost:8082/checkout",
        "http://localhost:8081/Checkout",
        "http://localhost:8081/checkout?again",
        "http://[broken",
        "",
        None,
    ],
)
def test_other_scheme_port_path_or_query_is_another_target(gate, server, target):
    server.features(duet=True).profile(targetUrl=target)
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED)
    assert gate("runs", "start", "42", "--against", OLD).exit_code == ExitCode.OK


@pytest.mark.parametrize("wait", [(), ("--wait",)], ids=["start", "wait"])
@pytest.mark.parametrize(
    "flags", [("--baseline", "5"), ("--against", OLD)], ids=["baseline", "against"]
)
@pytest.mark.parametrize("features", [{}, {"baselinePins": False, "duet": False}, None])
def test_server_that_cannot_do_it_starts_nothing(gate, server, flags, features, wait):
    if features is None:
        server.error("GET", "/account", 404, "Not found")
    else:
        server.features(**features)
    result = gate("runs", "start", "42", *flags, *wait)
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot" in result.stderr
    assert "nothing was started" in result.stderr


def test_server_that_does_not_say_what_it_can_starts_nothing(gate, server):
    server.answer("GET", "/account", {"features": "all of them"})
    assert gate("runs", "start", "42", "--baseline", "5").exit_code == ExitCode.REFUSED
    for _ in range(3):
        server.error("GET", "/account", 503, "down")
    assert gate("runs", "start", "42", "--baseline", "5").exit_code == ExitCode.ERROR


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--baseline", "5", "--against", OLD), "contradict"),
        (("43", "--baseline", "5"), "exactly one PROFILE"),
        (("43", "--against", OLD), "exactly one PROFILE"),
        (("--baseline", "0"), "--baseline"),
        (("--baseline", "x"), "--baseline"),
        (("--against", ""), "empty"),
        (("--against", "localhost:8081"), "no scheme"),
        (("--against", "ftp://localhost/"), "scheme must be http or https"),
        (("--against", "http://"), "no host"),
        (("--against", "http://user:secret@localhost/"), "credentials"),
        (("--against", "http://localhost:99999/"), "port"),
        (("--against", "http://localhost:0/"), "port"),
        (("--against", "http://[::1/"), "malformed"),
        (("--against", "http://local host/"), "space"),
        (("--against", "http://localhost/\x1b"), "control"),
        (("--against", "http://localhost/#top"), "fragment"),
        (("--against", "http://localhost/" + "a" * 2048), "longer than"),
    ],
)
def test_wrong_wishes_are_noticed_before_anything_is_sent(gate, server, flags, words):
    result = gate("runs", "start", "42", *flags, "--wait")
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr
    assert "secret" not in result.stderr
    assert not server.requests


def test_limits_of_a_document_travel_with_it(gate, tm, server):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.features(runLimits=True)
    sent = {
        "_format": "trafficmorph-profile-v1",
        "name": "checkout",
        "duration": 60,
        "endpointUrl": "https://shop.example/checkout",
        "points": [{"x": 0, "y": 10}, {"x": 60, "y": 10}],
        "gate": LIMITS,
        "httpMethod": "GET",
        "interpolationMode": "LINEAR",
    }
    server.answer("POST", "/profiles/import", IMPORTED, code=201, body=sent).profile().start()
    assert gate("runs", "start", "checkout.yaml").exit_code == ExitCode.OK


def test_limits_of_the_project_travel_with_the_start(gate, tm, server):
    (tm.cwd / "tm.toml").write_text('[gate]\np95 = {warn = "5%", fail = "10%"}\nfloor = "3ms"\n')
    server.features(runLimits=True)
    expect_run(server, {"gate": LIMITS})
    assert gate(*GATED).exit_code == ExitCode.OK


@pytest.mark.parametrize("argv", [("runs", "start"), ("profiles", "import")], ids=" ".join)
def test_limits_that_the_server_would_drop_are_refused_before_the_upload(gate, tm, server, argv):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.features(runLimits=False)
    result = gate(*argv, "checkout.yaml")
    assert result.exit_code == ExitCode.REFUSED
    assert "limits" in result.stderr


def test_limits_of_the_project_that_the_server_would_drop_are_refused(gate, tm, server):
    (tm.cwd / "tm.toml").write_text("[gate]\nminRequests = 10\n", encoding="utf-8")
    server.features()
    assert gate(*GATED).exit_code == ExitCode.REFUSED


@pytest.mark.parametrize("features", [{"runLimits": True}, {"steps": True}, {}])
def test_thresholds_of_steps_that_the_server_would_drop_are_refused(gate, tm, server, features):
    (tm.cwd / "tm.toml").write_text('[gate.steps."/cart"]\np95 = "10%"\n', encoding="utf-8")
    server.features(**features)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.REFUSED
    assert len(server.requests) == 1


def test_thresholds_of_steps_travel_with_the_start(gate, tm, server):
    (tm.cwd / "tm.toml").write_text('[gate.steps."/cart"]\np95 = "10%"\n', encoding="utf-8")
    server.features(runLimits=True, steps=True)
    expect_run(server, {"gate": {"steps": {"/cart": {"p95": {"fail": 10}}}}})
    assert gate(*GATED).exit_code == ExitCode.OK


def test_bad_limits_send_nothing_and_name_file_and_key(gate, tm, server):
    (tm.cwd / "tm.toml").write_text("[gate]\np95 = {warn = -1}\n", encoding="utf-8")
    result = gate(*GATED)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "tm.toml" in result.stderr
    assert "gate.p95.warn" in result.stderr
    assert not server.requests


def test_account_is_read_once_for_features_and_budget(gate, tm, server):
    (tm.cwd / "tm.toml").write_text("[gate]\nminRequests = 10\n", encoding="utf-8")
    server.features(runLimits=False)
    assert gate("runs", "start", "42", "43", "--wait").exit_code == ExitCode.REFUSED
    assert len(server.requests) == 1


def test_config_shows_limits_and_their_origin(tm):
    (tm.cwd / "tm.toml").write_text(
        '[gate]\np95 = {warn = 5, fail = 10}\nshortfall = false\nfloor = "3ms"\n', encoding="utf-8"
    )
    shown = tm("config", "show").stdout
    assert "warn 5 %, fail 10 %" in shown
    assert "never" in shown
    data = tm("config", "show", "--json").json["data"]
    assert data["gate.p95"]["value"] == {"warn": 5, "fail": 10}
    assert data["gate.floorMs"]["origin"].endswith("tm.toml")


def test_outcome_tells_what_the_verdict_rests_on(gate, server):
    found = verdict_snapshot(comparison(), comparison("p50", verdict="PASS", significant=False))
    changes = {"autoVerdict": "FAIL", "autoCompareSnapshot": found}
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(
        **changes, notes=["worker eu/1 was lost at second 9"]
    )
    result = gate(*GATED)
    assert "baseline run 5, 2h older (pinned); reference run 2" in result.stdout
    assert "note: worker eu/1 was lost at second 9" in result.stdout
    assert "+24.5 to +35.5" in result.stdout


@pytest.mark.parametrize(
    ("addresses", "shown"),
    [
        ({"10.0.0.1": 1500, "10.0.0.2": 0}, "requests by address: 10.0.0.1 1,500, 10.0.0.2 0"),
        ({"127.0.0.1": 8, "127.0.0.2": 7}, "requests by address: 127.0.0.1 8, 127.0.0.2 7"),
        ({"::1": 0, "127.0.0.1": 8}, None),
        ({"10.0.0.1": 1500}, None),
        ({"10.0.0.1": "many", "10.0.0.2": -1.5}, None),
        ({}, None),
        ("not json", None),
        ([], None),
    ],
)
def test_requests_by_address_are_told_when_there_are_several(gate, server, addresses, shown):
    server.until_ended().scan(row()).detail(addresses=addresses, notes=["a worker was lost"])
    notes = gate(*GATED, "--json").json["data"]["notes"]
    assert notes == ["a worker was lost", *([shown] if shown else [])]


def test_requests_by_address_of_both_targets_of_an_ab_run_are_told(gate, server):
    server.until_ended().scan(row()).detail(
        addresses={"10.0.0.1": 2, "10.0.0.2": 3},
        against={"addresses": {"10.0.0.3": 1, "10.0.0.4": 4}},
    )
    said = gate(*GATED).stdout
    assert "note: requests by address: 10.0.0.1 2, 10.0.0.2 3" in said
    assert "note: requests by address of the other target: 10.0.0.3 1, 10.0.0.4 4" in said


def test_document_of_the_outcome_has_every_comparison(gate, server):
    server.until_ended().scan(row()).detail(
        autoCompareSnapshot=verdict_snapshot(), notes=["a worker was lost"]
    )
    data = gate(*GATED, "--json").json["data"]
    assert data["baseline_run_id"] == 5
    assert data["baseline_choice"] == "pinned"
    assert data["baseline_age_seconds"] == 7200.0
    assert data["reference_run_id"] == 2
    assert data["comparisons"] == [comparison()]
    assert data["notes"] == ["a worker was lost"]
    assert data["against"] is None


@pytest.mark.parametrize("found", [None, "", "{}", "[]", "7", "not json", json.dumps({"a": [1]})])
def test_foreign_snapshots_say_nothing_and_break_nothing(gate, server, found):
    server.until_ended().scan(row()).detail(autoCompareSnapshot=found)
    data = gate(*GATED, "--json").json["data"]
    assert data["comparisons"] == []
    assert data["baseline_choice"] is None
    assert data["baseline_run_id"] == 5


@pytest.mark.parametrize(
    ("argv", "environ", "seconds"),
    [
        (("--wait-for-target", "60s"), {}, 60),
        ((), {"TM_WAIT_FOR_TARGET": "2m"}, 120),
        (("--wait-for-target", "0"), {"TM_WAIT_FOR_TARGET": "2m"}, 0),
    ],
)
def test_time_to_wait_for_the_target_goes_with_the_start(tm, server, argv, environ, seconds):
    if seconds:
        server.features(waitForTarget=True)
    expect_run(server, {"waitForTarget": seconds})
    own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    assert tm(*GATED, *argv, environ={**own, **environ}).exit_code == ExitCode.OK


def test_server_that_cannot_wait_for_the_target_gets_no_start(gate, server):
    server.features(baselinePins=True)
    result = gate(*GATED, "--wait-for-target", "60s")
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot wait until the target answers" in result.stderr


def test_document_that_waits_needs_a_server_that_can(gate, server, tmp_path):
    path = tmp_path / "checkout.yaml"
    path.write_text(DOCUMENT.partition("gate")[0] + "waitForTarget: 90s\n")
    server.features(runLimits=True)
    result = gate("runs", "start", str(path), "--wait")
    assert result.exit_code == ExitCode.REFUSED
    assert "cannot wait until the target answers" in result.stderr


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("steps: [{request: GET /}]", "play several steps"),
        ("checks: {status: 200}", "check answers"),
        ("followRedirects: true", "follow redirects"),
        ("cookies: true", "keep cookies"),
    ],
)
@pytest.mark.parametrize("argv", [("runs", "start", "--wait"), ("profiles", "import")])
def test_journey_needs_a_server_that_can(gate, server, tmp_path, keys, words, argv):
    path = tmp_path / "shop.yaml"
    path.write_text(DOCUMENT.partition("gate")[0] + f"{keys}\n")
    server.features(runLimits=True)
    result = gate(*argv[:2], str(path), *argv[2:])
    assert result.exit_code == ExitCode.REFUSED
    assert f"this server cannot {words}" in result.stderr
    assert "TM_BASE_URL=local" in result.stderr


@pytest.mark.parametrize(
    ("argv", "environ", "sent"),
    [
        (("--stop-early",), {}, True),
        ((), {"TM_STOP_EARLY": "true"}, True),
        (("--no-stop-early",), {"TM_STOP_EARLY": "true"}, False),
    ],
)
def test_wish_to_stop_early_goes_with_the_start(tm, server, argv, environ, sent):
    if sent:
        server.features(stopEarly=True)
    expect_run(server, {"stopEarly": sent})
    own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    assert tm(*GATED, *argv, environ={**own, **environ}).exit_code == ExitCode.OK


def test_server_that_cannot_stop_early_gets_no_start(gate, server):
    server.features(baselinePins=True)
    result = gate(*GATED, "--stop-early")
    assert result.exit_code == ExitCode.REFUSED
    assert "this server cannot end a run before its time (--stop-early); nothing" in result.stderr


def test_document_that_stops_early_needs_a_server_that_can(gate, server, tmp_path):
    path = tmp_path / "checkout.yaml"
    path.write_text(DOCUMENT.partition("gate")[0] + "stopEarly: true\n")
    server.features(runLimits=True)
    result = gate("runs", "start", str(path), "--wait")
    assert result.exit_code == ExitCode.REFUSED
    assert "cannot end a run before its time" in result.stderr


def test_run_that_was_stopped_early_says_when(gate, server):
    early = {"stoppedAfterSeconds": 38, "curveSeconds": 300.0, "durationSeconds": 38}
    server.until_ended().scan(row(**early)).detail(**early)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.OK
    assert "decided after 38s of 5m" in result.stdout


@pytest.mark.parametrize(
    "fields",
    [
        {"stoppedAfterSeconds": None, "curveSeconds": 300},
        {"stoppedAfterSeconds": 38},
        {"stoppedAfterSeconds": 301, "curveSeconds": 300},
        {"stoppedAfterSeconds": "38", "curveSeconds": [300]},
        {"stoppedAfterSeconds": -1, "curveSeconds": 300},
    ],
)
def test_numbers_that_make_no_sense_say_nothing(gate, server, fields):
    server.until_ended().scan(row(**fields)).detail(**fields)
    assert "decided after" not in gate(*GATED).stdout


def test_run_that_may_stop_early_is_polled_every_two_seconds(gate, server, clock):
    server.features(stopEarly=True)
    server.profile(duration=300).snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"stopEarly": True})
    for elapsed in (0, 2, 4):
        server.status(elapsedSeconds=elapsed, durationSeconds=300, stopsEarly=True)
    server.status("COMPLETED").scan(row()).detail()
    began = clock.monotonic()
    assert gate(*GATED, "--stop-early").exit_code == ExitCode.OK
    assert clock.monotonic() - began < 10


@pytest.mark.parametrize("text", ["soon", "-1s", ""])
def test_time_to_wait_is_a_duration(gate, server, text):
    result = gate(*GATED, f"--wait-for-target={text}")
    assert result.exit_code in (ExitCode.USAGE, ExitCode.CONFIGURATION)


def test_run_whose_target_was_not_there_is_undecided_and_says_why(gate, server):
    why = "the target shop.test:80 cannot be reached: nothing listens; no load was sent"
    server.profile().snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    server.status().status("IDLE")
    ended = {"outcome": "ABORTED", "autoVerdict": None, "autoVerdictReasons": [why]}
    server.scan(row(**ended)).detail(**ended)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.UNDECIDED
    assert why in result.stderr


def test_failures_are_explained_and_requests_sent_again_are_counted(gate, server):
    server.profile().snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    codes = '{"200": 90, "ConnectionRefusedError": 9, "Rare": 1}'
    server.status().status("COMPLETED").scan(row()).detail(responseCodes=codes, repeated=3)
    result = gate(*GATED)
    assert "ConnectionRefusedError: nothing listens at the target's address" in result.stdout
    assert "3 requests were sent again: the target had closed an idle connection" in result.stdout
    assert "Rare:" not in result.stdout


HIGH = [{"x": 0, "y": 10}, {"x": 30, "y": 1800}, {"x": 60, "y": 10}]


@pytest.mark.parametrize(
    "limits",
    [{"maxRps": 1500}, {"maxRps": 0, "maxProfileRps": 1500}, {"maxRps": 9000, "maxProfileRps": 5}],
)
def test_curve_that_the_server_would_cut_off_is_not_started(gate, server, limits):
    server.profile(points=HIGH, interpolationMode="LINEAR")
    server.answer("GET", "/account", {"limits": limits})
    result = gate(*GATED)
    assert result.exit_code == ExitCode.REFUSED
    assert "the highest rate of checkout is 1,800 requests per second" in result.stderr


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"maxRps": 0, "maxProfileRps": None},
        {"maxRps": 1800},
        {"maxRps": 10**15},
        {"maxRps": -1},
    ],
)
def test_curve_within_the_servers_limit_is_started(gate, server, limits):
    server.profile(points=HIGH, interpolationMode="LINEAR")
    server.answer("GET", "/account", {"limits": limits}).snapshot()
    server.answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    server.status().status("COMPLETED").scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


def test_server_that_does_not_tell_its_limit_is_asked_to_start(gate, server):
    server.profile(points=HIGH, interpolationMode="LINEAR")
    server.error("GET", "/account", 404, "no such page")
    server.snapshot().answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    server.status().status("COMPLETED").scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("argv", "environ", "seconds"),
    [
        (("--warmup", "10s"), {}, 10),
        ((), {"TM_WARMUP": "1m"}, 60),
        (("--warmup", "0"), {"TM_WARMUP": "1m"}, 0),
    ],
)
def test_warm_up_goes_with_the_start(tm, server, argv, environ, seconds):
    if seconds:
        server.features(warmup=True)
    expect_run(server, {"warmup": seconds})
    own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    assert tm(*GATED, *argv, environ={**own, **environ}).exit_code == ExitCode.OK


def test_server_that_judges_everything_gets_no_start_with_a_warm_up(gate, server, tmp_path):
    path = tmp_path / "checkout.yaml"
    path.write_text(DOCUMENT.partition("gate")[0] + "warmup: 5s\n")
    for argv in ((*GATED, "--warmup", "5s"), ("runs", "start", str(path), "--wait")):
        server.features(runLimits=True, waitForTarget=True)
        result = gate(*argv)
        assert result.exit_code == ExitCode.REFUSED
        assert "this server cannot leave a warm-up out of the verdict" in result.stderr


@pytest.mark.parametrize("text", ["soon", "3s", "7.5s"])
def test_warm_up_ends_with_a_stretch_of_the_measurements(gate, server, text):
    result = gate(*GATED, f"--warmup={text}")
    assert result.exit_code in (ExitCode.USAGE, ExitCode.CONFIGURATION)
    assert "warm" in result.stderr
